"""What of a window's output goes into the canvas: a part of it as it is, or resized as Pillow's Lanczos would do it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from ..geometry import Region, Tile
from ..run.transfer import to_device

_REACH = 3
"""Pixels of the coarser picture that Lanczos looks around."""


@dataclass(frozen=True)
class Part:
    """place: where it goes on the canvas. valid: (width, height) of the output that is picture, the rest lies past its
    edge. box: (left, upper, right, lower) of the output that becomes `place`, in pixels of the output, not whole ones
    where it is resized."""

    place: Region
    valid: tuple[int, int]
    box: tuple[float, float, float, float]

    @property
    def exact(self) -> bool:
        """Whether a pixel of the output is a pixel of the canvas."""
        return all(edge == int(edge) for edge in self.box) and self.size == (self.place.width, self.place.height)

    @property
    def size(self) -> tuple[float, float]:
        """(width, height) of the box, in pixels of the output."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the array that becomes `place`: (height, width, 3), px."""
        return self.place.height, self.place.width, 3

    def of(self, output: np.ndarray) -> np.ndarray:
        """Of an output uint8 (h, w, 3)."""
        output = output[: self.valid[1], : self.valid[0]]
        if self.exact:
            left, upper, right, lower = map(int, self.box)
            return output[upper:lower, left:right]
        size = self.place.width, self.place.height
        return np.asarray(Image.fromarray(output).resize(size, Image.Resampling.LANCZOS, box=self.box))

    def on_device(self, output: Any) -> Any:
        """Of levels, a uint8 tensor (3, h, w), where they are: a contiguous uint8 tensor (height, width, 3).

        Within one level of `of`: Pillow rounds its weights to 22 bits.
        """
        if self.exact:
            left, upper, right, lower = map(int, self.box)
            part = output[:, upper:lower, left:right]
        else:
            part = output[:, : self.valid[1], : self.valid[0]].float()
            # Pillow rounds between the two, too.
            part = _rounded(sum(part @ weights.T for weights in self._weights(0, part.device)))
            part = _rounded(sum(weights @ part for weights in self._weights(1, part.device))).byte()
        return part.permute(1, 2, 0).contiguous()

    def _weights(self, axis: int, device: Any) -> tuple[Any, Any]:
        """Along an axis: what each pixel of the canvas (rows) is made of (columns), as two matrices to be added.

        In the first, numbers of 8 bits. Where cards multiply numbers of 11 bits only (TF32), it loses nothing, and the
        second next to nothing.
        """
        import torch

        length, target = self.valid[axis], (self.place.width, self.place.height)[axis]
        number, weight = _taps(length, target, float(self.box[axis]), float(self.box[axis + 2]))
        matrix = torch.zeros(target, length, device=device)
        matrix.scatter_add_(1, to_device(number, device), to_device(weight, device))
        first = matrix.bfloat16().float()
        return first, matrix - first


def part_of(tile: Tile, scale: int, source: tuple[int, int], canvas: tuple[int, int]) -> Part | None:
    """The part that the core of a window's output is; None where it is less than a pixel. source, canvas: (width,
    height) of the small picture and of the canvas."""
    across, down = canvas[0] / source[0], canvas[1] / source[1]  # canvas pixels per source pixel
    core, window = tile.core, tile.window
    place = Region.between(
        round(core.x * across), round(core.y * down), round(core.right * across), round(core.bottom * down)
    )
    if place.area == 0:
        return None
    inside = window.intersect(Region(0, 0, *source))  # a window may reach past the picture
    valid = inside.width * scale, inside.height * scale
    if canvas == (source[0] * scale, source[1] * scale):
        part = place.shift(-window.x * scale, -window.y * scale)
        return Part(place, valid, (part.x, part.y, part.right, part.bottom))
    box = (
        max(0.0, (place.x / across - window.x) * scale),
        max(0.0, (place.y / down - window.y) * scale),
        min(float(valid[0]), (place.right / across - window.x) * scale),
        min(float(valid[1]), (place.bottom / down - window.y) * scale),
    )
    return Part(place, valid, box)


def _rounded(levels: Any) -> Any:
    return levels.add_(0.5).floor_().clamp_(0, 255)


@lru_cache(maxsize=256)
def _taps(length: int, target: int, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis: the pixels that each pixel of the target is made of, and their weights, each (target, taps).

    As in Pillow's `precompute_coeffs` (src/libImaging/Resample.c), with weights of 0 where there are fewer.
    """
    step = (end - start) / target
    coarser = max(step, 1.0)
    support = _REACH * coarser
    centre = start + (np.arange(target) + 0.5) * step
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    past = np.minimum((centre + support + 0.5).astype(np.int64), length)
    number = first[:, None] + np.arange(math.ceil(support) * 2 + 1)
    distance = (number - centre[:, None] + 0.5) / coarser
    weight = np.sinc(distance) * np.sinc(distance / _REACH)
    weight[(number >= past[:, None]) | (np.abs(distance) >= _REACH)] = 0
    return np.minimum(number, length - 1), (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
