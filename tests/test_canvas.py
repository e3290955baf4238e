import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lib_usdu.engine import upscale
from lib_usdu.enlarge import windows as stage
from lib_usdu.enlarge.windows import RESAMPLERS, resize
from lib_usdu.options import Options
from lib_usdu.pictures import canvas
from lib_usdu.pictures.canvas import copy_canvas, in_file, new_canvas, release
from lib_usdu.standalone.host import IdentityRefiner, LocalHost


@pytest.fixture
def on_file(monkeypatch):
    monkeypatch.setattr(canvas, "IN_MEMORY", 0)


def test_pictures_beyond_the_limit_lie_in_files_and_memory_is_counted_back(monkeypatch):
    monkeypatch.setattr(canvas, "IN_MEMORY", canvas.held.bytes + 3000)
    first, second, third = new_canvas((20, 50, 3)), new_canvas((1, 1, 3)), None
    assert not in_file(first) and in_file(second)
    view = first[3:]
    del first
    assert in_file(new_canvas((20, 50, 3)))  # a view still holds it
    del view
    third = new_canvas((20, 50, 3))
    assert not in_file(third)


def test_released_pixels_stay(on_file):
    picture = new_canvas((300, 400, 3))
    picture[:] = np.arange(400, dtype=np.uint32)[:, None] % 256
    copied = copy_canvas(picture)
    release(picture)
    release(copied[10:])
    assert in_file(copied) and np.array_equal(picture, copied) and copied[7, 300, 1] == 44


def test_nothing_is_left_on_disk_even_by_a_crash(tmp_path):
    code = (
        "import os; from lib_usdu.pictures import canvas; canvas.IN_MEMORY = 0;"
        " a = canvas.new_canvas((999, 999, 3)); a[:] = 1;"
        " print(len(os.listdir(os.environ['TMPDIR'])), flush=True); os.abort()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env={"TMPDIR": str(tmp_path), "PATH": ""}, capture_output=True, check=False,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert ended.returncode != 0 and ended.stdout.strip() == b"0" and not list(tmp_path.iterdir())


@pytest.fixture(params=["macOS and Windows", "a file system that cannot"])
def no_fallocate(request, monkeypatch, on_file):
    def cannot(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if request.param == "macOS and Windows":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", cannot, raising=False)
    monkeypatch.setattr(canvas, "_WRITTEN_AT_ONCE", 1000)  # several writes, the last one shorter


def test_room_on_the_disk_is_taken_where_the_system_has_no_call_for_it(no_fallocate, monkeypatch):
    made = []
    original = canvas.mmap.mmap
    with monkeypatch.context() as patch:
        patch.setattr(canvas.mmap, "mmap", lambda file, size: made.append(os.fstat(file)) or original(file, size))
        picture = new_canvas((33, 41, 3))
    picture[:] = 7
    assert in_file(picture) and (picture == 7).all()
    assert made[0].st_size == 33 * 41 * 3 and getattr(made[0], "st_blocks", 8) * 512 >= 33 * 41 * 3


def test_a_full_disk_is_an_error_before_any_pixel(no_fallocate, monkeypatch):
    class Full:
        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            self.file = original(prefix="usdu-")
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    original = canvas.tempfile.TemporaryFile
    monkeypatch.setattr(canvas.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(OSError, match="No space left"):
        new_canvas((33, 41, 3))


def test_a_full_disk_is_no_missing_call(on_file, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="No space left"):
        new_canvas((33, 41, 3))


@pytest.mark.parametrize("redraw, fix", [("parallel", "half"), ("linear", "none"), ("chess", "band")])
def test_a_run_is_the_same_on_file(redraw, fix, photo, on_file, monkeypatch):
    options = Options(tile_width=128, redraw_mode=redraw, seams_fix_type=fix, custom_scale=1.3, tone_lock=0)
    result = upscale(photo, options, LocalHost(IdentityRefiner()))
    assert in_file(result.image) and np.array_equal(result.image, result.upscaled)
    monkeypatch.setattr(canvas, "IN_MEMORY", 2**31)
    assert np.array_equal(result.image, upscale(photo, options, LocalHost(IdentityRefiner())).image)


@pytest.mark.parametrize("name", RESAMPLERS)
@pytest.mark.parametrize("size", [(1024, 1024), (1331, 777), (300, 200), (37, 1400), (512, 1500)])
def test_a_resize_in_bands_is_the_resize_of_the_whole(name, size, photo, monkeypatch):
    whole = resize(photo, *size, RESAMPLERS[name])
    monkeypatch.setattr(stage, "WHOLE_RESIZE", 40000)
    banded = resize(photo, *size, RESAMPLERS[name])
    difference = np.abs(whole.astype(int) - banded)
    assert banded.shape == whole.shape and (difference > 0).mean() < 0.02
    assert difference.max() <= 1 or name == "Nearest"  # where two pixels are equally near, either may be taken
    grey = resize(photo[:, :, 1], *size, RESAMPLERS[name])
    assert np.array_equal(grey, banded[:, :, 1])
