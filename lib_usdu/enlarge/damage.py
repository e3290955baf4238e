"""What a picture has been through, told from its pixels: was it saved as a JPEG, how strong is its noise.

A look takes about 50 ms whatever the picture's size: nine squares of 128 px, spread over the picture, stand for it.
"""

from __future__ import annotations

import numpy as np

SIDE, ACROSS = 128, 3
"""Side of the squares, px, and how many of them stand in a row and in a column."""
BLOCK = 8
"""A JPEG's blocks, px."""
_ZERO = 1.0
"""A coefficient that the JPEG has rounded to nothing is smaller than this once the pixels are rounded to levels."""
_PATCH, _STEP = 6, 3
_APART = 3
"""Levels are no further apart than this, in the mean, in a picture that is neither dithered nor of flat colours."""
_GREY = 2
"""By how many levels the colours of a grey picture may differ."""
_TO_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def squares(rgb: np.ndarray, side: int = SIDE) -> list[np.ndarray]:
    """Parts of a picture, uint8 (h, w, 3), that stand for all of it: float32 (h, w, 3), `side` px or what there is of
    it, each beginning at a multiple of two of a JPEG's blocks."""

    def starts(length: int) -> list[int]:
        last = max(length - side, 0)
        return sorted({round(last * i / (ACROSS - 1)) // (2 * BLOCK) * 2 * BLOCK for i in range(ACROSS)})

    height, width = rgb.shape[:2]
    corners = [(y, x) for y in starts(height) for x in starts(width)]
    return [rgb[y : y + side, x : x + side].astype(np.float32) for y, x in corners]


def jpeg_coarseness(parts: list[np.ndarray]) -> float:
    """How coarsely a JPEG has rounded the parts, as a multiple of the standard's example table: 1 at quality 50, 0.2 at
    90, 0 where there is no JPEG to be seen (or one of about 94 and above, which does no harm).

    The values of each frequency are multiples of one step (after Fan and de Queiroz, "Identification of bitmap
    compression history: JPEG detection and quantizer estimation", IEEE TIP 2003).
    """
    offset = jpeg_offset(parts)
    if offset is None:
        return 0.0
    spectra = _spectra(_lumas(parts), *offset)
    values = np.concatenate([np.abs(one).transpose(1, 3, 0, 2).reshape(BLOCK, BLOCK, -1) for one in spectra], axis=2)
    found = [_step_of(values[y, x]) / _EXAMPLE[y, x] for y, x in np.argwhere(_EXAMPLE)]
    found = [coarseness for coarseness in found if coarseness]
    return float(np.median(found)) if len(found) >= 3 else 0.0


def jpeg_offset(parts: list[np.ndarray]) -> tuple[int, int] | None:
    """(y, x), px, 0 to 7, at which a JPEG's blocks begin in the parts; None where there is none to be seen.

    A JPEG rounds most of a block's finer frequencies to zero. Where the blocks are cut at another offset those are no
    zeros: one of the 64 offsets has clearly fewer values beside zero than any other.
    """
    lumas = _lumas(parts)
    if not lumas:
        return None
    offsets = [(y, x) for y in range(BLOCK) for x in range(BLOCK)]
    blocks = sum((luma.shape[0] // BLOCK - 1) * (luma.shape[1] // BLOCK - 1) for luma in lumas)
    beside = np.array([sum(map(_beside_zero, _spectra(lumas, y, x))) for y, x in offsets]) / blocks
    least, next_to_it = np.sort(beside)[:2] + _SAYS_NOTHING
    return None if np.log(next_to_it / least) < _CLEARLY else offsets[int(beside.argmin())]


def _lumas(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Their brightness, without those that are too small."""
    return [part @ _TO_LUMA for part in parts if min(part.shape[:2]) >= 3 * BLOCK]


def _spectra(lumas: list[np.ndarray], y: int, x: int) -> list[np.ndarray]:
    """The frequencies of all blocks from (y, x) on, one short of those that fit at (0, 0): (row, y, block, x)."""
    found = []
    for luma in lumas:
        down, across = (length // BLOCK - 1 for length in luma.shape)
        rows = luma[y : y + down * BLOCK, x : x + across * BLOCK].reshape(down, BLOCK, across * BLOCK)
        found.append((DCT @ rows).reshape(down, BLOCK, across, BLOCK) @ DCT.T)
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
    and on two differences of colours; the smallest of them counts, since texture is hardly ever coloured. Of a grey
    picture, whose noise cannot be told from texture this way, see `_grey_noise`. Pictures of few levels, dithered or
    of flat colours on purpose, have 0.
    """
    large = [part for part in parts if min(part.shape[:2]) >= 2 * _PATCH]
    if not large or _few_levels(large):
        return 0.0
    if max(float(np.ptp(part, axis=2).max()) for part in large) <= _GREY:
        return _grey_noise(large)
    planes = (
        lambda part: part @ _TO_LUMA / np.linalg.norm(_TO_LUMA),
        lambda part: (part[..., 0] - part[..., 1]) / np.sqrt(2, dtype=np.float32),
        lambda part: (part[..., 2] - part[..., 1]) / np.sqrt(2, dtype=np.float32),
    )
    return min(_noise_of([plane(part) for part in large]) for plane in planes)


def _few_levels(parts: list[np.ndarray]) -> bool:
    """Whether the levels of some colour lie far apart: noise fills them all."""
    for colour in range(3):
        levels = np.unique(np.concatenate([np.unique(part[..., colour]) for part in parts]))
        if len(levels) > 1 and (levels[-1] - levels[0]) / (len(levels) - 1) > _APART:
            return True
    return False


def _grey_noise(parts: list[np.ndarray]) -> float:
    """Of a grey picture: noise is as strong in all frequencies, there where the picture is smoothest; texture and the
    grain of a film fall off. 0 where there is texture everywhere, or the noise was smoothed or saved as a JPEG."""
    lumas = _lumas(parts)
    if not lumas:
        return 0.0
    spectra = _spectra(lumas, 0, 0)
    powers = np.concatenate([one.transpose(0, 2, 1, 3).reshape(-1, BLOCK, BLOCK) for one in spectra]) ** 2
    sums = powers.sum((1, 2)) - powers[:, 0, 0]
    powers, sums = powers[sums > 1], sums[sums > 1]
    if len(sums) < 40:
        return 0.0
    smooth = powers[np.argsort(sums)[: max(20, len(sums) // 10)]]
    low, middle, high = (
        float(smooth[:, np.isin(_ORDER, range(*orders))].mean()) for orders in ((2, 5), (5, 9), (9, 15))
    )
    even = 0.8 * low <= high <= 1.3 * low and 0.85 * middle <= high <= 1.15 * middle
    return min(_noise_of(lumas), 1.15 * high**0.5) if even else 0.0  # the smoothest have a little less than all


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
    k, n = np.arange(BLOCK)[:, None], np.arange(BLOCK)[None]
    matrix = np.cos((2 * n + 1) * k * np.pi / (2 * BLOCK)) / 2
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


DCT = _dct()
_ORDER = np.add.outer(np.arange(BLOCK), np.arange(BLOCK))
_FINE = _ORDER >= 5
"""The frequencies whose values beside zero are counted, (y, x)."""
_SAYS_NOTHING = 0.002 * _FINE.sum()
"""Added to the count in a block, since a flat picture has next to none."""
_CLEARLY = 0.1
"""By this the logarithms of the two smallest counts differ in a JPEG; 0.02 was the most in pictures that are none."""
EXAMPLES = (
    np.array([
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ]).reshape(8, 8),
    np.array([
        17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
        47, 66, 99, 99, 99, 99, 99, 99, *[99] * 32,
    ]).reshape(8, 8),
)  # fmt: skip
"""ITU-T T.81, tables K.1 and K.2: of brightness and of colours, (y, x)."""
_EXAMPLE = np.where((_ORDER > 0) & (_ORDER <= 5) & (np.maximum(*np.indices((BLOCK, BLOCK))) < 5), EXAMPLES[0], 0)
"""The first of them where it is looked at."""
