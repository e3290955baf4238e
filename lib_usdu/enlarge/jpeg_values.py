"""What a JPEG's file held, read back from its pixels: where its blocks lie, its steps, and the values in them.

It works for a JPEG that was saved as another kind of file or cropped, and asks for no table: each frequency's values
are multiples of its step (after Fan and de Queiroz, IEEE TIP 2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from .damage import BLOCK, DCT, EXAMPLES, jpeg_offset, squares

TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)  # fmt: skip
"""JFIF: brightness and two differences of colours out of RGB, (plane, colour)."""
_SQUARE = 256
"""Side of the nine squares that steps are read from, px."""
_STEPS = np.arange(2, 61)
_ZERO = 1.2
"""Values below it are zeros, give or take what rounding to levels does to them."""
_ROUNDING = 0.35
"""Standard deviation of what rounding does to a value: of YCbCr and then of RGB to whole levels."""
_BINS, _MOST = 8, 1152
"""Bins of a histogram for each unit, and the largest value in it."""


@dataclass(frozen=True)
class Plane:
    """A plane of a JPEG: brightness or a difference of colours.

    number: 0, 1 or 2, as in TO_YCC. shrunk: (down, across), 1, or 2 where the file holds half as many rows or columns.
    offset: (y, x), px at which the first whole block begins, below BLOCK * shrunk. steps: float32 (8, 8),
    0 where a frequency's is not known.
    """

    number: int
    shrunk: tuple[int, int]
    offset: tuple[int, int]
    steps: np.ndarray

    def samples(self, rgb: np.ndarray) -> np.ndarray:
        """Of a part of a picture, (h, w, 3), that begins at multiples of 16 px: the means of its pixels, float32
        (rows, columns), levels around 0, as many as fill whole blocks."""
        (down, across), (top, left) = self.shrunk, self.offset
        height, width = (
            max(0, length - start) // (BLOCK * times) * BLOCK * times
            for length, start, times in zip(rgb.shape, self.offset, self.shrunk)
        )
        plane = rgb[top : top + height, left : left + width].astype(np.float32) @ TO_YCC[self.number]
        if self.number == 0:
            plane -= 128
        return plane.reshape(height // down, down, width // across, across).mean((1, 3))

    def stored(self, rgb: np.ndarray) -> np.ndarray:
        """The samples that the file held.

        A decoder makes a pixel of two samples, 3/4 and 1/4; the mean of two pixels is 1/8, 6/8 and 1/8 of three: undone
        by going back what it is off, again and again.
        """
        seen = self.samples(rgb)
        if self.shrunk == (1, 1) or not seen.size:
            return seen
        found = seen.copy()
        for _ in range(10):
            again = found
            for axis in (axis for axis in (0, 1) if self.shrunk[axis] == 2):
                again = _smoothed(again, axis)
            found += seen - again
        return found


def jpeg_planes(rgb: np.ndarray) -> list[Plane]:
    """The planes of the JPEG that a picture, uint8 (h, w, 3), was: brightness first; those of the colours only where
    they can be told; nothing where there is no JPEG to be seen."""
    offset = jpeg_offset(squares(rgb))
    if offset is None:
        return []
    parts = [part for part in squares(rgb, _SQUARE) if min(part.shape[:2]) >= 4 * BLOCK]
    bright = _read(parts, 0, (1, 1), offset)[0]
    candidates = []
    for shrunk in ((1, 1), (1, 2), (2, 2)):
        for more in product(*(range(0, BLOCK * times, BLOCK) for times in shrunk)):
            start = offset[0] + more[0], offset[1] + more[1]
            blue, red = (_read(parts, number, shrunk, start) for number in (1, 2))
            candidates.append((blue[1] + red[1], [blue[0], red[0]]))
    colours = max(candidates, key=lambda candidate: candidate[0])[1]
    _complete([bright], EXAMPLES[0])
    _complete(colours, EXAMPLES[1])
    return [plane for plane in (bright, *colours) if plane.steps.any()]


def _complete(planes: list[Plane], example: np.ndarray) -> None:
    """Most files have the standard's example table, scaled: where the known steps are of such a one, so are the others.
    The planes share their table."""
    quality = np.arange(1, 98)[:, None, None]
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)  # as libjpeg scales it
    tables = ((example * scale + 50) // 100).clip(1, 255)
    known = sum(np.count_nonzero(plane.steps) for plane in planes)
    alike = np.sum([((tables == plane.steps) & (plane.steps > 0)).sum((1, 2)) for plane in planes], axis=0)
    if known >= 3 and alike.max() >= 0.75 * known:
        for plane in planes:
            plane.steps[:] = tables[int(alike.argmax())]


def spectrum(samples: np.ndarray) -> np.ndarray:
    """(rows, columns), multiples of 8, to the frequencies of each block, (row, y, column, x)."""
    rows, columns = samples.shape
    blocks = (DCT @ samples.reshape(rows // BLOCK, BLOCK, columns)).reshape(rows // BLOCK, BLOCK, -1, BLOCK)
    return blocks @ DCT.T


def from_spectrum(values: np.ndarray) -> np.ndarray:
    """What `spectrum` was made of."""
    down, _, across, _ = values.shape
    rows = (values @ DCT).reshape(down, BLOCK, across * BLOCK)
    return (DCT.T @ rows).reshape(down * BLOCK, across * BLOCK)


def _read(
    parts: list[np.ndarray], number: int, shrunk: tuple[int, int], offset: tuple[int, int]
) -> tuple[Plane, float]:
    """A plane that has blocks of this size here, its steps as far as they can be told; how many values speak for it."""
    plane, sure = Plane(number, shrunk, offset, np.zeros((BLOCK, BLOCK), np.float32)), 0.0
    found = [spectrum(samples) for samples in map(plane.stored, parts) if samples.size]
    if found:
        values = np.concatenate([one.transpose(1, 3, 0, 2).reshape(BLOCK**2, -1) for one in found], axis=1)
        steps, sure = _steps_of(np.abs(values))
        plane.steps[:] = steps.reshape(BLOCK, BLOCK)
    return plane, sure


def _steps_of(values: np.ndarray) -> tuple[np.ndarray, float]:
    """For each frequency, (64, n), not negative: the step that fits its values best, 0 where none can be told; and how
    many values fit."""
    bins = np.minimum((values * _BINS).round(), _MOST * _BINS - 1).astype(np.intp)
    bins += np.arange(len(values))[:, None] * (_MOST * _BINS)
    counts = np.bincount(bins.ravel(), minlength=len(values) * _MOST * _BINS).reshape(len(values), -1)
    counts[:, : int(_ZERO * _BINS)] = 0
    levels = np.arange(_MOST * _BINS) / _BINS
    used = counts.any(0)
    fits = counts[:, used].astype(np.float32) @ np.cos(2 * np.pi * levels[used, None] / _STEPS).astype(np.float32)
    n = counts.sum(1)
    fits /= np.maximum(n, 1)[:, None]
    likely = 0.5 * np.exp(-2 * (np.pi * _ROUNDING / _STEPS) ** 2)  # half of what a true step has
    best = fits.argmax(1)
    found = np.where((n >= 12) & (fits.max(1) > likely[best] + 1.5 / np.sqrt(np.maximum(n, 1))), _STEPS[best], 0)
    sure = np.zeros(len(values))
    for frequency in np.flatnonzero(found):
        # The smallest values lie close together above _ZERO, which looks like a step: the others have to fit as well.
        step = found[frequency]
        others = np.where(levels > 1.5 * step, counts[frequency], 0)
        many = others.sum()
        fit = float(others @ np.cos(2 * np.pi * levels / step)) / max(many, 1)
        multiples = np.unique((levels[others > 0] / step).round())
        # Of the mean brightness there may be a few alike, which are multiples of many steps.
        if many < 4 or fit < likely[best[frequency]] + 0.7 / np.sqrt(many) or (frequency == 0 and len(multiples) < 8):
            found[frequency] = 0
        else:
            sure[frequency] = many * fit
    return found, float(sure.sum())


def _smoothed(plane: np.ndarray, axis: int) -> np.ndarray:
    """1/8, 6/8 and 1/8 of three neighbours."""
    wide = np.pad(plane, [(1, 1) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
    before, after = (np.take(wide, range(start, start + plane.shape[axis]), axis) for start in (0, 2))
    return (before + 6 * plane + after) / 8
