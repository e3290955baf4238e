"""Draws the figures of the docs with the project's own code: `python -m tools.figures` (part of `make docs`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lib_usdu.compose.weights import axis_weight
from lib_usdu.geometry import Region, plan_tiles
from lib_usdu.noise import window_noise

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
SIDE, TILE, PADDING = 512, 192, 32
PANEL, GAP, TEXT = 384, 24, 64
INK, CORE, WINDOW, OTHER = (30, 30, 30), (255, 255, 255), (255, 196, 0), (0, 190, 255)


def panel(picture: Image.Image, caption: str, boxes: list[tuple[Region, tuple[int, int, int], int]]) -> Image.Image:
    """A picture of SIDE px, boxes drawn over it at PANEL px, with a caption below."""
    factor = PANEL / SIDE
    sheet = Image.new("RGB", (PANEL, PANEL + TEXT), "white")
    sheet.paste(picture.resize((PANEL, PANEL), Image.Resampling.LANCZOS))
    draw = ImageDraw.Draw(sheet)
    for region, colour, width in boxes:
        corners = (region.x, region.y, region.right, region.bottom)
        left, top, right, bottom = (round(value * factor) for value in corners)
        draw.rectangle((left, top, min(right, PANEL) - 1, min(bottom, PANEL) - 1), outline=colour, width=width)
    draw.multiline_text((2, PANEL + 8), caption, fill=INK, font=_font(15), spacing=4)
    return sheet


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def how_it_works() -> Image.Image:
    """Cores and windows; canvas noise; the weights of one tile."""
    with Image.open(ROOT / "tests" / "photos" / "astronaut.jpg") as photo:
        canvas = photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    tiles = plan_tiles(SIDE, SIDE, TILE, TILE, PADDING)
    first, second = tiles[0], tiles[1]
    cores = [(tile.core, CORE, 1) for tile in tiles]
    one = panel(canvas, "White: cores. Yellow and blue: the windows of\ntwo neighbours. They overlap.",
                [*cores, (first.window, WINDOW, 4), (second.window, OTHER, 4)])  # fmt: skip
    latents = SIDE // 8
    noise = window_noise(1, 0, 4, latents, latents, Region(0, 0, latents, latents))[:3]
    levels = np.clip(noise * 50 + 128, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    field = Image.fromarray(levels).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    two = panel(field, "The noise belongs to the canvas: both windows get\nthe same noise where they overlap.",
                [(first.window, WINDOW, 4), (second.window, OTHER, 4)])  # fmt: skip
    tile = tiles[4]
    across = axis_weight(tile.core.x, tile.core.right, SIDE, PADDING)
    down = axis_weight(tile.core.y, tile.core.bottom, SIDE, PADDING)
    weight = np.zeros((SIDE, SIDE, 1))
    weight[tile.core.grow(PADDING).slices] = np.outer(down, across)[:, :, None]
    shown = (np.asarray(canvas) * (0.25 + 0.75 * weight)).astype(np.uint8)
    said = "Composing: the weight of one tile falls to 0 inside\nthe overlap. All weights add up to 1."
    three = panel(Image.fromarray(shown), said, [(tile.core, CORE, 1), (tile.window, WINDOW, 4)])
    sheet = Image.new("RGB", (3 * PANEL + 4 * GAP, PANEL + TEXT + 2 * GAP), "white")
    for number, part in enumerate((one, two, three)):
        sheet.paste(part, (GAP + number * (PANEL + GAP), GAP))
    return sheet.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)  # a third of the bytes: a clone is under 25 MB


def main() -> None:
    FIGURES.mkdir(parents=True, exist_ok=True)
    how_it_works().save(FIGURES / "how-it-works.png", optimize=True)
    print(FIGURES / "how-it-works.png")


if __name__ == "__main__":
    main()
