"""The run: options -> upscaled canvas -> passes -> (crop, refine, compose)* -> result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .blend import Cut, Feather
from .colour import low_frequency_lock
from .errors import ModelError, OptionError, Stopped
from .geometry import Region, Tile, crop
from .guarded import GuardedHost
from .host import Batch, Host, Progress
from .noise import tile_noise
from .options import INFOTEXT_PREFIX, Options
from .passes import Pass, plan_passes
from .redo import chosen_passes, numbered
from .schedule import FUSED, INDEPENDENT, batches
from .tile_numbers import ALL
from .upscale import resize
from .visible import only_along, visible_seams
from .wrap import resize_wrapped, upscale_wrapped


@dataclass
class Stats:
    """What a run cost. `stages` maps a stage's name to its seconds; of the tile loop, `refine_seconds` went by in the
    host's refine call; `outside_per_tile` holds the seconds a tile cost outside of it, one entry for each batch.
    `tiles_left_out`, those of the seams fix where no seam shows, are not in `tiles`."""

    tiles: int = 0
    tiles_done: int = 0
    tiles_left_out: int = 0
    batches: int = 0
    seconds: float = 0.0
    refine_seconds: float = 0.0
    outside_seconds: float = 0.0
    outside_per_tile: list[float] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def outside_ms_per_tile(self) -> float:
        return 1000 * self.outside_seconds / max(self.tiles_done, 1)

    @property
    def seconds_left(self) -> float:
        """Until all tiles are done, if they go on as so far."""
        return (self.refine_seconds + self.outside_seconds) / self.tiles_done * (self.tiles - self.tiles_done)

    def count(self, tiles: int, refine_seconds: float, outside_seconds: float) -> None:
        """Adds a batch."""
        self.batches += 1
        self.tiles_done += tiles
        self.refine_seconds += refine_seconds
        self.outside_seconds += outside_seconds
        self.outside_per_tile.append(outside_seconds / tiles)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - start


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


def upscale(image: Any, options: Options, host: Host, *, img2img_size: tuple[int, int] | None = None) -> Result:
    """Enlarges a picture and refines it tile by tile.

    image: uint8 (h, w, 3) or a PIL image. img2img_size: (width, height) for target_size_type "img2img".

    Raises OptionError for a size or upscaler that is not allowed, before any work; ModelError when the upscaler or
    the host's model does not work at all (a tile that fails stays as upscaled). A stop asked of the host is no error:
    the result says `finished=False`.
    """
    started = time.perf_counter()
    rgb = image if isinstance(image, np.ndarray) else np.asarray(image.convert("RGB"))
    if options.redraw_mode == FUSED and options.noise != "canvas":
        raise OptionError("noise", options.noise, "canvas, with the redraw mode fused")
    if options.redraw_mode == FUSED and not getattr(host, "fuses", False):
        raise OptionError("redraw_mode", options.redraw_mode, "linear, chess, none, parallel: this host has no fused")
    options = options.with_tile(host.default_tile)
    width, height = options.target_size(rgb.shape[1], rgb.shape[0], img2img_size)
    planned = plan_passes(options, width, height, host.alignment)
    passes = chosen_passes(planned, options.redo_tiles)
    scheduled = [(work, _schedule(work, options, host)) for work in passes]
    stats = Stats(tiles=sum(len(work.tiles) for work, _ in scheduled))
    parameters = options.to_infotext()
    host.announce(parameters, sum(1 if work.context == FUSED else len(groups) for work, groups in scheduled))

    guarded = GuardedHost(host, options, rgb, (width, height), stats.tiles)

    finished = True
    redrawn = None
    with stats.stage("upscale"):
        try:
            if options.redo_tiles != ALL:  # over a finished picture
                canvas = rgb
            elif options.seamless:
                canvas = upscale_wrapped(guarded.upscale, rgb, options.upscaler, width, height)
            else:
                canvas = guarded.upscale(rgb, options.upscaler, width, height)
        except Stopped:
            canvas, finished = (resize_wrapped if options.seamless else resize)(rgb, width, height), False
    upscaled = canvas
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
            run = _run_fused if work.context == FUSED else _run
            canvas, finished = run(work, groups, number, canvas, options, guarded, stats)
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


def _run(
    work: Pass, groups: list[list[Tile]], number: int, base: np.ndarray, options: Options, host: Host, stats: Stats
) -> tuple[np.ndarray, bool]:
    """One pass over a picture: the new picture, and whether every tile was done."""
    height, width = base.shape[:2]
    out = base.copy()
    compose = _composer(work, base, out)
    source = base if work.context in INDEPENDENT else compose.view
    finished = True
    for tiles in groups:
        if host.stop_requested():
            finished = False
            break
        started = time.perf_counter()
        images = np.stack([crop(source, tile.window, wrap=work.wrap) for tile in tiles])
        noises = tuple(
            # The pass's number: a second pass must not add the same noise again.
            tile_noise(
                options.seed, options.noise, tile.window, tile.index, width, height, host.latent_scale, offset=number
            )
            for tile in tiles
        )
        refining = time.perf_counter()
        try:
            refined = host.refine(Batch(tuple(tiles), images, noises, work.denoise, Region(0, 0, width, height)))
        except Stopped:
            finished = False
            break
        refined_at = time.perf_counter()
        if refined.shape != images.shape:
            raise ModelError(f"the model returned {refined.shape} for windows of {images.shape}")
        for tile, before, after in zip(tiles, images, refined):
            reference = before if work.context in INDEPENDENT else crop(base, tile.window, wrap=work.wrap)
            compose.add(tile, low_frequency_lock(after, reference, options.tone_lock))
        stats.count(len(tiles), refined_at - refining, time.perf_counter() - refined_at + refining - started)
        host.progress(Progress(work.name, stats.tiles_done, stats.tiles, stats.seconds_left), out)
    compose.finish()
    return out, finished


def _crops(source: np.ndarray, tiles: list[Tile], work: Pass) -> np.ndarray:
    return np.stack([crop(source, tile.window, wrap=work.wrap) for tile in tiles])


def _composer(work: Pass, base: np.ndarray, out: np.ndarray) -> Cut | Feather:
    if work.blend == "cut":
        return Cut(base, out, work.tiles, work.reach, context=work.context, wrap=work.wrap)
    return Feather(base, out, work.tiles, work.reach, wrap=work.wrap)


def _run_fused(
    work: Pass, groups: list[list[Tile]], number: int, base: np.ndarray, options: Options, host: Host, stats: Stats
) -> tuple[np.ndarray, bool]:
    """As `_run`, for the mode in which all windows take each sampler step together."""
    height, width = base.shape[:2]
    out = base.copy()
    compose = _composer(work, base, out)
    canvas = Region(0, 0, width, height)
    noise = tile_noise(options.seed, "canvas", canvas, 0, width, height, host.latent_scale, offset=number)
    batches_of = [Batch(tuple(tiles), _crops(base, tiles, work), (noise,), work.denoise, canvas) for tiles in groups]
    before = stats.tiles_done

    def step_done(step: int, steps: int) -> None:
        stats.tiles_done = before + len(work.tiles) * step // (steps + 1)
        host.progress(Progress(work.name, stats.tiles_done, stats.tiles, None), out)

    started = time.perf_counter()
    try:
        for batch, refined in zip(batches_of, host.fuse(batches_of, work.reach, step_done, wrap=work.wrap)):
            for tile, reference, after in zip(batch.tiles, batch.images, refined):
                compose.add(tile, low_frequency_lock(after, reference, options.tone_lock))
    except Stopped:
        stats.tiles_done = before
        return base, False
    compose.finish()
    stats.tiles_done = before
    stats.count(len(work.tiles), time.perf_counter() - started, 0.0)
    host.progress(Progress(work.name, stats.tiles_done, stats.tiles, stats.seconds_left), out)
    return out, True
