"""The run: options -> upscaled canvas -> passes -> (crop, refine, compose)* -> result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import OptionError, Stopped
from .geometry import Tile, plan_tiles
from .guarded import GuardedHost
from .host import Host
from .mask import over_canvas, through, touched
from .options import INFOTEXT_PREFIX, Options
from .passes import Pass, plan_passes
from .redo import chosen_passes, numbered
from .refining import run_fused, run_pass
from .schedule import FUSED, batches
from .stats import Stats
from .tile_numbers import ALL
from .tile_prompts import TilePrompts
from .visible import only_along, visible_seams
from .wrap import resizer, upscale_wrapped


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
    options = options.with_tile(host.default_tile)
    width, height = options.target_size(rgb.shape[1], rgb.shape[0], img2img_size)
    _check_host(options, host)
    planned = plan_passes(options, width, height, host.alignment)
    passes = chosen_passes(planned, options.redo_tiles)
    prompts = _tile_prompts(options, width, height, host.alignment)
    if mask is not None:
        mask = over_canvas(mask, width, height)
        passes = touched(passes, mask)
    scheduled = [(work, _schedule(work, options, host)) for work in passes]
    stats = Stats(tiles=sum(len(work.tiles) for work, _ in scheduled))
    parameters = options.to_infotext()
    host.announce(parameters, sum(1 if work.context == FUSED else len(groups) for work, groups in scheduled))

    guarded = GuardedHost(host, options, rgb, (width, height), stats.tiles)

    with stats.stage("upscale"):
        upscaled, finished = _enlarged(rgb, width, height, options, guarded)
    canvas, redrawn = upscaled, None
    for number in range(len(scheduled)):
        if not finished:
            break
        if scheduled[number][0].name != "redraw" and redrawn is None:
            redrawn = canvas
            if options.seams_fix_only_visible and number > 0:  # without a redraw there is nothing to measure
                scheduled[1:] = _where_seams_show(scheduled, upscaled, redrawn, options, host, stats)
                parameters[INFOTEXT_PREFIX + "seams fix left out"] = f"{stats.tiles_left_out} tiles"
        work, groups = scheduled[number]
        guarded.faults.stage = work.name
        with stats.stage(work.name):
            if work.context == FUSED:
                canvas, finished = run_fused(work, groups, number, canvas, options, guarded, stats)
            else:
                canvas, finished = run_pass(work, groups, number, canvas, options, guarded, stats, prompts)
        canvas = _masked(mask, canvas, upscaled)
    if finished and options.finish != "none":
        with stats.stage("finish"):
            canvas = _masked(mask, host.finish(canvas, options.finish), upscaled)
    guarded.close()
    stats.stages["journal"] = guarded.seconds
    stats.seconds = time.perf_counter() - started
    parameters.update(guarded.parameters)
    if not finished:
        parameters[INFOTEXT_PREFIX + "unfinished"] = f"{stats.tiles_done} of {stats.tiles} tiles"
    sheet = numbered(canvas, planned[0].tiles) if options.number_tiles and planned else None
    text = host.infotext(parameters)
    return Result(
        canvas, text, parameters, stats, upscaled, redrawn, finished, sheet, guarded.notes, guarded.forget
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


def _masked(mask: np.ndarray | None, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    return inside if mask is None else through(mask, inside, outside)


def _check_host(options: Options, host: Host) -> None:
    """Raises OptionError for what this host has not, or not together."""
    if options.redraw_mode == FUSED:
        together = {"noise": "canvas", "interrogator": "none", "tile_prompts": ""}
        for name, allowed in together.items():
            if getattr(options, name) != allowed:
                raise OptionError(name, getattr(options, name), f"{allowed or 'none'}, with the redraw mode fused")
        if not getattr(host, "fuses", False):
            raise OptionError("redraw_mode", "fused", "linear, chess, none, parallel: this host has no fused")
    for name, allowed in (("interrogator", host.interrogators), ("finish", host.finishes)):
        if getattr(options, name) not in allowed:
            raise OptionError(name, getattr(options, name), f"{', '.join(allowed)}: what there is here")


def _tile_prompts(options: Options, width: int, height: int, align: int) -> TilePrompts:
    if not options.tile_prompts:
        return TilePrompts((), ())
    plan = plan_tiles(width, height, options.tile_width, options.tile_height, options.padding, align=align)
    return TilePrompts.read(options.tile_prompts, plan)


def _schedule(work: Pass, options: Options, host: Host) -> list[list[Tile]]:
    if not work.tiles:
        return []
    window = work.tiles[0].window
    limit = options.tile_batch or host.batch_limit(window.width, window.height)
    if host.batch_cap is not None:
        limit = min(limit, host.batch_cap)
    return batches(work.tiles, work.context, limit, reach=work.reach, around=work.around)


def _where_seams_show(
    scheduled: list[tuple[Pass, list[list[Tile]]]],
    before: np.ndarray,
    after: np.ndarray,
    options: Options,
    host: Host,
    stats: Stats,
) -> list[tuple[Pass, list[list[Tile]]]]:
    """The seam fixes of a run with those of their tiles that the finished redraw needs."""
    (redraw, _), *fixes = scheduled
    seams = visible_seams(redraw, before, after)
    kept = [only_along(work, seams) for work, _ in fixes]
    narrowed = [(work, _schedule(work, options, host)) for work in kept]
    stats.tiles_left_out = sum(len(work.tiles) for work, _ in fixes) - sum(len(work.tiles) for work in kept)
    stats.tiles -= stats.tiles_left_out
    host.leave_out(sum(len(groups) for _, groups in fixes) - sum(len(groups) for _, groups in narrowed))
    return narrowed
