"""How samplers space their steps over the noise levels that a model of Stable Diffusion's kind was trained with.

Numpy only, for what has to be said before a model, or diffusers, is loaded. The formulas are k-diffusion's (Karras et
al. 2022; Crowson) and diffusers'; `tests/test_noise_share.py` holds them to diffusers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

TRAINED = 1000
"""Levels that a model knows."""
_LINE = 2000
"""Points at which the beta distribution is looked at."""


@lru_cache(maxsize=8)
def trained_levels(
    start: float = 0.00085, end: float = 0.012, schedule: str = "scaled_linear", zero: bool = False
) -> np.ndarray:
    """sigma / alpha of every trained level, rising, float64 (1000,). start, end: of the betas. zero: the last level is
    almost pure noise (zero terminal SNR: Lin et al. 2023, algorithm 1)."""
    power = 0.5 if schedule == "scaled_linear" else 1.0
    kept = np.cumprod(1 - np.linspace(start**power, end**power, TRAINED) ** (1 / power))
    if zero:
        root = np.sqrt(kept)
        kept = np.square((root - root[-1]) * root[0] / (root[0] - root[-1]))
        kept[-1] = 2**-24  # as diffusers has it, so that no level is infinite
    return np.sqrt((1 - kept) / kept)


def karras(low: float, high: float, steps: int, rho: float = 7.0) -> np.ndarray:
    """Levels from high to low, dense near low."""
    return np.linspace(high ** (1 / rho), low ** (1 / rho), steps) ** rho


def exponential(low: float, high: float, steps: int) -> np.ndarray:
    """Levels from high to low, each the same part of the one before."""
    return np.exp(np.linspace(np.log(high), np.log(low), steps))


def beta(low: float, high: float, steps: int) -> np.ndarray:
    """Levels from high to low, dense near both: quantiles of the beta distribution of 0.6 and 0.6 (Lee et al. 2024)."""
    # x^-0.4 (1-x)^-0.4 is summed over u = x^0.6, in which its left half is finite; the right half is its mirror.
    u = np.linspace(0, 0.5**0.6, _LINE)
    x = u ** (1 / 0.6)
    height = (1 - x) ** -0.4
    area = np.concatenate([[0], np.cumsum((height[1:] + height[:-1]) / 2 * np.diff(u))])
    part = 1 - np.linspace(0, 1, steps)
    mirrored = np.where(part > 0.5, 1 - part, part)
    quantile = np.interp(mirrored, area / area[-1] / 2, x)
    return low + (high - low) * np.where(part > 0.5, 1 - quantile, quantile)


WAYS: Mapping[str, Callable[[float, float, int], np.ndarray]] = {
    "Karras": karras, "Exponential": exponential, "Beta": beta,
}  # fmt: skip
"""Ways to space levels, by the names that samplers have behind their own."""
_SOLVERS = ("DPM++ 2S a", "DPM++ 2M", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE", "UniPC", "DEIS")
"""Samplers that leave the last of steps + 1 places out, and space over all trained levels."""
_LEADING = ("PLMS", "DDIM")
_OF_FIFTY = ("LCM", "TCD")
"""Samplers that take some of fifty levels, whatever the number of steps."""


def levels(sampler: str, way: str, steps: int, config: Mapping[str, Any]) -> list[float]:
    """sigma / alpha at each step of a sampler of diffusers, falling. sampler, way: as `samplers.split_name` has them.
    config: of the model's own scheduler; what is missing is Stable Diffusion's."""
    named = {
        "start": "beta_start", "end": "beta_end", "schedule": "beta_schedule", "zero": "rescale_betas_zero_snr",
    }  # fmt: skip
    trained = trained_levels(**{name: config[key] for name, key in named.items() if key in config})
    if sampler in _OF_FIFTY:
        places = (np.arange(1, 51) * (TRAINED // 50) - 1)[::-1]
        times = places[np.floor(np.linspace(0, 50, min(steps, 50), endpoint=False)).astype(int)]
    else:
        times = _times(sampler, steps, config)
    found = np.interp(times, np.arange(TRAINED), trained)
    if way in WAYS:
        ends = (trained[0], trained[-1]) if sampler in _SOLVERS else (found[-1], found[0])
        found = WAYS[way](*ends, steps)
    return [float(level) for level in found]


def _times(sampler: str, steps: int, config: Mapping[str, Any]) -> np.ndarray:
    """Trained times of each step, falling."""
    solver = sampler in _SOLVERS
    spacing = config.get("timestep_spacing", "leading" if sampler in _LEADING else "linspace")
    if sampler == "DPM++ 2S a":  # the only one without a choice
        spacing = "linspace"
    count = steps + solver
    if spacing == "trailing":
        times = np.arange(TRAINED, 0, -TRAINED / steps).round() - 1
    elif spacing == "leading":
        times = (np.arange(count) * (TRAINED // count) + config.get("steps_offset", 0))[::-1][:steps]
    else:
        times = np.linspace(0, TRAINED - 1, count)[::-1][:steps]
    if sampler == "PLMS":  # the last but one is run twice
        times = np.concatenate([times[:1], times[1:2], times[1:]])
    return times.round() if solver else times


def flow_levels(steps: int, way: str, shift: float, config: Mapping[str, Any], *, even: bool) -> list[float]:
    """The sigmas of a flow model's steps, falling, as diffusers' FlowMatchEulerDiscreteScheduler spaces them.

    way: as `levels` has it; "": the configuration's own. shift: of its times. config: of the scheduler. even: whether
    the pipeline hands over even times that end at 1 / steps; else the scheduler's own, which end at its least sigma.
    """
    if even:
        times = np.linspace(1, 1 / steps, steps)
    else:
        least = 1 / TRAINED if config.get("use_dynamic_shifting") else shifted(1 / TRAINED, shift)
        times = np.linspace(1, least, steps)
    found = np.asarray(shifted(times, shift))
    terminal = config.get("shift_terminal")
    if terminal and found[-1] < 1:
        found = 1 - (1 - found) * (1 - terminal) / (1 - found[-1])
    own = next((name for name in WAYS if config.get(f"use_{name.lower()}_sigmas")), "")
    if way or own:
        found = WAYS[way or own](found[-1], found[0], steps)
    return [float(sigma) for sigma in found]


def shifted(times: Any, shift: float) -> Any:
    """A flow's sigmas at these times, 0-1, numbers or an array; more of them are noisy the larger the shift."""
    return shift * times / (1 + (shift - 1) * times)


def plain_webui(way: str | None, steps: int) -> list[float]:
    """The levels of a webui's schedule of this name for a plain model of Stable Diffusion, falling; evenly over trained
    times for a name that is not among WAYS (A1111's "Uniform" and "Normal")."""
    trained = trained_levels()
    if way is not None and way in WAYS:
        return [float(level) for level in WAYS[way](trained[0], trained[-1], steps)]
    even = partial(np.interp, xp=np.arange(TRAINED), fp=np.log(trained))
    return [float(level) for level in np.exp(even(np.linspace(TRAINED - 1, 0, steps)))]


def plain_flow(steps: int, shift: float = 3.158) -> list[float]:
    """The sigmas of a flow model's even steps, falling; the shift is Flux's for pictures of 1024 px and more."""
    return [float(sigma) for sigma in shifted(1 - np.arange(steps) / steps, shift)]
