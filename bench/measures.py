"""How near a tiled result is to the un-tiled pass, and how well it hides its seams. Pictures are uint8 (h, w, 3)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

BLUR = 16
"""Standard deviation in px of the Gaussian that parts tone from detail."""

NEIGHBOURHOOD = 31
"""Columns (rows) whose median a column's step is compared with."""


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """dB over RGB; infinite for equal pictures."""
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def tone(picture: np.ndarray) -> np.ndarray:
    """What the Gaussian keeps: float32 (h, w, 3)."""
    return ndimage.gaussian_filter(picture.astype(np.float32), (BLUR, BLUR, 0), mode="reflect")


def detail_psnr(one: np.ndarray, other: np.ndarray) -> float:
    """PSNR of what the Gaussian takes away."""
    return psnr(one - tone(one), other - tone(other))


def tone_drift(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of the tones, in levels."""
    return float(np.abs(tone(one) - tone(other)).mean())


def high_frequency_energy(picture: np.ndarray) -> float:
    """Energy of luminance above half the Nyquist frequency, under a Hann window: without one the jump from one border
    of the picture to the other would count, and with it every change of tone."""
    height, width = picture.shape[:2]
    window = np.hanning(height)[:, None] * np.hanning(width)[None, :]
    grey = _luminance(picture)
    spectrum = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    return float(spectrum[radius > 0.25].sum())


def seam_profile(result: np.ndarray, canvas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per column and per row boundary, the mean step of result - canvas over its running median.

    What the picture itself has of edges drops out, and no tile plan is asked: 1 is unremarkable, wherever seams lie.
    """
    changed = _luminance(result) - _luminance(canvas)
    columns = np.abs(np.diff(changed, axis=1)).mean(axis=0)
    rows = np.abs(np.diff(changed, axis=0)).mean(axis=1)
    return _over_median(columns), _over_median(rows)


def seam_visibility(result: np.ndarray, canvas: np.ndarray) -> float:
    """The most remarkable column or row boundary; an un-tiled pass has one too (its strongest natural line)."""
    return float(max(profile.max() for profile in seam_profile(result, canvas)))


def gmsd(one: np.ndarray, other: np.ndarray) -> float:
    """Gradient Magnitude Similarity Deviation (Xue, Zhang, Mou and Bovik, IEEE TIP 2014): follows what people see of
    lost structure, 0 for equal pictures. On luminance at half size, as its authors have it."""
    magnitudes = []
    for picture in (one, other):
        grey = _luminance(picture)
        grey = grey[: grey.shape[0] // 2 * 2, : grey.shape[1] // 2 * 2]
        grey = (grey[::2, ::2] + grey[1::2, ::2] + grey[::2, 1::2] + grey[1::2, 1::2]) / 4
        across, down = np.zeros_like(grey), np.zeros_like(grey)
        rows = grey[:-2] + grey[1:-1] + grey[2:]
        columns = grey[:, :-2] + grey[:, 1:-1] + grey[:, 2:]
        across[1:-1, 1:-1] = (rows[:, 2:] - rows[:, :-2]) / 3
        down[1:-1, 1:-1] = (columns[2:] - columns[:-2]) / 3
        magnitudes.append(np.hypot(across, down)[1:-1, 1:-1])
    a, b = magnitudes
    return float(((2 * a * b + 170) / (a**2 + b**2 + 170)).std())


def _luminance(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float64) @ [0.299, 0.587, 0.114]


def _over_median(profile: np.ndarray) -> np.ndarray:
    median = ndimage.median_filter(profile, NEIGHBOURHOOD, mode="reflect")
    # Where nothing changes there is nothing to see: a twentieth of a level is the floor.
    return profile / np.maximum(median, 0.05)


_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of MS-SSIM's five scales, the finest first."""


def ms_ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Multi-scale structural similarity of luminance (Wang, Simoncelli and Bovik, Asilomar 2003): 1 for equal pictures.
    Pictures of at least 176 px a side; smaller ones have fewer scales."""
    a, b, result = _luminance(one), _luminance(other), 1.0
    for number, weight in enumerate(_SCALES):
        last = number == len(_SCALES) - 1 or min(a.shape) < 22
        mean_a, mean_b = _mean(a), _mean(b)
        spread_a, spread_b = _mean(a * a) - mean_a**2, _mean(b * b) - mean_b**2
        structure = (2 * (_mean(a * b) - mean_a * mean_b) + 58.5225) / (spread_a + spread_b + 58.5225)
        if last:
            structure = structure * (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
        result *= max(float(structure.mean()), 0.0) ** weight
        if last:
            break
        a, b = _half(a), _half(b)
    return result


def _mean(plane: np.ndarray) -> np.ndarray:
    """Under the Gaussian of 1.5 px, where all of its 11 px are inside."""
    return ndimage.gaussian_filter(plane, 1.5, truncate=3.4)[5:-5, 5:-5]


def _half(plane: np.ndarray) -> np.ndarray:
    height, width = (length // 2 * 2 for length in plane.shape)
    return plane[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
