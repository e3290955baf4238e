"""The img2img tab of a live webui in headless Chromium, for test_real.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "panel"))
from browser import PREFIX, Browser  # noqa: E402

RUNNING = "#img2img_interrupt, #img2img_interrupting"
_FILL_JS = """
    const [field, text] = arguments;
    field.value = text;
    field.dispatchEvent(new Event('input', {bubbles: true}));"""


class Tab(Browser):
    def open(self, url: str, theme: str = "light") -> None:
        """The page with our script chosen in the img2img tab."""
        self.driver.set_window_size(1400, 2400)
        self.driver.get(f"{url}/?__theme={theme}")
        self.until(lambda: self.find("#tab_img2img"), "the page", 90)
        self.press_tab("#tabs", "img2img")
        self.until(lambda: self.find("#img2img_script_container #script_list input").is_displayed(), "the scripts")

    def choose_script(self, title: str = "Ultimate SD Upscale") -> None:
        self.choose("#img2img_script_container #script_list", title)
        self.until(lambda: self.find(PREFIX + "plan").is_displayed(), "the panel")

    def press_tab(self, tabs: str, name: str) -> None:
        label = "[...document.querySelectorAll(arguments[0] + ' > .tab-nav > button')]"
        self.until(lambda: self.js(f"return {label}.length", tabs), tabs)
        same = "button.innerText.trim().toLowerCase() === arguments[1].toLowerCase()"  # Forge writes Img2img
        self.js(f"{label}.find((button) => {same}).click()", tabs, name)

    def fill(self, css: str, text: str) -> None:
        """Text into a box at once, as if pasted."""
        self.js(_FILL_JS, self.find(f"{css} textarea"), text)

    def value(self, css: str) -> Any:
        """What a slider, dropdown, checkbox or text box holds."""
        field = self.find(f"{css} input[type=number], {css} input, {css} textarea")
        kind = field.get_attribute("type")
        if kind == "checkbox":
            return field.is_selected()
        return float(field.get_property("value")) if kind == "number" else field.get_property("value")

    def settings(self, **values: float) -> None:
        """Sliders of the tab, by what follows `img2img_` in their elem_id."""
        for name, value in values.items():
            self.slide(f"#img2img_{name}", value)

    def generate(self) -> None:
        """Presses Generate and returns when the webui has begun."""
        self.click("#img2img_generate")
        self.until(lambda: self.shown(RUNNING), "the run to begin", 30)

    def finished(self) -> None:
        self.until(lambda: not self.shown(RUNNING), "the run to end", 300)

    def infotext(self, *parts: str) -> str:
        """The text below the result, once it holds these."""
        css = "#html_info_img2img"
        self.until(lambda: all(part in self.find(css).text for part in parts), f"{parts} in the infotext", 30)
        return self.find(css).text
