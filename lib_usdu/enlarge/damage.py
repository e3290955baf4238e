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


def jpeg_blocks(parts: list[np.ndarray]) -> float:
    """How clearly the parts show the 8 x 8 blocks of a JPEG: 0 where not at all, about 1 at quality 85, 3 at 30.

    A JPEG rounds most of a block's finer frequencies to zero. Where the blocks are cut at another offset those are no
    zeros: the offset with the fewest values beside zero is held against the middle of all 64 (after Fan and de Queiroz,
    "Identification of bitmap compression history: JPEG detection and quantizer estimation", IEEE TIP 2003; they count
    differences across the blocks' borders).
    """
    lumas = [part @ _TO_LUMA for part in parts if min(part.shape[:2]) >= 3 * _BLOCK]
    if not lumas:
        return 0.0
    beside = np.array([
        sum(_beside_zero(luma[y:, x:]) for luma in lumas) for y in range(_BLOCK) for x in range(_BLOCK)
    ])  # fmt: skip
    share = beside / sum((luma.shape[0] // _BLOCK - 1) * (luma.shape[1] // _BLOCK - 1) for luma in lumas)
    floor = 0.002 * _FINE.sum()  # a flat picture says nothing
    return float(np.log((np.median(share) + floor) / (share.min() + floor)))


def _beside_zero(luma: np.ndarray) -> int:
    """How many of the finer frequencies of whole blocks, from the upper left corner on, are not about zero."""
    down, across = (luma.shape[0] // _BLOCK, luma.shape[1] // _BLOCK)
    down, across = (down - (luma.shape[0] % _BLOCK == 0), across - (luma.shape[1] % _BLOCK == 0))
    rows = luma[: down * _BLOCK, : across * _BLOCK].reshape(down, _BLOCK, across * _BLOCK)
    values = (_DCT @ rows).reshape(down, _BLOCK, across, _BLOCK) @ _DCT.T  # (row of blocks, y, block, x)
    return int(((np.abs(values) > _ZERO) & _FINE[:, None]).sum())


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
_FINE = np.add.outer(np.arange(_BLOCK), np.arange(_BLOCK)) >= 5
"""The frequencies that are counted, (y, x)."""
