"""Standard error that fails from any of its writes on, and results that cannot be written: the rest is as ever."""

import sys
from pathlib import Path

import numpy as np
from counts import count
from PIL import Image

from lib_usdu.cli.main import main
from lib_usdu.errors import OutputError
from lib_usdu.pictures import imagefile


class Leaving:
    """A reader that takes so many writes and then is gone."""

    encoding = "utf-8"

    def __init__(self, taken):
        self.left, self.writes, self.text = taken, 0, ""

    def write(self, text):
        self.writes += 1
        if self.writes > self.left:
            raise BrokenPipeError(32, "Broken pipe")
        self.text += text

    def flush(self):
        if self.writes > self.left:
            raise BrokenPipeError(32, "Broken pipe")

    def isatty(self):
        return False

    def fileno(self):
        raise ValueError("no file")


def test_a_reader_that_leaves_at_every_write(tmp_path, photo, monkeypatch):
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(photo[:128, :128]).save(source)
    plain = ["--tile", "64", "--engine", "identity", "-u", "Lanczos", "-v"]
    command = [str(source), "-o", str(out), "--overwrite", *plain]

    def made(taken):
        stream = Leaving(taken)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            code = main(command)
        return code, stream, np.asarray(Image.open(out))

    code, whole, picture = made(10**9)
    assert code == 0 and whole.writes > 5
    cases = whole.writes + 1
    same = tracebacks = 0
    for taken in range(cases):
        out.unlink()
        code, stream, found = made(taken)
        same += code == 0 and np.array_equal(found, picture)
        tracebacks += "Traceback" in stream.text
    count("standard error fails at every write", cases, same, tracebacks)
    assert same == cases and not tracebacks


def test_a_folder_goes_on_whichever_picture_cannot_be_written(tmp_path, photo, monkeypatch, capsys):
    (tmp_path / "in").mkdir()
    for name in "abcd":
        Image.fromarray(photo[:30, :40]).save(tmp_path / "in" / f"{name}.png")
    plain = ["--engine", "identity", "-u", "Lanczos"]
    original, kept = imagefile.write, []
    for failing in "abcd":

        def fails(path, *given, failing=failing, **more):
            if Path(path).stem == failing:
                raise OutputError(f"{path}: cannot be written (No space left on device)")
            return original(path, *given, **more)

        out = tmp_path / f"out {failing}"
        with monkeypatch.context() as patch:
            patch.setattr(imagefile, "write", fails)
            code = main([str(tmp_path / "in"), "-o", str(out), *plain])
        said = f"{failing}.png: " in capsys.readouterr().err and code == 1
        others = sorted(path.stem for path in out.iterdir()) == sorted({*"abcd"} - {failing})
        again = main([str(tmp_path / "in"), "-o", str(out), *plain]) == 0 and len(list(out.iterdir())) == 4
        kept.append(said and others and again)
    count("saving fails, at every picture of a folder on the command line", len(kept), sum(kept))
    assert all(kept)
