"""The upscale stage on a picture that goes on at its other side: beyond an edge a model sees what lies there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from ..geometry import Region, crop
from .resize_mode import Enlarge
from .windows import RESAMPLERS, known_name, resize

MARGIN = 32
"""Pixels of the small picture an upscaler is given beyond each edge; they are cut off again."""


def resize_wrapped(rgb: np.ndarray, width: int, height: int, resampler: int = Image.Resampling.LANCZOS) -> np.ndarray:
    """`resize` of an endless repetition of the picture, cut to one period."""
    if rgb.shape[1::-1] == (width, height) or resampler == Image.Resampling.NEAREST:
        return resize(rgb, width, height, resampler)  # which looks at no neighbour
    # Lanczos, the widest, reaches 3 px of the coarser of the two pictures.
    beyond = [4 * max(1, -(-length // target)) for length, target in ((rgb.shape[1], width), (rgb.shape[0], height))]
    period = Region(0, 0, rgb.shape[1], rgb.shape[0])
    return _resize_part(crop(rgb, period.grow(*beyond), wraps=True), period.shift(*beyond), width, height, resampler)


def resizer(wraps: bool) -> Enlarge:
    """`resize`, or `resize_wrapped` for a picture that goes on at its other side."""
    return resize_wrapped if wraps else resize


def enlarge_wrapped(
    enlarge: Callable[[np.ndarray, str, int, int], np.ndarray], rgb: np.ndarray, name: str, width: int, height: int
) -> np.ndarray:
    """The picture at width x height by `enlarge` (a host's), which is given a margin from the other side.

    The margin has to come out as whole pixels, so `enlarge` is asked for a whole factor, and one Lanczos resize makes
    the rest. It does not run a model more often than without a margin.
    """
    resampler = RESAMPLERS.get(known_name(name, RESAMPLERS))
    if resampler is not None:
        return resize_wrapped(rgb, width, height, resampler)
    period = Region(0, 0, rgb.shape[1], rgb.shape[0])
    factor = max(1, -(-width // period.width), -(-height // period.height))
    padded = crop(rgb, period.grow(MARGIN), wraps=True)
    enlarged = enlarge(padded, name, padded.shape[1] * factor, padded.shape[0] * factor)
    inside = Region(MARGIN * factor, MARGIN * factor, period.width * factor, period.height * factor)
    if (inside.width, inside.height) == (width, height):
        return enlarged[inside.slices].copy()
    return _resize_part(enlarged, inside, width, height, Image.Resampling.LANCZOS)


def _resize_part(rgb: np.ndarray, part: Region, width: int, height: int, resampler: int) -> np.ndarray:
    """A part of a picture at width x height, seeing what lies around it."""
    box = (part.x, part.y, part.right, part.bottom)
    return np.asarray(Image.fromarray(rgb).resize((width, height), resampler, box=box))
