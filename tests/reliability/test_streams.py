"""Standard error that fails from any of its writes on: the picture is the same each time."""

import sys

import numpy as np
from counts import count
from PIL import Image

from lib_usdu.cli.main import main


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
