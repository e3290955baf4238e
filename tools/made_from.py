"""What the pictures of the docs were made from, so that none is older than what it shows.

`python -m tools.made_from` writes docs/figures/made-from.json (part of `make docs`); tests/test_docs.py compares.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lib_usdu.options import Options, declared
from lib_usdu.options.presets import PRESETS
from lib_usdu.panel.text import INTRODUCTION, PRESETS_HINT, SECTIONS
from tools import curves, figures, paces_chart

ROOT = Path(__file__).parents[1]
RECORD = figures.FIGURES / "made-from.json"


def of_panel() -> str:
    """Everything that is read on the panel as it opens: labels, hints, values, their order, presets, headings."""
    names = [name for row in SECTIONS[0].rows for name in row]
    controls = [(name, repr(declared(name).control), declared(name).about, getattr(Options, name)) for name in names]
    titles = [preset.name for preset in PRESETS] + [section.heading for section in SECTIONS]
    return _digest(repr((INTRODUCTION, PRESETS_HINT, titles, SECTIONS[0].rows, controls)).encode())


def of_view(*names: str) -> str:
    """What draws over a picture in the browser. names: of files in lib_usdu."""
    return _digest(*((ROOT / "lib_usdu" / name).read_bytes() for name in names))


def of_demo() -> str:
    """The embedded upscalers and the pictures they enlarge."""
    upscalers = sorted((ROOT / "lib_usdu" / "embedded").glob("*.safetensors"))
    photos = sorted((ROOT / "tests" / "photos").glob("demo.*"))
    return _digest(*(path.read_bytes() for path in [*upscalers, *photos]))


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def record() -> dict[str, str]:
    """File in docs/figures -> digest of what it was made from."""
    panel, tiles = of_panel(), of_view("panel/tiles.js", "panel/tiles.css")
    slider = of_view("pictures/slider.js", "pictures/slider.css")
    return {
        "panel.png": panel, "panel-dark.png": panel, "tiles.jpg": tiles, "tiles-dark.jpg": tiles, "slider.jpg": slider,
        "slider-dark.jpg": slider, "demo-before-after.jpg": of_demo(), "demo-jpeg-before-after.jpg": of_demo(),
        curves.FIGURE.name: _digest(curves.MEASURED.read_bytes()),
        **dict.fromkeys(paces_chart.CHARTS, _digest(paces_chart.MEASURED.read_bytes())),
    }  # fmt: skip


if __name__ == "__main__":
    RECORD.write_text(json.dumps(record(), indent=2) + "\n", encoding="utf-8")
    print(RECORD)
