"""What the run will do, from sizes alone: checked before any work, and printed by --dry-run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from ..errors import OptionError, plural
from ..host import Abilities
from ..options import Options
from ..plan import Plan, batch_limits, check_options, count_batches, make_plan
from .jobs import Job, read_mask
from .models import abilities


def checked(args: argparse.Namespace, options: Options, jobs: Sequence[Job]) -> list[Plan | None]:
    """The plan of each picture; None for one that is not made. Raises OptionError for what a plan refuses."""
    able = abilities(args)
    check_options(options, able)
    plans: list[Plan | None] = []
    for job in jobs:
        if job.refusal or job.done:
            plans.append(None)
            continue
        try:
            plans.append(make_plan(job.options, job.picture_size, able, mask=read_mask(args, job)))
        except OptionError as error:
            if len(jobs) > 1:
                error.args = (f"{error}; picture: {job.source}",)
            raise
    return plans


def plan_lines(args: argparse.Namespace, jobs: Sequence[Job], plans: Sequence[Plan | None]) -> Iterator[str]:
    """A line for each picture: sizes, tiles and where the result goes."""
    able = abilities(args)
    for job, plan in zip(jobs, plans):
        if plan is None:
            yield f"{job.name}: {job.refusal or job.done + ', skipped'}"
            continue
        yield (
            f"{job.name}: {job.width}x{job.height} -> {plan.canvas.width}x{plan.canvas.height}, {plan.options.upscaler}"
            f"{_tiles(plan, able)} -> {job.target}"
        )


def _tiles(plan: Plan, able: Abilities) -> str:
    """ ", redraw: 6 tiles of 512x512 in 6 batches"."""
    text = ""
    for work in plan.passes:
        first = work.tiles[0]
        groups = plan.grouped(work, batch_limits(plan.options, able, work))
        batches = count_batches(groups, batch_limits(plan.options, able, work).first)
        text += (
            f", {work.name}: {plural(len(work.tiles), 'tile')} of {first.core.width}x{first.core.height} "
            f"in {plural(batches, 'batch', 'batches')}"
        )
    return text or ", nothing redrawn"
