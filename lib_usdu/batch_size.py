"""How many tiles to refine together, and how many to give one call: as memory allows at first, then by what is
measured."""

from __future__ import annotations

from dataclasses import dataclass, field

GAIN = 1.05
"""A larger batch must refine so many times as many tiles a second, or it is taken back."""
CALL_SECONDS = 12.0
"""A call that works on its tiles in parts holds as many as take so long: Interrupt before its last step loses what it
has done, and who stops after the current tile waits for it. To move the models costs a card one or two of them."""
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
    _seconds: float | None = field(default=None, init=False)
    _times: list[float] = field(default_factory=list, init=False)
    _before: tuple[int, float] | None = field(default=None, init=False)
    _settled: bool = field(default=False, init=False)

    def __post_init__(self):
        self.now = self.limits.first
        self._settled = self.now >= self.limits.most

    def measured(self, tiles: int, seconds: float, *, at_once: int | None = None, pace: float = 1.0) -> None:
        """Told what a call that refined so many tiles took. Calls of other sizes say nothing of the size.

        at_once: how many it worked on at a time; None: all. pace: what the time of a tile is proportional to.
        """
        self._seconds = seconds / (tiles * pace)
        if self._settled or (at_once or tiles) != self.now:
            return
        self._times.append(seconds / tiles)
        if len(self._times) <= _MEASURED:
            return
        rate = 1 / max(min(self._times[1:]), 1e-9)
        self._times = []
        if self._before is not None and rate < GAIN * self._before[1]:
            self.now, self._settled = self._before[0], True
        elif self.now >= self.limits.most:
            self._settled = True
        else:
            self._before = self.now, rate
            self.now = min(2 * self.now, self.limits.most)

    def in_a_call(self, limits: BatchLimits | None, pace: float = 1.0) -> int:
        """How many tiles to give a call that works on `now` of them at a time: as many as take CALL_SECONDS.

        limits: the fewest and the most of them; None: calls hold `now`, as they do until one was timed.
        """
        if limits is None or self._seconds is None:
            return self.now
        fitting = int(CALL_SECONDS / max(self._seconds * pace, 1e-9))
        count = min(max(fitting, limits.first), limits.most)
        return max(self.now, count - count % self.now)

    def keep_within(self, most: int) -> None:
        """There may be less memory than when it was learned."""
        if most < self.now:
            self.ran_out(most)

    def ran_out(self, left: int) -> None:
        """Told that memory did not hold a batch, and how many tiles to try from here on."""
        self.now, self._settled = min(left, self.now), True
        self.limits = self.limits.within(self.now)
