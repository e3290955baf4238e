"""Holds an enlarged JPEG to what its file says: made small again, each value lies within half a step of the stored one.

A file does not say which of the pictures within these bounds it was made of; the network guesses, now and then outside
of them. What it is off is given back to the enlarged picture.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image

from ..pictures.canvas import new_canvas, release
from .jpeg_values import BLOCK, TO_YCC, Plane, from_spectrum, jpeg_planes, spectrum
from .windows import resize, resized_bands

_OFF = 4.0, 3.0, 3.0
"""By how much the networks' values are off, as a standard deviation: of brightness and of colour (measured on photos
at quality 80 and factor 2, where it is 2 to 5 from the lowest to the highest frequency)."""
_DOUBT = 1.2
"""A value that is further than this from the multiples of its step was changed after the JPEG was made."""
_PARTS = 4
"""Corrections are kept in quarters of a level, around _MIDDLE."""
_MIDDLE = 128
_MARGIN = 4 * BLOCK
_ROWS = 2**20
"""Pixels of the small picture that are looked at at once."""
_TO_RGB = np.linalg.inv(TO_YCC).astype(np.float32)


def hold(canvas: np.ndarray, rgb: np.ndarray) -> None:
    """Changes the canvas, uint8 (h, w, 3), which a network has made of the smaller picture rgb, in place, so that it
    fits what the JPEG that rgb was says of it. Leaves it alone where rgb was none."""
    height, width = canvas.shape[:2]
    if height < rgb.shape[0] or width < rgb.shape[1] or not (planes := jpeg_planes(rgb)):
        return
    small = resize(canvas, rgb.shape[1], rgb.shape[0], Image.Resampling.BICUBIC)
    correction = new_canvas(rgb.shape)
    rows = max(1, _ROWS // rgb.shape[1] // (2 * BLOCK)) * 2 * BLOCK
    for top in range(0, len(rgb), rows):
        first, end = max(0, top - _MARGIN), min(len(rgb), top + rows)
        seen = slice(first, min(len(rgb), end + _MARGIN))
        quarters = (_off(planes, small[seen], rgb[seen])[top - first : end - first] * _PARTS).round()
        correction[top:end] = (quarters + _MIDDLE).clip(0, 255)
        release(correction)
        release(rgb)
    for place, band in resized_bands(correction, width, height, Image.Resampling.BICUBIC):
        levels = canvas[place].astype(np.int16) * _PARTS + band
        canvas[place] = ((levels - (_MIDDLE - _PARTS // 2)) // _PARTS).clip(0, 255)
        release(canvas)


def _off(planes: list[Plane], made: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """What has to be added to a part that was made small again, levels (h, w, 3), so that it fits the file's values."""
    planes_off = np.zeros(rgb.shape, np.float32)
    for plane in planes:
        stored, found = spectrum(plane.stored(rgb)), spectrum(plane.samples(made))
        change = np.zeros_like(found)
        for y, x in np.argwhere(plane.steps):
            step = float(plane.steps[y, x])
            value = stored[:, y, :, x]
            middle = (value / step).round() * step
            beside = found[:, y, :, x] - middle
            held = np.interp(beside, *_held(step, _OFF[plane.number]))
            change[:, y, :, x] = np.where(np.abs(value - middle) < _DOUBT, held - beside, 0)
        samples = from_spectrum(change)
        (down, across), (top, left) = plane.shrunk, plane.offset
        size = samples.shape[1] * across, samples.shape[0] * down
        if not samples.size:
            continue
        if plane.shrunk != (1, 1):
            samples = np.asarray(Image.fromarray(samples).resize(size, Image.Resampling.BICUBIC))
        planes_off[top : top + size[1], left : left + size[0], plane.number] = samples
    return planes_off @ _TO_RGB.T


@lru_cache(maxsize=256)
def _held(step: float, off: float) -> tuple[np.ndarray, np.ndarray]:
    """Values beside the middle of an interval of this width, as a network gives them, and what is most likely there:
    the mean of a normal distribution around each, of standard deviation `off`, cut at the interval's ends."""
    half = step / 2
    given = np.linspace(-half - 8 * off, half + 8 * off, 513)
    likely = []
    for value in np.abs(given):
        # Seen from the value: the interval lies from -(value + half) to half - value.
        low, high = (-half - value) / off, (half - value) / off
        share = (math.erfc(-high / math.sqrt(2)) - math.erfc(-low / math.sqrt(2))) / 2
        bells = (math.exp(-low * low / 2) - math.exp(-high * high / 2)) / math.sqrt(2 * math.pi)
        likely.append(min(max(value + off * bells / share, -half), half) if share > 0 else half)
    return given, np.array(likely) * np.sign(given)
