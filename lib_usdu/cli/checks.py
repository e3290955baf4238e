"""What can be refused from names alone: results that would replace what they must not, and places that cannot be
written."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import OptionError, OutputError
from ..pictures.formats import INPUT_EXTENSIONS, check_size, output_kind
from ..pictures.saving import remove_left_over
from .given import STREAM
from .jobs import Job

_LONGEST_NAME = 255
"""Bytes, on the file systems of today."""


def check_targets(args: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Raises OptionError and OutputError for targets that collide, are too large for their format, or cannot be
    written. Makes the folders, and removes what killed runs have left in them."""
    written = {"--json": args.json, "--compare": args.compare, "--number-tiles": args.number_tiles}
    written = {flag: Path(path) for flag, path in written.items() if path is not None and str(path) != STREAM}
    _check_collisions(args, jobs, written)
    if args.json is not None and Path(args.json).suffix.lower() in INPUT_EXTENSIONS:
        allowed = "a name that is not a picture's, such as report.json, or - for standard output"
        raise OptionError("--json", str(args.json), allowed)
    for flag, path in written.items():
        if flag != "--json":
            output_kind(path)
        if os.path.lexists(path) and not args.overwrite:
            raise OutputError(f"{path} exists; use --overwrite")
    wanted = [job for job in jobs if not job.done and not job.refusal]
    for job in wanted:
        if job.target != Path(STREAM):
            check_size(job.target, *job.result_size)
    targets = [*(job.target for job in wanted if job.target != Path(STREAM)), *written.values()]
    for target in targets:
        if len(os.fsencode(target.stem + "-unfinished" + target.suffix)) > _LONGEST_NAME:
            most = _LONGEST_NAME - len("-unfinished")
            raise OutputError(f"{target.parent / target.name[:20]}...: the name is longer than {most} bytes")
        if target.is_dir():
            raise OutputError(f"{target}: is a folder")
    for folder in dict.fromkeys(target.parent for target in targets):
        if not args.dry_run:
            _check_folder(folder)
            remove_left_over(folder)


def _check_collisions(args: argparse.Namespace, jobs: Sequence[Job], written: dict[str, Path]) -> None:
    seen: dict[str, str] = {}
    for job in jobs:
        if job.target == Path(STREAM):
            continue
        same = seen.get(key := _key(job.target))
        if same is not None:
            both = f"{same} and {job.source.name}"
            raise OutputError(f"{job.target}: {both} would both have this name; rename one of them")
        seen[key] = job.source.name
    sources = {_key(job.source): job for job in jobs if job.source != Path(STREAM)}
    if len(jobs) > 1:
        for job in jobs:
            if _key(job.target) in sources:
                said = "would replace a picture that is read; choose another folder with --output"
                raise OutputError(f"{job.target}: {said}")
    if args.mask is not None:
        sources[_key(Path(args.mask))] = None
    for flag, path in written.items():
        key = _key(path)
        if key in sources:
            raise OptionError(flag, str(path), "a file that is not read")
        if key in seen:
            raise OptionError(flag, str(path), "a file of its own: the result would have this name too")
        seen[key] = flag


def _key(path: Path) -> str:
    """Equal for two names of one file."""
    key = os.path.normcase(os.path.realpath(path))
    return key.casefold() if os.name == "nt" or os.uname().sysname == "Darwin" else key


def _check_folder(folder: Path) -> None:
    """Raises OutputError for a folder that cannot be made or written to."""
    probe = folder / f".usdu-{time.time_ns()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
    except OSError as error:
        raise OutputError(f"{folder}: the folder cannot be written to ({error.strerror})") from None
    finally:
        with suppress(OSError):
            probe.unlink()
