"""Pictures for the quality table: photos, and made ones in which a seam or a step of tone has nowhere to hide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from lib_usdu.enlarge.windows import resize

TEXT = "The quick brown fox jumps over the lazy dog 0123456789 "


def photo(path: Path, side: int) -> np.ndarray:
    """The canvas, side x side, of a photo of half that: enlarged with Lanczos."""
    with Image.open(path) as image:
        small = ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), (side // 2, side // 2), Image.LANCZOS)
    return resize(np.asarray(small), side, side)


def sky(side: int) -> np.ndarray:
    """A cloudless sky: 60 levels from top to bottom, dithered by a quarter of a level."""
    return _gradient(side, (90, 140, 215), (150, 190, 235), 0.25)


def night(side: int) -> np.ndarray:
    """A night sky: 16 levels, where the eye sees single steps."""
    return _gradient(side, (6, 8, 18), (16, 20, 34), 0.25)


def skin(side: int) -> np.ndarray:
    """Skin: soft shading with fine pores."""
    y, x = np.mgrid[:side, :side] / side
    shade = 18 * np.sin(3 * x + 1) * np.cos(2.5 * y)
    pores = np.random.default_rng(2).normal(0, 3, (side, side))
    pores = (pores + np.roll(pores, 1, 0) + np.roll(pores, 1, 1) + np.roll(pores, (1, 1), (0, 1))) / 2
    return _levels(np.array((214, 168, 146)) + (shade + pores)[:, :, None])


def text(side: int) -> np.ndarray:
    """Black type on white: a line cut by a seam is read at once."""
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    try:
        font = ImageFont.load_default(20)
    except TypeError:  # before Pillow 10.1 it has one size
        font = ImageFont.load_default()
    for line, y in enumerate(range(8, side, 28)):
        draw.text((8, y), (TEXT * 8)[line * 7 % len(TEXT) :], "black", font)
    return np.asarray(image)


MADE: dict[str, Callable[[int], np.ndarray]] = {"sky": sky, "night": night, "skin": skin, "text": text}


def _gradient(side: int, top: tuple[int, ...], bottom: tuple[int, ...], dither: float) -> np.ndarray:
    share = np.linspace(0, 1, side)[:, None, None]
    noise = np.random.default_rng(1).normal(0, dither, (side, side, 1))
    return _levels(np.array(top) * (1 - share) + np.array(bottom) * share + noise)


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
