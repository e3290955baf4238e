"""Which part of the model runs at which step of a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """whole: the whole network runs; else its outer blocks. guided: the model is asked without the prompt too."""

    whole: bool = True
    guided: bool = True


EVERYTHING = Step()


@dataclass(frozen=True)
class Pace:
    """every: the whole network runs at each n-th noise level from the first. guided: both answers are asked for at the
    first so many noise levels, and then at each `again`-th of the levels with the whole network; 0: never again.
    outer: how many blocks at either end of a UNet run at the other levels."""

    every: int = 1
    guided: int = 1
    again: int = 1
    outer: int = 2

    def step(self, level: int) -> Step:
        """At a noise level, counted from 0."""
        whole = level % self.every == 0
        turn = level // self.every
        guided = level < self.guided or (whole and self.again > 0 and turn % self.again == 0)
        return Step(whole or guided, guided)


class Levels:
    """Counts the noise levels of one call: samplers of second order ask twice at some of them."""

    def __init__(self, pace: Pace):
        self._pace, self._level, self._last = pace, -1, None

    def at(self, noise: float) -> Step:
        """The step at this noise level (sigma or timestep); the same level asked for again is the same step."""
        if noise != self._last:
            self._level, self._last = self._level + 1, noise
        return self._pace.step(self._level)
