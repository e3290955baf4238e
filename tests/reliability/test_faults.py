"""A fault in a tile ends there: injected in every way, at every tile."""

import threading

import numpy as np
import pytest
from counts import count, wanted
from faulty import KINDS, FaultyRefiner, cores

from lib_usdu.engine import upscale
from lib_usdu.errors import ModelError, NotANumber, Skipped
from lib_usdu.geometry import Canvas
from lib_usdu.options import Options
from lib_usdu.passes import plan_passes
from lib_usdu.standalone.host import LocalHost

# 3 x 3 tiles whose cores do not reach over one another
OPTIONS = Options(tile_width=64, padding=16, mask_blur=0, custom_scale=1, denoise=0.5)


@pytest.fixture(scope="module")
def picture(photo):
    return photo[100:292, 150:342]


@pytest.fixture(scope="module")
def undisturbed(picture):
    return upscale(picture, OPTIONS, LocalHost(FaultyRefiner()))


def run(picture, refiner, **changes):
    return upscale(picture, OPTIONS.with_(**changes), LocalHost(refiner))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tile_that_fails_once_costs_nothing(kind, picture, undisturbed):
    survived = cases = 0
    for at in range(0, 9, wanted("USDU_FAULT_STEP", 2)):
        for batch in (1, 4):
            result = run(picture, FaultyRefiner(kind, [at]), tile_batch=batch)
            cases += 1
            survived += np.array_equal(result.image, undisturbed.image) and result.finished and not result.notes[1:]
    count(f"one fault: {kind}", cases, survived)
    assert survived == cases


@pytest.mark.parametrize("kind", KINDS)
def test_a_tile_that_always_fails_stays_as_upscaled_and_is_named(kind, picture, undisturbed):
    tiles = plan_passes(OPTIONS, Canvas(192, 192), 64)[0].tiles
    survived = cases = 0
    for at in range(0, 9, wanted("USDU_FAULT_STEP", 2)):
        for batch in (1, 4):
            if "memory" in kind and at == 0:
                continue  # not even the first: that is an error, below
            result = run(picture, FaultyRefiner(kind, [at], times=99), tile_batch=batch)
            kept = cores(result, [tiles[at]])
            cases += 1
            survived += (
                np.array_equal(result.image[kept], picture[kept])
                and np.array_equal(result.image[~kept], undisturbed.image[~kept])
                and f"Ultimate SD upscale tiles left as upscaled: redraw {at + 1}" in result.infotext
                and any(f"tile {at + 1} of the redraw stays as upscaled" in note for note in result.notes)
                and all("\n" not in note for note in result.notes)
            )
    count(f"a tile that always fails: {kind}", cases, survived)
    assert survived == cases


def test_a_model_that_hangs_is_stopped_at_every_tile(picture, undisturbed):
    survived = 0
    for at in range(9):
        refiner = FaultyRefiner("hangs", [at])
        host = LocalHost(refiner)

        def stop(refiner=refiner, host=host):
            while not refiner.hanging:
                pass
            host.stop = True

        thread = threading.Thread(target=stop)
        thread.start()
        result = upscale(picture, OPTIONS, host)
        thread.join()
        done = cores(result, plan_passes(OPTIONS, Canvas(192, 192), 64)[0].tiles[:at])
        survived += (
            not result.finished and result.stats.tiles_done == at
            and np.array_equal(result.image[done], undisturbed.image[done])
            and np.array_equal(result.image[~done], picture[~done])
        )  # fmt: skip
    count("hangs until stopped", 9, survived)
    assert survived == 9


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_never_works_is_an_error_soon(kind, batch, picture):
    refiner = FaultyRefiner(kind, range(9), times=99)
    with pytest.raises(ModelError) as caught:
        run(picture, refiner, tile_batch=batch)
    assert len(refiner.seen) <= 7 and "\n" not in str(caught.value)
    if "memory" in kind:
        assert "smaller tiles or less padding" in str(caught.value)


def test_a_model_that_breaks_later_ends_the_run_and_keeps_what_is_done(picture, undisturbed):
    refiner = FaultyRefiner("raises", range(3, 9), times=99)
    result = run(picture, refiner)
    done = cores(result, plan_passes(OPTIONS, Canvas(192, 192), 64)[0].tiles[:3])
    assert not result.finished and len(refiner.seen) == 3 + 2 * 5
    assert np.array_equal(result.image[done], undisturbed.image[done])
    assert "ended early: 5 tiles in a row failed (RuntimeError: this tile fails on purpose)" in result.notes


class SmallCard(FaultyRefiner):
    """Has memory for so many windows at once, and for fewer pixels until its autoencoder works in pieces."""

    def __init__(self, windows, *, pieces=False):
        super().__init__()
        self.windows, self.pieces, self.saving = windows, pieces, False

    def refine(self, batch, stop):
        found = super().refine(batch, stop)
        if len(batch.tiles) > self.windows or (self.pieces and not self.saving):
            raise RuntimeError("MPS backend out of memory (MPS allocated: 6.00 GB)")
        return found

    def save_memory(self):
        first, self.saving = not self.saving, True
        return first and self.pieces


def test_out_of_memory_halves_the_batch_for_the_rest_of_the_run(picture, undisturbed):
    refiner = SmallCard(1)
    result = run(picture, refiner, tile_batch=9)
    assert np.array_equal(result.image, undisturbed.image)
    assert [len(call) for call in refiner.seen] == [9, 4, 2] + [1] * 9
    refiner = SmallCard(2)
    result = run(picture, refiner, tile_batch=4)
    assert np.array_equal(result.image, undisturbed.image)
    assert [len(call) for call in refiner.seen] == [4, 2, 2, 2, 2, 1]
    assert "out of memory: 2 tiles of 128x128 at once from here on" in result.notes


def test_then_the_host_saves_memory(picture, undisturbed):
    refiner = SmallCard(4, pieces=True)
    result = run(picture, refiner, tile_batch=4)
    assert np.array_equal(result.image, undisturbed.image) and refiner.saving


def test_broken_numbers_are_tried_with_more_precision(picture, undisturbed):
    class Half(FaultyRefiner):
        precise = False

        def more_precise(self):
            return self

        def __enter__(self):
            self.precise = True

        def __exit__(self, *_):
            self.precise = False

        def refine(self, batch, stop):
            found = super().refine(batch, stop)
            if any(tile.index == 4 for tile in batch.tiles) and not self.precise:
                raise NotANumber("NaN in the unet")
            return found

    for batch in (1, 4):
        refiner = Half()
        assert np.array_equal(run(picture, refiner, tile_batch=batch).image, undisturbed.image) and not refiner.precise


def test_a_tile_that_is_skipped_stays_and_the_rest_goes_on(picture, undisturbed):
    class Skipping(FaultyRefiner):
        def refine(self, batch, stop):
            if batch.tiles[0].index == 4:
                raise Skipped("skipped")
            return super().refine(batch, stop)

    result = run(picture, Skipping())
    kept = cores(result, [plan_passes(OPTIONS, Canvas(192, 192), 64)[0].tiles[4]])
    assert result.finished and "tiles left as upscaled: redraw 5" in result.infotext
    assert np.array_equal(result.image[kept], picture[kept])
    assert np.array_equal(result.image[~kept], undisturbed.image[~kept])


@pytest.mark.parametrize("error", [RuntimeError("broken\nupscaler"), MemoryError(), OSError(5, "gone")])
def test_an_upscaler_that_fails_is_said_before_any_diffusion(error, picture):
    def fail(*_):
        raise error

    refiner = FaultyRefiner()
    host = LocalHost(refiner)
    host.enlarge = fail
    with pytest.raises(ModelError, match=r"^upscaler None: [^\n]+$"):
        upscale(picture, OPTIONS, host)
    assert refiner.seen == []


def test_faults_in_the_seams_fix_are_told_apart(picture):
    class Late(FaultyRefiner):
        def refine(self, batch, stop):
            if batch.denoise == 0.25 and batch.tiles[0].index == 1:
                raise RuntimeError("late")
            return super().refine(batch, stop)

    result = run(picture, Late(), seams_fix_type="half+intersections", seams_fix_denoise=0.25)
    assert result.finished and "tiles left as upscaled: seams fix 2" in result.infotext
