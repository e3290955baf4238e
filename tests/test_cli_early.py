"""What is refused early, what is read, and what people expect of a command."""

import io
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from lib_usdu.cli import models
from lib_usdu.cli.main import main
from lib_usdu.pictures import imagefile

PLAIN = ["--engine", "identity", "--upscaler", "Lanczos"]
ROOT = Path(__file__).parents[1]


@pytest.fixture
def small(tmp_path, photo):
    path = tmp_path / "small.png"
    Image.fromarray(photo[:30, :40]).save(path)
    return path


@pytest.fixture
def untouched(monkeypatch):
    """Fails where a pixel is decoded or a model loaded."""

    def touched(*_, **__):
        raise AssertionError("too late")

    monkeypatch.setattr(imagefile, "read", touched)
    monkeypatch.setattr(models, "host_of", touched)


def bomb(path: Path, width: int, height: int) -> Path:
    """A small PNG whose header claims this size."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


EARLY = {
    "WebP's limit": (["{small}", "-o", "{dir}/out.webp", "--longest", "16384"], "WebP holds at most 16383 px a side"),
    "JPEG's limit": (["{small}", "-o", "{dir}/out.jpg", "--size", "65501x", "--allow-huge"], "JPEG holds at most"),
    "a limit in a folder": (["{folder}", "-o", "{dir}/out", "--longest", "16384", "-f", "webp"], "a.webp: WebP holds"),
    "a picture of 10 GB": (["{bomb}", "--scale", "0.1"], "58000 x 58000 = 3364000000 pixels; the limit is"),
    "a mask of 10 GB": (["{small}", "--mask", "{bomb}"], "58000 x 58000"),
    "a mask that is not there": (["{small}", "--mask", "{dir}/no.png"], "--mask: .*no.png: no such file"),
    "a name too long": (["{small}", "-o", "{dir}/" + "n" * 250 + ".png"], "the name is longer than 244 bytes"),
    "an unknown format": (["{small}", "-f", "bmp"], "--format: 'bmp' .*png, jpg"),
    "quality": (["{small}", "--quality", "101"], "--quality: 101 .*1 to 100"),
    "an unknown upscaler": (["{small}", "--upscaler", "9x"], "--upscaler: '9x'"),
    "an unknown sampler": (["{small}", "--engine", "diffusers", "--sampler", "Best"], "--sampler: 'Best' .*Euler a"),
    "a checkpoint that is not there": (["{small}", "--engine", "diffusers", "-c", "no/x.ckpt"], "no such file"),
    "a LoRA that is not there": (["{small}", "--engine", "diffusers", "-l", "x.ckpt"], "--lora: 'x.ckpt'"),
    "nothing": ([], "INPUT: give a picture, a folder or -"),
    "a place that cannot be written": (["{small}", "-o", "{small}/x.png"], "cannot be written"),
    "two results to standard output": (["{small}", "{small}", "-o", "-"], "--output: '-' .*one picture at a time"),
}


@pytest.mark.parametrize("case", EARLY)
def test_refused_before_a_pixel_is_decoded_or_a_model_loaded(case, small, tmp_path, photo, untouched, capsys):
    import re

    (tmp_path / "in").mkdir()
    Image.fromarray(photo[:30, :40]).save(tmp_path / "in" / "a.png")
    bomb(tmp_path / "bomb.png", 58000, 58000)
    places = {"small": small, "dir": tmp_path, "folder": tmp_path / "in", "bomb": tmp_path / "bomb.png"}
    flags, sentence = EARLY[case]
    engine = [] if "--engine" in flags else PLAIN if "--upscaler" not in flags else PLAIN[:2]
    before = sorted(tmp_path.rglob("*"))
    assert main([*[flag.format(**places) for flag in flags], *engine]) == 2
    said = capsys.readouterr().err
    assert re.search(sentence, said) and len(said.splitlines()) == 1, said
    assert sorted(tmp_path.rglob("*")) == before


def test_memory_that_a_picture_needs_is_looked_at_first(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(imagefile, "free_bytes", lambda device: 10**9)
    assert main([str(bomb(tmp_path / "bomb.png", 30000, 30000)), "--scale", "0.1", *PLAIN]) == 2
    assert "30000 x 30000 px need 7.2 GB to read; 1.0 GB are free" in capsys.readouterr().err


# Files that are read


@pytest.mark.parametrize("kind", ["text", "profile"])
def test_a_png_with_more_than_a_megabyte_beside_its_pixels(kind, tmp_path, photo):
    chunks, settings = PngImagePlugin.PngInfo(), {}
    if kind == "text":
        chunks.add_text("workflow", "w" * 3_000_000, zip=True)
    else:
        from PIL import ImageCms

        settings["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(3_000_000)
    path = tmp_path / "in.png"
    Image.fromarray(photo[:30, :40]).save(path, pnginfo=chunks, **settings)
    assert main([str(path), "-o", str(tmp_path / "out.png"), *PLAIN]) == 0
    kept = imagefile.read(tmp_path / "out.png", max_pixels=10**6).metadata
    assert kind != "text" or len(kept.texts["workflow"]) == 3_000_000


def test_a_folder_names_what_it_leaves_out_and_reads_what_pillow_can(tmp_path, photo, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    image = Image.fromarray(photo[:30, :40])
    for name, kind in (("a.jfif", "JPEG"), ("b.jpe", "JPEG"), ("c.tga", "TGA"), ("d.qoi", "QOI"), ("e.ico", "ICO")):
        if kind in Image.SAVE or Image.init() and kind in Image.SAVE:
            image.save(folder / name, kind)
    for name in ("f.jxl", "g.cr2", "h.svg", "notes.txt", "i.heic"):
        (folder / name).write_bytes(b"x")
    main([str(folder), "-o", str(tmp_path / "out"), *PLAIN])
    said = capsys.readouterr().err
    assert {"a.jfif", "b.jpe", "c.tga.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert "g.cr2: left out, .cr2 is a camera's raw format" in said and "h.svg: left out, .svg cannot be read" in said
    assert "f.jxl: left out, .jxl needs: pip install pillow-jxl-plugin" in said and "notes.txt" not in said


def test_a_tree_is_mirrored(tmp_path, photo, capsys):
    folder = tmp_path / "in"
    for place in (folder, folder / "a", folder / "a" / "b"):
        place.mkdir()
        Image.fromarray(photo[:30, :40]).save(place / "x.png")
    assert main([str(folder), "-o", str(tmp_path / "flat"), *PLAIN]) == 0
    assert [path.name for path in (tmp_path / "flat").rglob("*.png")] == ["x.png"]
    for _ in range(2):  # a second run finds no results among its pictures
        assert main([str(folder), "-o", str(folder / "large"), "-r", *PLAIN]) == 0
        made = sorted(str(path.relative_to(folder / "large")) for path in (folder / "large").rglob("*.png"))
        assert made == sorted([str(Path("a", "b", "x.png")), str(Path("a", "x.png")), "x.png"])


def test_a_tiff_of_50_000_pages_is_quick(tmp_path):
    """Pages that share one strip: directories of 8 entries each."""
    count, width = 50_000, 8
    entry = lambda tag, kind, value: struct.pack("<HHII", tag, kind, 1, value)  # noqa: E731
    data = io.BytesIO(b"II*\0" + struct.pack("<I", 8 + width * width) + bytes(range(64)))
    data.seek(0, 2)
    size = 2 + 12 * 8 + 4
    tags = [(256, 3, width), (257, 3, width), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 3, width)]
    tags.append((279, 4, 64))
    body = b"".join(entry(*tag) for tag in tags)
    for page in range(count):
        following = 0 if page == count - 1 else 8 + 64 + size * (page + 1)
        data.write(struct.pack("<H", 8) + body + struct.pack("<I", following))
    path = tmp_path / "pages.tif"
    path.write_bytes(data.getvalue())
    started = time.process_time()
    picture = imagefile.read(path, max_pixels=10**6)
    assert picture.notes == ("first of more than 100 pages used",) and time.process_time() - started < 2


@pytest.mark.parametrize("given", ["name.v2", "out/", "out"])
def test_folders_by_any_name(given, tmp_path, photo, monkeypatch):
    (tmp_path / "in").mkdir()
    Image.fromarray(photo[:30, :40]).save(tmp_path / "in" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert main(["in", "-o", given, *PLAIN]) == 0 and (tmp_path / given / "a.png").exists()
    if given == "out/":
        assert main(["in/a.png", "-o", "single/", *PLAIN]) == 0 and (tmp_path / "single" / "a.png").exists()


def test_the_folder_one_is_in(tmp_path, photo, monkeypatch):
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo[:30, :40]).save(tmp_path / "photos" / "a.png")
    monkeypatch.chdir(tmp_path / "photos")
    assert main([".", *PLAIN]) == 0 and (tmp_path / "photos-2x" / "a.png").exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX names")
def test_names_cannot_steer_the_terminal(tmp_path, photo, capsys):
    path = tmp_path / "a\x1b[2Jb\x07.png"
    Image.fromarray(photo[:30, :40]).save(path)
    assert main([str(path), *PLAIN]) == 0
    assert main([str(path) + "x", *PLAIN]) == 2
    said = capsys.readouterr()
    assert "\x1b" not in said.err and "\x07" not in said.err and r"a\x1b[2Jb\x07" in said.err


@pytest.mark.skipif(os.name == "nt", reason="Windows knows a person's folder without it")
def test_no_home(small, tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: (_ for _ in ()).throw(RuntimeError("no home"))))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    assert main([str(small), "-o", str(tmp_path / "out.png"), *PLAIN]) == 0


def test_a_ray_address_where_nobody_answers(small, capsys):
    import socket

    pytest.importorskip("ray")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        started = time.monotonic()
        assert main([str(small), "--ray", f"ray://127.0.0.1:{port}", *PLAIN]) == 2
    assert time.monotonic() - started < 20 and "nobody answers" in capsys.readouterr().err


# What people expect of a command


def run(*arguments, **settings):
    return subprocess.run(
        [sys.executable, "-m", "lib_usdu", *map(str, arguments)], cwd=ROOT, capture_output=True, timeout=120,
        check=False, **settings,
    )  # fmt: skip


def test_standard_input_and_output(small, tmp_path):
    done = run("-", *PLAIN, input=small.read_bytes())
    assert done.returncode == 0 and Image.open(io.BytesIO(done.stdout)).size == (80, 60)
    done = run(small, "-o", "-", "-f", "webp", *PLAIN)
    assert Image.open(io.BytesIO(done.stdout)).format == "WEBP"
    assert run("-", *PLAIN, input=b"").returncode == 2


def test_names_carry_the_factor_and_keep_the_format(tmp_path, photo):
    for suffix in (".jpg", ".png", ".gif"):
        Image.fromarray(photo[:30, :40]).save(tmp_path / f"a{suffix}")
    expected = {
        (".jpg", "--scale", "3"): "a-3x.jpg", (".png", "--scale", "1.5"): "a-1.5x.png", (".gif",): "a-2x.png",
        (".png", "--size", "80x"): "a-80x.png", (".png", "-f", "jpg"): "a-2x.jpg",
    }  # fmt: skip
    for (suffix, *flags), name in expected.items():
        assert main([str(tmp_path / f"a{suffix}"), *flags, *PLAIN]) == 0 and (tmp_path / name).exists(), name


def test_pictures_may_stand_between_flags(tmp_path, photo):
    for name in ("a.png", "b.png"):
        Image.fromarray(photo[:30, :40]).save(tmp_path / name)
    a, b, out = (str(tmp_path / name) for name in ("a.png", "b.png", "out"))
    assert main([a, "-s", "2", b, "-o", out, *PLAIN]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_quality(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "a.png")
    sizes = []
    for quality in ("95", "30"):
        out = tmp_path / f"{quality}.jpg"
        assert main([str(tmp_path / "a.png"), "-o", str(out), "--scale", "1", "--quality", quality, *PLAIN]) == 0
        sizes.append(out.stat().st_size)
    assert sizes[1] < sizes[0] / 3


def test_a_dry_run_says_everything_and_makes_nothing(small, tmp_path, untouched, capsys):
    assert main([str(small), "--dry-run", "--tile", "64", "--scale", "4", *PLAIN]) == 0
    said, out = capsys.readouterr().out, tmp_path / "small-4x.png"
    expected = "small.png: 40x30 -> 160x120, Lanczos, redraw: 6 tiles of 56x64 in 3 batches, "
    assert said == expected + f"time unknown before the first run -> {out}\n"
    assert list(tmp_path.iterdir()) == [small]


def test_lists(capsys):
    assert main(["--list", "samplers"]) == 0 and "Euler a\n" in capsys.readouterr().out
    assert main(["--list", "upscalers"]) == 0
    assert capsys.readouterr().out.startswith(
        "SPAN x4\nSPAN x4 clean\nSPAN x4 JPEG\nSPAN x4 noise\nNone\nLanczos\nNearest\n"
    )


def test_quiet_and_verbose(small, tmp_path, capsys):
    said = {}
    for flags in ("-q", "", "-v"):
        assert main([str(small), "-o", str(tmp_path / f"out{flags}.png"), *flags.split(), *PLAIN]) == 0
        said[flags] = capsys.readouterr().err
    assert said["-q"] == "" and "1 tile," in said[""] and "redraw: 1 tile of" not in said[""]
    assert "redraw: 1 tile of 80x60 in 1 batch" in said["-v"] and "upscale 0." in said["-v"]


def test_short_flags(small, tmp_path):
    command = ["-s", "3", "-u", "Lanczos", "-t", "64", "-d", "0.2", "-f", "jpg", "-o", str(tmp_path / "o.jpg")]
    assert main([str(small), *command, "--engine", "identity"]) == 0
    assert Image.open(tmp_path / "o.jpg").size == (120, 90)


def test_json_to_standard_output(small, tmp_path, capsys):
    assert main([str(small), "-o", str(tmp_path / "o.png"), "--json", "-", *PLAIN]) == 0
    assert json.loads(capsys.readouterr().out)["width"] == 80


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, tmp_path, capsys):
    import shutil

    assert main(["--print-completion", shell]) == 0
    script = capsys.readouterr().out
    assert "resize-mode" in script and "half+intersections" in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        assert subprocess.run([shell, "-n", str(tmp_path / "script")], check=False).returncode == 0


def test_bash_completes_flags_and_values(tmp_path, capsys):
    import shutil

    if not shutil.which("bash"):
        return
    main(["--print-completion", "bash"])
    (tmp_path / "script").write_text(capsys.readouterr().out)
    for words, expected in ((["usdu", "--resi"], "--resize-mode"), (["usdu", "--blend", "f"], "feather")):
        typed = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}"
        ask = f"source {tmp_path / 'script'}; {typed}; _usdu; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=False)
        assert done.stdout.strip() == expected


def test_help_is_grouped_has_examples_and_exit_codes_and_is_quick():
    """CPU time: another process may have the core."""
    before = os.times()
    done = run("--help", text=True)
    after = os.times()
    for words in ("Files:", "Size:", "Model:", "Run:", "examples:", "exit codes:", "usdu photos/ -o large/"):
        assert words in done.stdout
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    assert done.returncode == 0 and spent < 0.4
    code = (
        "import sys; from lib_usdu.cli.flags import parser; parser();"
        "sys.exit(bool({'numpy', 'torch', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_plain_enlargement_imports_no_torch(small, tmp_path):
    code = (
        "import sys; from lib_usdu.cli.main import main; code = main(sys.argv[1:]);"
        "sys.exit(code or bool({'torch', 'diffusers', 'peft', 'transformers', 'scipy'} & set(sys.modules)))"
    )
    flags = ["-o", str(tmp_path / "o.png"), "-u", "Lanczos", "--redraw", "none"]
    command = [sys.executable, "-c", code, str(small), *flags]
    assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == 0


def test_a_failed_picture_of_one_is_exit_code_1(small, tmp_path, monkeypatch, capsys):
    from lib_usdu.cli import batch
    from lib_usdu.errors import ModelError

    def fails(*_):
        raise ModelError("the model fails: no kernel")

    monkeypatch.setattr(batch, "upscale_file", fails)
    assert main([str(small), *PLAIN]) == 1
    assert capsys.readouterr().err == "usdu: error: the model fails: no kernel\n"


@pytest.mark.parametrize("spoil", [
    lambda rgb: rgb[..., 0], lambda rgb: rgb[:0], lambda rgb: rgb / 255, lambda rgb: np.dstack([rgb, rgb[..., 0]]),
])  # fmt: skip
def test_python_api_takes_no_array_for_another(spoil, photo):
    import lib_usdu

    with pytest.raises(lib_usdu.UsduError, match=r"image: an array .* allowed: uint8 \(height, width, 3\)"):
        lib_usdu.upscale(spoil(photo[:30, :40]), upscaler="Lanczos", redraw_mode="none")


def test_python_api_turns_pictures_upright_and_takes_paths(photo, tmp_path):
    import lib_usdu

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo[:30, :40]).save(tmp_path / "a.png", exif=exif)
    enlarge = lib_usdu.Upscaler(custom_scale=1, upscaler="Lanczos", redraw_mode="none", lora=[tmp_path / "x"])
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(enlarge(image).image, enlarge(tmp_path / "a.png").image)
    with pytest.raises(lib_usdu.UsduError, match="no such file|not allowed"):
        lib_usdu.Upscaler(checkpoint=tmp_path / "none.safetensors")


def test_python_api(photo, tmp_path):
    import lib_usdu

    made = lib_usdu.upscale(Image.fromarray(photo[:30, :40]), custom_scale=3, upscaler="Lanczos", redraw_mode="none")
    assert made.image.shape == (90, 120, 3) and "Ultimate SD upscale custom_scale: 3" in made.infotext
    enlarge = lib_usdu.Upscaler(custom_scale=3, upscaler="Lanczos", redraw_mode="none")
    assert np.array_equal(made.image, enlarge(np.ascontiguousarray(photo[:30, :40])).image)
    with pytest.raises(lib_usdu.UsduError, match="custom_scale: 0"):
        lib_usdu.upscale(Image.fromarray(photo[:30, :40]), custom_scale=0)
    with pytest.raises(TypeError, match="sharper"):
        lib_usdu.upscale(Image.fromarray(photo[:30, :40]), sharper=1)


def test_a_line_in_the_middle_of_another_is_written_too(tmp_path, monkeypatch):
    """As a signal's handler says something while the progress bar is being written: Python's buffer refuses that."""
    from lib_usdu.cli import say

    class Interrupted(io.FileIO):
        def write(self, data):
            if b"bar" in bytes(data):
                say.say("Stopping")
                say.close_streams()
            return super().write(data)

    with io.TextIOWrapper(io.BufferedWriter(Interrupted(tmp_path / "err", "w")), "utf-8", line_buffering=True) as err:
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr(os, "dup2", lambda *_: None)  # what follows is the process's end
        say.say("bar")
    assert (tmp_path / "err").read_text() == "Stopping\nbar\n"
