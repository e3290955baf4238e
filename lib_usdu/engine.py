"""The run: options -> upscaled canvas -> passes -> (crop, refine, compose)* -> result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .blend import Cut, Feather
from .colour import low_frequency_lock
from .errors import ModelError, Stopped
from .geometry import Region, crop
from .host import Batch, Host, Progress
from .noise import tile_noise
from .options import INFOTEXT_PREFIX, Options
from .passes import Pass, plan_passes
from .schedule import PARALLEL, batches
from .upscale import resize


@dataclass
class Stats:
    """What a run cost. `stages` maps a stage's name to its seconds; `outside_seconds` is the time of the tile loop
    not spent in the host's refine call."""

    tiles: int = 0
    tiles_done: int = 0
    batches: int = 0
    seconds: float = 0.0
    outside_seconds: float = 0.0
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
    """image: uint8 (h, w, 3), the final picture. upscaled: the canvas before any tile was refined. redrawn: the
    picture before the seams were fixed, None where they were not. finished: False when the person stopped the run;
    the picture then holds what was done until then."""

    image: np.ndarray
    infotext: str
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
    stats = Stats()
    width, height = options.target_size(rgb.shape[1], rgb.shape[0], img2img_size)
    passes = plan_passes(options, width, height, host.alignment)
    stats.tiles = sum(len(found.tiles) for found in passes)

    finished = True
    redrawn = None
    with stats.stage("upscale"):
        try:
            canvas = host.upscale(rgb, options.upscaler, width, height)
        except Stopped:
            canvas, finished = resize(rgb, width, height), False
    upscaled = canvas
    for number, found in enumerate(passes if finished else ()):
        if found.name != "redraw" and redrawn is None:
            redrawn = canvas
        with stats.stage(found.name):
            canvas, finished = _run(found, number, canvas, options, host, stats)
        if not finished:
            break
    stats.seconds = time.perf_counter() - started
    parameters = options.to_infotext()
    if not finished:
        parameters[INFOTEXT_PREFIX + "unfinished"] = f"{stats.tiles_done} of {stats.tiles} tiles"
    return Result(canvas, host.infotext(parameters), stats, upscaled, redrawn, finished)


def _run(
    work: Pass, number: int, base: np.ndarray, options: Options, host: Host, stats: Stats
) -> tuple[np.ndarray, bool]:
    """One pass over a picture: the new picture, and whether every tile was done."""
    height, width = base.shape[:2]
    canvas = Region(0, 0, width, height)
    out = base.copy()
    if work.blend == "cut":
        compose = Cut(base, out, work.tiles, work.reach, separate_view=work.context != PARALLEL)
    else:
        compose = Feather(base, out, work.tiles, work.reach)
    window = work.tiles[0].window
    limit = options.tile_batch or host.batch_limit(window.width, window.height)
    # A pass after another must not add the same noise again.
    seed = (options.seed + number) % 2**64
    source = base if work.context == PARALLEL else compose.view
    spent = 0.0
    loop_started = time.perf_counter()
    finished = True
    for tiles in batches(work.tiles, work.context, limit, reach=work.reach):
        if host.stop_requested():
            finished = False
            break
        images = np.stack([crop(source, tile.window) for tile in tiles])
        noises = tuple(
            tile_noise(seed, options.noise, tile.window, tile.index, width, height, host.latent_scale) for tile in tiles
        )
        refine_started = time.perf_counter()
        try:
            refined = host.refine(Batch(tuple(tiles), images, noises, work.denoise, canvas))
        except Stopped:
            finished = False
            break
        finally:
            spent += time.perf_counter() - refine_started
        if refined.shape != images.shape:
            raise ModelError(f"the model returned {refined.shape} for windows of {images.shape}")
        for tile, before, after in zip(tiles, images, refined):
            reference = before if work.context == PARALLEL else crop(base, tile.window)
            compose.add(tile, low_frequency_lock(after, reference, options.tone_lock))
        stats.batches += 1
        stats.tiles_done += len(tiles)
        elapsed = time.perf_counter() - loop_started
        left = elapsed / max(stats.tiles_done, 1) * (stats.tiles - stats.tiles_done)
        host.progress(Progress(work.name, stats.tiles_done, stats.tiles, left), out)
    compose.finish()
    stats.outside_seconds += time.perf_counter() - loop_started - spent
    return out, finished
