"""How many tiles to refine together: as memory allows at first, then by what is measured."""

from __future__ import annotations

from dataclasses import dataclass, field

GAIN = 1.05
"""A larger batch must refine so many times as many tiles a second, or it is taken back."""
_MEASURED = 2
"""Calls of one size that are timed, after a first one in which devices warm up; the fastest counts."""


@dataclass(frozen=True)
class BatchLimits:
    """Tiles to begin with, and the most that may be tried."""

    first: int
    most: int

    def within(self, most: int) -> BatchLimits:
        """No more than so many, at least 1."""
        most = max(1, min(self.most, most))
        return BatchLimits(min(self.first, most), most)


@dataclass
class BatchSize:
    """The number for windows of one size and one model, from batch to batch.

    It is doubled as long as that refines at least GAIN times as many tiles a second. A size that memory did not hold
    is never tried again.
    """

    limits: BatchLimits
    now: int = field(init=False)
    _times: list[float] = field(default_factory=list, init=False)
    _before: tuple[int, float] | None = field(default=None, init=False)
    _settled: bool = field(default=False, init=False)

    def __post_init__(self):
        self.now = self.limits.first
        self._settled = self.now >= self.limits.most

    def measured(self, tiles: int, seconds: float) -> None:
        """Told what a call that refined so many tiles took; calls of other sizes say nothing."""
        if self._settled or tiles != self.now:
            return
        self._times.append(seconds)
        if len(self._times) <= _MEASURED:
            return
        rate = tiles / max(min(self._times[1:]), 1e-9)
        self._times = []
        if self._before is not None and rate < GAIN * self._before[1]:
            self.now, self._settled = self._before[0], True
        elif self.now >= self.limits.most:
            self._settled = True
        else:
            self._before = self.now, rate
            self.now = min(2 * self.now, self.limits.most)

    def keep_within(self, most: int) -> None:
        """There may be less memory than when it was learned."""
        if most < self.now:
            self.ran_out(most)

    def ran_out(self, left: int) -> None:
        """Told that memory did not hold a batch, and how many tiles to try from here on."""
        self.now, self._settled = min(left, self.now), True
        self.limits = self.limits.within(self.now)
