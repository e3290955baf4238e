"""How much of the denoising strength each place gets: less where the picture is smooth, or by a mask's greys.

Differential diffusion (Levin and Fried, 2023) keeps a place as it is until the noise has fallen to what that place is
to begin with, and redraws it from there. Here a place's strength is its share of the noise that the run begins with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..geometry import Canvas, Region
from ..latents import Latents
from ..passes import Pass

NONE, DETAIL, MASK = "none", "detail", "mask"
WHOLE = 255
"""The strength of a place that is redrawn as much as the run asks for; 0: of one that stays as upscaled."""

_CELL = 8
"""Px a side of the cells in which detail is measured."""
_SIGMA = 2.0
"""Standard deviation, in cells, of the Gaussian over their variances: the surroundings of an edge count as it does."""
_REACH = 6
"""Cells to either side that the Gaussian takes in."""
_SMOOTH, _LIVELY = 1.0, 6.0
"""Standard deviations in levels: sky and paper stay at 1, leaves and hair are above 6."""
_STEPS = (_SMOOTH**2 * (_LIVELY / _SMOOTH) ** (2 * (np.arange(WHOLE) + 0.5) / WHOLE)).astype(np.float32)
"""The variances at which the strength grows by one."""


@dataclass(frozen=True)
class StrengthMap:
    """The strengths of a canvas. source: uint8, the picture as upscaled (h, w, 3), or a mask (h, w) of the strengths
    themselves.

    A place's strength is a function of its surroundings on the canvas alone, to the bit: windows that overlap agree.
    """

    canvas: Canvas
    source: np.ndarray
    latents: Latents = Latents()

    def window(self, region: Region) -> np.ndarray:
        """Of each latent of a window, px: uint8 (h, w)."""
        places, scale = self.latents.region(region), self.latents.scale
        whole = Region(region.x, region.y, places.width * scale, places.height * scale)
        if self.source.ndim == 2:
            cells = self.canvas.crop(self.source, whole).reshape(places.height, scale, places.width, scale)
            return np.rint(cells.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
        return _at_scale(_strengths(self._variances(whole)), scale)

    def redraws(self, region: Region) -> bool:
        """Whether any place of a region, px, is redrawn at all."""
        x, y = region.x // _CELL * _CELL, region.y // _CELL * _CELL
        width, height = (-(-length // _CELL) * _CELL for length in (region.right - x, region.bottom - y))
        whole = Region(x, y, width, height)
        if self.source.ndim == 2:
            return bool(self.canvas.crop(self.source, whole).any())
        return bool((self._variances(whole) >= _STEPS[0]).any())

    def _variances(self, region: Region) -> np.ndarray:
        """Of brightness in each cell of a region and its surroundings, blurred: float32 (h / 8, w / 8)."""
        picture = self.canvas.crop(self.source, region.grow(_REACH * _CELL))
        # Green counts twice: about as eyes have it, in whole numbers that 16 bits hold.
        grey = picture[..., 0].astype(np.uint16) + picture[..., 2]
        grey += picture[..., 1]
        grey += picture[..., 1]
        height, width = grey.shape[0] // _CELL, grey.shape[1] // _CELL
        cells = grey.reshape(height, _CELL, width, _CELL).swapaxes(1, 2).reshape(height, width, _CELL**2)
        sums = cells.sum(axis=2, dtype=np.uint32).astype(np.int64)
        squares = np.square(cells, dtype=np.uint32).sum(axis=2, dtype=np.uint32).astype(np.int64)
        variances = ((_CELL**2 * squares - sums**2) / (_CELL**2 * 4) ** 2).astype(np.float32)
        return _blurred(_blurred(variances).T).T


def of_pass(
    work: Pass, kind: str, picture: np.ndarray, mask: np.ndarray | None, latents: Latents
) -> StrengthMap | None:
    """The map of a pass over a picture, uint8 (h, w, 3); None where every place gets all of the strength.

    kind: the option strength_map. mask: at the result's size, uint8 (h, w).
    """
    if kind == NONE or (kind == MASK and mask is None):
        return None
    return StrengthMap(work.canvas, picture if kind == DETAIL or mask is None else mask, latents)


def without_smooth(passes: Sequence[Pass], picture: np.ndarray) -> tuple[Pass, ...]:
    """The passes without those tiles that the picture's own detail leaves as they are."""
    return tuple(work.only_where(StrengthMap(work.canvas, picture).redraws) for work in passes)


def whole_where_redrawn(mask: np.ndarray) -> np.ndarray:
    """A mask of strengths, uint8 (h, w), as what it lets through: a place that is redrawn a little is taken whole, not
    mixed with the picture before, which would blur both; below a quarter of the strength it fades."""
    return np.minimum(mask, 63) * np.uint8(4) + np.where(mask > 63, np.uint8(3), np.uint8(0))


def _strengths(variances: np.ndarray) -> np.ndarray:
    """0 where a cell is smooth, WHOLE where it is lively, by the logarithm in between: uint8."""
    return np.searchsorted(_STEPS, variances, side="right").astype(np.uint8)


def _blurred(cells: np.ndarray) -> np.ndarray:
    """A Gaussian along the first axis, which loses _REACH cells at either end. The taps are added one by one: a matrix
    product adds in an order that depends on the window's size."""
    taps = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) / _SIGMA) ** 2).astype(np.float32)
    taps /= taps.sum()
    length = len(cells) - 2 * _REACH
    total = np.zeros((length, *cells.shape[1:]), np.float32)
    for start, tap in enumerate(taps):
        total += tap * cells[start : start + length]
    return total


def _at_scale(cells: np.ndarray, scale: int) -> np.ndarray:
    """Strengths of cells as those of latents of so many px."""
    if scale <= _CELL:
        return cells.repeat(_CELL // scale, axis=0).repeat(_CELL // scale, axis=1)
    each = scale // _CELL
    grouped = cells.reshape(cells.shape[0] // each, each, cells.shape[1] // each, each)
    return np.rint(grouped.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
