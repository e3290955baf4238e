import os
import signal

import hosts
import numpy as np
import pytest
import ray

from lib_usdu.engine import upscale
from lib_usdu.errors import ModelError, OptionError
from lib_usdu.hosts.local import LocalHost
from lib_usdu.hosts.ray_workers import RayRefiner
from lib_usdu.options import Options

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
