"""How long a run goes on: what the same work took here before, corrected by what this run has taken so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ..host import Progress

_AS_SURE_AS = 4.0
"""What is known from earlier runs counts as much as so many tiles of this one: the first tile of a run warms up."""


class TimeLeft:
    """Of one run.

    expected: seconds by stage, as far as the same work was done here before. tiles: how many tiles each stage that has
    tiles has, in order.
    """

    def __init__(
        self, expected: Mapping[str, float], tiles: Mapping[str, int], clock: Callable[[], float] = time.perf_counter
    ):
        self._expected, self._tiles, self._clock = dict(expected), dict(tiles), clock
        self._stage, self._before = "", 0
        self._said: float | None = None
        self._since = self._last = clock()

    def leave_out(self, tiles: int) -> None:
        """So many tiles of the first stage that has tiles will not be made."""
        first = next((stage for stage, count in self._tiles.items() if count), None)
        if first is not None and tiles:
            whole = self._tiles[first]
            self._tiles[first] = max(0, whole - tiles)
            self._expected[first] = self._expected.get(first, 0.0) * self._tiles[first] / whole

    def at_start(self) -> float | None:
        """Seconds of the whole run; None where part of it was never done here."""
        return None if any(self._known(stage) is None for stage in self._tiles) else sum(self._expected.values())

    def now(self) -> float | None:
        """As last said, less the time since; before the first step as `at_start`."""
        said = self._said if self._stage else self.at_start()
        return None if said is None else max(0.0, said - (self._clock() - self._last))

    def after(self, progress: Progress) -> float | None:
        """Seconds left after this step; None before anything can be said. To be called after each step, once."""
        self._said = self._after(progress, self._clock())
        return self._said

    def _after(self, progress: Progress, now: float) -> float | None:
        if progress.stage != self._stage:
            # The first word of a stage comes after its first step: it began with the last word of the stage before.
            self._before = self._done_before(progress.stage)
            self._since = self._last
            self._stage = progress.stage
        self._last = now
        if progress.stage not in self._tiles:  # the upscaling: its windows are counted by themselves
            share = 1 - progress.done / max(progress.total, 1)
            rest = [self._known(stage) for stage in self._tiles]
            known = self._expected.get(progress.stage, 0.0)
            return None if None in rest else known * share + sum(one for one in rest if one)
        done, took = progress.done - self._before, now - self._since
        whole, known = self._tiles[progress.stage], self._known(progress.stage)
        before = 0.0 if known is None else known / whole
        weight = 0.0 if known is None else _AS_SURE_AS
        if done + weight <= 0:
            return None
        each = (weight * before + took) / (weight + done)
        slower = each / before if before else 1.0
        later = list(self._tiles)[list(self._tiles).index(progress.stage) + 1 :]
        rest = (self._later(stage, slower, each) for stage in later)
        return each * max(0, whole - done) + sum(rest)

    def _known(self, stage: str) -> float | None:
        return self._expected.get(stage) or (None if self._tiles.get(stage) else 0.0)

    def _later(self, stage: str, slower: float, each: float) -> float:
        """Of a stage that comes: as much slower than before as this one; never done, as long a tile."""
        known = self._known(stage)
        return each * self._tiles[stage] if known is None else known * slower

    def _done_before(self, stage: str) -> int:
        """Tiles of the stages before this one."""
        stages = list(self._tiles)
        return sum(self._tiles[name] for name in stages[: stages.index(stage)]) if stage in stages else 0
