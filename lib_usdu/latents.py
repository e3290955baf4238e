"""The latents that a model works in: how many channels, how large, and which pixels belong together."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .geometry import ORIGIN, Canvas, Region


@dataclass(frozen=True)
class Latents:
    """What one kind of model works in.

    channels: of its autoencoder. scale: px per latent along each axis (8, 16, 32). patch: so many latents along each
    axis are one token of a transformer, 1 of a UNet. between: the axes between channels and height, (1,) of a model
    made for videos.
    """

    channels: int = 4
    scale: int = 8
    patch: int = 1
    between: tuple[int, ...] = ()

    def __post_init__(self):
        if min(self.channels, self.scale, self.patch) < 1 or any(length != 1 for length in self.between):
            raise ValueError(f"not the latents of pictures: {self}")

    @property
    def grain(self) -> int:
        """Px that origins of windows are multiples of, so that every window divides into the same latents and patches
        as the whole canvas does."""
        return math.lcm(ORIGIN, self.scale * self.patch)

    def aligned(self, alignment: int) -> int:
        """The least multiple of `alignment`, px, that windows of these latents can have."""
        return math.lcm(alignment, self.grain)

    def size(self, canvas: Canvas) -> tuple[int, int]:
        """(height, width) of a canvas in latents, whole patches."""
        whole = self.region(canvas.region)
        return whole.height, whole.width

    def region(self, window: Region) -> Region:
        """A window, px, in latents: whole patches. Its origin is a multiple of `grain`."""
        px, patch = self.scale * self.patch, self.patch
        x, y = window.x // self.scale, window.y // self.scale
        return Region(x, y, -(-window.width // px) * patch, -(-window.height // px) * patch)

    def core(self, core: Region, canvas: Canvas) -> Region:
        """A core, px, in latents. Cores that meet in px meet in latents, and the last ones reach the canvas's end."""
        height, width = self.size(canvas)
        right = width if core.right == canvas.width else core.right // self.scale
        bottom = height if core.bottom == canvas.height else core.bottom // self.scale
        return Region.between(core.x // self.scale, core.y // self.scale, right, bottom)

    def shape(self, count: int, region: Region) -> tuple[int, ...]:
        """Of so many windows' latents, (n, channels, ..., h, w), as the model has them."""
        return (count, self.channels, *self.between, region.height, region.width)
