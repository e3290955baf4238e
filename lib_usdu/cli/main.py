"""The command line: pictures or folders in, large pictures out. Exit codes: 0 done, 1 some pictures failed, 2 bad
input, 130 stopped."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..errors import UsduError
from ..options import Options
from ..pictures import imagefile
from ..plan import check_options, make_plan
from . import journal_command, models
from .bar import Bar
from .flags import parser
from .given import max_pixels, options_of
from .jobs import Job, check_writable, jobs_of
from .models import abilities
from .picture import read_mask, upscale_file
from .say import message, say
from .stop import stop_on_interrupt


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["journal"]:  # a picture or folder of that name: ./journal
        return journal_command.main(arguments[1:])
    try:
        return _run(parser().parse_args(arguments))
    except UsduError as error:
        print(f"usdu: error: {message(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        said = next(iter(str(error).splitlines()), "")[:300]
        print(f"usdu: error: {type(error).__name__}: {said} (python -X dev -m lib_usdu shows where)", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    options = options_of(args)
    jobs = jobs_of(args)
    for target in (*(job.target for job in jobs), args.compare, args.json, args.number_tiles):
        check_writable(target, args.overwrite)
    _check(args, options, jobs)
    host = models.host_of(args, options)
    stop_on_interrupt(host)
    failed: list[tuple[Path, str]] = []
    at_once = min(len(jobs), host.pictures_at_once)

    def make(numbered: tuple[int, Job]) -> dict[str, Any] | None:
        number, job = numbered
        if host.stop:
            return None
        name = job.source.name if len(jobs) == 1 else f"[{number}/{len(jobs)}] {job.source.name}"
        try:
            bar = Bar(name, quiet=args.quiet or at_once > 1)  # several bars would overwrite each other
            return upscale_file(job, name, options, host.with_progress(bar.show), bar, args)
        except (UsduError, MemoryError) as error:
            if len(jobs) == 1:
                raise UsduError(message(error)) from error
            failed.append((job.source, message(error)))
            say(f"{name}: {message(error)}")
            return None

    if at_once > 1:
        with ThreadPoolExecutor(at_once) as pool:
            made = list(pool.map(make, enumerate(jobs, 1)))
    else:
        made = list(map(make, enumerate(jobs, 1)))
    reports = [report for report in made if report is not None]
    if args.json:
        content = (
            reports[0] if len(jobs) == 1 and reports else {"pictures": reports, "failed": [str(p) for p, _ in failed]}
        )
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if failed:
        say(f"{len(failed)} of {len(jobs)} pictures failed:")
        for source, reason in failed:
            say(f"  {source}: {reason}")
    return 130 if host.stop else 1 if failed else 0


def _check(args: argparse.Namespace, options: Options, jobs: list[Job]) -> None:
    """Raises, before a model is loaded, what the run would refuse. A folder's pictures are looked at in turn."""
    able = abilities(args)
    check_options(options, able)
    if len(jobs) == 1:
        mask = read_mask(args)
        picture = imagefile.read(jobs[0].source, max_pixels=max_pixels(args))
        make_plan(options, picture.rgb.shape[1::-1], able, mask=mask)
