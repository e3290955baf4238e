"""The canvas's noise in the form samplers ask for it: draw after draw, for a batch of tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
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
    first_only: the sampler asks for later draws and has no use for them: they are zeros. drawn: the first draws, where
    they were made beforehand: float32 (n, channels, h, w); of another number of channels they count for nothing.
    """

    noises: Sequence[TileNoise]
    channels: int
    device: Any
    subseed: int = 0
    subseed_strength: float = 0.0
    seed_delta: int = 0
    first_only: bool = False
    drawn: np.ndarray | None = None
    _number: int = field(default=0, init=False)

    def next(self, *_: Any) -> Any:
        """Stands for `ImageRNG.next()`, and for a noise sampler called with (sigma, next sigma)."""
        import torch

        number, self._number = self._number, self._number + 1
        if number > 0 and self.first_only:
            region = self.noises[0].region
            return torch.zeros(len(self.noises), self.channels, region.height, region.width, device=self.device)
        drawn = np.stack([self._draw(place, number) for place in range(len(self.noises))])
        return to_device(drawn, self.device)

    def _draw(self, place: int, number: int) -> np.ndarray:
        noise = self.noises[place]
        if number > 0:
            if not self.seed_delta:
                return noise.draw(number, self.channels)
            return replace(noise, seed=noise.seed + self.seed_delta).draw(number - 1, self.channels)
        if self.drawn is not None and self.drawn.shape[1] == self.channels:
            first = self.drawn[place]
        else:
            first = noise.draw(0, self.channels)
        if not self.subseed_strength:
            return first
        other = replace(noise, seed=self.subseed + noise.offset).draw(0, self.channels)
        angle = self.subseed_strength * math.pi / 2
        return (math.cos(angle) * first + math.sin(angle) * other).astype(np.float32)


class Brownian:
    """Stands for the samplers' Brownian tree, `noise_sampler(sigma, next sigma)`, made of the canvas's draws.

    draw: the next draw. As in the tree, noise of a step contains that of the step's first part: DPM++ SDE asks for
    both, and with independent draws its noise would add up to less (k-diffusion's sampling.py, sample_dpmpp_sde).
    Samplers that ask for one step after the other get the draws themselves.
    """

    def __init__(self, draw: Callable[[], Any]):
        self._draw = draw
        self._path: list[tuple[float, Any]] = []
        """Sigmas of the step under way, in the sampler's direction, each with the noise gathered since the first."""

    def __call__(self, sigma: Any, sigma_next: Any) -> Any:
        start, end = float(sigma), float(sigma_next)
        if not self._path or not math.isclose(self._path[0][0], start, rel_tol=1e-6):
            self._path = [(start, 0)]
        before = [point for point in self._path if abs(point[0] - start) < abs(end - start) * (1 - 1e-6)]
        after = self._path[len(before) :]
        (left, gathered), length = before[-1], abs(end - start) ** 0.5
        if not after and left == start:
            drawn = self._draw()
            self._path.append((end, length * drawn))
            return drawn
        if not after:
            there = gathered + abs(end - left) ** 0.5 * self._draw()
        elif math.isclose(after[0][0], end, rel_tol=1e-6):
            return after[0][1] / length
        else:  # between two sigmas whose noise is known: a Brownian bridge
            right, known = after[0]
            share = (end - left) / (right - left)
            width = (abs(end - left) * (1 - share)) ** 0.5
            there = gathered + share * (known - gathered) + width * self._draw()
        self._path = [*before, (end, there), *after]
        return there / length


def uses_noise(
    run: Callable[[Callable[..., Any], Any, Any], Any],
    model: Any,
    latents: Any,
    noise_is: Callable[[Callable[[], Any]], AbstractContextManager[None]],
) -> bool:
    """Whether what a sampler returns depends on the noise that it draws in its steps, found by trying it on one latent.

    run: the sampler, with all that it was given for its picture: (model, latents, noise sampler) to latents. model: the
    real one, of which only attributes are looked at. noise_is: a context in which draws are what the function gives. A
    sampler that cannot be tried so is taken to need its noise.
    """
    import torch

    class Half:
        """A model whose answer is half of what it sees."""

        def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            return x / 2

        def __getattr__(self, name: str) -> Any:
            return getattr(model, name)

    one, found = latents[:1, ..., :1, :1], []
    for level in (1.0, -2.0):
        drawn = torch.full_like(one, level)
        try:
            with noise_is(drawn.clone):
                found.append(run(Half(), one.clone(), lambda *_, drawn=drawn: drawn.clone()))
        except Exception:  # it looks for more than a model has
            return True
    return not torch.equal(*found)
