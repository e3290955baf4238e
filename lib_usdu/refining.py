"""The tile loop: crop, refine, compose, batch after batch."""

from __future__ import annotations

import time

import numpy as np

from .blend import Cut, Feather
from .canvas import RELEASE_EVERY, copy_canvas, release
from .colour import low_frequency_lock
from .errors import Stopped
from .geometry import Region, Tile, crop
from .host import Batch, Fusion, Host, Progress
from .noise import tile_noise
from .options import Options
from .passes import Pass
from .schedule import INDEPENDENT
from .stats import Stats
from .tile_prompts import TilePrompts, joined


def run_pass(
    work: Pass,
    groups: list[list[Tile]],
    number: int,
    base: np.ndarray,
    options: Options,
    host: Host,
    stats: Stats,
    prompts: TilePrompts,
) -> tuple[np.ndarray, bool]:
    """One pass over a picture: the new picture, and whether every tile was done. The host gives windows of the size it
    was given (`faults`)."""
    height, width = base.shape[:2]
    out = copy_canvas(base)
    compose = _composer(work, base, out)
    source = base if work.context in INDEPENDENT else compose.view
    canvas = Region(0, 0, width, height)
    finished = True
    for tiles in groups:
        if host.stop_requested():
            finished = False
            break
        started = time.perf_counter()
        images = _crops(source, tiles, work)
        noises = tuple(
            # The pass's number: a second pass must not add the same noise again.
            tile_noise(
                options.seed, options.noise, tile.window, tile.index, width, height, host.latent_scale, offset=number
            )
            for tile in tiles
        )
        texts = [prompts.of(tile) for tile in tiles]
        refining = time.perf_counter()
        try:
            if options.interrogator != "none":
                seen = (host.interrogate(window, options.interrogator) for window in images)
                texts = [joined(text, more) for text, more in zip(texts, seen)]
            refined = host.refine(Batch(tuple(tiles), images, noises, work.denoise, canvas, tuple(texts)))
        except Stopped:
            finished = False
            break
        refined_at = time.perf_counter()
        for tile, before, after in zip(tiles, images, refined):
            reference = before if work.context in INDEPENDENT else crop(base, tile.window, wrap=work.wrap)
            compose.add(tile, low_frequency_lock(after, reference, options.tone_lock))
        stats.count(len(tiles), refined_at - refining, time.perf_counter() - refined_at + refining - started)
        if stats.tiles_done % RELEASE_EVERY < len(tiles):
            release(base)
            release(out)
        host.progress(Progress(work.name, stats.tiles_done, stats.tiles, stats.seconds_left), out)
    compose.finish()
    return out, finished


def _crops(source: np.ndarray, tiles: list[Tile], work: Pass) -> np.ndarray:
    return np.stack([crop(source, tile.window, wrap=work.wrap) for tile in tiles])


def _composer(work: Pass, base: np.ndarray, out: np.ndarray) -> Cut | Feather:
    if work.blend == "cut":
        return Cut(base, out, work.tiles, work.reach, context=work.context, wrap=work.wrap)
    return Feather(base, out, work.tiles, work.reach, wrap=work.wrap)


def run_fused(
    work: Pass, groups: list[list[Tile]], number: int, base: np.ndarray, options: Options, host: Host, stats: Stats
) -> tuple[np.ndarray, bool]:
    """As `run_pass`, for the mode in which all windows take each sampler step together."""
    height, width = base.shape[:2]
    out = copy_canvas(base)
    compose = _composer(work, base, out)
    canvas = Region(0, 0, width, height)
    noise = tile_noise(options.seed, "canvas", canvas, 0, width, height, host.latent_scale, offset=number)
    # Half as far as pixels are mixed: towards its rim a window knows less, and the steps even out what is left.
    reach = work.reach[0] // 2, work.reach[1] // 2
    windows = (Batch(tuple(tiles), _crops(base, tiles, work), (noise,), work.denoise, canvas) for tiles in groups)
    fusion = Fusion(tuple(windows), reach, work.wrap)

    def step_done(step: int, steps: int) -> None:
        done = stats.tiles_done + len(work.tiles) * step // (steps + 1)
        host.progress(Progress(work.name, done, stats.tiles), out)

    started = time.perf_counter()
    try:
        for batch, refined in zip(fusion.batches, host.fuse(fusion, step_done)):
            for tile, reference, after in zip(batch.tiles, batch.images, refined):
                compose.add(tile, low_frequency_lock(after, reference, options.tone_lock))
    except Stopped:
        return base, False
    compose.finish()
    stats.count(len(work.tiles), time.perf_counter() - started, 0.0)
    host.progress(Progress(work.name, stats.tiles_done, stats.tiles, stats.seconds_left), out)
    return out, True
