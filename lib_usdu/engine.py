"""The run: options -> upscaled canvas -> passes -> (crop, refine, compose)* -> result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .blend import Cut, Feather
from .canvas import RELEASE_EVERY, copy_canvas, release
from .colour import low_frequency_lock
from .errors import ModelError, Stopped
from .geometry import Region, Tile, crop
from .host import Batch, Host, Progress
from .noise import tile_noise
from .options import INFOTEXT_PREFIX, Options
from .passes import Pass, plan_passes
from .schedule import PARALLEL, batches
from .upscale import resize


@dataclass
class Stats:
    """What a run cost. `stages` maps a stage's name to its seconds; of the tile loop, `refine_seconds` went by in the
    host's refine call; `outside_per_tile` holds the seconds a tile cost outside of it, one entry for each batch."""

    tiles: int = 0
    tiles_done: int = 0
    batches: int = 0
    seconds: float = 0.0
    refine_seconds: float = 0.0
    outside_seconds: float = 0.0
    outside_per_tile: list[float] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def outside_ms_per_tile(self) -> float:
        return 1000 * self.outside_seconds / max(self.tiles_done, 1)

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
    where they were not. finished: False when the person stopped the run; the picture then holds what was done."""

    image: np.ndarray
    infotext: str
    parameters: dict[str, str]
    stats: Stats
    upscaled: np.ndarray
    redrawn: np.ndarray | None = None
    finished: bool = True


def upscale(image: Any, options: Options, host: Host, *, img2img_size: tuple[int, int] | None = None) -> Result:
    """Enlarges a picture and refines it tile by tile.

    image: uint8 (h, w, 3) or a PIL image. img2img_size: (width, height) for target_size_type "img2img".

    Raises OptionError for a size or upscaler that is not allowed, before any work; ModelError when the host's model
    fails. A stop asked of the host is no error: the result says `finished=False`.
    """
    started = time.perf_counter()
    rgb = image if isinstance(image, np.ndarray) else np.asarray(image.convert("RGB"))
    options = options.with_tile(host.default_tile)
    width, height = options.target_size(rgb.shape[1], rgb.shape[0], img2img_size)
    scheduled = [(work, _schedule(work, options, host)) for work in plan_passes(options, width, height, host.alignment)]
    stats = Stats(tiles=sum(len(work.tiles) for work, _ in scheduled))
    parameters = options.to_infotext()
    host.announce(parameters, sum(len(groups) for _, groups in scheduled))

    finished = True
    redrawn = None
    with stats.stage("upscale"):
        try:
            canvas = host.upscale(rgb, options.upscaler, width, height)
        except Stopped:
            canvas, finished = resize(rgb, width, height), False
    upscaled = canvas
    for number, (work, groups) in enumerate(scheduled):
        if not finished:
            break
        if work.name != "redraw" and redrawn is None:
            redrawn = canvas
        with stats.stage(work.name):
            canvas, finished = _run(work, groups, number, canvas, options, host, stats)
    stats.seconds = time.perf_counter() - started
    if not finished:
        parameters[INFOTEXT_PREFIX + "unfinished"] = f"{stats.tiles_done} of {stats.tiles} tiles"
    return Result(canvas, host.infotext(parameters), parameters, stats, upscaled, redrawn, finished)


def _schedule(work: Pass, options: Options, host: Host) -> list[list[Tile]]:
    window = work.tiles[0].window
    limit = options.tile_batch or host.batch_limit(window.width, window.height)
    if host.batch_cap is not None:
        limit = min(limit, host.batch_cap)
    return batches(work.tiles, work.context, limit, reach=work.reach)


def _run(
    work: Pass, groups: list[list[Tile]], number: int, base: np.ndarray, options: Options, host: Host, stats: Stats
) -> tuple[np.ndarray, bool]:
    """One pass over a picture: the new picture, and whether every tile was done."""
    height, width = base.shape[:2]
    out = copy_canvas(base)
    if work.blend == "cut":
        compose = Cut(base, out, work.tiles, work.reach, separate_view=work.context != PARALLEL)
    else:
        compose = Feather(base, out, work.tiles, work.reach)
    source = base if work.context == PARALLEL else compose.view
    finished = True
    for tiles in groups:
        if host.stop_requested():
            finished = False
            break
        started = time.perf_counter()
        images = np.stack([crop(source, tile.window) for tile in tiles])
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
            reference = before if work.context == PARALLEL else crop(base, tile.window)
            compose.add(tile, low_frequency_lock(after, reference, options.tone_lock))
        stats.batches += 1
        stats.tiles_done += len(tiles)
        stats.refine_seconds += refined_at - refining
        outside = time.perf_counter() - refined_at + refining - started
        stats.outside_seconds += outside
        stats.outside_per_tile.append(outside / len(tiles))
        left = (stats.refine_seconds + stats.outside_seconds) / stats.tiles_done * (stats.tiles - stats.tiles_done)
        host.progress(Progress(work.name, stats.tiles_done, stats.tiles, left), out)
    compose.finish()
    return out, finished
