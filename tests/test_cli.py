"""The command line as a person uses it: whole processes where exit codes count, `main` elsewhere."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_usdu import Upscaler, UsduError, upscale
from lib_usdu.cli.flags import given_names, parser
from lib_usdu.cli.main import main
from lib_usdu.cli.models import settle_model
from lib_usdu.options import Options
from lib_usdu.pictures import imagefile

DRY = ["--engine", "identity", "--upscaler", "Lanczos"]


@pytest.fixture
def small(tmp_path, photo):
    path = tmp_path / "small.png"
    Image.fromarray(photo[:60, :90]).save(path)
    return path


def opened(path):
    return np.asarray(Image.open(path))


def test_a_picture_with_everything_written(small, tmp_path, capsys):
    out, sheet, report = tmp_path / "out.png", tmp_path / "sheet.png", tmp_path / "report.json"
    code = main([str(small), "-o", str(out), "--scale", "1.5", "--tile", "64x128", "--compare", str(sheet),
                 "--json", str(report), *DRY])  # fmt: skip
    assert code == 0 and opened(out).shape == (90, 135, 3) and opened(sheet).shape[1] > 270
    told = json.loads(report.read_text())
    # Two of the windows are the same.
    assert (told["width"], told["height"], told["tiles"], told["batches"]) == (135, 90, 3, 2)
    assert {"seconds", "outside_ms_per_tile", "stages", "peak_rss_mb"} <= set(told) and "redraw" in told["stages"]
    parameters = imagefile.read_infotext(out)
    assert "Ultimate SD upscale tile_width: 64, Ultimate SD upscale tile_height: 128" in parameters
    assert "90x60 -> 135x90, 3 tiles" in capsys.readouterr().err


def test_exact_size_and_default_name(small, tmp_path):
    assert main([str(small), "--size", "90x", *DRY]) == 0
    assert opened(tmp_path / "small-90x.png").shape == (60, 90, 3)


def test_alpha_profile_dpi_and_orientation_are_kept(tmp_path, photo):
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, 30:] = 255
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(np.dstack([photo[:40, :60], alpha])).save(source, icc_profile=profile, dpi=(300, 300), exif=exif)
    assert main([str(source), "-o", str(out), *DRY]) == 0
    result = Image.open(out)
    assert result.mode == "RGBA" and result.size == (80, 120)
    assert result.info["icc_profile"] == profile and round(result.info["dpi"][0]) == 300
    turned = np.asarray(result)[..., 3]
    assert turned[:50].max() == 0 and turned[70:].min() == 255


def test_a_folder_keeps_names_and_survives_a_broken_picture(tmp_path, photo, capsys):
    folder, out, report = tmp_path / "in", tmp_path / "out", tmp_path / "report.json"
    folder.mkdir()
    Image.fromarray(photo[:30, :40]).save(folder / "b.jpg")
    Image.fromarray(photo[:30, :50]).save(folder / "a.png")
    Image.fromarray(photo[:30, :50]).convert("P").save(folder / "d.gif")
    (folder / "c.png").write_bytes(b"broken")
    assert main([str(folder), "-o", str(out), "--json", str(report), *DRY]) == 1
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "b.jpg", "d.gif.png"]
    assert opened(out / "a.png").shape == (60, 100, 3) and opened(out / "b.jpg").shape == (60, 80, 3)
    told = capsys.readouterr().err
    assert "1 of 4 pictures failed" in told and "c.png" in told.splitlines()[-1] and "Traceback" not in told
    assert len(json.loads(report.read_text())["pictures"]) == 3


BAD = {
    "missing image": (["nowhere.png"], "nowhere.png: no such file"),
    "broken image": (["{broken}"], "broken.png"),
    "unknown upscaler": (["{small}", "--upscaler", "9x-Magic"], "--upscaler: '9x-Magic'.*SPAN x4"),
    "an upscaler that is none": (["{small}", "--upscaler", "{model}"], "model.pth"),
    "tile too small": (["{small}", "--tile", "63"], "--tile: 63 is not allowed; allowed: 64 px or more"),
    "tile no number": (["{small}", "--tile", "big"], "--tile: 'big'"),
    "padding negative": (["{small}", "--padding", "-1"], "--padding: -1 .*0 to 512"),
    "padding over the tile": (["{small}", "--tile", "64", "--padding", "65"], "--padding: 65 .*64 px"),
    "scale nought": (["{small}", "--scale", "0"], "--scale: 0.0 .*0.01 to 64"),
    "scale negative": (["{small}", "--scale", "-2"], "--scale: -2.0"),
    "scale no number": (["{small}", "--scale", "two"], "--scale"),
    "over a gigapixel": (["{small}", "--longest", "65000"], "65000x43333.*1000 megapixels.*--allow-huge"),
    "denoise": (["{small}", "--denoise", "1.5"], "--denoise: 1.5 .*0 to 1"),
    "redraw": (["{small}", "--redraw", "spiral"], "--redraw: 'spiral' .*linear"),
    "a size that cannot wrap": (["{small}", "--seamless", "--scale", "1.5"], "--seamless: '135x90' .*136x88"),
    "seams fix": (["{small}", "--seams-fix", "glue"], "--seams-fix: 'glue' .*band"),
    "output exists": (["{small}", "-o", "{small}"], "exists and is not a result of usdu; use --overwrite"),
    "output extension": (["{small}", "-o", "{dir}/x.doc"], "extension '.doc'.*png"),
    "output folder unwritable": (["{small}", "-o", "/proc/nope/x.png"], "cannot be written"),
    "checkpoint missing": (
        ["{small}", "--checkpoint", "nope.safetensors"],
        "--checkpoint: 'nope.safetensors'.*embedded",
    ),
    "checkpoint that is none": (["{small}", "--checkpoint", "{model}"], "model.pth"),
    "sampler": (["{small}", "--checkpoint", "embedded", "--sampler", "Best"], "--sampler: 'Best' .*Euler a"),
    "steps": (["{small}", "--steps", "0"], "--steps: 0"),
    "steps no number": (["{small}", "--steps", "x"], "--steps: 'x' is not allowed; allowed: a whole number"),
    "cfg no number": (["{small}", "--cfg", "much"], "--cfg: 'much' is not allowed; allowed: a number"),
    "engine": (["{small}", "--engine", "x"], "--engine: 'x' is not allowed; allowed: diffusers, identity"),
    "device": (["{small}", "--device", "cuda:99"], "--device: 'cuda:99'"),
    "unknown flag": (["{small}", "--sharper"], "--sharper"),
    "compare as a text": (["{small}", "--compare", "{dir}/c.txt"], "'.txt' is not allowed; allowed: .html .png"),
    "compare with a folder": (["{dir}", "--compare", "{dir}/c.png"], "--compare"),
    "empty folder": (["{dir}/empty"], "no pictures"),
}


def in_what_can(case: str) -> object:
    """A checkpoint is looked at once diffusers is there."""
    loads = BAD[case][0][1:2] == ["--checkpoint"] and "--sampler" not in BAD[case][0]
    return pytest.param(case, marks=pytest.mark.needs("diffusers")) if loads else case


@pytest.mark.parametrize("case", map(in_what_can, BAD))
def test_bad_input_is_one_line_and_exit_code_2(case, small, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(Path(small).read_bytes()[:100])
    (tmp_path / "model.pth").write_bytes(b"no model")
    (tmp_path / "empty").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    places = {"small": small, "broken": tmp_path / "broken.png", "model": tmp_path / "model.pth", "dir": tmp_path}
    arguments, message = BAD[case]
    before = sorted(tmp_path.rglob("*"))
    identity = [] if {"--checkpoint", "--sampler", "--steps"} & set(arguments) else ["--engine", "identity"]
    assert main([a.format(**places) for a in arguments] + identity) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("usdu: error: ")]
    assert len(lines) == 1
    import re

    assert re.search(message, lines[0]), lines[0]
    assert sorted(tmp_path.rglob("*")) == before  # nothing was written, no temporary file left


def test_overwrite(small, tmp_path):
    out = tmp_path / "out.png"
    out.write_bytes(b"old")
    assert main([str(small), "-o", str(out), *DRY]) == 2 and out.read_bytes() == b"old"
    assert main([str(small), "-o", str(out), "--overwrite", *DRY]) == 0 and opened(out).shape == (120, 180, 3)


def test_every_option_has_its_flag(small, tmp_path):
    out = tmp_path / "out.png"
    flags = {
        "--scale": "1.6", "--tile": "96", "--padding": "8", "--mask-blur": "3", "--denoise": "0.2", "--seed": "9",
        "--batch": "2", "--redraw": "chess", "--seams-fix": "band", "--seams-fix-denoise": "0.5",
        "--seams-fix-width": "32", "--seams-fix-padding": "8", "--seams-fix-mask-blur": "2", "--noise": "tile",
        "--blend": "cut", "--tone-lock": "0.5",
    }  # fmt: skip
    switches = ["--seamless", "--no-overviews"]
    assert main([str(small), "-o", str(out), *DRY, *switches, *[part for pair in flags.items() for part in pair]]) == 0
    line = imagefile.read_infotext(out).splitlines()[-1]
    read = Options.from_infotext(dict(pair.split(": ", 1) for pair in line.split(", ")))
    assert read == Options(
        custom_scale=1.6, tile_width=96, tile_height=96, padding=8, mask_blur=3, tile_batch=2, redraw_mode="chess",
        seams_fix_type="band", seams_fix_denoise=0.5, seams_fix_width=32, seams_fix_padding=8, seams_fix_mask_blur=2,
        noise="tile", blend="cut", tone_lock=0.5, upscaler="Lanczos", seamless=True, overviews=False,
    )  # fmt: skip


def process(*arguments, **settings):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-m", "lib_usdu", *arguments], env=environment, stderr=subprocess.PIPE, text=True, **settings
    )


@pytest.mark.needs("diffusers")
def test_the_module_runs_the_embedded_model(tmp_path, photo):
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(photo[60:156, 180:276]).save(source)
    running = process(str(source), "-o", str(out), "--scale", "2", "--steps", "10")
    told = running.communicate(timeout=120)[1]
    assert running.returncode == 0, told
    assert opened(out).shape == (192, 192, 3)
    assert "--checkpoint" in told and "--upscaler" in told  # how to go on from the embedded model
    assert "Steps: 10" in imagefile.read_infotext(out)


def test_without_a_checkpoint_and_a_word_about_redrawing_the_upscaler_works_alone(tmp_path, photo, capsys):
    """It measures better than the embedded diffusion model."""
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(photo[60:124, 180:244]).save(source)
    assert main([str(source), "-o", str(out), "-u", "Lanczos", "-s", "2"]) == 0
    assert "The upscaler alone" in capsys.readouterr().err
    assert np.array_equal(opened(out), np.asarray(Image.open(source).resize((128, 128), Image.Resampling.LANCZOS)))
    parameters = imagefile.read_infotext(out)
    assert "Steps" not in parameters and "Model" not in parameters, parameters
    api = upscale(source, upscaler="Lanczos", custom_scale=2)
    assert np.array_equal(api.image, opened(out))


@pytest.mark.parametrize(
    "flags",
    [
        ["-c", "embedded"], ["-d", "0.2"], ["-p", "cat"], ["--steps", "20"], ["--tile", "64"], ["--creativity", "0.2"],
        ["--redraw", "chess"], ["--seed", "-1"], ["--mask", "mask.png"], ["--redo-tiles", "1"], ["--speed", "fast"],
        ["--seams-fix", "band"], ["--cfg", "7"], ["--engine", "identity"], ["--try-tile", "auto"], ["--ray"],
        ["--padding", "64"], ["--auto-padding"], ["--mask-blur", "4"], ["--blend", "cut"], ["--strength-map", "detail"],
    ],
    ids=lambda flags: flags[0],
)  # fmt: skip
def test_any_flag_about_redrawing_redraws(flags):
    args = parser().parse_args(["photo.png", *flags])
    assert settle_model(args, given_names(args)) == "" and args.checkpoint == "embedded" and args.redraw_mode != "none"


def test_a_mask_is_not_ignored_where_nothing_is_redrawn(photo):
    with pytest.raises(UsduError, match=r"mask: .*checkpoint"):
        Upscaler(upscaler="Lanczos")(photo[:64, :64], mask=np.zeros((64, 64), np.uint8))


@pytest.mark.parametrize("flags", [[], ["-s", "3"], ["-q", "--device", "cpu"], ["-u", "Lanczos", "--seamless"]])
def test_other_flags_leave_the_upscaler_alone(flags):
    args = parser().parse_args(["photo.png", *flags])
    said = settle_model(args, given_names(args))
    assert "alone" in said and (args.redraw_mode, args.seams_fix_type) == ("none", "none")


@pytest.mark.skipif(os.name == "nt", reason="signals to a child are different there")
@pytest.mark.needs("diffusers")
def test_ctrl_c_keeps_what_is_done(tmp_path, photo):
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(photo[:300, :300]).save(source)
    running = process(str(source), "-o", str(out), "--scale", "3", "--tile", "128", "--upscaler", "Lanczos")
    told = ""
    while "tiles:" not in told or "/64 [" not in told or " 0/64" in told[-60:]:
        told += running.stderr.read(1)
        assert running.poll() is None, told
    running.send_signal(signal.SIGINT)
    told += running.communicate(timeout=60)[1]
    assert running.returncode == 130, told
    assert not out.exists() and opened(tmp_path / "out-unfinished.png").shape == (900, 900, 3)
    assert "Traceback" not in told and "unfinished" in imagefile.read_infotext(tmp_path / "out-unfinished.png")


def test_start_up_does_not_import_torch():
    code = "import sys, lib_usdu.cli, lib_usdu.engine; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=False).returncode == 0


def test_a_mask(small, tmp_path):
    out, mask = tmp_path / "out.png", tmp_path / "mask.png"
    Image.new("L", (90, 60), 0).save(mask)
    report = tmp_path / "report.json"
    command = [str(small), "-o", str(out), "--mask", str(mask), "--json", str(report), "--tile", "64", "--overwrite"]
    assert main([*command, *DRY]) == 0
    assert json.loads(report.read_text())["tiles"] == 0 and opened(out).shape == (120, 180, 3)
    Image.new("L", (90, 60), 255).save(mask)
    assert (
        main(
            [
                str(small),
                "-o",
                str(out),
                "--overwrite",
                "--mask",
                str(mask),
                "--json",
                str(report),
                "--tile",
                "64",
                *DRY,
            ]
        )
        == 0
    )
    assert json.loads(report.read_text())["tiles"] == 6


def test_prompts_of_tiles(small, tmp_path, capsys):
    lines = tmp_path / "lines.txt"
    lines.write_text("1: sky\n1,2: sea\n")
    command = [str(small), "-o", str(tmp_path / "out.png"), "--tile", "64", "--overwrite", *DRY]
    assert main([*command, "--tile-prompts", f"@{lines}"]) == 0
    assert 'tile_prompts: "1: sky\\n1,2: sea"' in imagefile.read_infotext(tmp_path / "out.png")
    assert main([*command, "--tile-prompts", "7: sky"]) == 2
    assert "--tile-prompts: '7: sky' is not allowed; allowed: tiles 1 to 6 (rows 1-2" in capsys.readouterr().err
    assert main([*command, "--tile-prompts", f"@{tmp_path / 'none.txt'}"]) == 2
