"""`python -m lib_usdu journal`: what can be resumed, and an end to it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ..resume import journal


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="usdu journal", description="Lists or clears the finished tiles kept of runs that did not end."
    )
    parser.add_argument("action", nargs="?", choices=("list", "clear"), default="list")
    parser.add_argument("--journal", type=Path, default=journal.default_folder(), metavar="FOLDER")
    args = parser.parse_args(arguments)
    found = journal.kept_runs(args.journal)
    total = sum(job.bytes for job in found)
    if args.action == "clear":
        for job in found:
            job.remove()
        print(f"{len(found)} jobs removed, {total / 1e6:.1f} MB")
        return 0
    print(f"{args.journal}: {len(found)} jobs, {total / 1e6:.1f} MB")
    for job in found:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.used))
        about = {name: job.about.get(name, "?") for name in ("source", "result", "tiles", "seed")}
        print(
            f"  {used}  {about['source']} -> {about['result']}, {job.entries} entries kept of {about['tiles']} tiles, "
            f"seed {about['seed']}, {job.bytes / 1e6:.1f} MB"
        )
    return 0
