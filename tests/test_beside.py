"""Where the model has a device of its own, the processor works beside it."""

import threading
import time

import numpy as np
import pytest
from hosts import NoisyRefiner, StoppingRefiner

from lib_usdu.engine import upscale
from lib_usdu.errors import ModelError
from lib_usdu.options import Options
from lib_usdu.run import tile_loop as refining
from lib_usdu.standalone.host import LocalHost

OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5, tile_batch=3)


class Apart(NoisyRefiner):
    works_apart = True


@pytest.mark.parametrize("context", ["parallel", "linear", "chess"])
@pytest.mark.parametrize("blend", ["feather", "cut"])
def test_the_picture_is_the_same(photo, context, blend):
    options = OPTIONS.with_(redraw_mode=context, blend=blend, seams_fix_type="band")
    apart, alone = Apart(), NoisyRefiner()
    found = upscale(photo, options, LocalHost(apart))
    assert np.array_equal(found.image, upscale(photo, options, LocalHost(alone)).image)
    assert [b.tiles for b in apart.batches] == [b.tiles for b in alone.batches]


def test_while_a_batch_is_refined_the_one_before_is_composed_and_the_next_cut_out(photo, monkeypatch):
    composed, cut = threading.Semaphore(0), threading.Semaphore(0)
    lock, crops = refining.low_frequency_lock, refining._crops
    monkeypatch.setattr(refining, "low_frequency_lock", lambda *args: (composed.release(), lock(*args))[1])
    monkeypatch.setattr(refining, "_crops", lambda *args: (cut.release(), crops(*args))[1])

    class Waiting(Apart):
        def refine(self, batch, stop):
            number = len(self.batches)
            if number > 0:
                for _ in range(3):
                    assert composed.acquire(timeout=20), "the batch before is not composed meanwhile"
            if number < 21:
                wanted = 2 if number == 0 else 1  # this batch and the next one; afterwards only the next
                for _ in range(wanted):
                    assert cut.acquire(timeout=20), "the next batch is not cut out meanwhile"
            return super().refine(batch, stop)

    result = upscale(photo, OPTIONS, LocalHost(Waiting()))
    assert result.stats.tiles_done == 64 and not result.notes


def test_no_more_than_two_batches_are_under_way(photo, monkeypatch):
    begun, finished, most = [0], [0], [0]
    crops = refining._crops

    def counted(*args):
        begun[0] += 1
        most[0] = max(most[0], begun[0] - finished[0])
        return crops(*args)

    monkeypatch.setattr(refining, "_crops", counted)

    class Slow(Apart):
        def refine(self, batch, stop):
            time.sleep(0.01)
            finished[0] += 1
            return super().refine(batch, stop)

    upscale(photo, OPTIONS, LocalHost(Slow()))
    assert most[0] == 2


@pytest.mark.parametrize("inside", [True, False])
def test_a_stop_keeps_what_is_done(photo, inside):
    refiner = StoppingRefiner(3, inside=inside)
    refiner.works_apart = True
    refiner.host = LocalHost(refiner)
    plain = StoppingRefiner(3, inside=inside)
    plain.host = LocalHost(plain)
    options = OPTIONS.with_(tone_lock=0)
    found, expected = upscale(photo, options, refiner.host), upscale(photo, options, plain.host)
    assert not found.finished and np.array_equal(found.image, expected.image)
    assert found.stats.tiles_done == expected.stats.tiles_done == (6 if inside else 9)


def test_an_error_in_the_thread_ends_the_run_with_it(photo, monkeypatch):
    def fails(*_):
        raise ModelError("no")

    monkeypatch.setattr(refining, "low_frequency_lock", fails)
    with pytest.raises(ModelError, match="no"):
        upscale(photo, OPTIONS, LocalHost(Apart()))
