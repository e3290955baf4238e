"""The plan of a run: what it holds, and what it refuses before any model is loaded."""

import subprocess
import sys

import numpy as np
import pytest
from hosts import NoisyRefiner
from PIL import Image

from lib_usdu.engine import upscale
from lib_usdu.errors import OptionError
from lib_usdu.host import Abilities
from lib_usdu.options import Options
from lib_usdu.plan import Plan, make_plan
from lib_usdu.standalone.host import LocalHost

ANY_FUSED = Abilities(why_not_fused=str)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"redraw_mode": "fused", "noise": "tile"}, "noise.*canvas, with the redraw mode fused"),
        ({"redraw_mode": "fused", "tile_prompts": "cat"}, "tile_prompts.*none, with the redraw mode fused"),
        ({"redo_tiles": "99", "custom_scale": 1}, "redo_tiles.*1 to 4, the tiles of this picture"),
        ({"redo_tiles": "1", "custom_scale": 2}, "redo_tiles.*keeps its size"),
        ({"redo_tiles": "1", "custom_scale": 1, "redraw_mode": "none"}, "redo_tiles.*nothing is redrawn"),
        ({"tile_prompts": "99: cat"}, r"tile_prompts.*tiles 1 to 16"),
        ({"tile_prompts": "99: cat", "redraw_mode": "none", "seams_fix_type": "band"}, "tile_prompts.*tiles 1 to 16"),
        ({"seamless": True, "custom_scale": 1.01}, "seamless.*multiples of 8"),
        ({"custom_scale": 64, "max_megapixels": 1}, "size.*megapixels"),
        ({"tile_width": 64, "tile_height": 64, "custom_scale": 16}, "tile_width: '64x64'.*20000 tiles, not 56250"),
        ({"target_size_type": "img2img"}, "target_size_type.*no img2img tab"),
        ({"upscaler": "4x-UltraSharp"}, "upscaler.*None, Lanczos, Nearest"),
        ({"upscaler": "/etc/model.pth"}, "upscaler"),
        ({"interrogator": "clip"}, "interrogator.*none"),
        ({"finish": "faces"}, "finish.*none"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(OptionError, match=f"(?s){message}"):
        make_plan(Options(tile_width=512).with_(**changes), (1000, 900), ANY_FUSED)


def test_a_host_without_fused_says_why():
    with pytest.raises(OptionError, match=r"linear, chess, none, parallel \(no card\)"):
        make_plan(Options(redraw_mode="fused"), (64, 64), Abilities(why_not_fused=lambda: "no card"))


def test_why_it_is_not_fused_is_asked_only_where_it_counts():
    """The answer may load a model."""

    def asked():
        raise AssertionError("asked")

    assert make_plan(Options(), (64, 64), Abilities(why_not_fused=asked)).tiles == 1


def test_an_upscaler_in_a_file(tmp_path):
    (tmp_path / "mine.PTH").touch()
    here = Abilities(upscaler_suffixes=(".pth",))
    assert make_plan(Options(upscaler=str(tmp_path / "mine.PTH")), (64, 64), here).tiles == 1
    for name, place in (("mine.PTH", Abilities()), ("other.pth", here), ("mine.zip", here)):
        with pytest.raises(OptionError, match="upscaler"):
            make_plan(Options(upscaler=str(tmp_path / name)), (64, 64), place)
    finished = Options(upscaler="of another machine", redo_tiles="1", custom_scale=1)
    assert make_plan(finished, (64, 64), here).tiles == 1


@pytest.mark.parametrize("shape", [(300, 200), (600, 400), (75, 50), (201, 134)])
def test_a_mask_of_the_pictures_shape(shape):
    plan = make_plan(Options(), (200, 300), ANY_FUSED, mask=np.ones(shape, bool))
    assert plan.mask.shape == (600, 400) and plan.tiles == 2


@pytest.mark.parametrize("shape", [(200, 300), (300, 300), (300, 210), (8, 8)])
def test_a_mask_that_would_be_squashed(shape):
    with pytest.raises(OptionError, match="mask.*shape of 200x300 or 400x600"):
        make_plan(Options(), (200, 300), ANY_FUSED, mask=np.ones(shape, bool))


def test_a_mask_of_a_result_of_another_shape():
    options = Options(target_size_type="custom", custom_width=512, custom_height=128)
    for shape in ((300, 200), (128, 512)):
        assert make_plan(options, (200, 300), ANY_FUSED, mask=np.ones(shape)).mask.shape == (128, 512)


def test_the_passes_hold_only_what_is_refined():
    mask = np.zeros((1024, 1024), np.uint8)
    mask[:100, :100] = 255
    options = Options(tile_width=512, custom_scale=1)
    assert [tile.index for tile in make_plan(options, (1024, 1024), ANY_FUSED, mask=mask).passes[0].tiles] == [0]
    assert make_plan(options, (1024, 1024), ANY_FUSED, mask=0 * mask).passes == ()
    redone = make_plan(options.with_(redo_tiles="2-3", seams_fix_type="band"), (1024, 1024), ANY_FUSED)
    assert [[tile.index for tile in work.tiles] for work in redone.passes] == [[1, 2]]
    assert len(redone.numbered) == 4


def test_what_is_automatic_is_decided():
    plan = make_plan(Options(auto_padding=True, denoise=0.5), (600, 600), Abilities(default_tile=1024))
    assert (plan.options.tile_width, plan.options.padding, plan.tiles) == (1024, 64, 4)


REFUSED = [
    (["--redo-tiles", "99", "--scale", "1"], "--redo-tiles: '99'"),
    (["--mask", "nothere.png"], "--mask: nothere.png: no such file"),
    (["--redraw", "fused", "--noise", "tile"], "--noise: 'tile'"),
    (["--tile-prompts", "99: cat"], "--tile-prompts: '99: cat'"),
    (["--upscaler", "nothere.pth"], "--upscaler: 'nothere.pth'"),
    (["--redraw", "fused", "--ray"], "--redraw: 'fused'"),
]


@pytest.mark.parametrize("flags, sentence", REFUSED, ids=[" ".join(flags) for flags, _ in REFUSED])
def test_the_command_line_refuses_before_torch_is_imported(flags, sentence, tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "x.png")
    script = (
        "import sys; from lib_usdu.cli.main import main; code = main(sys.argv[1:]);"
        "sys.exit('torch was imported' if {'torch', 'diffusers', 'spandrel'} & set(sys.modules) else code)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "x.png"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and f"usdu: error: {sentence}" in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "x-2x.png").exists()


# --- tiles that are alike ---------------------------------------------------------------------------------------------


def whole(**values):
    """Over 96 x 72 px in tiles of 64 with so much around them every window is the whole picture."""
    return Options(tile_width=64, tile_height=64, padding=64, custom_scale=1, denoise=0.4, **values)


@pytest.mark.parametrize("values, calls", [
    ({}, 1), ({"blend": "cut"}, 1), ({"seamless": True}, 4), ({"noise": "tile"}, 4), ({"redraw_mode": "linear"}, 4),
    ({"tile_prompts": "2: a cat"}, 2), ({"redo_tiles": "2 3"}, 1), ({"tile_batch": 3}, 1),
], ids=str)  # fmt: skip
def test_windows_that_are_the_same_are_refined_once(photo, monkeypatch, values, calls):
    picture, refiner = photo[:72, :96], NoisyRefiner()
    result = upscale(picture, whole(**values), LocalHost(refiner))
    tiles = [tile for batch in refiner.batches for tile in batch.tiles]
    assert len(tiles) == calls and result.stats.tiles_done == result.stats.tiles
    monkeypatch.setattr(Plan, "alike", lambda self, work: {tile: [tile] for tile in work.tiles})
    each = upscale(picture, whole(**values), LocalHost(NoisyRefiner()))
    assert np.array_equal(result.image, each.image) and each.stats.tiles == result.stats.tiles


def test_of_tiles_that_are_alike_each_is_named_when_it_fails(photo):
    class Fails(NoisyRefiner):
        def refine(self, batch, stop):
            if any(batch.prompts):
                raise RuntimeError("a cat")
            return super().refine(batch, stop)

    result = upscale(photo[:72, :96], whole(tile_prompts="2: a cat\n4: a cat"), LocalHost(Fails()))
    assert [note[:6] for note in result.notes] == ["tile 2", "tile 4"]
