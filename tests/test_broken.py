"""Tiles whose numbers broke down, however the host shows it; and the remedies, which must not fail themselves."""

from contextlib import contextmanager

import numpy as np
import pytest
from hosts import NoisyRefiner

from lib_usdu.engine import upscale
from lib_usdu.options import Options
from lib_usdu.run.broken import what_is_broken
from lib_usdu.standalone.host import LocalHost

OPTIONS = Options(tile_width=64, padding=16, mask_blur=0, custom_scale=1, denoise=0.5, upscaler="None")


@pytest.fixture(scope="module")
def picture(photo):
    return photo[100:292, 150:342]


def run(picture, refiner, folder=None, **changes):
    return upscale(picture, OPTIONS.with_(**changes), LocalHost(refiner, journal_folder=folder))


class Eight(NoisyRefiner):
    """Gives 8-bit pictures, as a webui does; `when(tile index, number of the call)` makes one black."""

    def __init__(self, when=lambda index, call: False, colour=0):
        super().__init__()
        self.when, self.colour, self.calls, self.precise = when, colour, 0, False

    def identity(self):
        return {"engine": "eight"}

    def refine(self, batch, stop):
        self.calls += 1
        found = super().refine(batch, stop).clip(0, 255).round().astype(np.uint8)
        for i, tile in enumerate(batch.tiles):
            if self.when(tile.index, self.calls):
                found[i] = self.colour
        return found

    @contextmanager
    def more_precise(self):
        self.precise = True
        yield
        self.precise = False


@pytest.mark.parametrize("colour", [0, 255, (127, 127, 127), (10, 200, 30)])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_tile_of_one_colour_in_8_bits_is_done_again(picture, colour, batch):
    good = run(picture, Eight(), tile_batch=batch)
    refiner = Eight(lambda index, call: index == 4 and not refiner.precise, colour)
    result = run(picture, refiner, tile_batch=batch)
    assert np.array_equal(result.image, good.image) and not result.notes and refiner.calls > good.stats.batches


class Fractions(Eight):
    """Gives fractions of levels, but 8 bits where it has made one black, as the webui does."""

    def refine(self, batch, stop):
        found = super().refine(batch, stop)
        black = any(self.when(tile.index, self.calls) for tile in batch.tiles)
        fine = np.random.default_rng(3).random(found.shape[1:], np.float32)  # no tone, which would be held
        return found if black else (found + fine).astype(np.float16)


def test_a_tile_that_is_done_again_keeps_its_fractions(picture):
    good = run(picture, Fractions(), tile_batch=1)
    refiner = Fractions(lambda index, call: index == 4 and not refiner.precise)
    assert np.array_equal(run(picture, refiner, tile_batch=1).image, good.image)


def test_a_tile_that_is_black_for_ever_stays_as_upscaled_and_is_named(picture):
    result = run(picture, Eight(lambda index, call: index == 4))
    assert any("tile 5 of the redraw stays as upscaled" in note and "one flat colour" in note for note in result.notes)
    assert "tiles left as upscaled: redraw 5" in result.infotext
    assert np.array_equal(result.image[64:128, 64:128], picture[64:128, 64:128])


def test_a_black_tile_is_not_kept_for_a_rerun(picture, tmp_path):
    first = run(picture, Eight(lambda index, call: index == 4), tmp_path)
    assert first.notes
    again = run(picture, Eight(), tmp_path)
    assert not [note for note in again.notes if "stays" in note] and again.stats.tiles_done == 9
    assert np.array_equal(again.image, run(picture, Eight()).image)


@pytest.mark.parametrize("window, broken", [(0, False), (255, False), ("near white", False), ("photo", True)])
def test_one_colour_is_right_where_the_window_has_no_more(photo, window, broken):
    pixels = np.full((64, 64, 3), 255, np.uint8)
    if window == "near white":
        pixels -= np.random.default_rng(0).integers(0, 6, pixels.shape, dtype=np.uint8)
    elif window == "photo":
        pixels = photo[:64, :64]
    else:
        pixels[:] = window
    assert bool(what_is_broken(np.full((64, 64, 3), 255.0, np.float32), pixels)) == broken
    assert not what_is_broken(photo[64:128, :64], pixels)


class Half(NoisyRefiner):
    """Overflows in half precision at one tile, and has not the memory to become more precise, at all or unless it has
    saved some."""

    def __init__(self, savings):
        super().__init__()
        self.savings, self.precise = savings, False

    def refine(self, batch, stop):
        found = super().refine(batch, stop)
        for i, tile in enumerate(batch.tiles):
            if tile.index == 4 and not self.precise:
                found[i] = np.nan
        return found

    def save_memory(self):
        self.savings -= 1
        return self.savings >= 0

    @contextmanager
    def more_precise(self):
        if self.savings != 0:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.precise = True
        yield
        self.precise = False


@pytest.mark.parametrize("batch", [1, 4])
def test_the_retry_in_single_precision_that_does_not_fit_does_not_end_the_run(picture, batch):
    result = run(picture, Half(savings=-1), tile_batch=batch)
    assert result.finished and result.stats.tiles_done == 9
    assert any("tile 5 of the redraw stays" in note and "does not fit the memory" in note for note in result.notes)


def test_memory_is_saved_for_the_retry_in_single_precision(picture):
    result = run(picture, Half(savings=1))
    assert np.array_equal(result.image, run(picture, NoisyRefiner()).image)
    assert any(note.startswith("out of memory: the model works in a way") for note in result.notes)


def test_what_a_host_changed_to_go_on_is_said_once(picture):
    class Changing(NoisyRefiner):
        said = ()

        def refine(self, batch, stop):
            self.said = ("the autoencoder works in pieces",)
            return super().refine(batch, stop)

        def remarks(self):
            return self.said

    refiner = Changing()
    assert "the autoencoder works in pieces" in run(picture, refiner).notes
    assert "the autoencoder works in pieces" not in run(picture, refiner).notes
