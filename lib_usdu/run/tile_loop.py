"""The tile loop: crop, refine, compose, batch after batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from ..batch_size import BatchLimits
from ..compose.cut import Cut
from ..compose.feather import Feather
from ..compose.tone import low_frequency_lock
from ..errors import Stopped
from ..geometry import Tile
from ..host import Batch, Fusion, Host, Progress
from ..noise import tile_noise
from ..options import Options
from ..options.tile_prompts import joined
from ..passes import Pass, redraw_grid
from ..pictures.canvas import RELEASE_EVERY, copy_canvas, release
from ..plan import Plan
from ..schedule import FUSED, INDEPENDENT, PARALLEL
from ..select.strength import of_pass
from .guard import Guard
from .overview import OverviewOf, overviews_of
from .stats import Stats


def run_pass(work: Pass, base: np.ndarray, plan: Plan, guard: Guard, stats: Stats) -> tuple[np.ndarray, bool]:
    """One pass over a picture: the new picture, and whether every tile was done.

    base: uint8 (h, w, 3), not changed. Where the model has a device of its own and no tile waits for another, a thread
    composes the batch before, cuts the next one out and draws its noise while the device works.
    """
    if not work.tiles:
        return base, True
    options, host, seed = plan.options, guard.host, plan.options.seed
    guard.faults.stage = work.name
    size = guard.batch_size(work)
    a_call = guard.tiles_a_call(work, size)
    limits = BatchLimits(1, len(work.tiles)) if work.context in INDEPENDENT else size.limits
    groups, alike = plan.grouped(work, limits), plan.alike(work)
    strengths, out = of_pass(work, options.strength_map, base, plan.mask, host.latents), copy_canvas(base)
    guard.faults.alike = alike
    compose = _composer(work, base, out)
    source, overview = base if work.context in INDEPENDENT else compose.view, _overviews(work, base, plan, host)
    ahead = work.context in INDEPENDENT and host.works_apart

    def cut_out(tiles: list[Tile]) -> Batch:
        noises = tuple(
            tile_noise(seed, options.noise, tile.window, tile.index, work.canvas, host.latents, work.number)
            for tile in tiles
        )
        texts = tuple(plan.prompts.of(tile) for tile in tiles)
        images = _crops(source, tiles, work)
        batch = Batch(
            tuple(tiles), images, noises, work.denoise, work.canvas, texts,
            resemblance=options.resemblance, speed=options.speed,
            strengths=None if strengths is None else np.stack([strengths.window(tile.window) for tile in tiles]),
            drawn=np.stack([noise.draw(0, host.latents.channels) for noise in noises]) if ahead else None,
            overviews=tuple(found for tile in tiles if (found := overview(tile))),
        )  # fmt: skip
        return batch.seen(size.now)

    def put_in(batch: Batch, refined: np.ndarray) -> None:
        for tile, before, after in zip(batch.tiles, batch.images, refined):
            reference = before if work.context in INDEPENDENT else work.canvas.crop(base, tile.window)
            locked = low_frequency_lock(after, reference, options.tone_lock)
            for same in alike[tile]:
                compose.add(same, locked)

    finished, composing = True, None
    with ThreadPoolExecutor(1, "usdu-compose") if ahead else _AtOnce() as worker:
        counted = time.perf_counter()
        parts = _parts(groups, a_call)
        for batch in _one_ahead(parts, cut_out, worker) if ahead else map(cut_out, parts):
            if host.stop_requested():
                finished = False
                break
            refining = time.perf_counter()
            try:
                refined = guard.refine(_interrogated(batch, host, options))
            except Stopped:
                finished = False
                break
            refine_seconds = time.perf_counter() - refining
            if composing is not None:
                composing.result()  # no more than two batches are under way
            composing = worker.submit(put_in, batch, refined)
            now = time.perf_counter()
            done = [same.index for tile in batch.tiles for same in alike[tile]]
            stats.count(work.name, done, refine_seconds, now - counted - refine_seconds)
            counted = now
            if stats.tiles_done % RELEASE_EVERY < len(done):
                release(base)
                release(out)
            host.progress(Progress(work.name, stats.tiles_done, stats.tiles), out)
        if composing is not None:
            composing.result()
    compose.close()
    return out, finished


def _overviews(work: Pass, base: np.ndarray, plan: Plan, host: Host) -> OverviewOf:
    """What each tile is shown of its surroundings: nothing where that is not asked for, where it sees its finished
    neighbours, where tiles have noise of their own, and where the canvas goes on at its other side."""
    options = plan.options
    redraw = work.context == PARALLEL and work.name == "redraw" and options.noise == "canvas"
    if not (options.overviews and redraw) or work.canvas.wraps or not host.looks_over():
        return lambda tile: None
    able = host.abilities()
    grid = redraw_grid(options, work.canvas, able.alignment, able.grain)
    return overviews_of(
        grid, work.canvas, base, host.latents, seed=options.seed, number=work.number, align=able.alignment
    )


class _AtOnce(Executor):
    """Runs each task at once, in the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """The finished task. Raises what it raises."""
        done: Future = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def _parts(groups: list[list[Tile]], a_call: Callable[[], int]) -> Iterator[list[Tile]]:
    """The groups in parts of as many tiles as `a_call` says by then. A group's tiles may be refined one after another
    (`schedule.batches`)."""
    for group in groups:
        start = 0
        while start < len(group):
            part = group[start : start + a_call()]
            start += len(part)
            yield part


def _one_ahead(
    parts: Iterator[list[Tile]], cut_out: Callable[[list[Tile]], Batch], worker: Executor
) -> Iterator[Batch]:
    """Each part cut out by the worker, while the one before is refined."""
    coming: Future | None = None
    for tiles in parts:
        following = worker.submit(cut_out, tiles)
        if coming is not None:
            yield coming.result()
        coming = following
    if coming is not None:
        yield coming.result()


def _interrogated(batch: Batch, host: Host, options: Options) -> Batch:
    """With what the interrogator, where one is asked, sees in each window."""
    if options.interrogator == "none":
        return batch
    seen = (host.interrogate(window, options.interrogator) for window in batch.images)
    return replace(batch, prompts=tuple(joined(text, more) for text, more in zip(batch.prompts, seen)))


def _crops(source: np.ndarray, tiles: list[Tile], work: Pass) -> np.ndarray:
    return np.stack([work.canvas.crop(source, tile.window) for tile in tiles])


def _composer(work: Pass, base: np.ndarray, out: np.ndarray) -> Cut | Feather:
    if work.blend == "cut":
        return Cut(work.canvas, base, out, work.tiles, work.reach, context=work.context)
    return Feather(work.canvas, base, out, work.tiles, work.reach)


def run_fused(work: Pass, base: np.ndarray, plan: Plan, guard: Guard, stats: Stats) -> tuple[np.ndarray, bool]:
    """As `run_pass`, for the mode in which all windows take each sampler step together."""
    options, host = plan.options, guard.host
    groups = plan.grouped(work, guard.batch_size(work).limits)
    out, canvas = copy_canvas(base), work.canvas
    compose = _composer(work, base, out)
    noise = tile_noise(options.seed, "canvas", canvas.region, 0, canvas, host.latents, work.number)
    # Half as far as pixels are mixed: towards its rim a window knows less, and the steps even out what is left.
    reach = work.reach[0] // 2, work.reach[1] // 2
    held, speed = options.resemblance, options.speed
    windows = (
        Batch(tuple(tiles), _crops(base, tiles, work), (noise,), work.denoise, canvas, resemblance=held, speed=speed)
        for tiles in groups
    )
    strengths = of_pass(work, options.strength_map, base, plan.mask, host.latents)
    fusion = Fusion(tuple(windows), reach, None if strengths is None else strengths.window(canvas.region)[None])

    def step_done(step: int, steps: int) -> None:
        done = stats.tiles_done + len(work.tiles) * step // (steps + 1)
        host.progress(Progress(work.name, done, stats.tiles), out)

    started = time.perf_counter()
    try:
        for batch, refined in zip(fusion.batches, guard.fuse(fusion, step_done)):
            for tile, reference, after in zip(batch.tiles, batch.images, refined):
                compose.add(tile, low_frequency_lock(after, reference, options.tone_lock))
    except Stopped:
        return base, False
    compose.close()
    stats.count(FUSED, [tile.index for tile in work.tiles], time.perf_counter() - started, 0.0)
    host.progress(Progress(work.name, stats.tiles_done, stats.tiles), out)
    return out, True
