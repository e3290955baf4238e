"""One tile before the rest: which one, what is shown, and that it is not made again."""

import numpy as np
import pytest
from hosts import NoisyRefiner
from PIL import Image

from lib_usdu.cli.main import main
from lib_usdu.engine import upscale
from lib_usdu.errors import OptionError
from lib_usdu.host import Abilities
from lib_usdu.options import Options
from lib_usdu.pictures.imagefile import read_infotext
from lib_usdu.pictures.infotext import TRIED_KEY
from lib_usdu.plan import make_plan
from lib_usdu.standalone.host import LocalHost

NINE = Options(tile_width=64, padding=16, custom_scale=2, denoise=0.4, upscaler="Lanczos", seed=5)


def made(picture, options, folder):
    """The result, and how many tiles the model was given for it."""
    refiner = NoisyRefiner()
    result = upscale(picture, options, LocalHost(refiner, journal_folder=folder))
    return result, sum(len(batch.tiles) for batch in refiner.batches)


@pytest.mark.parametrize("changes", [
    {}, {"blend": "cut"}, {"noise": "tile"}, {"seams_fix_type": "band"}, {"tile_prompts": "5: a cat"},
])  # fmt: skip
def test_the_run_takes_the_tile_that_was_tried_as_it_is(photo, tmp_path, changes):
    """One call of the model fewer, the same picture to the bit."""
    options = NINE.with_(**changes)
    picture = photo[:96, :96]
    tried, calls = made(picture, options.with_(try_tile="5"), tmp_path)
    assert calls == tried.stats.tiles == tried.stats.tiles_done == 1 and tried.tried == 5
    assert tried.notes == ("tile 5 of 9 is kept: the run with the same settings takes it as it is",)
    assert tried.parameters[TRIED_KEY] == "5" and list(tried.stats.tile_seconds) == [4]
    without, most = made(picture, options, None)
    result, calls = made(picture, options, tmp_path)
    assert calls == most - 1 and np.array_equal(result.image, without.image)
    assert result.tried == 0 and result.pair is None and TRIED_KEY not in result.parameters
    result.forget()
    assert not list(tmp_path.rglob("*.usdu"))


def test_the_pair_is_the_tile_before_and_after(photo, tmp_path):
    tried, _ = made(photo[:96, :96], NINE.with_(try_tile="5"), tmp_path)
    (tile,) = tried.plan.passes[0].tiles
    before, after = (picture[tile.core.slices] for picture in (tried.upscaled, tried.image))
    assert (before != after).mean() > 0.5
    shown = {bytes(block.tobytes()) for block in np.lib.stride_tricks.sliding_window_view(
        tried.pair[:, :, 1], before.shape[:2]).reshape(-1, *before.shape[:2])}  # fmt: skip
    assert before[:, :, 1].tobytes() in shown and after[:, :, 1].tobytes() in shown
    outside = tried.image.copy()
    outside[tile.window.slices] = tried.upscaled[tile.window.slices]
    assert np.array_equal(outside, tried.upscaled)


@pytest.mark.parametrize("mode, calls_left", [("linear", 9), ("chess", 9), ("fused", 0)])
def test_a_tile_that_would_see_its_neighbours_is_not_kept_and_that_is_said(photo, tmp_path, mode, calls_left):
    picture, options = photo[:96, :96], NINE.with_(redraw_mode=mode)
    tried, calls = made(picture, options.with_(try_tile="9"), tmp_path)
    assert calls == 1 and f"the redraw mode {mode} draws it again, together with its neighbours" in tried.notes[-1]
    result, calls = made(picture, options, tmp_path)
    assert calls == calls_left and result.stats.resumed == 0
    assert np.array_equal(result.image, made(picture, options, None)[0].image)


def test_without_the_option_to_continue_nothing_is_kept_and_that_is_said(photo, tmp_path):
    tried, _ = made(photo[:96, :96], NINE.with_(try_tile="1", resume=False), tmp_path)
    assert tried.notes == ("tile 1 of 9 is not kept: the run draws it again",) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", [(8, 8), (70, 40), (40, 70)])
def test_auto_is_the_tile_with_most_detail(tmp_path, place):
    """A texture counts more than the hard edge of a large area."""
    x, y = place
    picture = np.full((96, 96, 3), 120, np.uint8)
    picture[:, 50:] = 250
    texture = np.random.default_rng(1).integers(0, 40, (16, 16, 3), np.uint8)
    picture[y : y + 16, x : x + 16] = 100 + texture
    tried, calls = made(picture, NINE.with_(try_tile="auto"), tmp_path)
    (tile,) = tried.plan.passes[0].tiles
    core = tile.core
    assert calls == 1 and core.x <= 2 * (x + 8) < core.right and core.y <= 2 * (y + 8) < core.bottom


def test_auto_leaves_out_what_the_run_leaves_out(photo, tmp_path):
    mask = np.zeros((96, 96), np.uint8)
    mask[2:6, 2:6] = 255
    refiner = NoisyRefiner()
    host = LocalHost(refiner, journal_folder=tmp_path)
    assert upscale(photo[:96, :96], NINE.with_(try_tile="auto"), host, mask=mask).tried == 1
    finished = NINE.with_(custom_scale=1, redo_tiles="4, 7-9", try_tile="auto")
    assert upscale(photo[:192, :192], finished, host).tried in (4, 7, 8, 9)


@pytest.mark.parametrize("value, changes, said", [
    ("10", {}, "auto, or a tile that is redrawn, 1 to 9"), ("1", {"redraw_mode": "none"}, "none, where no tile is"),
])  # fmt: skip
def test_a_tile_that_is_not_there_is_refused(value, changes, said):
    with pytest.raises(OptionError, match=said):
        make_plan(NINE.with_(try_tile=value, **changes), (96, 96), Abilities())


@pytest.mark.parametrize("value", ["0", "-1", "3-4", "best", "", 1.5, None, True])
def test_what_is_no_tile_is_refused(value):
    with pytest.raises(OptionError, match="none, auto, or the number of a tile, from 1"):
        Options(try_tile=value)
    assert Options(try_tile=7).try_tile == "7" and Options(try_tile=" AUTO ").try_tile == "auto"


def test_the_command_line_writes_the_pair_and_leaves_the_result_alone(tmp_path, photo, capsys):
    source, pair = tmp_path / "a.png", tmp_path / "a-2x-tile-3.png"
    Image.fromarray(photo[:96, :96]).save(source)
    flags = [str(source), "--engine", "identity", "-u", "Lanczos", "--tile", "64", "--padding", "16"]
    for _ in range(2):  # the second one in place of the first
        assert main([*flags, "--try-tile", "3"]) == 0
    assert f"{TRIED_KEY}: 3" in read_infotext(pair)
    assert "tile 3 before and after" in capsys.readouterr().err
    assert not (tmp_path / "a-2x.png").exists()
    assert main(flags) == 0 and "resumed: 1 tile" in capsys.readouterr().err
    assert main([*flags, "--try-tile", "auto"]) == 0 and len(list(tmp_path.glob("a-2x-tile-*.png"))) == 2


def test_the_command_line_tries_a_tile_of_one_picture_only(tmp_path, photo, capsys):
    for name in "ab":
        Image.fromarray(photo[:64, :64]).save(tmp_path / f"{name}.png")
    assert main([str(tmp_path), "--try-tile", "auto"]) == 2
    assert "--try-tile: 'auto' is not allowed; allowed: one picture at a time" in capsys.readouterr().err
