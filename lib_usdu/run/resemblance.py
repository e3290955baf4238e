"""Holds what the model draws to the upscaled canvas, in every step, from a certain size of structure on.

After each step's prediction of the finished latents, x0, their low frequencies are moved to those of the canvas's own
latents z: x0 + w G(z - x0). The idea is ILVR's (Choi et al., ICCV 2021), which replaces low frequencies in each step,
and DemoFusion's skip residual (Du et al., CVPR 2024). Detail finer than G is the model's own: a higher denoising
strength invents detail without moving the picture.
"""

from __future__ import annotations

from functools import lru_cache

import torch

_WIDEST, _NARROWEST = 4.0, 0.75
"""Standard deviation of G, in latents: 32 px of an SD model near Resemblance 0, and 6 px at 1."""


def held_to(x0: torch.Tensor, canvas: torch.Tensor, resemblance: float) -> torch.Tensor:
    """What to add to a prediction x0 of the finished latents so that it resembles the canvas's.

    x0, canvas: (..., h, w), latents of the same windows. resemblance: 0 (nothing is held) to 1. From 0 to 0.5 the hold
    grows from none to whole, from 0 to 1 it takes in ever finer structure.
    """
    difference = canvas.to(x0) - x0
    sigma = _WIDEST * (_NARROWEST / _WIDEST) ** resemblance
    rows, columns = (_gaussian(side, sigma, difference.device) for side in difference.shape[-2:])
    low = rows @ difference.float() @ columns.T
    return (low * min(1.0, 2 * resemblance)).to(x0.dtype)


@lru_cache(maxsize=32)
def _gaussian(length: int, sigma: float, device: torch.device) -> torch.Tensor:
    """The blur of a line of latents: (length, length), rows sum to 1, so that edges keep their level."""
    place = torch.arange(length, dtype=torch.float32, device=device)
    blur = torch.exp(-0.5 * ((place[:, None] - place[None, :]) / sigma) ** 2)
    return blur / blur.sum(dim=1, keepdim=True)
