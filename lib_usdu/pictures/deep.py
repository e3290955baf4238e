"""16 bits a sample: read whole, although Pillow reduces colours to 8, and given back to a result made in 8 bits."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image

_OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B"}
"""Pillow's names of the byte order: decoding 16-bit colour in the wrong one gives the low byte of each sample."""


def is_deep_colour(image: Image.Image) -> bool:
    """Whether the pixels, not loaded yet, are 16-bit RGB or RGBA that Pillow would reduce to 8 bits."""
    return image.mode in ("RGB", "RGBA") and any(";16" in str(part[3]) for part in image.tile)


def swap_bytes(image: Image.Image) -> bool:
    """Lets a 16-bit RGB or RGBA picture, not loaded yet, load the low byte of each sample instead of the high one.

    False where Pillow has no way to them.
    """
    with suppress(KeyError, TypeError, ValueError, IndexError):
        image.tile = [_with_arguments(part, _swapped(part[3])) for part in image.tile]
        return True
    return False


def joined(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """uint16 of the two bytes of each sample."""
    return (high.astype(np.uint16) << 8) | low


def _with_arguments(part: Any, arguments: Any) -> Any:
    """A piece of a file as Pillow lists it: a plain tuple before Pillow 11."""
    return part._replace(args=arguments) if hasattr(part, "_replace") else (*part[:3], arguments)


def _swapped(arguments: str | tuple) -> str | tuple:
    """A decoder's arguments with the other byte order in the raw mode."""
    raw_mode, *rest = (arguments,) if isinstance(arguments, str) else arguments
    mode, order = raw_mode.split(";")
    if not mode.startswith("RGB"):  # grey with alpha, which Pillow hands over as RGBA
        raise ValueError(raw_mode)
    swapped = f"{mode};{_OTHER_BYTE[order]}"
    return swapped if isinstance(arguments, str) else (swapped, *rest)
