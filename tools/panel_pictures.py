"""The pictures of the panel in the docs: `python -m tools.panel_pictures [FOLDER]` (part of `make docs`).

The panel stands in the test page, in headless Chromium, with the gradio of AUTOMATIC1111: it needs .venv-webui. With
FOLDER each picture goes there in two widths and both themes, to be looked at.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
PHOTOS = ROOT / "tests" / "photos"
sys.path.insert(0, str(ROOT / "tests" / "panel"))

from browser import PREFIX, Browser  # noqa: E402
from server import Server  # noqa: E402

THEMES = {"light": "", "dark": "-dark"}
WIDE = "document.querySelector('.gradio-container').style.setProperty('max-width', '1240px', 'important')"


def panel(browser: Browser) -> Image.Image:
    """The panel as one sees it once a picture is in the tab."""
    shown = f"{PREFIX}creativity_shown input[type=number]"
    browser.until(lambda: float(browser.find(shown).get_property("value")) > 0, "what the strength means")
    return _shot(browser, f"{PREFIX}panel")


def tiles(browser: Browser) -> Image.Image:
    """The tiles on the picture: one is clicked, the pointer is over another."""
    browser.tick(f"{PREFIX}show_tiles input")
    browser.until(lambda: browser.shown("[data-tile='8']"), "the tiles")
    browser.js("document.querySelector('#img2img_image').scrollIntoView({block: 'center'})")
    ActionChains(browser.driver).move_to_element(browser.find("[data-tile='8']")).click().perform()
    browser.until(lambda: browser.shown(".usdu-chosen"), "the tile that is clicked")
    ActionChains(browser.driver).move_to_element(browser.find("[data-tile='6']")).perform()
    browser.until(lambda: browser.shown(".usdu-window"), "the window")
    return _shot(browser, "#img2img_image")


def slider(browser: Browser) -> Image.Image:
    """Before and after in the gallery."""
    browser.click_until("#img2img_generate", lambda: browser.shown(".usdu-compare-button"), "the button")
    browser.click(".usdu-compare-button")
    browser.until(lambda: browser.shown("#img2img_gallery .usdu-slider-root"), "the slider")
    loaded = "return [...document.querySelectorAll('.usdu-slider-root img')].every((x) => x.naturalWidth)"
    browser.until(lambda: browser.js(loaded), "both pictures")
    time.sleep(0.5)
    return _shot(browser, "#img2img_gallery")


def _shot(browser: Browser, css: str) -> Image.Image:
    with Image.open(io.BytesIO(browser.find(css).screenshot_as_png)) as whole:
        return whole.convert("RGB")


VIEWS = {
    "panel": (panel, "photo.png", ".png"), "tiles": (tiles, "photo.png", ".jpg"),
    "slider": (slider, "demo.png", ".jpg"),
}  # fmt: skip
"""Name of the file: what is shown, the picture in the tab, and the file's suffix."""


def _result(folder: Path) -> Path:
    """What the embedded models make of the demo's picture."""
    from lib_usdu import upscale

    made = upscale(PHOTOS / "demo.png", custom_scale=4.0)
    Image.fromarray(made.image).save(folder / "result.png")
    return folder / "result.png"


def main() -> None:
    looked_at = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["USDU_RESULT"] = str(_result(folder))
        with Image.open(PHOTOS / "astronaut.jpg") as photo:
            photo.convert("RGB").crop((0, 40, 512, 381)).resize((960, 640)).save(folder / "photo.png")
        Image.open(PHOTOS / "demo.png").save(folder / "demo.png")
        server, browser = Server.started("3", folder / "log"), Browser()
        try:
            server.wait()
            for width in (700, 1280) if looked_at else (700,):
                browser.driver.set_window_size(width, 2000)
                for theme, end in THEMES.items():
                    for view, (show, picture, suffix) in VIEWS.items():
                        browser.open(server.url, theme)
                        if width > 700:
                            browser.js(WIDE)
                        browser.drop(folder / picture)
                        browser.until_line("tiles of" if picture == "photo.png" else "tile of")
                        name = f"{view}{end}-{width}{suffix}" if looked_at else f"{view}{end}{suffix}"
                        where = (looked_at or FIGURES) / name
                        show(browser).save(where, optimize=True, quality=90)
                        print(where, flush=True)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
