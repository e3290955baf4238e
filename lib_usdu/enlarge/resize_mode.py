"""The webui's resize modes, each exact to the pixel and none of them a silent stretch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import OptionError

Enlarge = Callable[[np.ndarray, int, int], np.ndarray]
"""(rgb, width, height) to the picture at this size."""

STRETCH, CROP, FILL = 0, 1, 2
"""Just resize; crop and resize; resize and fill: the numbers of the webui's radio (3, latent, is a stretch here)."""


def fit(rgb: np.ndarray, width: int, height: int, mode: int, enlarge: Enlarge) -> np.ndarray:
    """The picture at width x height: stretched; or cropped or filled around its centre, keeping its aspect.

    rgb: uint8 (h, w, 3). Filling repeats the picture's outermost rows or columns, as the webui does.
    """
    source_h, source_w = rgb.shape[:2]
    if mode not in (CROP, FILL) or source_w * height == source_h * width:
        return enlarge(rgb, width, height)
    wider = source_w * height > source_h * width  # the picture is wider than the target
    if mode == CROP:
        if wider:
            inner_w, inner_h = round(source_w * height / source_h), height
        else:
            inner_w, inner_h = width, round(source_h * width / source_w)
        enlarged = enlarge(rgb, max(inner_w, width), max(inner_h, height))
        x, y = (enlarged.shape[1] - width) // 2, (enlarged.shape[0] - height) // 2
        return np.ascontiguousarray(enlarged[y : y + height, x : x + width])
    if wider:
        inner_w, inner_h = width, max(1, min(height, round(source_h * width / source_w)))
    else:
        inner_w, inner_h = max(1, min(width, round(source_w * height / source_h))), height
    enlarged = enlarge(rgb, inner_w, inner_h)
    x, y = (width - inner_w) // 2, (height - inner_h) // 2
    return np.pad(enlarged, ((y, height - inner_h - y), (x, width - inner_w - x), (0, 0)), mode="edge")


def fit_plane(plane: np.ndarray, width: int, height: int, mode: int, enlarge: Enlarge) -> np.ndarray:
    """`fit` of a single channel, uint8 (h, w): an alpha channel, a mask."""
    stacked = np.repeat(plane[:, :, None], 3, axis=2)
    return np.ascontiguousarray(fit(stacked, width, height, mode, enlarge)[:, :, 0])


def check_whole(rgb: np.ndarray, width: int, height: int, mode: int) -> None:
    """Raises OptionError where `fit` would crop or fill: such a picture no longer goes on at its other side."""
    if mode in (CROP, FILL) and rgb.shape[1] * height != rgb.shape[0] * width:
        raise OptionError("seamless", True, 'for a size of the picture\'s own shape, or with "Just resize"')
