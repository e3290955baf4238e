"""The curves of Creativity and Resemblance in the docs: `python -m tools.curves` (part of `make docs`).

The numbers are those of bench/results/sliders.json.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "bench" / "results" / "sliders.json"
FIGURE = ROOT / "docs" / "figures" / "sliders.png"
WIDTH, HEIGHT, LEFT, TOP, GAP, BELOW = 330, 240, 58, 40, 24, 84
COLOURS = ((37, 99, 235), (217, 70, 0), (21, 128, 61))
INK, GRID = (30, 30, 30), (210, 214, 220)
Row = dict[str, Any]


def plot(
    title: str, lines: Sequence[Sequence[tuple[float, float]]], top: float, step: float, along: str
) -> Image.Image:
    """Points (x from 0 to 1, y from 0 to `top`) joined by lines, one colour each."""
    sheet = Image.new("RGB", (LEFT + WIDTH + GAP, TOP + HEIGHT + BELOW - 40), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    draw.text((LEFT, 12), title, fill=INK, font=font)

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + x * WIDTH, TOP + HEIGHT * (1 - y / top)

    for number in range(round(top / step) + 1):
        y = number * step
        draw.line([at(0, y), at(1, y)], fill=GRID)
        draw.text((LEFT - 8, at(0, y)[1]), f"{y:g}", fill=INK, font=font, anchor="rm")
    for x in (0, 0.2, 0.4, 0.6, 0.8, 1):
        draw.text((at(x, 0)[0], TOP + HEIGHT + 6), f"{x:g}", fill=INK, font=font, anchor="ma")
    draw.text((LEFT + WIDTH / 2, TOP + HEIGHT + 22), along, fill=INK, font=font, anchor="ma")
    for colour, points in zip(COLOURS, lines):
        draw.line([at(*point) for point in points], fill=colour, width=3)
        for point in points:
            x, y = at(*point)
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
    return sheet


def means(rows: Sequence[Row], measure: str, along: str) -> list[tuple[float, float]]:
    """Over the photos: (value of the slider, mean), in the order of the slider."""
    values = sorted({row[along] for row in rows})
    return [(value, mean(row[measure] for row in rows if row[along] == value)) for value in values]


def band(groups: dict[str, list[Row]], along: str, title: str) -> Image.Image:
    """Tone, shapes and detail over a slider, a colour for each group, with its name below."""
    parts = [
        plot(said, [means(group, measure, along) for group in groups.values()], top, step, title)
        for said, measure, top, step in (
            ("Tone: levels from the source", "tone", 4, 1), ("Shapes of 6 px: levels from the source", "shapes", 12, 2),
            ("Detail, against Resemblance 0", "detail", 1.2, 0.2),
        )
    ]  # fmt: skip
    sheet = Image.new("RGB", (sum(part.width for part in parts), parts[0].height + 40), "white")
    for number, part in enumerate(parts):
        sheet.paste(part, (number * part.width, 0))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, (colour, said) in enumerate(zip(COLOURS, groups)):
        draw.text((LEFT + number * 200, parts[0].height + 8), said, fill=colour, font=font)
    return sheet


def figure(measured: dict[str, list[Row]]) -> Image.Image:
    """Both sliders, one above the other."""
    over_resemblance, over_creativity = {}, {}
    for row in measured["resemblance"]:
        over_resemblance.setdefault(f"{row['sampler']}, denoise {row['denoise']:g}", []).append(row)
    for row in measured["creativity"]:
        over_creativity.setdefault(f"Resemblance {row['resemblance']:g}", []).append(row)
    rows = band(over_creativity, "creativity", "Creativity"), band(over_resemblance, "resemblance", "Resemblance")
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    sheet.paste(rows[0])
    sheet.paste(rows[1], (0, rows[0].height))
    return sheet


def main() -> None:
    figure(json.loads(MEASURED.read_text(encoding="utf-8"))).save(FIGURE, optimize=True)
    print(FIGURE)


if __name__ == "__main__":
    main()
