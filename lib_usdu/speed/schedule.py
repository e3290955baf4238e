"""Which part of the model runs at which step of a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..noise_share import share_of


@dataclass(frozen=True)
class Step:
    """whole: the whole network runs; else its outer blocks. guided: the model is asked without the prompt too."""

    whole: bool
    guided: bool


@dataclass(frozen=True)
class Pace:
    """How often what runs. The whole network runs at the first noise level; then at each `every`-th one, and as soon as
    the share of noise (noise / (noise + signal)) has changed by `apart`.

    outer: how many blocks at either end of a network run at the other levels. guided: guidance is computed anew at so
    many of the first levels with the whole network, and at each of those while noise over signal is more than
    `guided_above`. goes_on: at the others what inner blocks said goes on as it went; else it stands still.
    """

    every: int
    outer: int
    apart: float
    guided: int
    goes_on: bool
    guided_above: float = 1.0


@dataclass(frozen=True)
class Paces:
    """Of one speed. steady: for samplers whose steps draw no noise. redrawn: for those that do (ancestral, SDE, LCM):
    noise is new in each step, so that the outer blocks have more to do, guidance changes more, and over more than two
    steps nothing goes on as it went."""

    steady: Pace
    redrawn: Pace

    def of(self, redraws: bool) -> Pace:
        """For a sampler that draws noise in its steps, or not."""
        return self.redrawn if redraws else self.steady


EXACT = "exact"
PACES: Mapping[str, Paces] = {
    "fast": Paces(Pace(3, 2, 0.2, 2, True), Pace(2, 2, 0.1, 3, True)),
    "fastest": Paces(Pace(4, 1, 0.3, 1, True), Pace(4, 2, 0.3, 1, False)),
}
"""By value of the option `speed`; docs/speed.md has what each costs."""


class Levels:
    """Goes through the noise levels of one call. Samplers of second order ask twice at some of them."""

    def __init__(self, pace: Pace):
        self._pace, self._since, self._guided = pace, 0, 0
        self._noise: float | None = None
        self._share_of_whole: float | None = None
        self._step = Step(True, True)

    def at(self, noise: float) -> Step:
        """The step at this noise over signal; the same level asked for again is the same step."""
        if noise != self._noise:
            self._noise, self._step = noise, self._next(noise)
        return self._step

    def _next(self, noise: float) -> Step:
        pace, share = self._pace, share_of(noise)
        self._since += 1
        before = self._share_of_whole
        if before is not None and self._since < pace.every and abs(before - share) < pace.apart:
            return Step(whole=False, guided=False)
        self._share_of_whole, self._since = share, 0
        guided = self._guided < pace.guided or noise > pace.guided_above
        self._guided += guided
        return Step(whole=True, guided=guided)
