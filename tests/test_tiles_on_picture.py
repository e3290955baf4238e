"""What the page is told of the tiles that it draws over the picture."""

import base64
import html
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from lib_usdu.host import Abilities
from lib_usdu.options import LEGACY_ARGUMENTS, OWN_ARGUMENTS, Options
from lib_usdu.panel.tiles import MOST_DRAWN, read_shown, tiles_of_plan
from lib_usdu.plan import make_plan


class Source:
    seconds = {}  # noqa: RUF012

    def abilities(self):
        return Abilities(upscalers=("None", "Lanczos"))

    def tile_seconds(self, plan):
        return self.seconds


def address(picture, kind="PNG"):
    file = io.BytesIO()
    picture.save(file, kind)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(file.getvalue()).decode()


def told(size=(768, 512), show=True, sent=None, mode=0, seconds=(), tab=(512, 512), **changes):
    """The JSON; {} where there is none."""
    names = ["upscaler" if name == "upscaler_index" else name for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)]
    values = [changes.get(name, getattr(Options, name)) for name in names]
    source = Source()
    source.seconds = dict(seconds)
    page = json.dumps([*size, *tab, 0.3, False, mode, 20, "Euler", 7, "Automatic", show, sent or {}])
    found = re.fullmatch(r"<div class='usdu_tiles_data' hidden>(.*)</div>", tiles_of_plan(source, 100.0, page, *values))
    return json.loads(html.unescape(found[1])) if found else {}


def drawn(**more):
    return [tile[0] for tile in told(**more)["tiles"] if tile[5]]


def test_the_tiles_are_those_of_the_plan():
    plan = make_plan(Options(denoise=0.3), (768, 512), Abilities())
    found = told(seconds=[(0, 1.234)])
    assert found["size"] == [1536, 1024] and found["at"] == [0, 0, 1, 1] and found["count"] == 6 == len(plan.numbered)
    for tile, (number, *core, state, x, y, w, h, seconds) in zip(plan.passes[0].tiles, found["tiles"], strict=True):
        expected = tile.core, tile.window
        given = [(area.x, area.y, area.width, area.height) for area in expected]
        assert (number, state, [tuple(core), (x, y, w, h)]) == (tile.index + 1, 1, given)
        assert seconds == (1.23 if number == 1 else 0)


def test_nothing_is_told_where_nothing_is_to_be_seen():
    assert told(show=False) == {} == told(size=(0, 0)) == told(custom_scale=64.0) == told(upscaler="gone")
    assert told(redraw_mode="none")["tiles"] == []
    many = told(tile_width=64, tile_height=64, custom_scale=4.0)
    assert many["count"] > MOST_DRAWN and many["tiles"] == []


def test_tiles_to_redo_stand_out_also_where_they_are_refused():
    """The picture is no finished one yet: the line says so, and the tiles stay where they are."""
    assert drawn(redo_tiles="2, 5-9") == [2, 5, 6] and told(redo_tiles="2")["redo"] is False
    assert told(custom_scale=1.0)["redo"] is True and drawn(custom_scale=1.0, redo_tiles="1") == [1]


def test_tiles_that_the_mask_leaves_out_are_dimmed():
    mask = Image.new("RGBA", (192, 128))
    mask.putpixel((10, 10), (0, 0, 0, 255))
    sent = {"mask": address(mask), "invert": False}
    assert drawn(sent=sent) == [1] and drawn(sent={**sent, "invert": True}) == [1, 2, 3, 4, 5, 6]
    assert drawn(sent={"mask": address(Image.new("RGBA", (192, 128)))}) == []


def test_the_blur_of_the_mask_counts():
    """A run redraws what the soft edge reaches."""
    mask = Image.new("RGBA", (192, 128))
    mask.paste((0, 0, 0, 255), (40, 5, 54, 50))
    sent = {"mask": address(mask), "invert": False}
    assert drawn(sent=sent) == drawn(sent={**sent, "blur": "x"}) == [1] and drawn(sent={**sent, "blur": 4}) == [1, 2]


def test_an_uploaded_mask_is_read_as_the_webui_reads_it():
    bright = Image.new("RGB", (192, 128))
    bright.paste((255, 255, 255), (150, 90, 180, 110))
    sent = {"mask": address(bright), "uploaded": True}
    assert drawn(sent=sent) == [6] and drawn(sent={**sent, "invert": True}) == [1, 2, 3, 4, 5, 6]


def test_flat_tiles_are_dimmed_where_the_option_leaves_them_out():
    picture = Image.new("RGB", (768, 512), (200, 200, 200))
    picture.paste(Image.effect_noise((100, 100), 90).convert("RGB"), (20, 20))
    sent = {"picture": address(picture, "JPEG")}
    assert drawn(sent=sent, skip_flat=2.0) == [1]
    assert drawn(sent=sent) == drawn(skip_flat=2.0) == [1, 2, 3, 4, 5, 6]
    assert told(sent=sent, redraw_mode="fused") == {}  # refused here: the line says why
    assert drawn(sent=sent, skip_flat=2.0, custom_scale=1.0, redo_tiles="1-2") == [1, 2]  # a redo redraws what is asked


@pytest.mark.parametrize("mode, at", [(0, [0, 0, 1, 1]), (1, [1 / 6, 0, 2 / 3, 1]), (2, [0, -0.25, 1, 1.5])])
def test_where_the_result_lies_on_the_picture(mode, at):
    """Cropped it shows less of the picture, filled it is more than the picture."""
    assert told(mode=mode, tab=(1024, 1024), target_size_type="img2img")["at"] == pytest.approx(at)
    assert told(mode=mode)["at"] == [0, 0, 1, 1]


@pytest.mark.parametrize("sent", [
    {"picture": "x"}, {"picture": 5}, {"mask": "data:image/png;base64,AAAA"}, {"mask": None}, {"picture": "data:,"},
    [], 3,
])  # fmt: skip
def test_what_is_no_picture_is_passed_over(sent):
    assert len(told(sent=sent)["tiles"]) == 6
    assert read_shown("") == read_shown("[1]") == read_shown("{}") == (False, None, None)


def test_a_picture_that_would_fill_the_memory_is_passed_over():
    huge = address(Image.new("L", (5000, 5000)))
    assert read_shown(json.dumps([*range(10), True, {"picture": huge}]))[1] is None
    small = address(Image.new("RGB", (3, 2), (1, 2, 3)))
    seen = read_shown(json.dumps([*range(10), True, {"picture": small}]))[1]
    assert np.array_equal(seen, np.full((2, 3, 3), (1, 2, 3)))
