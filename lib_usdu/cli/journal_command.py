"""`usdu journal`: what stopped runs have kept, and an end to it."""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from pathlib import Path

from ..errors import plural
from ..resume import journal
from ..run import timings
from .say import answer


def main(arguments: list[str]) -> int:
    """Lists or clears what is kept; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="usdu journal", description="Lists or clears the finished tiles kept of runs that did not end."
    )
    parser.add_argument("action", nargs="?", choices=("list", "clear"), default="list")
    parser.add_argument("--journal", type=Path, default=journal.default_folder(), metavar="FOLDER")
    args = parser.parse_args(arguments)
    runs = journal.kept_runs(args.journal)
    size = f"{sum(run.bytes for run in runs) / 1e6:.1f} MB"
    if args.action == "clear":
        for run in runs:
            run.remove()
        with suppress(OSError):
            (args.journal / timings.FILE).unlink()
        answer(f"{plural(len(runs), 'run')} removed, {size}")
        return 0
    answer(f"{args.journal}: {plural(len(runs), 'run')}, {size}")
    for run in runs:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.used))
        about = {name: run.about.get(name, "?") for name in ("source", "result", "tiles", "seed")}
        answer(
            f"  {used}  {about['source']} -> {about['result']}, {plural(run.entries, 'part')} kept, "
            f"tiles: {about['tiles']}, seed {about['seed']}, {run.bytes / 1e6:.1f} MB"
        )
    return 0
