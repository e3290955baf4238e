"""Cut-outs: what lies under transparent pixels must not bleed into the visible ones when a picture is enlarged."""

from __future__ import annotations

import numpy as np

REACH = 16
"""Pixels that colours are carried one by one; what lies farther out takes the mean of its surroundings."""


def carried_outward(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The picture with colours under alpha 0 replaced by those of the nearest visible pixels.

    rgb: uint8 (h, w, 3); alpha: uint8 (h, w). An upscaler mixes neighbouring pixels: what is stored under transparent
    ones, mostly black or white, would show as a rim. Visible pixels stay as they are. A picture with no transparent or
    no visible pixel is returned unchanged; otherwise a new array.
    """
    known = alpha > 0
    if known.all() or not known.any():
        return rgb
    filled = rgb.copy()
    for _ in range(REACH):
        if not _grow(filled, known):
            return filled
    _fill_far(filled, known)
    return filled


def _grow(rgb: np.ndarray, known: np.ndarray) -> bool:
    """Gives unknown pixels beside known ones the mean of those, in place; whether there were any."""
    height, width = known.shape
    padded = np.pad(known, 1)
    around = [(dy, dx) for dy in (0, 1, 2) for dx in (0, 1, 2) if (dy, dx) != (1, 1)]
    beside = np.zeros_like(known)
    for dy, dx in around:
        beside |= padded[dy : dy + height, dx : dx + width]
    rows, columns = np.nonzero(beside & ~known)
    if not len(rows):
        return False
    total, count = np.zeros((len(rows), 3), np.uint32), np.zeros((len(rows), 1), np.uint32)
    for dy, dx in around:
        there = padded[rows + dy, columns + dx][:, None]
        y, x = np.clip(rows + dy - 1, 0, height - 1), np.clip(columns + dx - 1, 0, width - 1)
        total += rgb[y, x] * there
        count += there
    rgb[rows, columns] = (total + count // 2) // count
    known[rows, columns] = True
    return True


def _fill_far(rgb: np.ndarray, known: np.ndarray) -> None:
    """Gives the remaining unknown pixels the mean colour of the known ones in the smallest block that has any."""
    side = REACH
    while not known.all():
        rows, columns = np.nonzero(~known)
        total, count = _blocks(rgb, known, side)
        y, x = rows // side, columns // side
        there = count[y, x] > 0
        rows, columns, y, x = rows[there], columns[there], y[there], x[there]
        rgb[rows, columns] = np.round(total[y, x] / count[y, x][:, None])
        known[rows, columns] = True
        side *= 4


def _blocks(rgb: np.ndarray, known: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the known colours (rows, columns, 3) and their number (rows, columns) in blocks of side x side."""
    tops, lefts = np.arange(0, known.shape[0], side), np.arange(0, known.shape[1], side)

    def summed(plane: np.ndarray) -> np.ndarray:
        rows = (np.add.reduceat(plane[top : top + side], lefts, axis=1, dtype=np.float64) for top in tops)
        return np.stack([row.sum(axis=0) for row in rows])

    total = np.stack([summed(rgb[..., channel] * known) for channel in range(3)], axis=-1)
    return total, summed(known)
