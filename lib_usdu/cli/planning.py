"""What the run will do, from sizes alone: checked before any work, and printed by --dry-run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

from ..errors import OptionError, plural
from ..geometry import Canvas
from ..host import Abilities
from ..noise_share import NoiseShare, percent
from ..options import Options
from ..options.tile_numbers import NONE
from ..plan import Plan, batch_limits, check_mask, check_options, count_batches, make_plan, settled
from ..resume.journal import default_folder
from ..run.timings import FILE, Timings, Work, about
from ..run.timings import works as stages_of
from ..standalone.families.known_share import shares_of
from ..standalone.families.table import STABLE_DIFFUSION
from ..standalone.sources import kind_of
from .jobs import Job, read_mask
from .models import abilities, redraws


def checked(args: argparse.Namespace, options: Options, jobs: Sequence[Job]) -> list[Plan | None]:
    """The plan of each picture; None for one that is not made. Raises OptionError for what a plan refuses."""
    able = abilities(args)
    check_options(options, able)
    shares = _shares(args)
    plans: list[Plan | None] = []
    for job in jobs:
        if job.refusal or job.done:
            plans.append(None)
            continue
        try:
            mask = read_mask(args, job)
            check_mask(job.options, mask)
            plan = make_plan(job.options, job.picture_size, able, mask=mask)
            asked = settled(job.options, shares(plan.canvas) if plan.passes else None)
            if asked != job.options:
                plan = make_plan(asked, job.picture_size, able, mask=mask)
            _check_beside(args, plan)
            plans.append(plan)
        except OptionError as error:
            if len(jobs) > 1:
                error.args = (f"{error}; picture: {job.source}",)
            raise
    return plans


def _check_beside(args: argparse.Namespace, plan: Plan) -> None:
    """Raises OptionError for a picture beside the result that would not be made."""
    for name, path in (("compare", args.compare), ("number_tiles", args.number_tiles)):
        if path is not None and plan.options.try_tile != NONE:
            raise OptionError(name, str(path), "a whole run, without --try-tile: that makes a picture of its own")
    if args.number_tiles is not None and not plan.numbered:
        raise OptionError("number_tiles", str(args.number_tiles), "a run in which tiles are redrawn")


def plan_lines(args: argparse.Namespace, jobs: Sequence[Job], plans: Sequence[Plan | None]) -> Iterator[str]:
    """A line for each picture: sizes, tiles and where the result goes."""
    able, shares = abilities(args), _shares(args)
    for job, plan in zip(jobs, plans):
        if plan is None:
            yield f"{job.name}: {job.refusal or job.done + ', skipped'}"
            continue
        work = [*works(args, plan).values(), *[loading(args, job.options)][: len(jobs) == 1]]
        noise = _noise(shares, plan)
        time = f", {about(timings().seconds(work))}" if args.dry_run else ""
        yield (
            f"{job.name}: {job.width}x{job.height} -> {plan.canvas.width}x{plan.canvas.height}, {plan.options.upscaler}"
            f"{_tiles(plan, able)}{noise}{time} -> {job.target}"
        )


def whole_time(args: argparse.Namespace, options: Options, plans: Sequence[Plan | None]) -> str:
    """What all pictures take together, with the loading of the models."""
    wanted = [plan for plan in plans if plan is not None]
    each = [work for plan in wanted for work in works(args, plan).values()]
    return f"{plural(len(wanted), 'picture')}: {about(timings().seconds([loading(args, options), *each]))}"


def works(args: argparse.Namespace, plan: Plan) -> dict[str, Work]:
    """What there is to do for a picture, by the stage of a run that does it."""
    kind = kind_of(args.checkpoint) or STABLE_DIFFUSION
    guided = "guided" * ((kind.cfg if args.cfg is None else args.cfg) > 1)
    model = ", ".join(map(str, (_model(args), args.sampler or kind.sampler, guided, args.ray or "")))
    return stages_of(plan, model=model, steps=args.steps, device=args.device)


def loading(args: argparse.Namespace, options: Options) -> Work:
    """Before the first picture."""
    return Work(f"load, {_model(args)}" if redraws(args, options) else "load nothing", 1)


def _model(args: argparse.Namespace) -> str:
    return f"{args.checkpoint if args.engine == 'diffusers' else args.engine}, {args.device}, {args.low_memory}"


def timings() -> Timings:
    """This person's, on this machine."""
    return Timings(default_folder() / FILE)


def _shares(args: argparse.Namespace) -> Callable[[Canvas], NoiseShare | None]:
    """What is known of denoising strengths before the model is loaded, by canvas."""
    if args.engine != "diffusers":
        return lambda canvas: None
    return shares_of(args.checkpoint, args.sampler, args.steps)


def _noise(shares: Callable[[Canvas], NoiseShare | None], plan: Plan) -> str:
    """ ", denoise 0.25: 41 % noise", of the first pass."""
    known = shares(plan.canvas) if plan.passes else None
    if known is None:
        return ""
    about, denoise = "about " * known.guessed, plan.passes[0].denoise
    return f", denoise {denoise:g}: {about}{percent(known.of(denoise))} noise"


def _tiles(plan: Plan, able: Abilities) -> str:
    """ ", redraw: 6 tiles of 512x512 in 6 batches"."""
    text = ""
    for work in plan.passes:
        first = work.tiles[0]
        limits = batch_limits(plan.options, able, work)
        batches = count_batches(plan.grouped(work, limits), limits.first)
        text += (
            f", {work.name}: {plural(len(work.tiles), 'tile')} of {first.core.width}x{first.core.height} "
            f"in {plural(batches, 'batch', 'batches')}"
        )
    return text or ", nothing redrawn"
