"""Resemblance and strength maps with diffusers' schedulers: what a step is told the model said is moved, so that its
x0 is what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ...noise_share import share_of
from ...run.resemblance import Hold
from ...speed.in_place import in_place_of
from .asking import noise_over_signal


class Held:
    """Steps of a scheduler whose predictions are held to the latents of the pictures.

    resemblance: 0 to 1. strengths: as `Hold` has them. With 0 and None the scheduler is left alone. unpack, pack:
    between what the scheduler has and latents (n, channels, h, w). colours: as `Hold` has it.
    """

    def __init__(
        self, scheduler: Any, resemblance: float, strengths: np.ndarray | None,
        unpack: Callable[[torch.Tensor], torch.Tensor], pack: Callable[[torch.Tensor], torch.Tensor],
        colours: Callable[[], torch.Tensor],
    ):  # fmt: skip
        self._scheduler, self._resemblance, self._strengths = scheduler, resemblance, strengths
        self._unpack, self._pack, self._colours, self._hold = unpack, pack, colours, None

    def to(self, latents: torch.Tensor) -> torch.Tensor:
        """Told the pictures' latents, (n, channels, h, w), before the first step; returns them."""
        self._hold = Hold(latents, self._resemblance, self._strengths, self._colours)
        return latents

    @contextmanager
    def steps(self) -> Iterator[None]:
        """The scheduler's steps in this context."""
        if self._resemblance == 0 and self._strengths is None:
            yield
            return
        step = self._scheduler.step

        def held_step(output: torch.Tensor, timestep: Any, sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            assert self._hold is not None, "the pictures' latents come before the first step"
            x0, gain, share = _prediction(self._scheduler, output, timestep, sample)
            moved = self._hold.moved(self._unpack(x0), share)
            return step(output + (gain * self._pack(moved)).to(output.dtype), timestep, sample, *args, **kwargs)

        with in_place_of(self._scheduler, step=held_step):
            yield


def _prediction(
    scheduler: Any, output: torch.Tensor, timestep: Any, sample: torch.Tensor
) -> tuple[torch.Tensor, float, float]:
    """x0 as the model's output means it, what a change of x0 by 1 changes in that output, and the share of noise, 0-1,
    in the sample.

    For a sample that is alpha x0 + sigma noise: epsilon (Ho et al. 2020), v = alpha noise - sigma x0 (Salimans and Ho
    2022), a flow's noise - x0 (Lipman et al. 2023), or x0 itself.
    """
    time, kind = float(timestep), getattr(scheduler.config, "prediction_type", None)
    if kind in (None, "flow_prediction"):
        sigma = max(time / scheduler.config.num_train_timesteps, 1e-3)
        return sample - sigma * output, -1 / sigma, sigma
    ratio = noise_over_signal(scheduler)(time)
    share = share_of(ratio)
    alpha, sigma = 1 / (1 + ratio**2) ** 0.5, ratio / (1 + ratio**2) ** 0.5
    if float(scheduler.init_noise_sigma) > 1.5:  # samples are x0 + ratio noise: Euler, Heun, LMS, DPM2, DPM++ SDE
        sample = sample * alpha
    if kind == "epsilon":
        return (sample - sigma * output) / alpha, -alpha / sigma, share
    if kind == "v_prediction":
        return alpha * sample - sigma * output, -1 / sigma, share
    return output, 1.0, share
