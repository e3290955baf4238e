"""How much noise a denoising strength means: the share of noise in what a sampler begins with.

A denoising strength only chooses the step at which a sampler begins; how much noise lies there depends on the model,
the sampler, the schedule and the number of steps. A sampler begins with a * picture + b * noise, and b / (a + b) is the
share: sigma / (1 + sigma) for models of epsilon and v, sigma itself for flow models. 0 is the picture, 1 pure noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

GRID = tuple(step / 100 for step in range(101))
"""The denoising strengths that a person can set."""


def share_of(sigma: float, *, flow: bool = False, extra: float = 0.0) -> float:
    """The share of noise, 0-1, at this level. flow: latents are (1 - sigma) * picture + sigma * noise, else picture +
    sigma * noise (or that, scaled). extra: so much more of the noise, which the webuis add at the first step
    (`img2img_extra_noise`)."""
    if flow:
        return (min(max(sigma, 0.0), 1.0) + extra) / (1 + extra)
    return 1.0 if math.isinf(sigma) else (sigma + extra) / (1 + sigma + extra)


@dataclass(frozen=True)
class NoiseShare:
    """What denoising strengths mean with one model, sampler, schedule and number of steps.

    of: the share of noise, 0-1, that a denoising strength, 0-1, begins with. guessed: the model is not loaded, so its
    levels are those of a plain one. extra: the noise in it that a setting of the webui adds, `share_of`.
    """

    of: Callable[[float], float]
    guessed: bool = False
    extra: float = 0.0

    @cached_property
    def curve(self) -> tuple[float, ...]:
        """The share at each strength of GRID."""
        return tuple(self.of(strength) for strength in GRID)

    def denoise(self, share: float, now: float | None = None) -> float:
        """The denoising strength, one of GRID, that begins nearest to this share; of several the lowest. A few steps
        have a few levels only, so the share may be missed. now: the strength that is set; it stays where no other is
        nearer."""
        best = min(GRID[1:], key=lambda strength: round(abs(self.curve[round(strength * 100)] - share), 6))
        if now is not None and abs(self.of(now) - share) <= abs(self.of(best) - share) + 1e-6:
            return now
        return best


def of_webui(
    shares: Callable[[int], Sequence[float]], steps: int, *, exact: bool = False, guessed: bool = False,
    extra: float = 0.0,
) -> NoiseShare:  # fmt: skip
    """As AUTOMATIC1111 and its forks begin (sd_samplers_common.py:22, sd_samplers_kdiffusion.py:131).

    shares: of noise at each step of so many, falling, with the extra noise. exact: the setting by which `steps` are
    those that are run. extra: `NoiseShare.extra`.
    """
    known: dict[int, Sequence[float]] = {}

    def of(denoise: float) -> float:
        strength = min(denoise, 0.999)
        total, run = steps, int(strength * steps)
        if exact:
            total, run = (int(steps / strength) if strength > 0 else 0), steps - 1
        if total < 1:
            return 0.0
        if total not in known:
            known[total] = shares(total)
        found = known[total]
        return float(found[min(total - run - 1, len(found) - 1)])  # some schedules leave steps out

    return NoiseShare(of, guessed, extra)


def of_diffusers(
    shares: Callable[[int], Sequence[float]], steps: int, *, rounds_up: bool = False, guessed: bool = False
) -> NoiseShare:
    """As the img2img pipelines of diffusers begin. At least one step is run: a low strength has as many steps as that
    needs.

    shares: of noise at each step of so many, falling. rounds_up: of flow models, whose part of a step counts.
    """
    known: dict[int, Sequence[float]] = {}

    def of(denoise: float) -> float:
        if denoise == 0:
            return 0.0
        total = max(steps, math.ceil(1 / denoise))
        if total not in known:
            known[total] = shares(total)
        run = total * denoise
        found, first = known[total], int(max(total - run, 0)) if rounds_up else total - int(run)
        return float(found[min(first, len(found) - 1)])

    return NoiseShare(of, guessed)


def of_curve(curve: Sequence[float], *, guessed: bool = False) -> NoiseShare:
    """Of the shares at each strength of GRID; a strength between two of them has the lower one's."""
    return NoiseShare(lambda denoise: float(curve[int(denoise * 100 + 1e-6)]), guessed)


def percent(share: float) -> str:
    """ "53 %"."""
    return f"{100 * share:.0f} %"
