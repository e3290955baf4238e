"""The pictures of the panel in the docs: `python -m tools.panel_pictures` (part of `make docs`).

The panel stands in the test page, in headless Chromium, with the gradio of AUTOMATIC1111: it needs .venv-webui.
"""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
PAGE = ROOT / "tests" / "panel"
sys.path.insert(0, str(PAGE))

from browser import PREFIX, Browser  # noqa: E402

NAMES = {"light": "panel.png", "dark": "panel-dark.png"}


def picture(browser: Browser, url: str, theme: str, photo: Path) -> Image.Image:
    """The panel as one sees it once a picture is in the tab."""
    browser.open(url, theme)
    browser.drop(photo)
    browser.until_line("tiles of")
    with Image.open(io.BytesIO(browser.find(f"{PREFIX}panel").screenshot_as_png)) as whole:
        return whole.convert("RGB")


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    python = ROOT / ".venv-webui" / "bin" / "python"
    server = subprocess.Popen([str(python), "-W", "ignore", str(PAGE / "page.py"), str(port)])
    browser = Browser()
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):  # it takes a few seconds to start
            try:
                urllib.request.urlopen(f"{url}/config", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        with tempfile.TemporaryDirectory() as folder:
            photo = Path(folder) / "photo.png"
            Image.new("RGB", (640, 426)).save(photo)
            for theme, name in NAMES.items():
                picture(browser, url, theme, photo).save(FIGURES / name, optimize=True)
                print(FIGURES / name)
    finally:
        browser.close()
        server.kill()


if __name__ == "__main__":
    main()
