"""The command line: pictures or folders in, large pictures out. This is the order of things; every refusal comes before
the first pixel is decoded and the first model loaded.

Exit codes: 0 done, 1 some pictures failed, 2 refused before any work, 130 stopped (143 by `kill`, 129 when the terminal
closed).
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from typing import Any

from ..errors import UsduError, plural
from .say import answer, close_streams, message, say, set_level, shown
from .stop import Stopping


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    stopping = Stopping()
    set_level(1)
    with stopping.listening():
        try:
            return _command(arguments, stopping)
        except UsduError as error:
            return _refused(message(error))
        except KeyboardInterrupt:  # raised by Python itself where signals are not handled here
            return stopping.exit_code if stopping.signal else 130
        except Exception as error:
            if sys.flags.dev_mode:
                raise
            said = next(iter(str(error).splitlines()), "")[:300]
            return _refused(f"{type(error).__name__}: {said} (python -X dev -m lib_usdu shows where)")
        finally:
            close_streams()


def _refused(reason: str) -> int:
    say(f"usdu: error: {reason}", level=0)
    return 2


def _command(arguments: list[str], stopping: Stopping) -> int:
    if arguments[:1] == ["journal"]:  # a picture or folder of that name: ./journal
        from . import journal_command

        return journal_command.main(arguments[1:])
    from .flags import parser

    args = parser().parse_intermixed_args(arguments)  # pictures may stand between flags
    if args.print_completion is not None:
        from .printed import completion

        answer(completion(args.print_completion))
        return 0
    if args.list is not None:
        from .printed import listing

        answer(listing(args.list))
        return 0
    set_level(0 if args.quiet else 1 + args.verbose)
    with ExitStack() as left:
        stopping.clean_with(left.close)
        return _run(args, stopping, left)


def _run(args: argparse.Namespace, stopping: Stopping, left: ExitStack) -> int:
    from .batch import Pictures
    from .few_steps import settle
    from .flags import given_names, options_of, take_input
    from .jobs import check_mask, jobs_of, not_used
    from .models import check_model, redraws, settle_model
    from .planning import checked, loading, plan_lines, timings, whole_time
    from .targets import check_targets, with_earlier

    take_input(args, left)
    given = given_names(args)
    alone = settle_model(args, given)
    options = options_of(args)
    few = settle(args)
    check_model(args, options)
    if options.creativity and args.denoise is not None:
        say(f"--creativity {args.creativity} decides how much is drawn anew: --denoise {args.denoise} is not used")
    jobs, notes = jobs_of(args, options)
    check_mask(args)
    jobs = with_earlier(args, jobs)
    check_targets(args, jobs)
    plans = checked(args, options, jobs)
    for note in (alone, few, *notes, *not_used(args, options, given, jobs)):
        if note:
            say(note)
    for line in plan_lines(args, jobs, plans):
        answer(shown(line)) if args.dry_run else say(line, level=2)
    wanted = [job for job in jobs if not job.done and not job.refusal]
    skipped = [job for job in jobs if job.done]
    if skipped and not args.dry_run:
        _say_skipped(skipped, [path for path in (args.compare, args.number_tiles) if path is not None])
    if args.dry_run:
        if len(wanted) > 1:
            answer(whole_time(args, options, plans))
        return 1 if any(job.refusal for job in jobs) else 0
    host, first = None, None
    if wanted:
        from . import models
        from .picture import read_picture

        if len(wanted) == 1:  # a damaged one is said before a model is loaded
            first = read_picture(wanted[0], args)

        if redraws(args, options):
            say("loading models ...")  # seconds pass before the first bar
        started = time.perf_counter()
        host = models.host_of(args, options)
        timings().learn({loading(args, options): time.perf_counter() - started})
    return _make_all(Pictures(args, jobs, plans, host, first), args, jobs, stopping)


def _say_skipped(skipped: list[Any], beside: list[Any]) -> None:
    """beside: pictures that were asked for with that of the only one."""
    if len(skipped) == 1:
        without = "".join(f", so {path} is not made" for path in beside)
        say(f"{skipped[0].target}: {skipped[0].done}, skipped{without}; --overwrite makes it again")
    else:
        say(f"{plural(len(skipped), 'picture')} skipped: {skipped[0].done}; --overwrite makes them again")


def _make_all(batch: Any, args: argparse.Namespace, jobs: list[Any], stopping: Stopping) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from .report import write_report

    stopping.tell(batch, batch.clean_up)
    if batch.at_once > 1:
        with ThreadPoolExecutor(batch.at_once) as pool:
            reports = list(pool.map(batch.make, jobs))
    else:
        reports = list(map(batch.make, jobs))
    reports = [report for report in reports if report is not None]
    if args.json:
        content = {"pictures": reports, "failed": [str(source) for source, _ in batch.failed]}
        write_report(args.json, reports[0] if len(jobs) == 1 and reports else content)
    if batch.failed and len(jobs) > 1:
        say(f"{len(batch.failed)} of {plural(len(jobs), 'picture')} failed:", level=0)
        for source, reason in batch.failed:
            say(f"  {source}: {reason}", level=0)
    if stopping.signal:
        return stopping.exit_code
    return 1 if batch.failed else 0
