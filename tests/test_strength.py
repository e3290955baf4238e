"""The strength map: how much of the denoising strength each place gets."""

import numpy as np
import pytest
from hosts import NoisyRefiner
from hypothesis import given
from hypothesis import strategies as st

from lib_usdu.engine import upscale
from lib_usdu.errors import OptionError
from lib_usdu.geometry import Canvas, Region
from lib_usdu.latents import Latents
from lib_usdu.options import Options
from lib_usdu.select.strength import StrengthMap, whole_where_redrawn
from lib_usdu.standalone.host import LocalHost

OPTIONS = Options(tile_width=64, padding=16, mask_blur=4, custom_scale=1, denoise=0.5, tone_lock=0)


def picture(height: int, width: int, seed: int = 1) -> np.ndarray:
    """Noise that grows to the right, from none."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)) * np.linspace(0, 12, width)[:, None]
    return np.clip(128 + noise, 0, 255).astype(np.uint8)


def test_smooth_places_get_nothing_and_lively_ones_all():
    rgb = picture(128, 512)
    strengths = StrengthMap(Canvas.of(rgb), rgb).window(Region(0, 0, 512, 128))
    assert strengths.shape == (16, 64) and strengths.dtype == np.uint8
    columns = strengths.mean(axis=0)
    assert (strengths[:, 0] == 0).all() and (columns[-16:] > 200).all() and (np.diff(columns) > -20).all()
    assert 20 < columns[24] < columns[40] < 240


def test_a_slope_is_smooth_and_a_bird_is_not():
    sky = np.repeat(np.linspace(120, 180, 512).round().astype(np.uint8)[:, None], 256, axis=1)
    sky = np.stack([sky, sky, sky], axis=2)
    whole = Region(0, 0, 256, 512)
    assert not StrengthMap(Canvas(256, 512), sky).redraws(whole)
    sky[300:303, 200:204] = 40
    birds = StrengthMap(Canvas(256, 512), sky)
    assert birds.window(whole)[37, 25] == 255 and birds.window(whole)[10].max() == 0
    assert birds.redraws(Region(190, 290, 40, 40)) and not birds.redraws(Region(0, 0, 256, 200))


@pytest.mark.parametrize("wraps", [False, True])
@pytest.mark.parametrize("scale", [8, 16, 4])
def test_windows_agree_to_the_bit(scale, wraps):
    """Of the picture's own detail, and of a mask: what a window has of the canvas's map does not depend on the
    window."""
    rgb, latents = picture(160, 192), Latents(scale=scale)
    for source in (rgb, rgb[..., 0]):
        canvas = Canvas(192, 160, wraps=wraps)
        strengths = StrengthMap(canvas, source, latents)
        whole = strengths.window(canvas.region)
        assert whole.shape == (160 // scale, 192 // scale)
        for region in (Region(64, 32, 64, 96), Region(0, 0, 64, 64), Region(128, 96, 64, 64)):
            rows, columns = (slice(part.start // scale, part.stop // scale) for part in region.slices)
            assert np.array_equal(strengths.window(region), whole[rows, columns])
        if wraps:
            assert np.array_equal(strengths.window(Region(-64, 0, 64, 64)), strengths.window(Region(128, 0, 64, 64)))


@given(st.integers(0, 255))
def test_a_masks_greys_are_the_strengths(grey):
    mask = np.full((64, 64), grey, np.uint8)
    assert (StrengthMap(Canvas(64, 64), mask).window(Region(0, 0, 64, 64)) == grey).all()
    assert StrengthMap(Canvas(64, 64), mask).redraws(Region(3, 5, 9, 9)) == (grey > 0)


def test_what_is_redrawn_a_little_is_taken_whole():
    levels = whole_where_redrawn(np.arange(256, dtype=np.uint8)[None])[0]
    assert levels[0] == 0 and (levels[64:] == 255).all() and (np.diff(levels.astype(int)) >= 0).all()


@pytest.mark.parametrize("mode", ["parallel", "linear", "fused"])
def test_tiles_are_given_their_part_of_the_map(half_sky, mode):
    """Those with nothing to draw are left out, but for Fused, whose windows need each other."""
    seen, refiner = [], NoisyRefiner()
    fuse = refiner.fuse
    refiner.why_not_fused = str
    refiner.fuse = lambda fusion, *more: seen.append(fusion.strengths) or fuse(fusion, *more)
    result = upscale(half_sky, OPTIONS.with_(redraw_mode=mode, strength_map="detail"), LocalHost(refiner))
    whole = StrengthMap(Canvas(256, 256), half_sky).window(Region(0, 0, 256, 256))
    if mode == "fused":
        assert np.array_equal(seen[0], whole[None])
        return
    tiles = [(tile, own) for batch in refiner.batches for tile, own in zip(batch.tiles, batch.strengths)]
    assert 0 < result.stats.tiles_flat == 16 - len(tiles) and np.array_equal(result.image[:40], half_sky[:40])
    for tile, own in tiles:
        rows, columns = (slice(part.start // 8, part.stop // 8) for part in tile.window.slices)
        assert np.array_equal(own, whole[rows, columns])


def test_no_map_is_as_before(photo):
    refiner = NoisyRefiner()
    upscale(photo[:128, :128], OPTIONS, LocalHost(refiner))
    assert all(batch.strengths is None for batch in refiner.batches)


def test_greys_of_a_mask_that_is_not_there_are_refused(photo):
    refiner = NoisyRefiner()
    with pytest.raises(OptionError, match="strength_map.*mask.*none or detail, without a mask"):
        upscale(photo[:128, :128], OPTIONS.with_(strength_map="mask"), LocalHost(refiner))
    assert not refiner.batches


def test_a_grey_mask_is_a_map_and_no_mixture(photo):
    """Half grey: the tile is told so, and what it draws is taken whole."""
    rgb, mask = photo[:128, :128], np.full((128, 128), 128, np.uint8)
    mask[:, :16] = 0
    refiner = NoisyRefiner()
    whole = upscale(rgb, OPTIONS, LocalHost(refiner)).image
    mapped = upscale(rgb, OPTIONS.with_(strength_map="mask"), LocalHost(refiner), mask=mask).image
    assert np.array_equal(mapped[:, :16], rgb[:, :16]) and np.array_equal(mapped[:, 16:], whole[:, 16:])
    assert set(np.unique(refiner.batches[-1].strengths)) <= {0, 128}
