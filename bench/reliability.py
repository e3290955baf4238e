"""The table of what the tests of reliability injected and what survived.

    python -m bench.reliability COUNTS.json ... [--markdown FILE]

COUNTS.json is what the tests add up where USDU_COUNTS names it (`make reliability`); several are added up.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

WRONG = ("the model is switched", "a setting is changed", "an upscaler that nobody")
LOST = ("saving fails", "standard error fails")


def table(counts: dict[str, list[int]]) -> str:
    """A row for each thing counted: [cases, clean, tracebacks shown]; then the sums."""
    groups = {
        "faults injected / survived": [what for what in counts if what.startswith(("one fault", "a tile", "hangs"))],
        "wrong pictures asked for / said, or without effect": [what for what in counts if what.startswith(WRONG)],
        "what could lose work / nothing lost": [what for what in counts if what.startswith(LOST)],
        "kill -9 / the rerun's picture identical": [what for what in counts if what.startswith("kill")],
        "fuzz cases / clean outcomes": [what for what in counts if what.startswith("fuzz")],
    }
    lines = ["| | cases | as it should be | tracebacks shown |", "|---|---|---|---|"]
    for title, names in groups.items():
        cases, clean, shown = (sum(counts[name][i] for name in names) for i in range(3))
        lines.append(f"| **{title}** | **{cases}** | **{clean}** | **{shown}** |")
        lines += [f"| {name.removeprefix('fuzz: ')} | {' | '.join(map(str, counts[name]))} |" for name in names]
    rest = [name for name in counts if not any(name in names for names in groups.values())]
    lines += [f"| {name} | {' | '.join(map(str, counts[name]))} |" for name in rest]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", type=Path, nargs="+")
    parser.add_argument("--markdown", type=Path, default=Path("bench/results/reliability.md"))
    args = parser.parse_args()
    counts: dict[str, list[int]] = {}
    for path in args.counts:
        for what, numbers in json.loads(path.read_text()).items():
            counts[what] = [old + new for old, new in zip(counts.get(what, [0, 0, 0]), numbers)]
    text = table(counts)
    args.markdown.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
