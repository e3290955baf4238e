"""Tiles by number: over a finished picture only those that are named change."""

import re

import numpy as np
import pytest
from faulty import FaultyRefiner, cores
from PIL import Image

from lib_usdu.cli.main import main
from lib_usdu.engine import upscale
from lib_usdu.errors import OptionError
from lib_usdu.geometry import Canvas
from lib_usdu.options import Options
from lib_usdu.passes import plan_passes
from lib_usdu.pictures.number_sheet import numbered
from lib_usdu.standalone.host import LocalHost

OPTIONS = Options(tile_width=64, padding=16, mask_blur=4, custom_scale=1, denoise=0.5)


@pytest.fixture(scope="module")
def finished(photo):
    return upscale(photo[100:292, 150:342], OPTIONS, LocalHost(FaultyRefiner())).image


@pytest.mark.parametrize("blend", ["feather", "cut"])
@pytest.mark.parametrize("redraw", ["parallel", "linear", "chess"])
def test_only_the_named_tiles_change(redraw, blend, finished):
    refiner = FaultyRefiner()
    options = OPTIONS.with_(redo_tiles="3, 7-8", seed=99, redraw_mode=redraw, blend=blend, seams_fix_type="band")
    result = upscale(finished, options, LocalHost(refiner))
    tiles = plan_passes(OPTIONS, Canvas(192, 192), 64)[0].tiles
    chosen = [tiles[i] for i in (2, 6, 7)]
    assert sorted(tile for call in refiner.seen for tile in call) == [2, 6, 7]
    near = cores(result, chosen)
    for tile in chosen:
        near[tile.core.grow(10).intersect(type(tile.core)(0, 0, 192, 192)).slices] = True  # the mask blur reaches out
    assert np.array_equal(result.image[~near], finished[~near])
    for tile in chosen:
        inner = tile.core.grow(-10).slices
        assert (result.image[inner] != finished[inner]).mean() > 0.5
    assert "Ultimate SD upscale tiles redone: 3 7-8" in result.infotext


def test_all_is_what_it_was(finished):
    for text in ("", "all", " ALL "):
        assert OPTIONS.with_(redo_tiles=text) == OPTIONS


@pytest.mark.parametrize("text", ["0", "10", "3-2", "9-10", "0-3"])
def test_a_number_no_tile_has(text, finished):
    with pytest.raises(OptionError, match="redo_tiles: .*1 to 9, the tiles of this picture"):
        upscale(finished, OPTIONS.with_(redo_tiles=text), LocalHost(FaultyRefiner()))


@pytest.mark.parametrize("text", ["a", "1.5", "-1", "1--2", "1-2-3", "²", 3, None, "1" * 10, "1 " * 2000])
def test_what_is_no_number(text):
    with pytest.raises(OptionError, match="redo_tiles: .*numbers of tiles such as"):
        OPTIONS.with_(redo_tiles=text)


def test_a_finished_picture_keeps_its_size(finished):
    with pytest.raises(OptionError, match="redo_tiles: .*192x192 to 384x384"):
        upscale(finished, OPTIONS.with_(redo_tiles="3", custom_scale=2), LocalHost(FaultyRefiner()))
    with pytest.raises(OptionError, match="nothing is redrawn"):
        upscale(finished, OPTIONS.with_(redo_tiles="3", redraw_mode="none"), LocalHost(FaultyRefiner()))


def test_the_picture_of_numbers(finished):
    sheet = upscale(finished, OPTIONS.with_(number_tiles=True), LocalHost(FaultyRefiner())).numbered
    assert sheet.shape == (192, 192, 3)
    tiles = plan_passes(OPTIONS, Canvas(192, 192), 64)[0].tiles
    for tile in tiles:
        x, y = tile.core.x + tile.core.width // 2, tile.core.y + tile.core.height // 2
        label = sheet[y - 12 : y + 12, x - 12 : x + 12].reshape(-1, 3)
        assert (label == (255, 255, 0)).all(axis=1).any()
        assert (sheet[tile.core.y, tile.core.x : tile.core.right] == 255).all()
    plain = [numbered(np.zeros_like(finished), [tile]) for tile in tiles]
    assert len({picture.tobytes() for picture in plain}) == 9  # each its own number
    large = numbered(np.zeros((1000, 8000, 3), np.uint8), tiles)
    assert large.shape == (256, 2048, 3)
    assert upscale(finished, OPTIONS, LocalHost(FaultyRefiner())).numbered is None


def test_on_the_command_line(tmp_path, capsys, photo):
    source, out, sheet, redone = (tmp_path / name for name in ("in.png", "out.png", "numbers.png", "redone.png"))
    Image.fromarray(photo[:100, :150]).save(source)
    dry = ["--engine", "identity", "--upscaler", "Lanczos", "--tile", "128"]
    assert main([str(source), "-o", str(out), "--number-tiles", str(sheet), "--scale", "2", *dry]) == 0
    assert Image.open(sheet).size == (300, 200)
    assert main([str(out), "-o", str(redone), "--redo-tiles", "2,5-6", "--scale", "1", *dry]) == 0
    assert re.search("300x200 -> 300x200, 3 tiles", capsys.readouterr().err)
    assert main([str(out), "-o", str(tmp_path / "x.png"), "--redo-tiles", "7", "--scale", "1", *dry]) == 2
    assert "--redo-tiles: '7' is not allowed; allowed: 1 to 6" in capsys.readouterr().err
