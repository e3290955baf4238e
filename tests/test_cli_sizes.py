"""Sizes by one side, by the longest or shortest, and what becomes of another shape."""

import numpy as np
import pytest
from PIL import Image

from lib_usdu.cli.main import main
from lib_usdu.pictures.imagefile import read_infotext

PLAIN = ["--engine", "identity", "--upscaler", "Lanczos"]


@pytest.fixture
def portrait(tmp_path, photo):
    path = tmp_path / "portrait.png"
    Image.fromarray(photo[:90, :60]).save(path)
    return path


def result(*flags, tmp_path):
    out = tmp_path / "out.png"
    assert main([*map(str, flags), "-o", str(out), *PLAIN]) == 0
    return Image.open(out)


SIZES = {
    "--size 80x": (80, 120), "--size x180": (120, 180), "--size 120x180": (120, 180), "--size 121x180": (121, 180),
    "--longest 300": (200, 300), "--shortest 300": (300, 450), "--scale 1.5": (90, 135), "--size 61x": (61, 92),
    "--size 200x200 --resize-mode fit": (133, 200), "--size 200x100 --resize-mode crop": (200, 100),
    "--size 200x100 --resize-mode fill": (200, 100), "--size 200x100 --resize-mode stretch": (200, 100),
}  # fmt: skip


@pytest.mark.parametrize("flags", SIZES)
def test_sizes(flags, portrait, tmp_path):
    assert result(portrait, *flags.split(), tmp_path=tmp_path).size == SIZES[flags]


REFUSED = {
    "--size 384x216": "--size: '384x216' .*shape of the picture, 60x90.*144x216.*384x.*fit, crop, fill, stretch",
    "--size 120x180 --scale 2": "one of --scale, --size, --longest, --shortest",
    "--size 0x": "--size: '0x'", "--size x": "--size: 'x'", "--size 12": "--size: '12'", "--size 99999999x": "--size",
    "--longest 0": "--longest: '0'", "--shortest two": "--shortest: 'two'",
    "--longest 10 --shortest 20": "one of", "--resize-mode crop": "--resize-mode: 'crop' .*with --size",
    "--size 10x10 --resize-mode squash": "fit, crop, fill, stretch",
}  # fmt: skip


@pytest.mark.parametrize("flags", REFUSED)
def test_what_is_refused(flags, portrait, tmp_path, capsys):
    import re

    assert main([str(portrait), *flags.split(), *PLAIN]) == 2
    said = capsys.readouterr().err
    assert re.search(REFUSED[flags], said) and len(said.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [portrait]


def test_crop_keeps_the_shape_of_things_and_the_middle(tmp_path):
    """A disc stays round."""
    y, x = np.mgrid[:120, :60]
    disc = (((x - 29.5) ** 2 + (y - 59.5) ** 2) < 400) * np.uint8(255)
    Image.fromarray(disc).convert("RGB").save(tmp_path / "disc.png")
    for mode, across in (("crop", 80), ("fill", 40)):
        flags = ("--size", "120x120", "--resize-mode", mode, "--overwrite")
        seen = np.asarray(result(tmp_path / "disc.png", *flags, tmp_path=tmp_path).convert("L")) > 127
        rows, columns = np.nonzero(seen)
        assert abs(np.ptp(rows) - np.ptp(columns)) <= 1 and abs(np.ptp(rows) - across) <= 2
        assert abs(rows.mean() - 59.5) < 1 and abs(columns.mean() - 59.5) < 1


@pytest.mark.parametrize("mode", ["crop", "fill"])
def test_alpha_mask_and_16_bits_are_cut_as_the_picture_is(mode, tmp_path, photo):
    alpha = np.tile(np.arange(60, dtype=np.uint8), (90, 1))
    Image.fromarray(np.dstack([photo[:90, :60], alpha])).save(tmp_path / "in.png")
    Image.fromarray(alpha).save(tmp_path / "mask.png")
    made = result(tmp_path / "in.png", "--mask", tmp_path / "mask.png", "--size", "60x60", "--resize-mode", mode,
                  "--overwrite", tmp_path=tmp_path)  # fmt: skip
    assert made.size == (60, 60)
    shown = np.asarray(made.getchannel("A"))[30].astype(int)
    assert (np.abs(shown - np.arange(60)).max() <= 1) if mode == "crop" else (shown[:9] == 0).all() and shown[-1] == 59


def test_a_mask_of_another_shape_is_refused(portrait, tmp_path, capsys):
    Image.new("L", (90, 60), 255).save(tmp_path / "mask.png")
    assert main([str(portrait), "--mask", str(tmp_path / "mask.png"), *PLAIN]) == 2
    assert "--mask: '90x60' is not allowed; allowed: a picture of the shape of 60x90" in capsys.readouterr().err


def test_pictures_of_a_folder_get_their_own_size(tmp_path, photo):
    (tmp_path / "in").mkdir()
    Image.fromarray(photo[:90, :60]).save(tmp_path / "in" / "a.png")
    Image.fromarray(photo[:60, :90]).save(tmp_path / "in" / "b.png")
    assert main([str(tmp_path / "in"), "--longest", "120", *PLAIN]) == 0
    sizes = [Image.open(tmp_path / "in-longest120" / name).size for name in ("a.png", "b.png")]
    assert sizes == [(80, 120), (120, 80)]


@pytest.mark.parametrize("flags", [[], ["--prompt", "cat", "--sampler", "Heun"]])
def test_without_a_redraw_no_model_is_loaded_and_none_is_claimed(flags, portrait, tmp_path, monkeypatch):
    from lib_usdu.cli import models

    def loaded(*_):
        raise AssertionError("a diffusion model was loaded")

    monkeypatch.setattr(models, "_refiner", loaded)
    out = tmp_path / "out.png"
    assert main([str(portrait), "-o", str(out), "--redraw", "none", "--upscaler", "Lanczos", *flags]) == 0
    said = read_infotext(out)
    assert "Ultimate SD upscale redraw_mode: none" in said
    assert not any(word in said for word in ("Sampler", "Steps", "Model", "CFG", "cat"))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_a_cut_out_has_no_rim(suffix, tmp_path):
    """A red disc on transparent black: no visible pixel of the result is darker than the disc."""
    y, x = np.mgrid[:64, :64] - 31.5
    inside = x**2 + y**2 < 400
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[inside] = 230, 40, 40, 255
    Image.fromarray(picture).save(tmp_path / "disc.png")
    out = tmp_path / f"out{suffix}"
    assert main([str(tmp_path / "disc.png"), "-o", str(out), *PLAIN]) == 0
    made = np.asarray(Image.open(out)).astype(int)
    seen = made[..., 3] > 8
    assert seen.sum() > 4000 and made[seen][:, 0].min() >= (225 if suffix == ".webp" else 230)
