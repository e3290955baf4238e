"""Options that change nothing beside the others are said: to who typed them, sent them or passed them."""

import numpy as np
import pytest
from PIL import Image

import lib_usdu
from lib_usdu.cli.main import main
from lib_usdu.options import Options
from lib_usdu.options.unused import _without_effect, in_words, unused


@pytest.fixture
def small(tmp_path, photo):
    path = tmp_path / "small.png"
    Image.fromarray(photo[:60, :90]).save(path)
    return path


ALONE = {"redraw_mode": "none"}
CASES = [
    ({}, {"padding": 48, "noise": "tile", "tile_width": 256, "custom_scale": 3.0, "speed": "fast"}, {}),
    (
        ALONE, {"padding": 48, "denoise": 0.5, "speed": "fast", "seams_fix_width": 32, "seamless": True, "seed": 4},
        {"padding": "nothing is redrawn", "denoise": "nothing is redrawn", "speed": "nothing is redrawn",
         "seams_fix_width": "seams are not fixed"},
    ),
    (ALONE, {"padding": 32, "overviews": False}, {}),  # at its default; off where it is off anyway
    (
        {**ALONE, "seams_fix_type": "half"},
        {"padding": 48, "noise": "tile", "seams_fix_width": 32, "seams_fix_padding": 8},
        {"padding": "nothing is redrawn but the seams", "seams_fix_width": "only a band pass has a width"},
    ),
    ({"seams_fix_type": "band"}, {"seams_fix_width": 32, "save_seams_fix_image": True}, {}),
    ({"auto_padding": True}, {"padding": 48, "mask_blur": 2}, {"padding": "the padding is automatic"}),
    (
        {"target_size_type": "custom"}, {"custom_scale": 3.0, "custom_width": 300},
        {"custom_scale": "the size comes from target_size_type custom"},
    ),
    ({}, {"custom_width": 300}, {"custom_width": "the size comes from target_size_type scale"}),
]  # fmt: skip


@pytest.mark.parametrize("others, given, expected", CASES, ids=str)
def test_what_has_no_effect(others, given, expected):
    options = Options(**others, **given)
    assert unused(options, given) == expected
    assert not unused(options, [])  # the rest of a panel's values stand there whether they count or not


def test_a_run_with_all_of_it_uses_all():
    names = (names for names, _ in _without_effect(Options(redraw_mode="linear", seams_fix_type="band")))
    assert set().union(*names) == {"custom_width", "custom_height"}


def test_one_line_for_each_reason():
    found = {"padding": "nothing is redrawn", "denoise": "nothing is redrawn", "seams_fix_width": "seams are not fixed"}
    assert in_words(found) == [
        "padding, denoise are not used: nothing is redrawn", "seams_fix_width is not used: seams are not fixed",
    ]  # fmt: skip


@pytest.mark.parametrize("flags, line", [
    (["--redraw", "none", "-p", "cat", "--steps", "20", "--tile", "256"],
     "--tile, --prompt, --steps are not used: nothing is redrawn"),
    (["--redraw", "none", "--mask", "{small}"], "--mask is not used: nothing is redrawn"),
    (["--auto-padding", "--padding", "64"], "--padding is not used: the padding is automatic"),
    (["--quality", "80"], "--quality is not used: the format keeps all there is"),
    (["--quality", "80", "-f", "jpg"], ""),
    (["--ray-workers", "2"], "--ray-workers is not used: there is no --ray"),
    (["--seams-fix-denoise", "0.2"], "--seams-fix-denoise is not used: seams are not fixed"),
])  # fmt: skip
def test_the_command_line_says_it_before_any_work(small, capsys, flags, line):
    assert main([str(small), "--dry-run", *(flag.format(small=small) for flag in flags)]) == 0
    said = [one for one in capsys.readouterr().err.splitlines() if "not used" in one]
    assert said == ([line] if line else [])


def test_the_share_of_noise_is_that_of_the_seams_fix_where_only_seams_are_redrawn(small, capsys):
    assert main([str(small), "--dry-run", "--redraw", "none", "--seams-fix", "band", "--tile", "64"]) == 0
    assert "denoise 0.35: " in capsys.readouterr().out


def test_python_says_it_in_the_notes(photo):
    picture = Image.fromarray(photo[:30, :40])
    made = lib_usdu.upscale(picture, upscaler="Lanczos", padding=64, steps=9, checkpoint="embedded", **ALONE)
    assert made.notes[0] == "padding, steps, checkpoint are not used: nothing is redrawn"


@pytest.mark.parametrize("settings, message", [
    ({"steps": "20"}, "steps: '20'.*whole number"), ({"steps": 2.5}, "steps: 2.5.*whole number"),
    ({"cfg": "x"}, "cfg: 'x'.*a number"), ({"sampler": 3}, "sampler: 3"), ({"prompt": None}, "prompt: None.*a text"),
    ({"lora": "file"}, "lora: 'file'.*a list"),
])  # fmt: skip
def test_python_takes_no_value_for_another(photo, settings, message):
    with pytest.raises(lib_usdu.UsduError, match=message):
        lib_usdu.Upscaler(upscaler="Lanczos", checkpoint="embedded", **settings)


def test_a_mask_of_nothing_is_refused(photo):
    with pytest.raises(lib_usdu.UsduError, match="mask.*where something is redrawn"):
        lib_usdu.upscale(photo[:30, :40], upscaler="Lanczos", mask=np.full((30, 40), 255, np.uint8), **ALONE)
