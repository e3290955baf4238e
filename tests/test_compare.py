"""Before and after: the layout of the picture and where its crops come from; what is in the page."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_usdu.errors import OutputError
from lib_usdu.pictures import slider
from lib_usdu.pictures.compare import check_comparison, side_by_side, write_comparison

PHOTO = Path(__file__).parent / "photos" / "astronaut.jpg"


def photo(side: int) -> np.ndarray:
    with Image.open(PHOTO) as image:
        return np.array(image.convert("RGB").resize((side, side)))


def with_detail_at(places: list[tuple[int, int]], size: int = 200, height: int = 1600, width: int = 2000) -> np.ndarray:
    picture = np.full((height, width, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    for top, left in places:
        picture[top : top + size, left : left + size] = noise
    return picture


def contains(sheet: np.ndarray, patch: np.ndarray) -> bool:
    """Whether the patch stands somewhere in the sheet, pixel for pixel."""
    height, width = patch.shape[:2]
    corners = np.argwhere((sheet == patch[0, 0]).all(axis=2))
    return any(np.array_equal(sheet[y : y + height, x : x + width], patch) for y, x in corners)


def test_left_is_before_and_right_is_after():
    before, after = np.zeros((900, 1300, 3), np.uint8), np.full((900, 1300, 3), 255, np.uint8)
    sheet = side_by_side(before, after)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3
    middle = sheet.shape[1] // 2
    below_labels = sheet[40:-10]
    assert (below_labels[:, 10 : middle - 10] < 30).mean() > 0.85
    assert (below_labels[:, middle + 10 : -10] > 240).mean() > 0.85


def test_total_width_is_about_1200():
    for shape, least in (((1024, 1024), 1150), ((700, 3000), 1150), ((3000, 700), 750)):
        picture = np.zeros((*shape, 3), np.uint8)
        assert least <= side_by_side(picture, picture).shape[1] <= 1250


def test_crops_are_at_full_size_where_the_detail_is():
    places = [(100, 100), (1300, 1700), (700, 900)]
    picture = with_detail_at(places)
    sheet = side_by_side(picture, picture)
    assert contains(sheet, picture[700:900, 900:1100])
    assert contains(sheet, picture[1300:1500, 1700:1900])


def test_crops_are_the_same_place_on_both_sides():
    before = with_detail_at([(500, 900)])
    sheet = side_by_side(before, before)
    half = sheet.shape[1] // 2
    left, right = sheet[30:, :half], sheet[30:, half:]
    np.testing.assert_array_equal(left[:, 6:-3], right[:, 3:-6])


def test_number_of_crops():
    picture = photo(2000)
    heights = [side_by_side(picture, picture, crops=crops, crop=200).shape[0] for crops in (0, 1, 2, 3)]
    assert len(set(np.diff(heights))) == 1 and 200 <= np.diff(heights)[0] <= 210


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (7, 90), (100, 100), (383, 385), (400, 800), (3, 700)])
def test_any_size_works(shape):
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    sheet = side_by_side(picture, picture)
    if max(shape) < 500:
        assert contains(sheet, picture)


def test_flat_picture_works():
    picture = np.full((1500, 1500, 3), 90, np.uint8)
    assert side_by_side(picture, picture).shape[1] > 1000


def test_deterministic_and_inputs_are_left_alone():
    before, after = photo(1024)[:, ::-1], photo(1024)
    kept = before.copy(), after.copy()
    np.testing.assert_array_equal(side_by_side(before, after), side_by_side(before, after))
    np.testing.assert_array_equal(before, kept[0])
    np.testing.assert_array_equal(after, kept[1])


def test_different_sizes_are_refused():
    with pytest.raises(ValueError, match="different sizes"):
        side_by_side(photo(64), photo(128))


def embedded(page: str) -> dict[str, Image.Image]:
    data = json.loads(re.search(r"usduSlider\(document.querySelector\('main'\), (\{.*\})\)", page)[1])
    return {side: Image.open(io.BytesIO(base64.b64decode(text.split(",")[1]))) for side, text in data.items()}


def test_a_page_holds_both_pictures_and_needs_nothing_else(tmp_path):
    before, after = photo(200), photo(200)[:, ::-1]
    path = tmp_path / "page.html"
    write_comparison(path, before, after, name="<b>&.png", icc=None, overwrite=False)
    text = path.read_text(encoding="utf-8")
    for side, pixels in (("before", before), ("after", after)):
        found = np.array(embedded(text)[side].convert("RGB"))
        assert np.abs(found.astype(int) - pixels).mean() < 2
    assert "http" not in text and "src=" not in text and "&lt;b&gt;&amp;.png: 200x200 px" in text
    with pytest.raises(OutputError, match="exists; use --overwrite"):
        write_comparison(path, before, after, name="a", icc=None, overwrite=False)


def test_a_page_of_a_large_picture_says_that_it_is_smaller(monkeypatch):
    monkeypatch.setattr(slider, "MOST_PIXELS", 100 * 100)
    picture = photo(400)
    text = slider.page(picture, picture, name="a.png")
    assert {image.size for image in embedded(text).values()} == {(100, 100)}
    assert "400x400 px, shown at 25 % of its size." in text


def test_a_comparison_is_a_page_or_a_picture():
    for name in ("a.html", "a.HTM", "a.png", "a.jpg"):
        check_comparison(Path(name))
    with pytest.raises(OutputError, match=r"'.pdf' is not allowed; allowed: .html .png"):
        check_comparison(Path("a.pdf"))
