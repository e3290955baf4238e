"""Which picture the command line makes of which."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, OptionError, OutputError
from ..pictures import imagefile


@dataclass(frozen=True)
class Job:
    """One picture to make."""

    source: Path
    target: Path


def jobs_of(args: argparse.Namespace) -> list[Job]:
    """What to make of what: a folder's pictures keep their names."""
    inputs, output = args.input, args.output
    jobs = []
    for given in inputs:
        if not given.exists():
            raise InputError(f"{given}: no such file or folder")
        many = given.is_dir() or len(inputs) > 1
        if output is not None and many and output.suffix and not output.is_dir():
            raise OutputError(f"-o: {str(output)!r} is not allowed for several pictures; allowed: a folder")
        if given.is_dir():
            folder = output or given.with_name(given.name + "-upscaled")
            found = imagefile.list_images(given)
            if not found:
                raise InputError(f"{given}: holds no pictures")
            jobs += [Job(source, folder / _kept_name(source)) for source in found]
        elif output is None:
            jobs.append(Job(given, given.with_name(given.stem + "-upscaled.png")))
        elif many or output.is_dir() or not output.suffix:
            jobs.append(Job(given, output / _kept_name(given)))
        else:
            jobs.append(Job(given, output))
    singles = (("--compare", args.compare), ("--number-tiles", args.number_tiles), ("--mask", args.mask))
    for flag, given in singles:
        if len(jobs) > 1 and given:
            raise OptionError(flag, str(given), "one picture at a time")
    targets = [job.target for job in jobs]
    twice = next((target for target in targets if targets.count(target) > 1), None) if len(inputs) > 1 else None
    if twice:
        raise OutputError(f"{twice}: two pictures would have this name")
    return jobs


def _kept_name(source: Path) -> str:
    """The same name; .png after a format that cannot be written."""
    return source.name if source.suffix.lower() in imagefile.OUTPUT_FORMATS else source.name + ".png"


def check_writable(target: Path | None, overwrite: bool) -> None:
    """Says early what writing would say after the work."""
    if target is None:
        return
    if target.suffix.lower() not in {*imagefile.OUTPUT_FORMATS, ".json"}:
        raise OutputError(
            f"{target}: extension {target.suffix!r} is not allowed; allowed: {' '.join(imagefile.OUTPUT_FORMATS)}"
        )
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists; use --overwrite")
    probe = target.parent / f".usdu-{time.time_ns()}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{target}: the folder cannot be written to ({error.strerror})") from None
