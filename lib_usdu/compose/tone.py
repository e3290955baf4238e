"""Keeps a tile's tone where the upscaled canvas has it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_CELL = 8
_ROWS_OF_CELLS = 4
_SIGMA = 1.5
"""Standard deviation of the low-pass in cells of 8 px: 12 px, which leaves detail below about 40 px alone."""


def low_frequency_lock(result: np.ndarray, reference: np.ndarray, strength: float) -> np.ndarray:
    """The result with its low frequencies moved to the reference's.

    result, reference: (h, w, 3), any number type, h and w multiples of 8; strength: 0 (unchanged) to 1 (all of the
    tone of the reference). Returns float32 (h, w, 3), not clipped.

    The idea is the "wavelet colour fix" of StableSR (Wang et al. 2023): result - low(result) + low(reference). Low is
    linear, so it is taken of the difference at once: 8 px means, a Gaussian of 12 px, and linear interpolation back.
    Working on the difference also keeps strong edges, which both pictures share, free of halos.
    """
    if strength == 0:
        return result.astype(np.float32, order="C")
    height, width, channels = result.shape
    means = (_means(reference) - _means(result)) * np.float32(strength)
    for cells in (height // _CELL, width // _CELL):  # down, then across and turned back
        means = (_gaussian(cells) @ means.reshape(cells, -1)).reshape(means.shape).swapaxes(0, 1)
    tone = np.empty((height // _CELL, width // _CELL, _CELL, channels), np.float32)
    for phase, low, high in _interpolated(means.swapaxes(0, 1)):
        tone[:, :, phase] = (low + high).swapaxes(0, 1)
    return _with_rows(result, tone.reshape(height // _CELL, width * channels))


def _means(picture: np.ndarray) -> np.ndarray:
    """Means of cells: float32 (h / 8, w / 8, channels)."""
    height, width, channels = picture.shape
    total = np.uint16 if picture.dtype == np.uint8 else np.float32  # exact, and twice as fast
    sums = picture.reshape(height // _CELL, _CELL, width * channels).sum(axis=1, dtype=total)
    columns = sums.reshape(height // _CELL, width // _CELL, _CELL, channels)
    sums = sum(columns[:, :, i] for i in range(1, _CELL)) + columns[:, :, 0]
    return sums.astype(np.float32) / _CELL**2


@lru_cache(maxsize=16)
def _gaussian(cells: int) -> np.ndarray:
    """The blur of a line of `cells` means: float32 (cells, cells), rows sum to 1."""
    position = np.arange(cells)
    blur = np.exp(-0.5 * ((position[:, None] - position[None, :]) / _SIGMA) ** 2)
    return (blur / blur.sum(axis=1, keepdims=True)).astype(np.float32)


_OFFSETS = (np.arange(_CELL) + 0.5) / _CELL - 0.5
_FIRST = np.where(_OFFSETS < 0, 0, 1)
"""Of the two cells that a pixel row of a cell lies between, the first: 0 the cell before, 1 the cell itself."""
_SHARE = (_OFFSETS + 1 - _FIRST).astype(np.float32)
"""That of the second of them."""


def _interpolated(cells: np.ndarray):
    """Linear interpolation between cell centres along the first axis, held at the ends.

    Yields, for each pixel row of a cell, its number and the two shares (each of the shape of `cells`) that add up.
    """
    padded = np.concatenate([cells[:1], cells, cells[-1:]])
    for phase, (first, share) in enumerate(zip(_FIRST, _SHARE)):
        yield (
            phase,
            padded[first : first + len(cells)] * (1 - share),
            padded[first + 1 : first + 1 + len(cells)] * share,
        )


def _with_rows(picture: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """A picture (h, w, channels) and what is interpolated down from cells float32 (h / 8, w * channels), added up:
    float32. A few cells at a time: all steps on them find them in the processor's cache."""
    count, line = cells.shape
    rows = picture.reshape(count, _CELL, line)
    added, share = np.empty((count, _CELL, line), np.float32), np.empty((_ROWS_OF_CELLS, _CELL, line), np.float32)
    padded = np.concatenate([cells[:1], cells, cells[-1:]])
    half = _CELL // 2  # rows above a cell's centre, and rows below it
    weights = (1 - _SHARE)[:, None], _SHARE[:, None]
    for start in range(0, count, _ROWS_OF_CELLS):
        stop = min(start + _ROWS_OF_CELLS, count)
        here, part = added[start:stop], share[: stop - start]
        here[...] = rows[start:stop]
        for second, weight in enumerate(weights):
            for first, phases in enumerate((slice(half), slice(half, None))):
                between = padded[start + first + second : stop + first + second, None]
                np.multiply(between, weight[phases], out=part[:, phases])
            here += part
    return added.reshape(picture.shape)
