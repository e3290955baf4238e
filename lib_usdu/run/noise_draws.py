"""The canvas's noise in the form samplers ask for it: draw after draw, for a batch of tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..noise import TileNoise
from .transfer import to_device


@dataclass
class CanvasDraws:
    """Successive draws for a batch of tiles, each a tensor (n, channels, h, w) on `device`.

    Variation: the first draw is mixed with that of `subseed`, as far as `subseed_strength` (0-1) says. The webui
    interpolates on the sphere with an angle measured over the whole tensor, which would differ from tile to tile;
    independent noise is at a right angle, so cosine and sine of the strength do the same for every window alike.
    seed_delta: the webui's "eta noise seed delta"; later draws come from the seed that many further on.
    first_only: the sampler asks for later draws and has no use for them: they are zeros.
    """

    noises: Sequence[TileNoise]
    channels: int
    device: Any
    subseed: int = 0
    subseed_strength: float = 0.0
    seed_delta: int = 0
    first_only: bool = False
    _number: int = field(default=0, init=False)

    def next(self, *_: Any) -> Any:
        """Stands for `ImageRNG.next()`, and for a noise sampler called with (sigma, next sigma)."""
        import torch

        number, self._number = self._number, self._number + 1
        if number > 0 and self.first_only:
            region = self.noises[0].region
            return torch.zeros(len(self.noises), self.channels, region.height, region.width, device=self.device)
        drawn = np.stack([self._draw(noise, number) for noise in self.noises])
        return to_device(drawn, self.device)

    def _draw(self, noise: TileNoise, number: int) -> np.ndarray:
        if number > 0:
            if not self.seed_delta:
                return noise.draw(number, self.channels)
            return replace(noise, seed=noise.seed + self.seed_delta).draw(number - 1, self.channels)
        first = noise.draw(0, self.channels)
        if not self.subseed_strength:
            return first
        other = replace(noise, seed=self.subseed + noise.offset).draw(0, self.channels)
        angle = self.subseed_strength * math.pi / 2
        return (math.cos(angle) * first + math.sin(angle) * other).astype(np.float32)
