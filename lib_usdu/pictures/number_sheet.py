"""A picture that shows the number of each tile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..geometry import Tile

LONGEST_SIDE = 2048
"""Of the picture of numbers, in px."""


def numbered(picture: np.ndarray, tiles: Sequence[Tile]) -> np.ndarray:
    """The picture, at most LONGEST_SIDE px, with each tile's core outlined and numbered; uint8 (h, w, 3)."""
    factor = min(1.0, LONGEST_SIDE / max(picture.shape[:2]))
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    sheet = Image.fromarray(picture).resize(size)
    draw = ImageDraw.Draw(sheet)
    for tile in tiles:
        x, y = round(tile.core.x * factor), round(tile.core.y * factor)
        right, bottom = max(round(tile.core.right * factor) - 1, x), max(round(tile.core.bottom * factor) - 1, y)
        draw.rectangle((x, y, right, bottom), outline="white")
        label = _label(str(tile.index + 1), max((right - x) // 2, 1), max((bottom - y) // 3, 1))
        sheet.paste(label, ((x + right - label.width) // 2, (y + bottom - label.height) // 2))
    return np.asarray(sheet)


def _label(text: str, width: int, height: int) -> Image.Image:
    """Black on yellow, as large as fits; Pillow's own font has one size in older versions, so it is enlarged."""
    font = ImageFont.load_default()
    left, top, right, bottom = font.getbbox(text)
    small = Image.new("RGB", (int(right - left) + 4, int(bottom - top) + 4), "yellow")
    ImageDraw.Draw(small).text((2 - left, 2 - top), text, fill="black", font=font)
    factor = min(width / small.width, height / small.height, 4)
    return small.resize((max(1, round(small.width * factor)), max(1, round(small.height * factor))))
