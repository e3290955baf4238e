"""The slider of before and after in headless Chromium: the page that `--compare out.html` writes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from browser import Browser
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from lib_usdu.pictures.compare import write_comparison

pytestmark = pytest.mark.flaky(reruns=2)  # a browser on a busy machine now and then misses a moment

WHERE = """
    const box = (name) => document.querySelector(`.usdu-slider-${name}`).getBoundingClientRect();
    const root = box('root'), line = box('line'), clip = box('clip'), after = box('after'), before = box('before');
    return {line: (line.left + 1 - root.left) / root.width, clip: clip.width / root.width, zoom: after.width / 1600,
            left: after.left, top: after.top,
            apart: Math.hypot(after.left - before.left, after.top - before.top, after.right - before.right)};"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A page of a picture of 1600x1200 px, too large to be seen whole at 100 %."""
    path = tmp_path_factory.mktemp("page") / "compare.html"
    before, after = (np.full((1200, 1600, 3), level, np.uint8) for level in (60, 180))
    write_comparison(path, before, after, name="photo.png", icc=None, overwrite=False)
    found = Browser()
    found.driver.set_window_size(1000, 700)
    found.driver.get(path.as_uri())
    yield found
    found.close()


def where(browser: Browser, **wanted: float) -> dict[str, float]:
    """What is seen, once it is as wanted; both pictures always lie on one another."""
    close = lambda: all(abs(browser.js(WHERE)[name] - value) < 0.011 for name, value in wanted.items())  # noqa: E731
    browser.until(close, f"{wanted}, not {browser.js(WHERE)}", 10)
    found = browser.js(WHERE)
    assert found["apart"] < 0.01 and abs(found["clip"] - found["line"]) < 0.01
    return found


def test_the_line_is_dragged_and_moved_by_keys(browser: Browser):
    root = browser.until(lambda: browser.find(".usdu-slider-root"), "the slider")
    browser.until(lambda: browser.js(WHERE)["zoom"] > 0.3, "the pictures")
    browser.press("0")
    where(browser, line=0.5)
    width = root.size["width"]
    held = ActionChains(browser.driver).move_to_element(root).click_and_hold()
    held.move_by_offset(width // 4, 0).release().perform()
    where(browser, line=0.75)
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.PAGE_UP)
    where(browser, line=0.61)
    browser.press(Keys.HOME)
    where(browser, line=0)
    browser.press(Keys.END)
    where(browser, line=1)
    assert root.get_attribute("aria-valuenow") == "100" and not browser.complaints()


def test_both_pictures_grow_and_move_together(browser: Browser):
    root = browser.until(lambda: browser.find(".usdu-slider-root"), "the slider")
    browser.until(lambda: browser.js(WHERE)["zoom"] > 0.3, "the pictures")
    browser.press("0", Keys.HOME)
    whole = where(browser, line=0)["zoom"]
    browser.press("+")
    where(browser, zoom=whole * 1.25)
    browser.press("1")
    start = where(browser, zoom=1)
    ActionChains(browser.driver).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    browser.until(lambda: where(browser)["left"] < start["left"] - 20, "a pan", 10)
    moved = where(browser)
    ActionChains(browser.driver).move_to_element(root).click_and_hold().move_by_offset(60, 40).release().perform()
    browser.until(lambda: abs(where(browser)["left"] - moved["left"] - 60) < 2, "the picture follows the pointer")
    assert where(browser, line=0)["top"] > moved["top"] + 30
    browser.js("""
        const root = document.querySelector('.usdu-slider-root');
        root.dispatchEvent(new WheelEvent('wheel', {deltaY: -400, clientX: 300, clientY: 300}));""")
    where(browser, zoom=1.822)
    ActionChains(browser.driver).double_click(root).perform()
    where(browser, zoom=whole)


def test_two_fingers_zoom(browser: Browser):
    """Real touches, through the browser's own way for them."""
    root = browser.until(lambda: browser.find(".usdu-slider-root"), "the slider")
    browser.until(lambda: browser.js(WHERE)["zoom"] > 0.3, "the pictures")
    browser.press("0", Keys.HOME)
    whole = where(browser, line=0)["zoom"]
    middle, row = root.size["width"] // 2, root.size["height"] // 2

    def touch(kind: str, *columns: int) -> None:
        points = [{"x": column, "y": row, "id": number} for number, column in enumerate(columns)]
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", middle - 60)
    touch("touchStart", middle - 60, middle + 60)
    for spread in (80, 100, 120):
        touch("touchMove", middle - spread, middle + spread)
    touch("touchEnd")
    where(browser, zoom=2 * whole)
    browser.press("0")
    where(browser, zoom=whole)
    touch("touchStart", middle)
    touch("touchMove", middle + 50)
    touch("touchMove", middle + 100)
    touch("touchEnd")
    where(browser, line=0.5 + 100 / root.size["width"])
