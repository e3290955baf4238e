"""Tiles with nothing to redraw: clear sky, blank background."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..geometry import Canvas, Region
from ..options import Options
from ..passes import Pass
from .strength import DETAIL, without_smooth

_CELL = 16
"""Pixels a side of the cells in which a picture is measured: small beside a tile, so that one bird in the sky counts,
large enough that a smooth sky changes by less than a level within."""


def variation(picture: np.ndarray) -> float:
    """Of the liveliest cell of a picture, uint8 (h, w, 3), h and w multiples of 16: the standard deviation of its
    liveliest channel, in levels."""
    height, width, channels = picture.shape
    cells = picture.reshape(height // _CELL, _CELL, width // _CELL, _CELL, channels)
    sums = cells.sum(axis=(1, 3), dtype=np.int64)
    squares = np.square(cells, dtype=np.int32).sum(axis=(1, 3), dtype=np.int64)
    # n * sum(x^2) - sum(x)^2 is exact in whole numbers, and never below 0.
    return float(np.sqrt((_CELL**2 * squares - sums**2).max())) / _CELL**2


def worth_redrawing(passes: Sequence[Pass], picture: np.ndarray, options: Options) -> tuple[Pass, ...]:
    """The passes without the tiles that the options skip_flat and strength_map leave as they are. picture: uint8
    (h, w, 3), as upscaled."""
    if options.skip_flat:
        passes = without_flat(passes, picture, options.skip_flat)
    return without_smooth(passes, picture) if options.strength_map == DETAIL else tuple(passes)


def without_flat(passes: Sequence[Pass], picture: np.ndarray, threshold: float) -> tuple[Pass, ...]:
    """The passes without those tiles that vary by no more than `threshold` levels. picture: uint8 (h, w, 3), as
    upscaled."""

    def lively(canvas: Canvas, region: Region) -> bool:
        whole = Region(region.x, region.y, *(-(-side // _CELL) * _CELL for side in (region.width, region.height)))
        return variation(canvas.crop(picture, whole)) > threshold

    return tuple(work.only_where(partial(lively, work.canvas)) for work in passes)
