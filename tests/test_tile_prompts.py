"""Prompts of single tiles."""

import time

import pytest

from lib_usdu.errors import OptionError
from lib_usdu.geometry import Canvas, plan_tiles
from lib_usdu.options import Options
from lib_usdu.options.tile_prompts import TilePrompts, has_extra_networks, joined
from lib_usdu.passes import plan_passes

PLAN = plan_tiles(384, 256, 128, 128, 16)  # two rows of three


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", [""] * 6),
        ("a\nb", ["a", "b", "", "", "", ""]),
        ("a\n\n\nd: e", ["a", "", "", "d: e", "", ""]),
        ("5: a", ["", "", "", "", "a", ""]),
        (" 2 - 4 : a, b ", ["", "a, b", "a, b", "a, b", "", ""]),
        ("2,3: a", ["", "", "", "", "", "a"]),
        ("1-6: day\n2: b", ["day", "day, b", "day", "day", "day", "day"]),
        ("16:9 is a ratio", None),
        ("7: a", None), ("3,1: a", None), ("0: a", None), ("4-2: a", None),
        ("a\nb\nc\nd\ne\nf\ng", None),
        ("3:", [""] * 6),
    ],
)  # fmt: skip
def test_lines(text, expected):
    if expected is None:
        with pytest.raises(OptionError, match="tile_prompts.*tiles 1 to 6"):
            TilePrompts.read(text, PLAN)
    else:
        found = TilePrompts.read(text, PLAN)
        assert [found.of(tile) for tile in PLAN] == expected


def test_a_seams_fix_takes_the_prompt_of_the_tile_it_lies_in():
    options = Options(tile_width=128, seams_fix_type="band", redraw_mode="none")
    found = TilePrompts.read("1-3: top\n4-6: bottom", PLAN)
    texts = {found.of(tile) for work in plan_passes(options, Canvas(384, 256), 64) for tile in work.tiles}
    assert texts == {"top", "bottom"}


def test_thousands_of_lines_and_tiles_take_a_moment():
    """Neither reading nor asking looks through all tiles for each of them."""
    plan = plan_tiles(12800, 12800, 128, 128, 16)
    started = time.perf_counter()
    prompts = TilePrompts.read("\n".join("a" * (n % 2) for n in range(len(plan))), plan)
    texts = [prompts.of(tile) for tile in plan]
    assert time.perf_counter() - started < 2
    assert texts == ["a" * (n % 2) for n in range(len(plan))]


def test_joined_prompts():
    assert joined("a photo,", " sky ") == "a photo, sky" and joined("", "sky") == "sky" and joined("a", "") == "a"


def test_extra_networks_are_seen():
    assert has_extra_networks("rain <lora:rain:0.8>") and not has_extra_networks("a < b, c > d: e")


@pytest.mark.parametrize("value", [3, "a\x00b", "x" * 20_001, None])
def test_what_is_no_text(value):
    with pytest.raises(OptionError, match="tile_prompts"):
        Options(tile_prompts=value)


def test_infotext_brings_the_lines_back():
    options = Options(tile_prompts="sky\r\n2: sea, calm\n")
    assert options.tile_prompts == "sky\n2: sea, calm" and Options.from_infotext(options.to_infotext()) == options
