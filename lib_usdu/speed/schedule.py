"""Which part of the model runs at which step of a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """whole: the whole network runs; else its outer blocks. guided: the model is asked without the prompt too."""

    whole: bool
    guided: bool


@dataclass(frozen=True)
class Pace:
    """every: the whole network runs at each n-th noise level from the first. outer: how many blocks at either end of a
    UNet run at the others. guided_above: guidance is computed anew at the first level, and with the whole network while
    noise over signal is more than this."""

    every: int
    outer: int
    guided_above: float = 1.0

    def step(self, level: int, noise: float) -> Step:
        """At a noise level, counted from 0; noise: over signal."""
        whole = level % self.every == 0
        return Step(whole, level == 0 or (whole and noise > self.guided_above))


EXACT = "exact"
PACES: Mapping[str, Pace] = {"fast": Pace(2, 2), "fastest": Pace(4, 1)}
"""By value of the option `speed`; docs/speed.md has what each costs."""


class Levels:
    """Counts the noise levels of one call. Samplers of second order ask twice at some of them."""

    def __init__(self, pace: Pace):
        self._pace, self._level = pace, -1
        self._last: float | None = None

    def at(self, noise: float) -> Step:
        """The step at this noise over signal; the same level asked for again is the same step."""
        if noise != self._last:
            self._level, self._last = self._level + 1, noise
        return self._pace.step(self._level, noise)
