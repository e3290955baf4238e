"""Resemblance with diffusers' schedulers: what a step is told the model said is moved, so that its x0 resembles the
canvas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ...run.resemblance import held_to


class Held:
    """Steps of a scheduler whose predictions are held to the latents of the pictures.

    resemblance: 0 to 1; at 0 the scheduler is left alone. unpack, pack: between what the scheduler has and latents
    (n, channels, h, w).
    """

    def __init__(
        self, scheduler: Any, resemblance: float, unpack: Callable[[torch.Tensor], torch.Tensor],
        pack: Callable[[torch.Tensor], torch.Tensor],
    ):  # fmt: skip
        self._scheduler, self._resemblance, self._unpack, self._pack = scheduler, resemblance, unpack, pack
        self._canvas: torch.Tensor | None = None

    def to(self, latents: torch.Tensor) -> torch.Tensor:
        """Told the pictures' latents, (n, channels, h, w), before the first step; returns them."""
        self._canvas = latents if self._resemblance else None
        return latents

    @contextmanager
    def steps(self) -> Iterator[None]:
        """The scheduler's steps in this context."""
        if self._resemblance == 0:
            yield
            return
        step = self._scheduler.step

        def held_step(output: torch.Tensor, timestep: Any, sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            assert self._canvas is not None, "the pictures' latents come before the first step"
            x0, gain = _prediction(self._scheduler, output, timestep, sample)
            moved = held_to(self._unpack(x0), self._canvas, self._resemblance)
            return step(output + (gain * self._pack(moved)).to(output.dtype), timestep, sample, *args, **kwargs)

        self._scheduler.step = held_step
        try:
            yield
        finally:
            del self._scheduler.step


def _prediction(
    scheduler: Any, output: torch.Tensor, timestep: Any, sample: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """x0 as the model's output means it, and what a change of x0 by 1 changes in that output.

    For a sample that is alpha x0 + sigma noise: epsilon (Ho et al. 2020), v = alpha noise - sigma x0 (Salimans and Ho
    2022), a flow's noise - x0 (Lipman et al. 2023), or x0 itself. The steps of some samplers lie between the times of
    training: sigma is interpolated, as diffusers does it.
    """
    time, kind = float(timestep), getattr(scheduler.config, "prediction_type", None)
    if kind in (None, "flow_prediction"):
        sigma = max(time / scheduler.config.num_train_timesteps, 1e-3)
        return sample - sigma * output, -1 / sigma
    alphas = scheduler.alphas_cumprod.double().cpu().numpy()
    sigmas = np.sqrt((1 - alphas) / np.maximum(alphas, 1e-8))
    ratio = float(np.interp(time, np.arange(len(sigmas)), sigmas))  # sigma / alpha
    alpha, sigma = 1 / (1 + ratio**2) ** 0.5, ratio / (1 + ratio**2) ** 0.5
    if float(scheduler.init_noise_sigma) > 1.5:  # samples are x0 + ratio noise: Euler, Heun, LMS, DPM2, DPM++ SDE
        sample = sample * alpha
    if kind == "epsilon":
        return (sample - sigma * output) / alpha, -alpha / sigma
    if kind == "v_prediction":
        return alpha * sample - sigma * output, -1 / sigma
    return output, 1.0
