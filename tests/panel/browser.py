"""A person at the page: headless Chromium, driven by what is seen on the page."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--no-proxy-server", "--hide-scrollbars", "--window-size=720,2000",
]  # fmt: skip
PREFIX = "#usdu_"


class Browser:
    def __init__(self) -> None:
        self.profile = tempfile.mkdtemp(prefix="usdu-panel-")
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in [*FLAGS, f"--user-data-dir={self.profile}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(60)

    def close(self) -> None:
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, url: str, theme: str = "light") -> None:
        self.driver.get(f"{url}/?__theme={theme}")
        self.until(lambda: self.find(PREFIX + "plan").is_displayed(), "the panel")
        time.sleep(0.5)

    def renderer_seconds(self) -> float:
        """CPU seconds that this browser's pages have used so far."""
        parents, ticks = {}, {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = status.read_text().rsplit(")", 1)[1].split()
                parents[int(status.parent.name)] = int(fields[1])
                if b"--type=renderer" in (status.parent / "cmdline").read_bytes():
                    ticks[int(status.parent.name)] = int(fields[11]) + int(fields[12])

        def ours(process: int) -> bool:
            while process > 1:
                if process == self.driver.service.process.pid:
                    return True
                process = parents.get(process, 0)
            return False

        return sum(used for process, used in ticks.items() if ours(process)) / os.sysconf("SC_CLK_TCK")

    def find(self, css: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def js(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def until(self, seen: Callable[[], Any], what: str, seconds: float = 40) -> Any:
        """Waits for it; an element that is not there yet counts as not seen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if value := seen():
                    return value
            except WebDriverException:
                pass
            time.sleep(0.05)
        raise AssertionError(f"waited {seconds} s in vain for {what}")

    def shown(self, css: str) -> bool:
        return any(found.is_displayed() for found in self.driver.find_elements(By.CSS_SELECTOR, css))

    def click(self, css: str) -> None:
        element = self.find(css)
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def click_until(self, css: str, seen: Callable[[], Any], what: str) -> None:
        """Clicks until it is seen: a page that still loads, or grows above the button, can make a click miss."""
        for _ in range(5):
            self.click(css)
            with suppress(AssertionError):
                self.until(seen, what, 6)
                return
        raise AssertionError(f"clicked {css} in vain for {what}")

    def tick(self, css: str, value: bool = True) -> None:
        """Clicks a box until it says so: a page that grows above it can make a click miss."""
        for _ in range(3):
            if self.find(css).is_selected() == value:
                return
            self.click(css)
        assert self.find(css).is_selected() == value

    def unfold(self, accordion: str, inside: str) -> None:
        self.click_until(f"{accordion} .label-wrap", lambda: self.shown(inside), f"{inside} in {accordion}")

    def type(self, css: str, value: object) -> None:
        """Replaces what a field holds and leaves it."""
        field = self.find(css)
        self.js("arguments[0].scrollIntoView({block: 'center'})", field)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(str(value), Keys.TAB)

    def slide(self, css: str, value: float) -> None:
        self.type(f"{css} input[type=number]", value)

    def choices(self, css: str) -> list[str]:
        """The labels a dropdown offers; leaves it closed."""
        self.until(lambda: not self.driver.find_elements(By.CSS_SELECTOR, "ul.options"), "the other list to close")
        self.click(f"{css} input")
        read = "return [...document.querySelectorAll('ul.options li')].map((item) => item.getAttribute('aria-label'))"
        found = self.until(lambda: self.js(read), "choices")
        self.find(f"{css} input").send_keys(Keys.TAB)
        return found

    def choose(self, css: str, label: str, leave: bool = True) -> None:
        """Types the label and takes the first that fits, as on a keyboard."""
        field = self.find(f"{css} input")
        self.js("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", field)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(label)
        time.sleep(0.1)
        field.send_keys(Keys.ENTER)
        self.until(lambda: field.get_property("value") == label, f"{label} in {css}", 5)
        if leave:
            field.send_keys(Keys.TAB)

    def line(self) -> str:
        return " ".join(self.find(PREFIX + "plan").text.split())

    def until_line(self, *parts: str, without: str = "\n") -> str:
        """Waits until the live line holds all of these and lacks the other; returns it."""
        try:
            self.until(lambda: all(part in self.line() for part in parts) and without not in self.line(), "", 8)
        except AssertionError:
            raise AssertionError(f"the line says {self.line()!r}, not {parts}") from None
        return self.line()

    def drop(self, picture: Path) -> None:
        """A picture into the img2img tab, in place of the one there."""
        for clear in self.driver.find_elements(
            By.CSS_SELECTOR, "#img2img_image button[aria-label=Clear], #img2img_image button[aria-label='Remove Image']"
        ):
            self.js("arguments[0].click()", clear)
        field = self.until(lambda: self.find("#img2img_image input[type=file]"), "the picture's field")
        field.send_keys(str(picture))

    def values(self) -> list[Any]:
        """What Run hands over: every input in its order."""
        area = self.find("#dumped textarea")
        before = area.get_property("value")
        self.click_until("#run", lambda: area.get_property("value") != before, "the dumped values")
        return json.loads(area.get_property("value"))["values"]

    def press(self, *keys: str) -> WebElement:
        """Presses keys where the focus is; the element that has it then."""
        ActionChains(self.driver).send_keys(*keys).perform()
        return self.driver.switch_to.active_element

    def complaints(self) -> list[str]:
        """JavaScript errors since the last call, less gradio's own about fonts and scripts it wants from elsewhere."""
        entries = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        return [text for text in entries if "Failed to load resource" not in text and "preload CSS" not in text]
