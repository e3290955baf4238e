"""The pictures of the panel in the docs: `python -m tools.panel_pictures` (part of `make docs`).

The panel stands in the test page, in headless Chromium, with the gradio of AUTOMATIC1111: it needs .venv-webui.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
sys.path.insert(0, str(ROOT / "tests" / "panel"))

from browser import PREFIX, Browser  # noqa: E402
from server import Server  # noqa: E402

NAMES = {"light": "panel.png", "dark": "panel-dark.png"}


def picture(browser: Browser, url: str, theme: str, photo: Path) -> Image.Image:
    """The panel as one sees it once a picture is in the tab."""
    browser.open(url, theme)
    browser.drop(photo)
    browser.until_line("tiles of")
    shown = f"{PREFIX}creativity_shown input[type=number]"
    browser.until(lambda: float(browser.find(shown).get_property("value")) > 0, "what the strength means")
    with Image.open(io.BytesIO(browser.find(f"{PREFIX}panel").screenshot_as_png)) as whole:
        return whole.convert("RGB")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        Image.new("RGB", (640, 426)).save(photo)
        server, browser = Server.started("3", Path(folder) / "log"), Browser()
        try:
            server.wait()
            for theme, name in NAMES.items():
                picture(browser, server.url, theme, photo).save(FIGURES / name, optimize=True)
                print(FIGURES / name)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
