"""No work is lost and no batch ends early: folders that go on, names that collide, streams, disks and signals."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_usdu.cli import models
from lib_usdu.cli.main import main
from lib_usdu.pictures import canvas, imagefile, saving

PLAIN = ["--engine", "identity", "--upscaler", "Lanczos"]
SLOW = Path(__file__).parent / "reliability" / "slow_cli.py"
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and permissions")


@pytest.fixture
def folder(tmp_path, photo):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(photo[:30, :40]).save(tmp_path / "in" / name)
    return tmp_path / "in"


def small(path, photo, **settings):
    Image.fromarray(photo[:30, :40]).save(path, **settings)
    return path


def written_at(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


# Folders that go on


def test_a_growing_folder_goes_on_and_finished_pictures_are_counted(folder, tmp_path, photo, capsys):
    out = tmp_path / "out"
    assert main([str(folder), "-o", str(out), *PLAIN]) == 0
    before = written_at(out)
    small(folder / "c.png", photo)
    capsys.readouterr()
    assert main([str(folder), "-o", str(out), *PLAIN]) == 0
    assert "2 pictures skipped: finished earlier; --overwrite makes them again" in capsys.readouterr().err
    after = written_at(out)
    assert set(after) == {"a.png", "b.png", "c.png"} and all(after[name] == before[name] for name in before)
    assert main([str(folder), "-o", str(out), "--overwrite", *PLAIN]) == 0
    assert all(written_at(out)[name] != after[name] for name in after)


def test_a_source_that_has_changed_is_made_again(folder, tmp_path, photo):
    out = tmp_path / "out"
    assert main([str(folder), "-o", str(out), *PLAIN]) == 0
    before = written_at(out)
    future = time.time() + 10
    os.utime(folder / "a.png", (future, future))
    assert main([str(folder), "-o", str(out), *PLAIN]) == 0
    after = written_at(out)
    assert after["a.png"] != before["a.png"] and after["b.png"] == before["b.png"]


@pytest.mark.parametrize("changed", [["--scale", "3"], ["--padding", "8"], ["--seed", "2"], ["--upscaler", "Nearest"]])
def test_results_of_other_settings_are_never_taken_for_these(changed, folder, tmp_path, capsys):
    """Seed is not in the parameters of the identity engine, so a changed seed is the same picture there."""
    out = tmp_path / "out"
    assert main([str(folder), "-o", str(out), *PLAIN]) == 0
    code = main([str(folder), "-o", str(out), *PLAIN, *changed])
    if changed[0] == "--seed":
        assert code == 0
        return
    assert code == 2 and "made with other settings (" in capsys.readouterr().err
    before = written_at(out)
    assert main([str(folder), "-o", str(out), *PLAIN, *changed, "--skip-existing"]) == 0 and written_at(out) == before


def test_a_file_that_is_not_ours_is_never_replaced_by_itself(folder, tmp_path, photo, capsys):
    out = tmp_path / "out"
    out.mkdir()
    small(out / "a.png", photo)
    before = written_at(out)
    assert main([str(folder), "-o", str(out), *PLAIN]) == 2 and written_at(out) == before
    assert "a.png exists and is not a result of usdu; use --overwrite or --skip-existing" in capsys.readouterr().err
    assert main([str(folder), "-o", str(out), "--skip-existing", *PLAIN]) == 0
    assert written_at(out)["a.png"] == before["a.png"] and (out / "b.png").exists()


def stopped_after(tiles):
    from hosts import StoppingRefiner

    from lib_usdu.standalone.host import LocalHost

    refiner = StoppingRefiner(tiles, inside=False)
    refiner.host = LocalHost(refiner)
    return lambda args, options: refiner.host


def test_a_second_stop_replaces_the_unfinished_picture_and_success_removes_it(tmp_path, photo, monkeypatch):
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(photo[:128, :128]).save(source)
    half = tmp_path / "out-unfinished.png"
    command = [str(source), "-o", str(out), "--tile", "64", *PLAIN]
    pictures = []
    for tiles in (3, 9):
        monkeypatch.setattr(models, "host_of", stopped_after(tiles))
        assert main(command) in (0, 1, 130)
        assert not out.exists()
        pictures.append(half.read_bytes())
    assert pictures[0] != pictures[1]
    monkeypatch.undo()
    assert main(command) == 0 and out.exists() and not half.exists()


def test_an_unfinished_name_that_somebody_else_has_is_left_alone(tmp_path, photo, monkeypatch):
    source, half = tmp_path / "in.png", tmp_path / "out-unfinished.png"
    Image.fromarray(photo[:128, :128]).save(source)
    half.write_bytes(b"a diary")
    command = [str(source), "-o", str(tmp_path / "out.png"), "--tile", "64", *PLAIN]
    monkeypatch.setattr(models, "host_of", stopped_after(3))
    main(command)
    monkeypatch.undo()
    assert half.read_bytes() == b"a diary" and (tmp_path / "out-unfinished-2.png").exists()
    assert main(command) == 0 and half.read_bytes() == b"a diary"


# Names that collide: refused, and nothing done


def collisions(tmp_path, photo):
    first, second = tmp_path / "in" / "x.gif", tmp_path / "in" / "x.gif.png"
    first.parent.mkdir()
    small(first, photo), small(second, photo)
    return tmp_path / "in"


def test_two_sources_of_one_result(tmp_path, photo, capsys):
    folder = collisions(tmp_path, photo)
    assert main([str(folder), "-o", str(tmp_path / "out"), *PLAIN]) == 2 and not (tmp_path / "out").exists()
    assert "x.gif and x.gif.png would both have this name" in capsys.readouterr().err
    (folder / "x.gif.png").rename(folder / "x.png")
    assert main([str(folder), "-o", str(tmp_path / "out"), "--format", "png", *PLAIN]) == 2


@pytest.mark.parametrize(
    "flags",
    [
        ["{in}", "-o", "{in}", "--overwrite"], ["{in}/a.png", "--json", "{in}/b.png", "--overwrite"],
        ["{in}/a.png", "--json", "{in}/a.png", "--overwrite"], ["{in}/a.png", "-o", "{out}", "--compare", "{out}"],
        ["{in}/a.png", "-o", "{out}", "--compare", "{in}/a.png", "--overwrite"],
        ["{in}/a.png", "-o", "{out}", "--mask", "{in}/b.png", "--number-tiles", "{in}/b.png", "--overwrite"],
        ["{in}/a.png", "-o", "{out}", "--compare", "{out}.jpg", "--number-tiles", "{out}.jpg"],
        ["{in}/a.png", "{in}/../in/a.png", "-o", "{in}/.."],
    ],
)  # fmt: skip
def test_what_would_replace_a_picture_is_refused(flags, folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main([flag.format(**{"in": folder, "out": tmp_path / "out.png"}) for flag in flags] + PLAIN) == 2
    assert {path: path.read_bytes() for path in folder.iterdir()} == before and list(tmp_path.iterdir()) == [folder]


def test_one_picture_may_replace_itself_when_asked(folder):
    path = folder / "a.png"
    assert main([str(path), "-o", str(path), *PLAIN]) == 2
    assert main([str(path), "-o", str(path), "--overwrite", *PLAIN]) == 0 and Image.open(path).size == (80, 60)


# Files that are replaced


@POSIX
def test_mode_and_link_are_kept(folder, tmp_path, photo):
    real, link = tmp_path / "real.png", tmp_path / "link.png"
    small(real, photo).chmod(0o600)
    link.symlink_to("real.png")
    assert main([str(folder / "a.png"), "-o", str(link), "--overwrite", *PLAIN]) == 0
    assert link.is_symlink() and Image.open(real).size == (80, 60) and real.stat().st_mode & 0o777 == 0o600


@POSIX
def test_files_left_over_by_a_killed_run_are_removed(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = out / f".usdu-{saving._this_machine()}-{ended.pid}-0123.tmp"
    running = f".usdu-{saving._this_machine()}-{os.getpid()}-0123.tmp"
    others = [out / name for name in (running, ".usdu-00000000-1-0123.tmp", "x.tmp")]
    for path in (left, *others):
        path.touch()
    assert main([str(folder), "-o", str(out), *PLAIN]) == 0
    assert not left.exists() and all(path.exists() for path in others)


# Streams and disks


class Failing:
    """A stream whose every write fails, as when its reader has left or its disk is full."""

    encoding = "utf-8"

    def __init__(self, error):
        self.error, self.writes = error, 0

    def write(self, text):
        self.writes += 1
        raise self.error

    flush = lambda self: (_ for _ in ()).throw(self.error)  # noqa: E731
    isatty = lambda self: False  # noqa: E731
    fileno = lambda self: (_ for _ in ()).throw(ValueError("closed"))  # noqa: E731


@pytest.mark.parametrize(
    "error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError(errno.ENOSPC, "No space left"), ValueError("closed")]
)
def test_a_stream_that_fails_at_every_write_costs_nothing(error, folder, tmp_path, monkeypatch):
    stream = Failing(error)
    monkeypatch.setattr(sys, "stderr", stream)
    assert main([str(folder), "-o", str(tmp_path / "out"), "-v", *PLAIN]) == 0
    monkeypatch.undo()
    assert stream.writes > 2 and len(list((tmp_path / "out").iterdir())) == 2


@POSIX
def test_a_reader_that_leaves(folder, tmp_path):
    run = f"{sys.executable} -m lib_usdu {folder} -o {tmp_path / 'out'} {' '.join(PLAIN)}"
    command = f"{run} 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=120, check=False, cwd=SLOW.parents[2])
    assert done.returncode == 0 and len(list((tmp_path / "out").iterdir())) == 2


@POSIX
def test_help_into_a_closed_pipe_has_no_traceback():
    command = f"{sys.executable} -m lib_usdu --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False, cwd=SLOW.parents[2]
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr and "Broken" not in done.stderr


def test_a_full_disk_for_temporary_files_costs_one_picture(folder, tmp_path, monkeypatch, capsys, photo):
    small(folder / "c.png", photo)
    Image.fromarray(photo).save(folder / "b.png")
    make = canvas._in_file
    monkeypatch.setattr(canvas, "IN_MEMORY", 1024 * 1024 * 2)

    def full(shape, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(canvas, "_in_file", full)
    assert main([str(folder), "-o", str(tmp_path / "out"), *PLAIN]) == 1 and make is not full
    said = capsys.readouterr().err
    import tempfile

    assert f"b.png: {tempfile.gettempdir()}: No space left on device; TMPDIR=FOLDER" in said
    assert "1 of 3 pictures failed" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


def test_a_write_that_fails_costs_one_picture(folder, tmp_path, monkeypatch, capsys):
    whole = os.fsync
    pictures = []

    def fail_first(handle):
        file = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if file.parent == tmp_path / "out":  # what is learned of times is written, too
            pictures.append(file)
            if len(pictures) == 1:
                raise OSError(errno.ENOSPC, "No space left on device")
        whole(handle)

    monkeypatch.setattr(saving.os, "fsync", fail_first)
    assert main([str(folder), "-o", str(tmp_path / "out"), "--no-resume", *PLAIN]) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
    assert f"{tmp_path / 'out' / 'a.png'}: cannot be written (No space left on device)" in capsys.readouterr().err


# Signals


def slow(*arguments):
    return subprocess.Popen(
        [sys.executable, str(SLOW), *map(str, arguments)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def large(tmp_path, photo):
    path = tmp_path / "large.png"
    Image.fromarray(photo[:320, :320]).save(path)
    return path


def until(running, words):
    """What it has said once these words, a regular expression, are there."""
    said = ""
    while not re.search(words, said):
        piece = running.stderr.read(1)
        assert piece, said
        said += piece
    return said


@POSIX
@pytest.mark.parametrize("number, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_each_signal_keeps_what_is_done(number, code, large, tmp_path):
    out = tmp_path / "out.png"
    running = slow(large, "-o", out, "--tile", "64", "--upscaler", "Lanczos", "--journal", tmp_path / "journal")
    said = until(running, r" [3-9]/100")  # the bar does not show every tile
    running.send_signal(getattr(signal, number))
    said += running.communicate(timeout=60)[1]
    assert running.returncode == code, said
    assert "Traceback" not in said and "Stopping" in said and not out.exists()
    assert imagefile.read(tmp_path / "out-unfinished.png", max_pixels=10**7).rgb.shape == (640, 640, 3)
    assert not list(tmp_path.glob(".usdu*"))


@POSIX
def test_a_second_signal_ends_at_once_without_a_traceback(large, tmp_path):
    running = slow(large, "-o", tmp_path / "out.png", "--tile", "64", "--upscaler", "Lanczos", "--batch", "64")
    said = until(running, "0/100")
    running.send_signal(signal.SIGINT)
    said += until(running, "Stopping")
    running.send_signal(signal.SIGINT)
    said += running.communicate(timeout=10)[1]
    assert running.returncode == 130 and "Traceback" not in said, said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.png"]


@pytest.mark.needs("diffusers")
@POSIX
@pytest.mark.parametrize("delay", [0.05, 0.15, 0.3, 0.6, 1.0])
def test_ctrl_c_at_the_start_has_no_traceback(delay, large, tmp_path):
    command = [sys.executable, "-m", "lib_usdu", str(large), "-o", str(tmp_path / "out.png"), "-s", "8", "-d", "0.2"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=SLOW.parents[2])
    maps = Path(f"/proc/{running.pid}/maps")
    while maps.exists() and running.poll() is None and "numpy" not in maps.read_text():
        time.sleep(0.01)  # Python itself must be up: before that nobody can answer
    time.sleep(delay)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode in (130, -2), said
    assert "Traceback" not in said and "terminate" not in said and not (tmp_path / "out.png").exists()


LOADING = """
import os, signal
from lib_usdu.cli.stop import Stopping

stopping = Stopping()
stopping.clean_with(lambda: print("cleaned", flush=True))
with stopping.listening():
    try:
        os.kill(os.getpid(), signal.{name})
    except BaseException as error:  # as torch's libraries: they abort at an exception in the middle of their import
        print(type(error), flush=True)
        os.abort()
"""


@POSIX
@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_before_the_host_is_there_raises_nothing(name, code):
    """Libraries that are being imported cannot bear an exception: the process ends by itself, with nothing left."""
    command = [sys.executable, "-c", LOADING.format(name=name)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=SLOW.parents[2], timeout=60)
    assert (done.returncode, done.stdout) == (code, "cleaned\n"), done.stderr
    assert done.stderr == "usdu: stopped before any picture was begun\n"


@POSIX
def test_a_signal_that_the_person_ignores_is_ignored(monkeypatch):
    from lib_usdu.cli.stop import Stopping

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopping().listening():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_half_done_pictures_of_a_folder_go_on(tmp_path, photo, monkeypatch, capsys):
    """Stopped in the second picture; the rerun skips the first and takes the finished tiles of the second."""
    from hosts import StoppingRefiner

    from lib_usdu.standalone.host import IdentityRefiner, LocalHost

    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(photo[:128, :128] if name == "a.png" else photo[128:256, :128]).save(tmp_path / "in" / name)
    refined = []

    class Counting(IdentityRefiner):
        def refine(self, batch, stop):
            refined.append(len(batch.tiles))
            return 255 - batch.images

        def identity(self):
            return {"engine": "counting"}

    class Stopping(StoppingRefiner, Counting):
        pass

    def host(refiner):
        made = LocalHost(refiner, journal_folder=tmp_path / "journal")
        refiner.host = made
        return made

    command = [str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--tile", "64", "--batch", "1", *PLAIN]
    monkeypatch.setattr(models, "host_of", lambda args, options: host(Stopping(16 + 5, inside=False)))
    main(command)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b-unfinished.png"]
    refined.clear()
    monkeypatch.setattr(models, "host_of", lambda args, options: host(Counting()))
    assert main(command) == 0 and sum(refined) == 16 - 5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    assert np.asarray(Image.open(tmp_path / "out" / "b.png")).shape == (256, 256, 3)


PARAMETERS = (
    "cat <lora:Detail:0.7>\nNegative prompt: dog\nSteps: 20, Sampler: DPM++ 2M, CFG scale: 7.0, Seed: 1, Model: real, "
    "Denoising strength: 0.25, "
)


@pytest.mark.parametrize(
    "changed, difference",
    [
        ([], ""), (["-p", "dog <lora:detail:0.7>"], "another prompt"), (["-p", ""], "another prompt"),
        (["-n", ""], "another prompt"), (["-p", "cat"], "another LoRA"),
        (["-p", "cat <lora:detail:0.6>"], "another LoRA"),
        (["--steps", "30"], "Steps 20, now 30"), (["--seed", "2"], "Seed 1, now 2"), (["-d", "0.3"], "0.25, now 0.3"),
        (["--cfg", "5"], "CFG scale 7.0, now 5.0"), (["--sampler", "Heun"], "DPM++ 2M, now Heun"),
        (["-c", "{dir}/other"], "Model real, now other"), (["--mask", "{dir}/in.png"], "a mask now"),
    ],
)  # fmt: skip
def test_a_result_of_another_model_or_prompt_is_never_taken_for_this(changed, difference, tmp_path, photo, capsys):
    from lib_usdu.options import Options

    (tmp_path / "Lora").mkdir()
    small(tmp_path / "in.png", photo)
    for name in ("real", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "Lora" / "Detail.safetensors").write_bytes(b"x")
    written = Options(upscaler="Lanczos", tile_width=512, tile_height=512).to_infotext()
    text = PARAMETERS + ", ".join(f"{name}: {value}" for name, value in written.items())
    imagefile.write(tmp_path / "out.png", photo[:60, :80], infotext=text)
    flags = ["-c", "{dir}/real", "-p", "cat <lora:detail:0.7>", "-n", "dog", *changed]
    command = [flag.format(dir=tmp_path) for flag in flags]
    command += ["-o", str(tmp_path / "out.png"), "-u", "Lanczos", "--lora-folder", str(tmp_path / "Lora"), "--dry-run"]
    assert main([str(tmp_path / "in.png"), *command]) == (2 if difference else 0)
    said = capsys.readouterr()
    assert difference in said.err if difference else "finished earlier, skipped" in said.out


def test_a_result_of_another_mask_is_never_taken_for_this(tmp_path, photo, capsys):
    small(tmp_path / "in.png", photo)
    for name, rows in (("one", 20), ("other", 30)):
        mask = np.zeros((60, 80), np.uint8)
        mask[:rows] = 255
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    command = [str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--engine", "identity", "-u", "Lanczos"]
    masked = [*command, "--mask", str(tmp_path / "one.png")]
    assert main(masked) == 0 and main(masked) == 0
    assert "finished earlier, skipped" in capsys.readouterr().err
    assert main([*command, "--mask", str(tmp_path / "other.png")]) == 2
    assert "made with other settings (another mask)" in capsys.readouterr().err
    assert main(command) == 2 and "(a mask then)" in capsys.readouterr().err


def test_a_result_of_other_tiles_is_never_taken_for_this(tmp_path, photo, capsys):
    Image.fromarray(photo[:128, :128]).save(tmp_path / "in.png")
    command = [str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--engine", "identity", "-u", "Lanczos"]
    command += ["--scale", "1", "--tile", "64"]
    assert main([*command, "--redo-tiles", "2"]) == 0 and main([*command, "--redo-tiles", "2"]) == 0
    assert "finished earlier, skipped" in capsys.readouterr().err
    assert main([*command, "--redo-tiles", "3"]) == 2 and "(redo_tiles 2, now 3)" in capsys.readouterr().err
    assert main(command) == 2 and "(redo_tiles 2, now all)" in capsys.readouterr().err


def test_a_result_of_another_file_is_made_again(folder, tmp_path, photo):
    """A file put in the place of the source may be the older one."""
    out = tmp_path / "out"
    assert main([str(folder), "-o", str(out), *PLAIN]) == 0
    before = written_at(out)
    small(folder / "a.png", photo[::-1])
    os.utime(folder / "a.png", (1e9, 1e9))
    assert main([str(folder), "-o", str(out), *PLAIN]) == 0
    after = written_at(out)
    assert after["a.png"] != before["a.png"] and after["b.png"] == before["b.png"]


@pytest.mark.parametrize(
    "first, then, said",
    [
        (["--resize-mode", "crop"], ["--resize-mode", "fill"], "resize mode crop, now fill"),
        (["-f", "jpg", "--resize-mode", "crop"], ["-f", "jpg", "--resize-mode", "crop", "--quality", "80"], "quality"),
        (["--resize-mode", "fit", "--engine", "identity"], ["--resize-mode", "fit", "--engine", "diffusers"], "engine"),
    ],
)
def test_a_result_of_another_shape_quality_or_engine_is_never_taken_for_this(
    first, then, said, folder, tmp_path, capsys
):
    command = [str(folder), "-o", str(tmp_path / "out"), "--upscaler", "None", "--size", "64x64", "--tile", "64"]
    command += ["--engine", "identity"] if "--engine" not in first else []
    assert main([*command, *first]) == 0 and main([*command, *first]) == 0
    assert main([*command, *then]) == 2 and said in capsys.readouterr().err


@POSIX
def test_a_device_is_never_replaced_by_a_file(folder, tmp_path, capsys):
    os.mkfifo(tmp_path / "report.json")
    command = [str(folder / "a.png"), "-o", str(tmp_path / "out.png"), "--overwrite", *PLAIN]
    assert main([*command, "--json", str(tmp_path / "report.json")]) == 2
    assert "report.json: is no regular file" in capsys.readouterr().err and not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("flag, name", [("--number-tiles", "n.png"), ("--compare", "c.png")])
def test_a_picture_beside_the_result_is_made_or_it_is_said(flag, name, folder, tmp_path, capsys):
    beside = [flag, str(tmp_path / name)]
    command = [str(folder / "a.png"), "-o", str(tmp_path / "out.png"), *PLAIN]
    assert main([*command, "--try-tile", "1", *beside]) == 2 and "without --try-tile" in capsys.readouterr().err
    if flag == "--number-tiles":
        assert main([*command, "--redraw", "none", *beside]) == 2 and "redrawn" in capsys.readouterr().err
    assert main(command) == 0 == main([*command, *beside])
    assert f"so {tmp_path / name} is not made" in capsys.readouterr().err


def test_a_result_whose_tiles_were_all_flat_is_taken_whatever_the_prompt(tmp_path, photo, capsys):
    """No model had a part in it, so its parameters name none."""
    from lib_usdu.options import Options

    (tmp_path / "real").mkdir()
    small(tmp_path / "in.png", photo)
    written = Options(upscaler="Lanczos", tile_width=512, tile_height=512, skip_flat=1).to_infotext()
    text = "\n" + ", ".join(f"{name}: {value}" for name, value in written.items())
    imagefile.write(tmp_path / "out.png", photo[:60, :80], infotext=text)
    command = [str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "-u", "Lanczos", "--skip-flat", "1"]
    assert main([*command, "-c", str(tmp_path / "real"), "-p", "cat", "--dry-run"]) == 0
    assert "finished earlier, skipped" in capsys.readouterr().out
