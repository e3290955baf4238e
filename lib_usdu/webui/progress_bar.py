"""The webui's progress bar, counted in tiles, and its state during a run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from ..run.timings import about
from .protocols import State

_SHOWN_EVERY = 0.5
"""Seconds between two previews."""


class JobCount:
    """Counts while inside one call of the script.

    `state` is the host's; it counts a job each time a call is done, and shares out the sampler's steps within a job.
    Calls may hold different numbers of tiles: before each, jobs are counted anew in calls of its kind. In a folder the
    host has set a job count of its own, one for each picture, that must stand again when the script returns.
    """

    def __init__(self, state: State, results: int):
        self._state = state
        in_a_folder = self.in_a_folder = state.job_count > 0
        self._outer = state.job_count if in_a_folder else max(1, results)
        self._before = state.job_no if in_a_folder else 0
        self._started, self._tiles = 0, 1

    def start(self, tiles: int) -> None:
        """Before the first tile of a result."""
        self._tiles = max(1, tiles)
        self._started += 1
        self.call(0, 1)

    def leave_out(self, done: int, tiles: int) -> None:
        """So many tiles will not come, when `done` of the result's are done; perhaps nothing more does."""
        self._tiles = max(1, self._tiles - tiles)
        self.call(done, 1)

    def call(self, done: int, tiles: int) -> float:
        """Before a call for so many tiles, when `done` of the result's are done. Returns how many calls of this kind
        are left, this one among them."""
        calls = self._tiles / tiles
        self._state.job_count = _whole(self._outer * calls)
        self._state.job_no = _whole((self._before + self._started - 1) * calls + done / tiles)
        return max(1.0, calls - done / tiles)

    @contextmanager
    def left_out_of_the_estimate(self) -> Iterator[None]:
        """A context in which the picture is enlarged, and no job is done. The page takes the time left from that since
        the start and the share of jobs (progress.py:107), and so would expect each tile to take as long again. In a
        folder every picture is enlarged: there it is right to count that time.
        """
        started = time.monotonic()
        try:
            yield
        finally:
            if not self.in_a_folder and getattr(self._state, "time_start", None):
                self._state.time_start += time.monotonic() - started

    def __enter__(self) -> JobCount:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._outer > 1:
            self._state.job_count = self._outer
            self._state.job_no = min(self._before + self._started, self._outer)


class Preview:
    """The picture so far, shown in the page now and then: making one takes 5 ms."""

    def __init__(self, state: State):
        self._state, self._shown_at = state, -math.inf

    def show(self, canvas: np.ndarray, *, last: bool) -> None:
        """canvas: uint8 (h, w, 3). last: whether it is finished, and so shown in any case."""
        if last or time.monotonic() - self._shown_at >= _SHOWN_EVERY:
            self._shown_at = time.monotonic()
            step = max(1, -(-max(canvas.shape[:2]) // 1024))
            self._state.assign_current_image(Image.fromarray(np.ascontiguousarray(canvas[::step, ::step])))


def _whole(number: float) -> int | float:
    """As a whole number where it is one."""
    return int(number) if number == int(number) else number


def say(state: State, doing: str, left: Callable[[], float | None] = lambda: None) -> None:
    """In the page's progress bar, with the time left where it is known. In a folder the host keeps in `state.job` which
    picture it is (img2img.py:51)."""
    seconds = left()
    doing += f", {about(seconds)} left" if seconds else ""
    picture = str(state.job or "")
    state.textinfo = f"Picture {picture}: {doing}" if " out of " in picture else doing


def stop_requested(state: State) -> bool:
    """Whether the person wants the run to end, now or after the current tile."""
    return bool(state.interrupted or getattr(state, "stopping_generation", False))


def leaves_upscaling(state: State) -> bool:
    """Whether the person wants the run to end, or (Skip) the upscaling alone."""
    return stop_requested(state) or bool(getattr(state, "skipped", False))


def interrupted_or_skipped(state: State) -> bool:
    """Whether the person pressed Interrupt or Skip."""
    return bool(state.interrupted or getattr(state, "skipped", False))


def take_skip(state: State) -> bool:
    """Whether the person pressed Skip; the request is then done with."""
    skipped = bool(getattr(state, "skipped", False))
    if skipped:
        state.skipped = False
    return skipped


@contextmanager
def state_kept(state: State) -> Iterator[None]:
    """The interrogator begins and ends a job of its own (interrogate.py:187, 220): ours continues afterwards."""
    before = dict(vars(state))
    try:
        yield
    finally:
        asked = {name: getattr(state, name, False) for name in ("interrupted", "skipped", "stopping_generation")}
        vars(state).update(before)
        for name, value in asked.items():
            if value:
                setattr(state, name, value)
