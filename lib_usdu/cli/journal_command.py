"""`usdu journal`: what stopped runs have kept, and an end to it."""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from pathlib import Path

from ..errors import plural
from ..resume import journal
from ..run import timings
from .say import answer, say


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
        left = [run for run in journal.kept_runs(args.journal) if run.bytes]
        freed = sum(run.bytes for run in runs) - sum(run.bytes for run in left)
        answer(f"{plural(len(runs) - len(left), 'run')} removed, {freed / 1e6:.1f} MB")
        for run in left:
            say(f"usdu: error: {run.folder}: could not be removed", level=0)
        return 1 if left else 0
    answer(f"{args.journal}: {plural(len(runs), 'run')}, {size}")
    for run in runs:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.used))
        about = {name: run.about.get(name, "?") for name in ("source", "result", "tiles", "seed")}
        answer(
            f"  {used}  {about['source']} -> {about['result']}, {plural(run.entries, 'part')} kept, "
            f"tiles: {about['tiles']}, seed {about['seed']}, {run.bytes / 1e6:.1f} MB"
        )
    return 0
