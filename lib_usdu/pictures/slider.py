"""Before and after as a page: one HTML file with both pictures in it and a line between them that is dragged.

slider.js and slider.css are the slider itself; the webui's panel uses the same two files.
"""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

MOST_PIXELS = 2**26
"""Of each picture in a page: browsers draw no more than some hundred megapixels, and slowly."""
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
HELP = (
    "Drag the line. Wheel, two fingers or + and -: zoom. Double click: 100 % or the whole picture (also 1 and 0). "
    "Drag beside the line or Shift and arrows: pan. Left and right: move the line."
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
html, body {{margin: 0; height: 100%; background: #181818; color: #e1e1e1; font: 14px/1.4 system-ui, sans-serif}}
body {{display: flex; flex-direction: column}}
main {{position: relative; flex: 1; min-height: 0}}
p {{margin: 0; padding: 6px 12px}}
{style}
</style>
</head>
<body>
<main></main>
<p>{text}</p>
<script>
{script}
usduSlider(document.querySelector('main'), {pictures}).root.focus();
</script>
</body>
</html>
"""


def page(before: np.ndarray, after: np.ndarray, *, name: str, icc: bytes | None = None) -> str:
    """The page's HTML. before, after: uint8 (h, w, 3) of one size, kept as JPEG of quality 95 in it; those of more than
    MOST_PIXELS are made smaller, and the page says so. name: of the picture. icc: colour profile of both."""
    if before.shape != after.shape:
        raise ValueError(f"the pictures have different sizes: {before.shape} and {after.shape}")
    height, width = after.shape[:2]
    scale = min(1.0, (MOST_PIXELS / (width * height)) ** 0.5, 65500 / max(width, height))
    text = [f"{name}: {width}x{height} px"]
    if scale < 1:
        text.append(f"shown at {100 * scale:.0f} % of its size")
    pictures = {side: _embedded(rgb, scale, icc) for side, rgb in (("before", before), ("after", after))}
    told = html.escape(". ".join([", ".join(text), HELP]))
    data = json.dumps(pictures).replace("<", "\\u003c")
    return _PAGE.format(title=html.escape(name), style=STYLE, text=told, script=SCRIPT, pictures=data)


def _embedded(rgb: np.ndarray, scale: float, icc: bytes | None) -> str:
    """A data address."""
    picture = Image.fromarray(rgb)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in picture.size]
        picture = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95, subsampling=0, icc_profile=icc)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
