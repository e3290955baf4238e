"""The run: options -> upscaled canvas -> passes -> (crop, refine, compose)* -> result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .compose.mask import through
from .enlarge.bundled import EMBEDDED_UPSCALER, suited
from .enlarge.seamless import enlarge_wrapped, resizer
from .errors import InputError, Stopped, plural
from .host import Host
from .noise_share import NoiseShare
from .options import INFOTEXT_PREFIX, Options
from .options.tile_numbers import ALL, NONE
from .passes import Pass
from .pictures.infotext import STRENGTH, TILE_KEY, TRIED_KEY, UPSCALER_KEY, of_run
from .pictures.number_sheet import numbered
from .plan import Plan, check_mask, make_plan, settled
from .run import trial
from .run.guard import Guard
from .run.stats import Stats
from .run.tile_loop import run_fused, run_pass
from .schedule import FUSED
from .select.flat import worth_redrawing
from .select.strength import MASK, whole_where_redrawn


@dataclass(frozen=True)
class Result:
    """image: uint8 (h, w, 3), the final picture. plan: what was to be done. parameters: the options and what is to be
    said of the run, for the infotext. upscaled: the canvas before any tile was refined. redrawn: the picture before the
    seams were fixed, None where they were not. finished: False when the person stopped the run; the picture then holds
    what was done. numbered: the picture with the numbers of its tiles, where that was asked for. notes: what the person
    should know of the run. tried: the number of the only tile that was redrawn, where one was to be tried; pair: that
    tile before and after, side by side. forget: to be called once the picture is safe: removes what was kept to resume
    the run. keep_awhile: to be called instead where the picture may not reach its caller: what is kept answers the same
    request for a time.
    """

    image: np.ndarray
    plan: Plan
    infotext: str
    parameters: dict[str, str]
    stats: Stats
    upscaled: np.ndarray
    redrawn: np.ndarray | None = None
    finished: bool = True
    numbered: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    tried: int = 0
    pair: np.ndarray | None = None
    forget: Callable[[], None] = lambda: None
    keep_awhile: Callable[[], None] = lambda: None


def upscale(
    image: Any,
    options: Options,
    host: Host,
    *,
    img2img_size: tuple[int, int] | None = None,
    mask: np.ndarray | None = None,
) -> Result:
    """Enlarges a picture and refines it tile by tile; with the option try_tile one tile only, whose `pair` the result
    then has, and what was made of it is kept for the run.

    image: uint8 (h, w, 3) or a PIL image. img2img_size: (width, height) for target_size_type "img2img". mask: what of
    the picture is redrawn, (h, w) of the picture or of the result, uint8 0-255 or float 0-1; tiles that it does not
    touch are left out, and what it leaves out stays as upscaled.

    Raises InputError for another array, OptionError for whatever `make_plan` refuses, before any work; ModelError when
    the upscaler or the host's model does not work at all (a tile that fails stays as upscaled). A stop asked of the
    host is no error: the result says `finished=False`.
    """
    started = time.perf_counter()
    check_mask(options, mask)
    rgb = image if isinstance(image, np.ndarray) else np.asarray(image.convert("RGB"))
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise InputError(f"image: an array {rgb.dtype} {rgb.shape} is not allowed; allowed: uint8 (height, width, 3)")
    plan = make_plan(options, rgb.shape[1::-1], host.abilities(), img2img_size=img2img_size, mask=mask)
    share = _noise_share(host, plan)
    if (asked := settled(options, share)) != options:
        options = asked
        plan = make_plan(options, rgb.shape[1::-1], host.abilities(), img2img_size=img2img_size, mask=mask)
        share = _noise_share(host, plan)  # padding follows the strength: windows may have another size now
    stats = Stats(tiles=plan.tiles, noise_share=None if share is None else share.of(plan.passes[0].denoise))
    guard = Guard(host, plan, rgb)
    parameters = of_run(options, plan)
    host.announce(parameters, plan)

    with stats.stage("upscale"):
        upscaler, why = _upscaler(rgb, options)
        upscaled, finished = _enlarged(rgb, plan, guard, upscaler)
    parameters.update({UPSCALER_KEY: upscaler} if why else {})
    canvas, redrawn, tries = upscaled, None, plan.options.try_tile != NONE
    if tries:
        plan = trial.with_one_tile(plan, upscaled, host, stats)
    if finished:
        passes = _worth_refining(plan, upscaled, host, stats)
        canvas, redrawn, finished = _refined(passes, upscaled, plan, guard, stats)
    if finished and plan.options.finish != "none" and not tries:
        with stats.stage("finish"):
            canvas = _masked(plan, host.finish(canvas, plan.options.finish), upscaled)
    guard.close()
    stats.stages["journal"], stats.resumed = guard.seconds, guard.found
    stats.seconds = time.perf_counter() - started
    parameters.update({**_left_out(stats), **guard.parameters})
    if finished and plan.passes and not stats.tiles_done:  # all of them flat: no model had a part in the picture
        for name in (STRENGTH, TILE_KEY):
            parameters.pop(name, None)
        stats.noise_share = None
    if tries:
        parameters[TRIED_KEY] = str(trial.number_of(plan))
    if not finished:
        parameters[INFOTEXT_PREFIX + "unfinished"] = f"{stats.tiles_done} of {plural(stats.tiles, 'tile')}"
    sheet = numbered(canvas, plan.numbered) if plan.options.number_tiles and plan.numbered else None
    result = Result(
        canvas, plan, host.infotext(parameters), parameters, stats, upscaled, redrawn, finished, sheet,
        (*([why] if why else []), *guard.notes, *_saved(stats), *_without_effect(plan)),
    )  # fmt: skip
    if not tries:
        return replace(result, forget=guard.forget, keep_awhile=guard.keep_awhile)
    notes = *result.notes, trial.note(plan, guard, finished=finished)
    return replace(result, notes=notes, tried=trial.number_of(plan), pair=trial.pair(plan, upscaled, canvas))


def _noise_share(host: Host, plan: Plan) -> NoiseShare | None:
    """In the windows of the first pass: a schedule may depend on their size."""
    return host.noise_share(plan.canvas, plan.passes[0].tiles[0].window.size) if plan.passes else None


def _upscaler(rgb: np.ndarray, options: Options) -> tuple[str, str]:
    """The upscaler for this picture, and what there is to say of the choice; "" where the person has made it."""
    if options.redo_tiles == ALL and options.upscaler.casefold() == EMBEDDED_UPSCALER.casefold():
        return suited(rgb)
    return options.upscaler, ""


def _enlarged(rgb: np.ndarray, plan: Plan, guard: Guard, upscaler: str) -> tuple[np.ndarray, bool]:
    """The canvas before any tile is refined, and whether the upscaler was let finish."""
    options, (width, height) = plan.options, plan.canvas.size
    if options.redo_tiles != ALL:  # over a finished picture
        return rgb, True
    try:
        if options.seamless:
            return enlarge_wrapped(guard.enlarge, rgb, upscaler, width, height), True
        return guard.enlarge(rgb, upscaler, width, height), True
    except Stopped:
        return resizer(options.seamless)(rgb, width, height), False


def _worth_refining(plan: Plan, upscaled: np.ndarray, host: Host, stats: Stats) -> tuple[Pass, ...]:
    """The passes without the tiles that are flat, where the options ask for that; counts what is left out."""
    options = plan.options
    if options.redo_tiles != ALL or options.try_tile != NONE:
        return plan.passes
    passes = worth_redrawing(plan.passes, upscaled, options)
    if passes == plan.passes:
        return passes
    stats.tiles_flat = plan.tiles - sum(len(work.tiles) for work in passes)
    stats.tiles -= stats.tiles_flat
    host.leave_out(stats.tiles_flat)
    return passes


def _refined(
    passes: Sequence[Pass], upscaled: np.ndarray, plan: Plan, guard: Guard, stats: Stats
) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """The canvas after all passes, before the seams were fixed, and whether every tile was done."""
    canvas, redrawn = upscaled, None
    for work in passes:
        if work.name != "redraw" and redrawn is None:
            redrawn = canvas
        with stats.stage(work.name):
            run = run_fused if work.context == FUSED else run_pass
            canvas, finished = run(work, canvas, plan, guard, stats)
        canvas = _masked(plan, canvas, upscaled)
        if not finished:
            return canvas, redrawn, False
    return canvas, redrawn, True


def _masked(plan: Plan, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    if plan.mask is None:
        return inside
    mask = whole_where_redrawn(plan.mask) if plan.options.strength_map == MASK else plan.mask
    return through(mask, inside, outside)


def _left_out(stats: Stats) -> dict[str, str]:
    """For the infotext: tiles that were left out, and why."""
    return {INFOTEXT_PREFIX + "flat tiles left out": plural(stats.tiles_flat, "tile")} if stats.tiles_flat else {}


def _saved(stats: Stats) -> list[str]:
    """What leaving flat tiles out has saved."""
    if not stats.tiles_flat:
        return []
    are, stay = ("is", "stays") if stats.tiles_flat == 1 else ("are", "stay")
    tiles = plural(stats.tiles + stats.tiles_flat, "tile")
    note = f"{stats.tiles_flat} of {tiles} {are} flat and {stay} as upscaled"
    each = (stats.refine_seconds + stats.outside_seconds) / max(stats.tiles_done, 1)
    return [note + f": about {each * stats.tiles_flat:.0f} s saved" * (stats.tiles_done > 0)]


def _without_effect(plan: Plan) -> list[str]:
    """What was asked for and cannot be had with the rest."""
    if not plan.options.skip_flat or not any(work.context == FUSED for work in plan.passes):
        return []
    return ["skip_flat leaves no tile of Fused out: all of them take each step together"]
