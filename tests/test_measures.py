"""The quality table's measures on pictures whose answer is known, and the baseline's geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hosts import NoisyRefiner

from bench import measures, original
from bench.cases import MADE
from lib_usdu.options import Options
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

SIDE = 256


@pytest.fixture
def canvas():
    rng = np.random.default_rng(4)
    return rng.integers(60, 190, (SIDE, SIDE, 3), dtype=np.uint8)


def changed(canvas, seed=5):
    """As a pass changes it: everywhere a little."""
    return np.clip(canvas + np.random.default_rng(seed).normal(0, 4, canvas.shape), 0, 255).round().astype(np.uint8)


def test_psnr_of_a_constant_error():
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert measures.psnr(grey, grey + 2) == pytest.approx(10 * np.log10(255**2 / 4))
    assert measures.psnr(grey, grey) == np.inf


def test_a_step_of_tone_is_drift_and_no_detail(canvas):
    brighter = canvas + 3
    assert measures.tone_drift(brighter, canvas) == pytest.approx(3, abs=0.01)
    assert measures.detail_psnr(brighter, canvas) > 90


@pytest.mark.parametrize("turned", [False, True])
def test_a_seam_is_found_wherever_it_lies(canvas, turned):
    result = changed(canvas)
    unremarkable = measures.seam_visibility(result, canvas)
    seamed = result.astype(np.int16)
    seamed[:, 101:] += 9
    seamed = np.clip(seamed, 0, 255).astype(np.uint8)
    if turned:
        seamed, canvas = seamed.swapaxes(0, 1), canvas.swapaxes(0, 1)
    columns, rows = measures.seam_profile(seamed, canvas)
    assert int((rows if turned else columns).argmax()) == 100
    assert measures.seam_visibility(seamed, canvas) > 1.3 * unremarkable


def test_an_edge_of_the_picture_is_no_seam():
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8) + 40
    canvas[:, 130:] = 220
    result = changed(canvas)
    assert measures.seam_visibility(result, canvas) < 1.5


def test_high_frequencies(canvas):
    smooth = measures.tone(canvas).round().astype(np.uint8)
    energy = measures.high_frequency_energy(canvas)
    assert measures.high_frequency_energy(smooth) < 0.01 * energy
    shaded = np.clip(canvas + np.linspace(-20, 20, SIDE)[None, :, None], 0, 255).round().astype(np.uint8)
    assert measures.high_frequency_energy(shaded) == pytest.approx(energy, rel=0.01), "a change of tone is none"


def test_gmsd_rises_with_what_is_lost(canvas):
    assert measures.gmsd(canvas, canvas) == 0
    assert 0 < measures.gmsd(changed(canvas), canvas) < measures.gmsd(measures.tone(canvas), canvas)


def test_the_original_resamples_what_it_only_looks_at(canvas):
    """Its tiles lose detail even when the model changes nothing; ours do not (test_engine)."""
    options = Options(tile_width=128, mask_blur=8, padding=32, seed=1, denoise=0.3)
    host = LocalHost(IdentityRefiner())
    result = original.redraw(canvas, options, host)
    assert result.shape == canvas.shape
    assert 15 < measures.psnr(result, canvas) < 45


def test_the_original_at_full_size_is_one_crop(canvas):
    """128 px tiles, blur 0, padding 0: the processing size is the tile's, nothing is resampled."""
    options = Options(tile_width=128, mask_blur=0, padding=0, seed=1, denoise=0.3)
    assert np.array_equal(original.redraw(canvas, options, LocalHost(IdentityRefiner())), canvas)
    refiner = NoisyRefiner()
    original.redraw(canvas, options, LocalHost(refiner))
    assert [batch.images.shape for batch in refiner.batches] == [(1, 128, 128, 3)] * 4
    draws = [batch.noises[0].draw(0, 4) for batch in refiner.batches]
    assert all(np.array_equal(draw, draws[0]) for draw in draws), "the same noise in every tile"


def test_the_originals_crop_is_617_px_for_a_512_px_tile():
    """docs of its bug: mask 512 + 2 * 20 of blur, + 2 * 32 of padding, into 576 px."""
    seen = []

    class Watching(IdentityRefiner):
        def refine(self, batch, stop):
            seen.append(batch.images.shape)
            return batch.images

    whole = original.Region(0, 0, 2048, 2048)
    _, touched = original._blurred(original.Region(512, 512, 512, 512), whole, 8)
    crop = original._to_aspect(touched.grow(32), 1.0, whole)
    assert 610 <= crop.width <= 620 and crop.width == crop.height
    canvas = np.zeros((1024, 1024, 3), np.uint8)
    original.redraw(canvas, Options(tile_width=512, padding=32, mask_blur=8), LocalHost(Watching()))
    assert set(seen) == {(1, 576, 576, 3)}


@pytest.mark.parametrize("name", MADE)
def test_made_cases(name):
    picture = MADE[name](SIDE)
    assert picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8
    assert picture.std() > 1
