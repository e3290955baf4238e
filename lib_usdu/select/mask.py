"""A mask over the picture: at the result's size, and which tiles it touches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..errors import OptionError
from ..geometry import Canvas, Region
from ..passes import Pass
from ..schedule import FUSED


def over_canvas(mask: np.ndarray, canvas: Canvas) -> np.ndarray:
    """The mask at the result's size, uint8 (h, w): 0 keeps the upscaled picture, 255 takes the redrawn one.

    mask: (h, w), uint8 0-255, bool, or float 0-1, of the source or of the result. Raises OptionError for another
    shape, values or type.
    """
    if mask.ndim != 2 or 0 in mask.shape:
        raise OptionError("mask", mask.shape, "an array (height, width)")
    if mask.dtype == bool:
        mask = mask.astype(np.float32)
    if mask.dtype.kind == "f":
        if not (mask.min() >= 0 and mask.max() <= 1):
            raise OptionError("mask", "values outside of 0 to 1", "float from 0 to 1, or uint8")
        mask = np.rint(mask * 255).astype(np.uint8)
    if mask.dtype != np.uint8:
        raise OptionError("mask", str(mask.dtype), "uint8, bool or float")
    if mask.shape[::-1] == canvas.size:
        return mask
    return np.asarray(Image.fromarray(mask).resize(canvas.size, Image.Resampling.BILINEAR))


def touched(passes: Sequence[Pass], mask: np.ndarray) -> tuple[Pass, ...]:
    """The passes with only those tiles that are seen where the mask is not 0; a pass without any is left out.

    Fused windows need each other: they all stay, where the mask is not empty.
    """
    seen: list[Pass] = []
    for work in passes:
        tiles = tuple(tile for tile in work.tiles if _seen(mask, work.canvas, tile.core.grow(*work.reach)))
        if tiles:
            seen.append(work if work.context == FUSED else work.only(tiles))
    return tuple(seen)


def _seen(mask: np.ndarray, canvas: Canvas, region: Region) -> bool:
    return any(mask[place.slices].any() for place in canvas.places(region))
