import argparse
import json
import os
import signal
from collections import Counter
from contextlib import contextmanager

import hosts
import numpy as np
import pytest
import ray
from PIL import Image

from lib_usdu.batch_size import BatchLimits
from lib_usdu.cli import main as cli
from lib_usdu.cli import models
from lib_usdu.engine import upscale
from lib_usdu.errors import ModelError, OptionError
from lib_usdu.options import Options
from lib_usdu.standalone.host import LocalHost
from lib_usdu.standalone.ray import RayRefiner

OPTIONS = Options(tile_width=64, custom_scale=1, padding=16, denoise=0.5)


class FailingRefiner(hosts.NoisyRefiner):
    def refine(self, batch, stop):
        raise ModelError("no memory left")


@pytest.fixture(scope="module")
def cluster():
    """Two workers' worth of this machine."""
    import sys

    for module in (hosts, sys.modules[__name__]):
        ray.cloudpickle.register_pickle_by_value(module)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def test_two_workers_make_the_same_picture_even_when_one_is_killed(cluster, photo):
    alone = upscale(photo, OPTIONS, LocalHost(hosts.NoisyRefiner())).image
    refiner = RayRefiner(hosts.NoisyRefiner, workers=2)
    first, second = ray.get([worker.process.remote() for worker in refiner.workers])
    assert first != second
    assert np.array_equal(upscale(photo, OPTIONS, LocalHost(refiner)).image, alone)

    def kill(progress):
        if progress.done == 20:
            os.kill(second, signal.SIGKILL)

    host = LocalHost(refiner, on_progress=kill)
    assert np.array_equal(upscale(photo, OPTIONS, host).image, alone)
    assert ray.get(refiner.workers[1].process.remote()) != second  # a new one has taken its place
    for worker in refiner.workers:
        ray.kill(worker)


def test_a_workers_error_is_told_as_it_is(cluster, photo):
    refiner = RayRefiner(FailingRefiner, workers=1)
    with pytest.raises(ModelError, match="^no memory left$"):
        upscale(photo, OPTIONS, LocalHost(refiner))
    with pytest.raises(OptionError, match="0 to 2"):
        RayRefiner(FailingRefiner, workers=3)
    for worker in refiner.workers:
        ray.kill(worker)


class SigningRefiner(hosts.NoisyRefiner):
    """Writes into a folder which process refined when."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def identity(self):
        return {"refiner": "signing"}

    def refine(self, batch, stop):
        import time

        (self.folder / f"{os.getpid()}-{time.time_ns()}").touch()
        time.sleep(0.3)
        return super().refine(batch, stop)


def test_a_folder_of_small_pictures_keeps_all_workers_busy(cluster, photo, tmp_path, monkeypatch):
    source, signs, out = tmp_path / "in", tmp_path / "signs", tmp_path / "out"
    source.mkdir()
    signs.mkdir()
    for number in range(6):
        Image.fromarray(photo[:64, number * 64 : number * 64 + 64]).save(source / f"{number}.png")
    (source / "broken.png").write_bytes(b"\x89PNG")
    monkeypatch.setattr(models, "_refiner", lambda args, seed: SigningRefiner(signs))
    given = [str(source), "--scale", "1", "--tile", "64", "--denoise", "0.5", "--tone-lock", "0", "--upscaler", "None"]
    spread = ["--ray", "local", "--ray-workers", "2", "--json", str(tmp_path / "j.json")]
    assert cli.main([*given, "-o", str(out), *spread]) == 1
    counts = Counter(path.name.split("-")[0] for path in signs.iterdir())
    assert len(counts) == 2 and min(counts.values()) >= 2
    assert cli.main([*given, "-o", str(tmp_path / "alone")]) == 1
    for number in range(6):
        pixels = [np.asarray(Image.open(folder / f"{number}.png")) for folder in (out, tmp_path / "alone")]
        assert np.array_equal(*pixels) and not np.array_equal(pixels[0], photo[:64, number * 64 : number * 64 + 64])
    report = json.loads((tmp_path / "j.json").read_text())
    assert len(report["pictures"]) == 6 and len(report["failed"]) == 1


class Weak(hosts.NoisyRefiner):
    """Its memory is short until it saves some, and tile 4 breaks down in half precision."""

    def __init__(self):
        super().__init__()
        self.saved = self.precise = False

    def batch_limits(self, width, height):
        return BatchLimits(2, 2)

    def save_memory(self):
        first, self.saved = not self.saved, True
        return first

    def remarks(self):
        return ("the autoencoder works in pieces",) if self.saved else ()

    @contextmanager
    def more_precise(self):
        self.precise = True
        yield
        self.precise = False

    def refine(self, batch, stop):
        if not self.saved:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        found = super().refine(batch, stop)
        for i, tile in enumerate(batch.tiles):
            if tile.index == 4 and not self.precise:
                found[i] = np.nan
        return found


def test_workers_save_memory_and_calculate_more_precisely(cluster, photo):
    picture = photo[:192, :192]
    refiner = RayRefiner(Weak, workers=2)
    assert refiner.batch_limits(96, 96) == BatchLimits(8, 8)
    result = upscale(picture, OPTIONS, LocalHost(refiner))
    assert np.array_equal(result.image, upscale(picture, OPTIONS, LocalHost(hosts.NoisyRefiner())).image)
    assert result.stats.tiles_done == 9 and "the autoencoder works in pieces" in result.notes
    assert not [note for note in result.notes if "stays as upscaled" in note] and not refiner.save_memory()
    for worker in refiner.workers:
        ray.kill(worker)


@pytest.mark.parametrize("given, seen", [("cuda:1", "cuda"), ("cuda", "cuda"), ("auto", "auto"), ("cpu", "cpu")])
def test_a_worker_that_sees_one_card_asks_for_that_one(given, seen):
    args = models._of_a_worker(argparse.Namespace(device=given, prompt="a"))
    assert (args.device, args.prompt) == (seen, "a")
