"""The charts of Speed in the docs: `python -m tools.paces_chart` (part of `make docs`).

The numbers are those of bench/results/paces.json: multiplications by `python -m bench.paces`, times in AUTOMATIC1111 as
docs/speed.md says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "bench" / "results" / "paces.json"
FIGURES = ROOT / "docs" / "figures"
WIDTH, BAR, GAP, LEFT, TOP = 420, 22, 12, 170, 44
STEPS, CODER, TIME = (37, 99, 235), (217, 130, 0), (21, 128, 61)
INK, GRID = (30, 30, 30), (210, 214, 220)
Bar = tuple[str, Sequence[tuple[float, tuple[int, int, int]]], str]
"""What it is of, its parts (share of the longest, colour), what is said at its end."""


def bars(title: str, rows: Sequence[Bar], legend: Sequence[tuple[str, tuple[int, int, int]]]) -> Image.Image:
    """Lying bars, one below the other; a length of 1 fills the sheet."""
    height = TOP + len(rows) * (BAR + GAP) + 52
    sheet = Image.new("RGB", (LEFT + WIDTH + 150, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    draw.text((12, 12), title, fill=INK, font=font)
    foot = TOP + len(rows) * (BAR + GAP)
    for tenth in range(0, 11, 2):
        x = LEFT + WIDTH * tenth / 10
        draw.line([(x, TOP - 6), (x, foot)], fill=GRID)
        draw.text((x, foot + 4), f"{tenth / 10:g}", fill=INK, font=font, anchor="ma")
    for number, (name, parts, said) in enumerate(rows):
        x, y = float(LEFT), TOP + number * (BAR + GAP)
        draw.text((LEFT - 10, y + BAR / 2), name, fill=INK, font=font, anchor="rm")
        for share, colour in parts:
            draw.rectangle((x, y, x + WIDTH * share, y + BAR), fill=colour)
            x += WIDTH * share
        draw.text((x + 8, y + BAR / 2), said, fill=INK, font=font, anchor="lm")
    x = 12
    for name, colour in legend:
        draw.rectangle((x, height - 22, x + 12, height - 10), fill=colour)
        draw.text((x + 18, height - 16), name, fill=INK, font=font, anchor="lm")
        x += 40 + round(draw.textlength(name, font=font))
    return sheet


def work(measured: dict[str, Any]) -> Image.Image:
    """Multiplications of a tile by model and speed, against exact."""
    rows: list[Bar] = []
    for model, speeds in measured["multiplications"].items():
        whole = speeds["exact"]["tile"]
        for speed, of in speeds.items():
            parts = (of["steps"] / whole, STEPS), ((of["tile"] - of["steps"]) / whole, CODER)
            rows.append((f"{model}, {speed}", parts, f"{of['tile'] / whole:.2f}"))
    return bars("Multiplications of a tile, of exact", rows, (("steps", STEPS), ("autoencoder", CODER)))


def time(measured: dict[str, Any]) -> Image.Image:
    """Time in AUTOMATIC1111 against the original script, with the likeness to exact."""
    rows: list[Bar] = [("the original script", ((1.0, GRID),), "1")]
    for speed, of in measured["live"].items():
        like = "" if of["exact"] is None else f", {of['exact']:.1f} dB"
        rows.append((speed, ((of["time"], TIME),), f"{of['time']:.2f}{like}"))
    return bars("AUTOMATIC1111, tiny model: time, and PSNR to exact", rows, ())


CHARTS = {"speed-work.png": work, "speed-time.png": time}


def main() -> None:
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    for name, drawn in CHARTS.items():
        drawn(measured).save(FIGURES / name, optimize=True)
        print(FIGURES / name)


if __name__ == "__main__":
    main()
