"""Restart (Xu et al. 2023) as AUTOMATIC1111 has it: Heun's steps that go back to more noise once or twice."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import HeunDiscreteScheduler
from diffusers.utils.torch_utils import randn_tensor

from ...spacing import karras

_LOW, _HIGH = 0.1, 2.0
"""Noise levels (sigma) between which steps are done again."""


class RestartScheduler(HeunDiscreteScheduler):
    """20 steps and more go over the levels from 2 to 0.1 again, 36 and more twice; fewer are Heun's (A1111 v1.10.1,
    modules/sd_samplers_extra.py restart_sampler). As there, the steps that are run count: there are as many as are
    asked for."""

    def _init_step_index(self, timestep: Any) -> None:
        """The first step is about to be made: the pipeline has taken `timesteps` from there, so that they are changed
        in place. The first of them stays as it is."""
        super()._init_step_index(timestep)
        begin = self.step_index or 0
        pairs = restarted(self.sigmas[begin::2].tolist())
        if pairs is None:
            return
        told = torch.tensor([level for pair in pairs for level in pair], dtype=torch.float64)
        self.sigmas[begin:] = told.to(self.sigmas)
        logs = torch.log(((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5).cpu().numpy()
        times = [float(self._sigma_to_t(level, logs)) for level in told[:-1].numpy()]
        self.timesteps[begin:] = torch.tensor(times).to(self.timesteps)

    def step(self, model_output: Any, timestep: Any, sample: Any, return_dict: bool = True) -> Any:
        """As Heun's; where the next step begins with more noise than this one ended with, the difference is drawn."""
        done = super().step(model_output, timestep, sample, return_dict=return_dict)
        at = self.step_index or 0
        if not self.state_in_first_order or at >= len(self.sigmas) - 1:
            return done
        before, after = float(self.sigmas[at - 1]), float(self.sigmas[at])
        if after <= before:
            return done
        latents = done[0] if isinstance(done, tuple) else done.prev_sample
        noise = randn_tensor(latents.shape, device=latents.device, dtype=latents.dtype)
        latents = latents + noise * (after**2 - before**2) ** 0.5
        if isinstance(done, tuple):
            return (latents, *done[1:])
        done.prev_sample = latents
        return done


def restarted(levels: list[float]) -> list[tuple[float, float]] | None:
    """The steps, from a level to the next, that stand for steps over these levels, falling, with 0 after the last; None
    where they are too few to go back."""
    steps = len(levels)
    if steps < 20:
        return None
    again, times = (steps // 4, 2) if steps >= 36 else (9, 1)
    high, low = levels[0], levels[-1]
    plain = [*karras(low, high, steps - again * times).tolist(), 0.0]
    least = min(range(len(plain)), key=lambda at: abs(plain[at] - _LOW))
    most = min(range(len(plain)), key=lambda at: abs(plain[at] - _HIGH))
    if most >= least or plain[least] == 0:
        return None
    back = karras(plain[least], plain[most], again + 1).tolist()
    pairs = []
    for at, pair in enumerate(zip(plain, plain[1:]), 1):
        pairs.append(pair)
        if at == least:
            pairs += list(zip(back, back[1:])) * times
    return pairs
