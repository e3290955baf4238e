"""How far a tile is seen past its core, and its weight there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..geometry import Canvas, Tile

Blend = Literal["feather", "cut"]
"""feather: overlapping tiles fade linearly into each other; cut: each seam follows the path along which the two
tiles differ least (Efros and Freeman, "Image Quilting", SIGGRAPH 2001)."""

Reach = tuple[int, int]
"""How far past its core a tile is seen, in px along x and y."""


def reach_of(tiles: Sequence[Tile], canvas: Canvas, wanted: Reach) -> Reach:
    """The reach wanted, less where a window or core of this pass is too small for it.

    Two ramps of one core must not meet, so no more than half of the smallest core; the window must hold it. Nothing
    is seen past an edge of the canvas, unless it wraps.
    """
    x, y = wanted
    for tile in tiles:
        core, window = tile.core, tile.window
        if canvas.wraps or core.x > 0:
            x = min(x, core.x - window.x, core.width // 2)
        if canvas.wraps or core.right < canvas.width:
            x = min(x, window.right - core.right, core.width // 2)
        if canvas.wraps or core.y > 0:
            y = min(y, core.y - window.y, core.height // 2)
        if canvas.wraps or core.bottom < canvas.height:
            y = min(y, window.bottom - core.bottom, core.height // 2)
    return x, y


def axis_weight(start: int, end: int, length: int, reach: int, *, wraps: bool = False) -> np.ndarray:
    """Weight of a core [start, end) along one axis, for those of the pixels start - reach to end + reach on the canvas.

    It rises linearly over 2 * reach px centred on each end that is not an edge of the canvas (0 or length; one that
    wraps has none), so the weights of cores that share an end sum to 1 there. float32, between 0 and 1.
    """
    low, high = start - reach, end + reach
    weight = np.ones(high - low, np.float32)
    if reach > 0:
        ramp = ((np.arange(2 * reach) + 0.5) / (2 * reach)).astype(np.float32)
        if wraps or start > 0:
            weight[: 2 * reach] = ramp
        if wraps or end < length:
            weight[-2 * reach :] = np.minimum(weight[-2 * reach :], 1 - ramp)
    return weight[max(low, 0) - low : min(high, length) - low]


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Rounded to the nearest level and clipped to 0-255."""
    if values.dtype == np.uint8:
        return values
    rounded = np.rint(values)
    return np.clip(rounded, 0, 255, out=rounded).astype(np.uint8)
