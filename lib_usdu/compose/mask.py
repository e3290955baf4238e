"""A mask as the webui reads one, its soft edge, and the result seen through it."""

from __future__ import annotations

import numpy as np
from PIL import Image


def painted(picture: Image.Image, *, binary: bool = True) -> np.ndarray:
    """A mask as the webui reads one: the alpha channel where it says something, at two levels if `binary`, else the
    brightness. uint8 (h, w). (processing.py:90)"""
    if picture.mode == "RGBA" and picture.getextrema()[-1] != (255, 255):
        alpha = np.asarray(picture.getchannel("A"))
        return np.where(alpha > 128, 255, 0).astype(np.uint8) if binary else alpha
    return np.asarray(picture.convert("L"))


def soften(mask: np.ndarray, blur_x: float, blur_y: float) -> np.ndarray:
    """The webui's soft edge: a Gaussian of these px, doubled, so that what was painted stays whole and the edge fades
    outwards. uint8 (h, w) to the same.

    As processing.py:1632-1667 of v1.10.1 does it: OpenCV's kernel of 2 * int(2.5 * blur + 0.5) + 1 taps.
    """
    if blur_x <= 0 and blur_y <= 0:
        return mask
    soft = mask.astype(np.float32)
    for axis, blur in ((1, blur_x), (0, blur_y)):
        if blur > 0:
            soft = _gaussian(soft, blur, axis)
    return np.clip(2 * np.rint(soft), 0, 255).astype(np.uint8)


def _gaussian(values: np.ndarray, sigma: float, axis: int) -> np.ndarray:
    half = int(2.5 * sigma + 0.5)
    taps = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * sigma**2)).astype(np.float32)
    taps /= taps.sum()
    edges = [(half, half) if which == axis else (0, 0) for which in range(2)]
    mode = "reflect" if values.shape[axis] > 1 else "edge"
    padded, length = np.pad(values, edges, mode=mode), values.shape[axis]
    blurred = np.zeros_like(values)
    for at, tap in enumerate(taps):
        blurred += tap * padded.take(range(at, at + length), axis)
    return blurred


def through(mask: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """`inside` where the mask is 255, `outside` where it is 0, mixed between; uint8 (h, w, 3), rounded once.

    Only what the mask covers is calculated, in strips: no float picture of the whole canvas is made.
    """
    out = outside.copy()
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return out
    columns = np.flatnonzero(mask.any(axis=0))
    across = slice(columns[0], columns[-1] + 1)
    for start in range(rows[0], rows[-1] + 1, 256):
        strip = slice(start, min(start + 256, rows[-1] + 1)), across
        weight = mask[strip][:, :, None].astype(np.uint32)
        out[strip] = (weight * inside[strip] + (255 - weight) * outside[strip] + 127) // 255
    return out
