"""What a picture has been through, told from its pixels: was it saved as a JPEG, how strong is its noise.

A look takes about 50 ms whatever the picture's size: nine squares of 128 px, spread over the picture, stand for it.
"""

from __future__ import annotations

import numpy as np

SIDE, ACROSS = 128, 3
"""Side of the squares, px, and how many of them stand in a row and in a column."""
_BLOCK = 8
"""A JPEG's blocks, px."""
_ZERO = 1.0
"""A coefficient that the JPEG has rounded to nothing is smaller than this once the pixels are rounded to levels."""
_PATCH, _STEP = 6, 3
_TO_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def squares(rgb: np.ndarray) -> list[np.ndarray]:
    """Parts of a picture, uint8 (h, w, 3), that stand for all of it: float32 (h, w, 3), SIDE px or what there is of it,
    each beginning at a multiple of a JPEG's block."""

    def starts(length: int) -> list[int]:
        last = max(length - SIDE, 0) // _BLOCK * _BLOCK
        return sorted({round(last * i / (ACROSS - 1)) // _BLOCK * _BLOCK for i in range(ACROSS)})

    height, width = rgb.shape[:2]
    corners = [(y, x) for y in starts(height) for x in starts(width)]
    return [rgb[y : y + SIDE, x : x + SIDE].astype(np.float32) for y, x in corners]


def jpeg_coarseness(parts: list[np.ndarray]) -> float:
    """How coarsely a JPEG has rounded the parts, as a multiple of the standard's example table: 1 at quality 50, 0.2 at
    90, 0 where there is no JPEG to be seen (or one of about 94 and above, which does no harm).

    A JPEG rounds most of a block's finer frequencies to zero. Where the blocks are cut at another offset those are no
    zeros: one of the 64 offsets has clearly fewer values beside zero than any other. There the values of each frequency
    are multiples of one step (after Fan and de Queiroz, "Identification of bitmap compression history: JPEG detection
    and quantizer estimation", IEEE TIP 2003).
    """
    lumas = [part @ _TO_LUMA for part in parts if min(part.shape[:2]) >= 3 * _BLOCK]
    if not lumas:
        return 0.0
    offsets = [(y, x) for y in range(_BLOCK) for x in range(_BLOCK)]
    blocks = sum((luma.shape[0] // _BLOCK - 1) * (luma.shape[1] // _BLOCK - 1) for luma in lumas)
    beside = np.array([sum(map(_beside_zero, _spectra(lumas, y, x))) for y, x in offsets]) / blocks
    least, next_to_it = np.sort(beside)[:2] + _SAYS_NOTHING
    if np.log(next_to_it / least) < _CLEARLY:
        return 0.0
    spectra = _spectra(lumas, *offsets[int(beside.argmin())])
    values = np.concatenate([np.abs(one).transpose(1, 3, 0, 2).reshape(_BLOCK, _BLOCK, -1) for one in spectra], axis=2)
    found = [_step_of(values[y, x]) / _EXAMPLE[y, x] for y, x in np.argwhere(_EXAMPLE)]
    found = [coarseness for coarseness in found if coarseness]
    return float(np.median(found)) if len(found) >= 3 else 0.0


def _spectra(lumas: list[np.ndarray], y: int, x: int) -> list[np.ndarray]:
    """The frequencies of all blocks from (y, x) on, one short of those that fit at (0, 0): (row, y, block, x)."""
    found = []
    for luma in lumas:
        down, across = (length // _BLOCK - 1 for length in luma.shape)
        rows = luma[y : y + down * _BLOCK, x : x + across * _BLOCK].reshape(down, _BLOCK, across * _BLOCK)
        found.append((_DCT @ rows).reshape(down, _BLOCK, across, _BLOCK) @ _DCT.T)
    return found


def _beside_zero(spectrum: np.ndarray) -> int:
    """How many of the finer frequencies are not about zero."""
    return int(((np.abs(spectrum) > _ZERO) & _FINE[:, None]).sum())


def _step_of(values: np.ndarray) -> int:
    """The largest step that the values, 0 and above, are multiples of; 0 where none can be told."""
    for step in range(60, 1, -1):
        beside = values[values > 0.6 * step]
        # Values that have nothing to do with the step give 0, give or take 0.7 / sqrt(n).
        if len(beside) >= 12 and np.cos(2 * np.pi / step * beside).mean() > 0.55 + 0.7 / np.sqrt(len(beside)):
            return step
    return 0


def noise_level(parts: list[np.ndarray]) -> float:
    """Standard deviation, in levels of 255, of noise that lies on each colour by itself, as sensors and generators of
    noise make it; a picture without noise has at most about 3, however rich its texture.

    Chen, Zhu and Heng, "An Efficient Statistical Method for Image Noise Level Estimation", ICCV 2015, on brightness
    and on two differences of colours; the smallest of them counts, since texture is hardly ever coloured. Noise of grey
    pictures cannot be told from texture this way: they have 0.
    """
    planes = (
        lambda part: part @ _TO_LUMA / np.linalg.norm(_TO_LUMA),
        lambda part: (part[..., 0] - part[..., 1]) / np.sqrt(2, dtype=np.float32),
        lambda part: (part[..., 2] - part[..., 1]) / np.sqrt(2, dtype=np.float32),
    )
    large = [part for part in parts if min(part.shape[:2]) >= 2 * _PATCH]
    return min(_noise_of([plane(part) for part in large]) for plane in planes) if large else 0.0


def _noise_of(planes: list[np.ndarray]) -> float:
    """Of one plane: where the mean of the smallest eigenvalues of its patches is their median, too, they are noise."""
    views = (np.lib.stride_tricks.sliding_window_view(plane, (_PATCH, _PATCH)) for plane in planes)
    patches = np.concatenate([view[::_STEP, ::_STEP].reshape(-1, _PATCH**2) for view in views])
    values = np.linalg.eigvalsh(np.cov(patches.T))  # the smallest first
    means = np.cumsum(values) / np.arange(1, len(values) + 1)
    counts = np.arange(len(values), 0, -1)
    even = (n for n in counts if (values[:n] > means[n - 1]).sum() == (values[:n] < means[n - 1]).sum())
    return float(np.sqrt(max(means[next(even) - 1], 0.0)))  # one value alone is its own median


def _dct() -> np.ndarray:
    """The orthonormal 8-point DCT, (frequency, sample)."""
    k, n = np.arange(_BLOCK)[:, None], np.arange(_BLOCK)[None]
    matrix = np.cos((2 * n + 1) * k * np.pi / (2 * _BLOCK)) / 2
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


_DCT = _dct()
_ORDER = np.add.outer(np.arange(_BLOCK), np.arange(_BLOCK))
_FINE = _ORDER >= 5
"""The frequencies whose values beside zero are counted, (y, x)."""
_SAYS_NOTHING = 0.002 * _FINE.sum()
"""Added to the count in a block, since a flat picture has next to none."""
_CLEARLY = 0.1
"""By this the logarithms of the two smallest counts differ in a JPEG; 0.02 was the most in pictures that are none."""
_EXAMPLE = np.zeros((_BLOCK, _BLOCK))
_EXAMPLE[:5, :5] = [
    [0, 11, 10, 16, 24], [12, 12, 14, 19, 26], [14, 13, 16, 24, 0], [14, 17, 22, 0, 0], [18, 22, 0, 0, 0],
]  # fmt: skip
"""ITU-T T.81, table K.1, where it is looked at: (y, x)."""
