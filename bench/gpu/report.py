"""What the sections measured and whether it is as it should be: printed as it comes, kept as JSON and as a table."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Report:
    """`checks`: (name, good, what was measured). `tables`: rows by title, each row a dict of a column's name to its
    value. `values`: anything else worth keeping. Everything is written to `folder` by `save`."""

    folder: Path
    checks: list[tuple[str, bool, str]] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    def say(self, text: str) -> None:
        print(f"[{time.perf_counter() - self.began:5.0f} s] {text}", flush=True)

    def check(self, name: str, good: bool, said: str = "") -> None:
        self.checks.append((name, bool(good), said))
        self.say(f"{'ok  ' if good else 'FAIL'} {name}: {said}")

    def row(self, title: str, row: dict[str, Any]) -> None:
        """Adds a row to the table of that title; a value is a number or a short text."""
        self.tables.setdefault(title, []).append(row)
        self.say(f"{title}: " + ", ".join(f"{name} {_plain(value)}" for name, value in row.items()))

    @property
    def failed(self) -> list[str]:
        return [name for name, good, _ in self.checks if not good]

    def write(self, name: str, text: str) -> None:
        """A file of its own beside the report."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def save(self) -> None:
        kept = {"values": self.values, "checks": self.checks, "tables": self.tables}
        self.write("gpu.json", json.dumps(kept, indent=1, default=str) + "\n")
        self.write("gpu.md", self.markdown())

    def markdown(self) -> str:
        about = self.values.get("environment", {})
        lines = [f"# Measured on {about.get('card', about.get('device', '?'))}", ""]
        lines += [", ".join(f"{name} {value}" for name, value in about.items()), ""]
        for title, rows in self.tables.items():
            names = list(dict.fromkeys(name for row in rows for name in row))
            lines += [f"## {title}", "", "| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
            lines += ["| " + " | ".join(_plain(row.get(name, "")) for name in names) + " |" for row in rows]
            lines += [""]
        lines += ["## Checks", "", "| check | | measured |", "|---|---|---|"]
        lines += [f"| {name} | {'ok' if good else 'FAIL'} | {said} |" for name, good, said in self.checks]
        return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value).replace("|", "/")
