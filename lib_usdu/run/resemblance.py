"""Holds what the model draws to the upscaled canvas, in every step: from a certain size of structure on, and places
whose time has not come.

After each step's prediction of the finished latents, x0, their low frequencies are moved to those of the canvas's own
latents z: x0 + w G(z - x0). The idea is ILVR's (Choi et al., ICCV 2021), which replaces low frequencies in each step,
and DemoFusion's skip residual (Du et al., CVPR 2024). Detail finer than G is the model's own: a higher denoising
strength invents detail without moving the picture.

A place of less strength (select/strength.py) waits until the noise has fallen to its share: until then the prediction
there is the canvas's own latents, so that whatever the sampler does it stays the canvas under the noise of the step, as
in differential diffusion (Levin and Fried, 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from ..select.strength import WHOLE

_SIDE = 64
"""Px of the plain pictures: whole latents of every model."""
_WIDEST, _NARROWEST = 3.2, 0.7
"""Standard deviation of G, in latents: 26 px of an SD model near Resemblance 0, and 6 px at 1."""


class Hold:
    """What is added to the predictions of one run of a sampler.

    canvas: (n, channels, ..., h, w), the windows' own latents. resemblance: 0 (nothing is held) to 1. strengths: uint8
    (n, h, w), how much each place is redrawn; None: all as much as they can be. colours: as `held_to` has it; asked
    for where something is held.
    """

    def __init__(
        self, canvas: torch.Tensor, resemblance: float, strengths: np.ndarray | None,
        colours: Callable[[], torch.Tensor],
    ):  # fmt: skip
        self._canvas, self._resemblance = canvas, resemblance
        self._colours = colours().to(canvas.device) if resemblance else None
        self._strengths = None if strengths is None else _as_latents(strengths, canvas)
        self._first: float | torch.Tensor | None = None

    def moved(self, x0: torch.Tensor, share: float | torch.Tensor) -> torch.Tensor:
        """What to add to a prediction x0 of the finished latents, of the canvas's shape. share: of noise in what was
        predicted from, 0-1; the first call's is that of the whole strength."""
        self._first = share if self._first is None else self._first
        moved = torch.zeros_like(x0)
        if self._colours is not None:
            moved = held_to(x0, self._canvas, self._resemblance, self._colours)
        if self._strengths is None:
            return moved
        waits = self._strengths < share / self._first * (WHOLE - 0.01)  # rounding must not let the whole strength wait
        return torch.where(waits, self._canvas.to(x0) - x0, moved)


def _as_latents(strengths: np.ndarray, canvas: torch.Tensor) -> torch.Tensor:
    """float32 (n, 1, ..., h, w). Where a model's latents turn out to have another size, the nearest place counts."""
    levels = torch.from_numpy(strengths.astype(np.float32))[:, None]
    if levels.shape[-2:] != canvas.shape[-2:]:
        levels = torch.nn.functional.interpolate(levels, canvas.shape[-2:], mode="nearest")
    return levels.reshape(len(levels), *[1] * (canvas.ndim - 3), *canvas.shape[-2:]).to(canvas.device)


def held_to(x0: torch.Tensor, canvas: torch.Tensor, resemblance: float, colours: torch.Tensor) -> torch.Tensor:
    """What to add to a prediction x0 of the finished latents so that it resembles the canvas's.

    x0, canvas: (n, channels, ..., h, w), latents of the same windows. resemblance: 0 (nothing is held) to 1. From 0 to
    0.5 the hold grows from none to whole, from 0 to 1 it takes in ever finer structure. colours: float32 (channels,
    channels), the projection onto the directions that carry colour (`colours_of`).
    """
    difference = canvas.to(x0) - x0
    sigma = _WIDEST * (_NARROWEST / _WIDEST) ** resemblance
    rows, columns = (_gaussian(side, sigma, difference.device) for side in difference.shape[-2:])
    low = torch.einsum("ij,nj...->ni...", colours, rows @ difference.float() @ columns.T)
    return (low * min(1.0, 2 * resemblance)).to(x0.dtype)


def colours_of(encode: Callable[[np.ndarray], torch.Tensor]) -> torch.Tensor:
    """The projection of a model's latents onto the directions in which its autoencoder writes colour: float32
    (channels, channels), on the processor.

    encode: makes latents (n, channels, ..., h, w) of pictures, uint8 (n, h, w, 3). It is asked about plain ones: each
    of red, green and blue a little darker and a little lighter than grey.
    """
    plain = np.full((6, _SIDE, _SIDE, 3), 128, np.uint8)
    for colour in range(3):
        plain[2 * colour, ..., colour], plain[2 * colour + 1, ..., colour] = 77, 179
    levels = encode(plain).detach().double().cpu().flatten(2).mean(dim=2)
    directions, sizes, _ = torch.linalg.svd((levels[1::2] - levels[::2]).T, full_matrices=False)
    kept = directions[:, sizes > 1e-3 * sizes[0]]
    return (kept @ kept.T).float()


@lru_cache(maxsize=32)
def _gaussian(length: int, sigma: float, device: torch.device) -> torch.Tensor:
    """The blur of a line of latents: (length, length), rows sum to 1, so that edges keep their level."""
    place = torch.arange(length, dtype=torch.float32, device=device)
    blur = torch.exp(-0.5 * ((place[:, None] - place[None, :]) / sigma) ** 2)
    return blur / blur.sum(dim=1, keepdim=True)
