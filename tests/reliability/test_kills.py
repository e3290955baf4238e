"""kill -9 at random moments: whatever it hits, reruns end in the picture of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from counts import count, wanted
from PIL import Image

from lib_usdu.pictures.imagefile import read
from lib_usdu.resume import journal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
SLOW = Path(__file__).with_name("slow_cli.py")
SETTINGS = (
    ("--redraw", "parallel", "--batch", "3"),
    ("--redraw", "linear", "--seams-fix", "band"),
    ("--redraw", "chess", "--blend", "cut", "--batch", "2"),
)


def start(source, out, folder, *more):
    arguments = [str(source), "-o", str(out), "--scale", "1", "--tile", "64", "--padding", "16", "--upscaler",
                 "Lanczos", "--journal", str(folder), *more]  # fmt: skip
    return subprocess.Popen([sys.executable, str(SLOW), *arguments], stderr=subprocess.PIPE, text=True)


def finished(process):
    told = process.communicate(timeout=120)[1]
    assert process.returncode == 0, told
    return told


def test_kills_at_random_moments_end_in_the_same_picture(tmp_path, photo):
    kills, seconds = wanted("USDU_KILLS", 2), wanted("USDU_SECONDS", 100)
    seed = wanted("USDU_SEED", 1)
    chance, began = random.Random(seed), time.monotonic()
    source = tmp_path / "in.png"
    Image.fromarray(photo[100:400, 100:420]).save(source)
    done = pictures = same = tracebacks = resumed = 0
    while done < kills and time.monotonic() - began < seconds:
        more = (*SETTINGS[(pictures + seed) % 3], "--seed", str(100 * seed + pictures))
        whole, out, folder = tmp_path / f"whole{pictures}.png", tmp_path / f"out{pictures}.png", tmp_path / "journal"
        began_whole = time.monotonic()
        finished(start(source, whole, tmp_path / "unused", *more))
        took = time.monotonic() - began_whole
        for _ in range(4):
            if done == kills:
                break
            process = start(source, out, folder, *more)
            # At any moment of a run, from its first import to the writing of the picture; mostly in its tiles
            time.sleep(chance.uniform(*chance.choice([(0.05, 1.05), (0.5, 0.9)])) * took)
            if process.poll() is not None:  # what the kills before have left to do was done sooner
                told = process.communicate()[1]
                resumed += "resumed: " in told
                tracebacks += "Traceback" in told
                break
            process.send_signal(signal.SIGKILL)
            tracebacks += "Traceback" in process.communicate()[1]
            done += 1
            if out.exists():  # killed after the picture was in place: it is whole
                assert np.array_equal(read(out, max_pixels=10**9).rgb, read(whole, max_pixels=10**9).rgb)
                out.unlink()
        if not out.exists():
            told = finished(start(source, out, folder, *more))
            resumed += "resumed: " in told
            tracebacks += "Traceback" in told
        pictures += 1
        same += np.array_equal(np.asarray(Image.open(out)), np.asarray(Image.open(whole)))
        assert journal.kept_runs(folder) == []  # nothing stays behind
    # Every picture is killed up to four times and finished once: identical or not, it speaks for its kills.
    count("kill -9 at a random moment", done, done if same == pictures else 0, tracebacks)
    count("pictures that were killed and finished", pictures, same)
    count("of these, finished by a resumed run", pictures, resumed)
    assert same == pictures and tracebacks == 0 and resumed and (done == kills or seconds < 100)
