"""Noise that belongs to the canvas: any window of it can be drawn alone, bit for bit.

Philox-4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011) turns a counter into random
bits, so the value at (draw, channel, y, x) needs no others before it. Counter layout and Box-Muller constants are
those of the webui's `NV` random source (modules/rng_philox.py), whose full draws these windows are cut from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .geometry import Canvas, Region
from .latents import Latents

NoiseMode = Literal["canvas", "tile"]
"""canvas: one field over the whole picture, tiles that overlap share it; tile: every tile its own."""

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF
# float32 constants in float64 arithmetic, as the webui's Box-Muller has them
_TWO_POW_32_INV = float(np.float32(2.3283064e-10))
_TWO_POW_32_INV_2PI = float(np.float32(2.3283064e-10 * 6.2831855))


_AT_ONCE = 2**13
"""Values that are drawn at a time: all there is to them stays in a processor's cache."""


def window_noise(seed: int, draw: int, channels: int, canvas_h: int, canvas_w: int, region: Region) -> np.ndarray:
    """A window of the standard normal noise of a canvas.

    seed: any integer (its low 64 bits count). draw: 0 for the initial noise, 1, 2 ... for each later draw.
    canvas_h, canvas_w and region are in latents; the region may reach past the canvas, where the canvas's noise
    wraps around. Returns float32 (channels, region.height, region.width).
    """
    rows = np.arange(region.y, region.bottom, dtype=np.int64) % canvas_h
    columns = np.arange(region.x, region.right, dtype=np.int64) % canvas_w
    plane = (rows[:, None] * canvas_w + columns[None, :]).astype(np.uint64).ravel()
    noise = np.empty((channels, len(plane)), np.float32)
    for channel in range(channels):
        for start in range(0, len(plane), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            noise[channel, part] = _normal(seed, draw, plane[part] + np.uint64(channel * canvas_h * canvas_w))
    return noise.reshape(channels, region.height, region.width)


def _normal(seed: int, draw: int, index: np.ndarray) -> np.ndarray:
    """Standard normal float64 at each index (uint64) of a draw."""
    low, shift = np.uint64(_MASK), np.uint64(32)
    key = [seed & _MASK, seed >> 32 & _MASK]
    # uint64 lanes holding 32-bit words: a product's two halves are then one shift and one mask away.
    # Words that are the same at each index are scalars, as long as they are.
    a, b, c, d = np.uint64(draw & _MASK), np.uint64(0), index, np.uint64(0)
    if index.size and index.max() > low:  # the webui's counter stops at 2^32 values
        c, d = index & low, index >> shift
    for _ in range(_ROUNDS):
        product_a = a * _MULTIPLIERS[0]
        product_c = c * _MULTIPLIERS[1]
        a = (product_c >> shift) ^ (b ^ np.uint64(key[0]))
        c = (product_a >> shift) ^ (d ^ np.uint64(key[1]))
        b = product_c & low
        d = product_a & low
        key = [key[0] + _WEYL[0] & _MASK, key[1] + _WEYL[1] & _MASK]
    u = a * _TWO_POW_32_INV + _TWO_POW_32_INV / 2
    v = b * _TWO_POW_32_INV_2PI + _TWO_POW_32_INV_2PI / 2
    return np.sqrt(-2.0 * np.log(u)) * np.sin(v)


@dataclass(frozen=True)
class TileNoise:
    """The noise of one tile's window.

    region, canvas_h, canvas_w: in latents. A host calls `draw` once for the initial noise and once for each step's
    noise; equal numbers give equal values.
    """

    seed: int
    canvas_h: int
    canvas_w: int
    region: Region
    offset: int = 0
    """How far `seed` is past the seed of the run: by pass, and by tile where each has its own noise."""

    def draw(self, number: int, channels: int) -> np.ndarray:
        """float32 (channels, region.height, region.width)."""
        return window_noise(self.seed, number, channels, self.canvas_h, self.canvas_w, self.region)


def tile_noise(
    seed: int,
    mode: NoiseMode,
    window: Region,
    index: int,
    canvas: Canvas,
    latents: Latents,
    offset: int = 0,
) -> TileNoise:
    """The noise of a window, in px of its canvas.

    index: the tile's number in its pass. offset: added to the seed, so that passes differ.
    """
    region = latents.region(window)
    if mode == "canvas":
        return TileNoise(seed + offset, *latents.size(canvas), region, offset)
    alone = Region(0, 0, region.width, region.height)
    offset += index
    return TileNoise(seed + offset, region.height, region.width, alone, offset)
