"""The run: options -> upscaled canvas -> passes -> (crop, refine, compose)* -> result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .batch_size import BatchSize
from .compose.mask import through
from .enlarge.seamless import resizer, upscale_wrapped
from .errors import Stopped
from .geometry import Tile
from .host import Host
from .options import INFOTEXT_PREFIX, Options
from .options.tile_numbers import ALL
from .options.tile_prompts import TilePrompts
from .passes import Pass
from .pictures.number_sheet import numbered
from .plan import grouped, make_plan
from .run.guard import GuardedHost
from .run.stats import Stats
from .run.tile_loop import run_fused, run_pass
from .schedule import FUSED
from .select.flat import without_flat
from .select.visible import only_along, visible_seams


@dataclass(frozen=True)
class Result:
    """image: uint8 (h, w, 3), the final picture. parameters: the options and what is to be said of the run, for the
    infotext. upscaled: the canvas before any tile was refined. redrawn: the picture before the seams were fixed, None
    where they were not. finished: False when the person stopped the run; the picture then holds what was done.
    numbered: the picture with the numbers of its tiles, where that was asked for. notes: what the person should know
    of the run. forget: to be called once the picture is safe: removes what was kept to resume the run."""

    image: np.ndarray
    infotext: str
    parameters: dict[str, str]
    stats: Stats
    upscaled: np.ndarray
    redrawn: np.ndarray | None = None
    finished: bool = True
    numbered: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    forget: Callable[[], None] = lambda: None


def upscale(
    image: Any,
    options: Options,
    host: Host,
    *,
    img2img_size: tuple[int, int] | None = None,
    mask: np.ndarray | None = None,
) -> Result:
    """Enlarges a picture and refines it tile by tile.

    image: uint8 (h, w, 3) or a PIL image. img2img_size: (width, height) for target_size_type "img2img". mask: what of
    the picture is redrawn, (h, w) of the picture or of the result, uint8 0-255 or float 0-1; tiles that it does not
    touch are left out, and what it leaves out stays as upscaled.

    Raises OptionError for a size or upscaler that is not allowed, before any work; ModelError when the upscaler or
    the host's model does not work at all (a tile that fails stays as upscaled). A stop asked of the host is no error:
    the result says `finished=False`.
    """
    started = time.perf_counter()
    rgb = image if isinstance(image, np.ndarray) else np.asarray(image.convert("RGB"))
    plan = make_plan(options, rgb.shape[1::-1], host.abilities(), img2img_size=img2img_size, mask=mask)
    options, width, height, passes, mask = plan.options, plan.width, plan.height, plan.passes, plan.mask
    stats = Stats(tiles=plan.tiles)
    guarded = GuardedHost(host, options, rgb, (width, height), stats.tiles)
    scheduled = [_schedule(work, guarded) for work in passes]
    parameters = options.to_infotext()
    host.announce(parameters, stats.tiles)

    with stats.stage("upscale"):
        upscaled, finished = _enlarged(rgb, width, height, options, guarded)
    if finished and options.skip_flat and options.redo_tiles == ALL:
        kept = without_flat(passes, upscaled, options.skip_flat)
        stats.tiles_flat = _leave_out(passes, kept, host, stats)
        scheduled = [_schedule(work, guarded) for work in kept]
    canvas, redrawn = upscaled, None
    if finished:
        canvas, redrawn, finished = _refined(scheduled, upscaled, mask, options, plan.prompts, guarded, stats)
    if finished and options.finish != "none":
        with stats.stage("finish"):
            canvas = _masked(mask, host.finish(canvas, options.finish), upscaled)
    guarded.close()
    stats.stages["journal"] = guarded.seconds
    stats.seconds = time.perf_counter() - started
    parameters.update({**_left_out(stats), **guarded.parameters})
    if not finished:
        parameters[INFOTEXT_PREFIX + "unfinished"] = f"{stats.tiles_done} of {stats.tiles} tiles"
    sheet = numbered(canvas, plan.numbered) if options.number_tiles and plan.numbered else None
    text = host.infotext(parameters)
    return Result(
        canvas, text, parameters, stats, upscaled, redrawn, finished, sheet, (*guarded.notes, *_saved(stats)),
        guarded.forget,
    )  # fmt: skip


def _enlarged(rgb: np.ndarray, width: int, height: int, options: Options, host: GuardedHost) -> tuple[np.ndarray, bool]:
    """The canvas before any tile is refined, and whether the upscaler was let finish."""
    if options.redo_tiles != ALL:  # over a finished picture
        return rgb, True
    try:
        if options.seamless:
            return upscale_wrapped(host.upscale, rgb, options.upscaler, width, height), True
        return host.upscale(rgb, options.upscaler, width, height), True
    except Stopped:
        return resizer(options.seamless)(rgb, width, height), False


def _refined(
    scheduled: list[_Scheduled],
    upscaled: np.ndarray,
    mask: np.ndarray | None,
    options: Options,
    prompts: TilePrompts,
    host: GuardedHost,
    stats: Stats,
) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """The canvas after all passes, before the seams were fixed, and whether every tile was done."""
    canvas, redrawn = upscaled, None
    for number in range(len(scheduled)):
        if scheduled[number].work.name != "redraw" and redrawn is None:
            redrawn = canvas
            if options.seams_fix_only_visible and number > 0:  # without a redraw there is nothing to measure
                redraw, *fixes = (plan.work for plan in scheduled)
                kept = _where_seams_show(redraw, fixes, upscaled, redrawn)
                stats.tiles_left_out = _leave_out(fixes, kept, host, stats)
                scheduled[1:] = [_schedule(work, host) for work in kept]
        plan = scheduled[number]
        host.faults.stage = plan.work.name
        with stats.stage(plan.work.name):
            if plan.work.context == FUSED:
                canvas, finished = run_fused(plan.work, plan.groups, number, canvas, options, host, stats)
            else:
                canvas, finished = run_pass(
                    plan.work, plan.groups, plan.size, number, canvas, options, host, stats, prompts
                )  # fmt: skip
        canvas = _masked(mask, canvas, upscaled)
        if not finished:
            return canvas, redrawn, False
    return canvas, redrawn, True


def _masked(mask: np.ndarray | None, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    return inside if mask is None else through(mask, inside, outside)


@dataclass(frozen=True)
class _Scheduled:
    """A pass, its tiles in groups that may be refined together, and into how large parts a group is divided."""

    work: Pass
    groups: list[list[Tile]]
    size: BatchSize | None


def _schedule(work: Pass, host: GuardedHost) -> _Scheduled:
    if not work.tiles:
        return _Scheduled(work, [], None)
    window = work.tiles[0].window
    size = host.batch_size(window.width, window.height)
    return _Scheduled(work, grouped(work, size.limits), size)


def _leave_out(passes: Sequence[Pass], kept: Sequence[Pass], host: Host, stats: Stats) -> int:
    """Says how many tiles will not be refined after all, and takes them off the count."""
    fewer = sum(len(work.tiles) for work in passes) - sum(len(work.tiles) for work in kept)
    stats.tiles -= fewer
    host.leave_out(fewer)
    return fewer


def _where_seams_show(redraw: Pass, fixes: Sequence[Pass], before: np.ndarray, after: np.ndarray) -> tuple[Pass, ...]:
    """The seam fixes with those of their tiles that the finished redraw needs."""
    seams = visible_seams(redraw, before, after)
    return tuple(only_along(work, seams) for work in fixes)


def _left_out(stats: Stats) -> dict[str, str]:
    """For the infotext: tiles that were left out, and why."""
    reasons = {"flat tiles left out": stats.tiles_flat, "seams fix left out": stats.tiles_left_out}
    return {INFOTEXT_PREFIX + reason: f"{count} tiles" for reason, count in reasons.items() if count}


def _saved(stats: Stats) -> list[str]:
    """What leaving flat tiles out has saved."""
    if not stats.tiles_flat:
        return []
    said = f"{stats.tiles_flat} of {stats.tiles + stats.tiles_flat} tiles are flat and stay as upscaled"
    each = (stats.refine_seconds + stats.outside_seconds) / max(stats.tiles_done, 1)
    return [said + f": about {each * stats.tiles_flat:.0f} s saved" * (stats.tiles_done > 0)]
