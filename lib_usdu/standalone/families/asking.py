"""How diffusers' pipelines ask their networks: with the prompt and without it, and of which noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np


class Order(Enum):
    """The answers that guidance needs: both in one call, that without the prompt or that with it first; or in turn,
    with the prompt first, a call each."""

    WITHOUT_FIRST = "without first"
    WITH_FIRST = "with first"
    IN_TURN = "in turn"


def _by_thousand(time: float) -> float:
    return time / 1000


def _as_it_is(time: float) -> float:
    return time


def _from_the_other_end(time: float) -> float:
    return 1 - time


@dataclass(frozen=True)
class Asks:
    """One pipeline's way. noise: the share of noise, 0-1, that a flow's network is told by a time."""

    order: Order
    noise: Callable[[float], float] = _by_thousand


BOTH_AT_ONCE = Asks(Order.WITHOUT_FIRST)
"""Stable Diffusion 1, 2, XL and 3."""
IN_TURN = Asks(Order.IN_TURN, _as_it_is)
"""Flux, Chroma, Qwen-Image: told times are a thousandth of the scheduler's."""
BACKWARDS = Asks(Order.WITH_FIRST, _from_the_other_end)
"""Z-Image: its time is 0 where there is only noise."""


def noise_over_signal(scheduler: Any) -> Callable[[float], float]:
    """Of a diffusion model's scheduler, by time. The steps of some samplers lie between the times of training: it is
    interpolated, as diffusers does it."""
    alphas = scheduler.alphas_cumprod.double().cpu().numpy()
    ratios = np.sqrt((1 - alphas) / np.maximum(alphas, 1e-8))
    return lambda time: float(np.interp(time, np.arange(len(ratios)), ratios))
