"""Where the model has a device of its own, the processor works beside it."""

import threading
import time

import numpy as np
import pytest
from hosts import NoisyRefiner, StoppingRefiner

from lib_usdu.engine import upscale
from lib_usdu.errors import ModelError
from lib_usdu.geometry import Region
from lib_usdu.noise import TileNoise
from lib_usdu.options import Options
from lib_usdu.run import tile_loop as refining
from lib_usdu.run.noise_draws import CanvasDraws
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


def test_the_noise_of_the_next_batch_is_drawn_meanwhile(photo, monkeypatch):
    """By the thread that cuts it out; the model is given it."""
    drawers, drawn = set(), []
    draw = TileNoise.draw
    monkeypatch.setattr(
        TileNoise, "draw", lambda *args: (drawers.add(threading.current_thread().name), draw(*args))[1]
    )

    class Given(Apart):
        def refine(self, batch, stop):
            draws = CanvasDraws(batch.noises, 4, "cpu", drawn=batch.drawn)
            drawn.append((batch, draws.next().numpy()))
            return batch.images

    upscale(photo, OPTIONS, LocalHost(Given()))
    assert len(drawn) == 22 and all(name.startswith("usdu-compose") for name in drawers)
    for batch, found in drawn:
        assert np.array_equal(found, np.stack([draw(noise, 0, 4) for noise in batch.noises]))
    waits = NoisyRefiner()
    upscale(photo, OPTIONS, LocalHost(waits))
    assert all(batch.drawn is None for batch in waits.batches), "nobody else has the time for it"


@pytest.mark.parametrize("settings", [{}, {"subseed": 7, "subseed_strength": 0.3}, {"seed_delta": 5}])
def test_draws_made_beforehand_are_those_made_now(settings):
    noises = [TileNoise(seed, 16, 20, Region(2, 3, 8, 6)) for seed in (1, 2)]
    drawn = np.stack([noise.draw(0, 4) for noise in noises])
    kept = drawn.copy()
    now, before = (CanvasDraws(noises, 4, "cpu", **settings, **more) for more in ({}, {"drawn": drawn}))
    for _ in range(3):
        found = before.next()
        assert np.array_equal(found.numpy(), now.next().numpy())
        found.zero_()
    assert np.array_equal(drawn, kept), "they are still there for a second try"
    of_others = CanvasDraws(noises, 16, "cpu", drawn=drawn).next()
    assert np.array_equal(of_others.numpy(), CanvasDraws(noises, 16, "cpu").next().numpy())


def test_a_part_of_a_batch_has_its_own_draws(photo):
    class Once(Apart):
        def refine(self, batch, stop):
            part = batch.part([1, 2]) if len(batch.tiles) == 3 else batch
            assert np.array_equal(part.drawn[-1], part.noises[-1].draw(0, 4)) and len(part.drawn) == len(part.tiles)
            return super().refine(batch, stop)

    assert not upscale(photo, OPTIONS, LocalHost(Once())).notes
