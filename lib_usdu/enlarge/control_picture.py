"""A ControlNet's picture laid over the whole canvas."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..geometry import Canvas
from .resize_mode import fit
from .windows import resize

_FEW_COLOURS = 200  # a map of edges or classes: colours between two of its own would mean something else


def fitted(pixels: np.ndarray, canvas: Canvas, mode: int) -> np.ndarray:
    """The picture, uint8 (h, w) or (h, w, channels), fitted to the canvas by one of the webui's resize modes.

    Maps of few colours (edges, classes, masks) keep exactly those; all else is resized as the host does (Lanczos).
    """
    if pixels.shape[1::-1] == canvas.size:
        return pixels
    flat = pixels[:, :, None] if pixels.ndim == 2 else pixels
    sample = flat.reshape(-1, flat.shape[2])
    few = len(np.unique(sample[:: max(1, len(sample) // 65536)], axis=0)) < _FEW_COLOURS
    resampler = Image.Resampling.NEAREST if few else Image.Resampling.LANCZOS

    def enlarge(values: np.ndarray, to_width: int, to_height: int) -> np.ndarray:
        planes = [resize(values[:, :, at], to_width, to_height, resampler) for at in range(values.shape[2])]
        return np.stack(planes, axis=2)

    whole = fit(flat, canvas.width, canvas.height, mode, enlarge)
    return whole[:, :, 0] if pixels.ndim == 2 else whole
