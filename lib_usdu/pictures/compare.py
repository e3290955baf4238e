"""Before and after: a picture with the whole on top and the places with most detail at 100 % below it, or a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ..errors import OutputError
from . import slider
from .formats import OUTPUT_FORMATS, output_kind
from .saving import write, write_whole

_BACKGROUND, _TEXT, _MARK = (24, 24, 24), (225, 225, 225), (255, 255, 255)
_GAP, _HEADER = 6, 26
_LARGEST_VIEW = (597, 840)  # two views and three gaps are 1212 px wide
_SMALLEST_COLUMN = 72  # room for a label


PAGES = (".html", ".htm")
"""Suffixes of a comparison that is a page with a slider."""


def check_comparison(path: Path) -> None:
    """Raises OutputError for a file name that a comparison cannot have."""
    suffix = path.suffix.lower()
    if suffix in OUTPUT_FORMATS:
        output_kind(path)
    elif suffix not in PAGES:
        allowed = " ".join((PAGES[0], *OUTPUT_FORMATS))
        raise OutputError(f"{path}: extension {path.suffix!r} is not allowed; allowed: {allowed}")


def write_comparison(
    path: Path, before_rgb: np.ndarray, after_rgb: np.ndarray, *, name: str, icc: bytes | None, overwrite: bool
) -> None:
    """Writes a page with a slider, or both side by side, as the path's suffix says. Both uint8 (h, w, 3) of one size.
    name: of the picture. Raises OutputError."""
    if path.suffix.lower() not in PAGES:
        write(path, side_by_side(before_rgb, after_rgb), icc=icc, overwrite=overwrite)
        return
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path} exists; use --overwrite")
    text = slider.page(before_rgb, after_rgb, name=name, icc=icc).encode("utf-8")

    def save(file: BinaryIO) -> None:
        file.write(text)

    write_whole(path, save)


def side_by_side(before_rgb: np.ndarray, after_rgb: np.ndarray, *, crops: int = 3, crop: int = 384) -> np.ndarray:
    """Both uint8 (h, w, 3) of one size. Crops are `crop` px high and as wide as a column, the same place in both.

    A picture that the overview shows at 100 % gets no crops.
    """
    if before_rgb.shape != after_rgb.shape:
        raise ValueError(f"the pictures have different sizes: {before_rgb.shape} and {after_rgb.shape}")
    before, after = Image.fromarray(before_rgb), Image.fromarray(after_rgb)
    view_size = _fitted(after.size)
    column = max(view_size[0], min(crop, after.width), _SMALLEST_COLUMN)
    boxes = []
    if view_size != after.size:
        boxes = _detailed_boxes(after, min(column, after.width), min(crop, after.height), crops)
    rows = [[_overview(image, view_size, boxes) for image in (before, after)]]
    rows += [[image.crop(box) for image in (before, after)] for box in boxes]
    return np.array(_sheet(rows, column))


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, _LARGEST_VIEW[0] / size[0], _LARGEST_VIEW[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _overview(image: Image.Image, size: tuple[int, int], boxes: list[tuple[int, int, int, int]]) -> Image.Image:
    """The whole picture, with the places of the crops outlined."""
    view = image.resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(view, "RGBA")
    scale_x, scale_y = size[0] / image.width, size[1] / image.height
    for left, top, right, bottom in boxes:
        corners = (left * scale_x, top * scale_y, right * scale_x - 1, bottom * scale_y - 1)
        draw.rectangle(corners, outline=(*_MARK, 150))
    return view


def _detailed_boxes(image: Image.Image, width: int, height: int, count: int) -> list[tuple[int, int, int, int]]:
    """The windows with the most detail that do not overlap, the best first; fewer where no more fit."""
    step = max(1, min(width, height) // 16)
    lefts = np.minimum(np.arange(0, image.width - width + step, step), image.width - width)
    tops = np.minimum(np.arange(0, image.height - height + step, step), image.height - height)
    scores = _window_means(_detail(image, step), lefts // step, tops // step, width // step, height // step)
    boxes: list[tuple[int, int, int, int]] = []
    while len(boxes) < count and np.isfinite(scores).any():
        row, column = np.unravel_index(np.argmax(scores), scores.shape)
        left, top = int(lefts[column]), int(tops[row])
        boxes.append((left, top, left + width, top + height))
        scores[np.ix_(np.abs(tops - top) < height, np.abs(lefts - left) < width)] = -np.inf
    return boxes


def _detail(image: Image.Image, step: int) -> np.ndarray:
    """Strength of the edges by blocks. Its root keeps one hard edge from outweighing a fine texture."""
    edges = image.convert("L").filter(ImageFilter.FIND_EDGES)
    ImageDraw.Draw(edges).rectangle((0, 0, image.width - 1, image.height - 1), outline=0)  # the filter skips the border
    return np.asarray(edges.point([round(15.9 * value**0.5) for value in range(256)]).reduce(step), dtype=np.float64)


def _window_means(blocks: np.ndarray, lefts: np.ndarray, tops: np.ndarray, width: int, height: int) -> np.ndarray:
    total = np.pad(blocks.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    top, left = tops[:, None], lefts[None]
    sums = total[top + height, left + width] - total[top, left + width] - total[top + height, left] + total[top, left]
    return sums / (width * height)


def _sheet(rows: list[list[Image.Image]], column: int) -> Image.Image:
    """Two columns, every picture centred in its own, labels above."""
    height = _HEADER + sum(pair[0].height + _GAP for pair in rows)
    sheet = Image.new("RGB", (2 * column + 3 * _GAP, height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for index, label in enumerate(("before", "after")):
        left, top = _GAP + index * (column + _GAP), _HEADER
        _, upper, right, lower = draw.textbbox((0, 0), label, font=_font())
        draw.text((left + (column - right) // 2, (_HEADER - upper - lower) // 2), label, fill=_TEXT, font=_font())
        for pair in rows:
            sheet.paste(pair[index], (left + (column - pair[index].width) // 2, top))
            top += pair[index].height + _GAP
    return sheet


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    try:
        return ImageFont.load_default(size=15)
    except TypeError:  # before Pillow 10.1 it has one size
        return ImageFont.load_default()
