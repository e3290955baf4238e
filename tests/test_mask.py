"""A mask over the picture."""

import numpy as np
import pytest
from hosts import NoisyRefiner
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_usdu.compose.mask import soften, through
from lib_usdu.engine import upscale
from lib_usdu.errors import OptionError
from lib_usdu.geometry import Canvas
from lib_usdu.options import Options
from lib_usdu.select.mask import over_canvas
from lib_usdu.standalone.host import LocalHost

OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5, tone_lock=0)
PASSES = {
    "parallel": {},
    "cut": {"blend": "cut"},
    "seams fix": {"seams_fix_type": "half+intersections", "seams_fix_denoise": 0.4},
}


def run(photo, options=OPTIONS, **values):
    refiner = NoisyRefiner()
    return upscale(photo, options, LocalHost(refiner), **values), sum(len(batch.tiles) for batch in refiner.batches)


@pytest.mark.parametrize("name", PASSES)
@settings(max_examples=15, deadline=None)
@given(box=st.tuples(st.integers(0, 250), st.integers(0, 180), st.integers(1, 90), st.integers(1, 70)), data=st.data())
def test_inside_as_without_a_mask_and_outside_as_upscaled(photo, name, box, data):
    """Tiles that are left out are seen nowhere in the mask; a cut is replaced by a feather where some are."""
    picture, options = photo[:200, :280], OPTIONS.with_(**PASSES[name])
    x, y, width, height = box
    mask = np.zeros((200, 280), np.uint8)
    mask[y : y + height, x : x + width] = data.draw(st.sampled_from((255, 100)))
    ours, tiles = run(picture, options, mask=mask)
    whole, all_tiles = run(picture, options)
    assert 0 < tiles < all_tiles
    assert np.array_equal(ours.image[mask == 0], picture[mask == 0])
    if name == "parallel":
        assert np.array_equal(ours.image, through(mask, whole.image, picture))


def test_what_is_left_out_changes_no_other_tiles_noise(photo):
    """The noise of a pass goes by its number, also where the mask leaves the pass before it out."""
    options = OPTIONS.with_(redraw_mode="none", seams_fix_type="band", seams_fix_width=16)
    mask = np.zeros((256, 256), np.uint8)
    mask[64:66, 20:40] = 255  # on a seam that runs across, far from those that run down
    refiner = NoisyRefiner()
    upscale(photo[:256, :256], options, LocalHost(refiner), mask=mask)
    (batch,) = refiner.batches
    assert [tile.core.x for tile in batch.tiles] == [0] and batch.noises[0].seed == options.seed + 1


def test_the_ends(photo):
    picture = photo[:200, :280]
    whole, tiles = run(picture)
    for mask in (np.full((200, 280), 255, np.uint8), np.ones((200, 280), bool), np.ones((50, 70))):
        ours, count = run(picture, mask=mask)
        assert np.array_equal(ours.image, whole.image) and count == tiles
    nothing, count = run(picture, mask=np.zeros((200, 280)))
    assert np.array_equal(nothing.image, picture) and count == 0 and nothing.finished


@pytest.mark.parametrize(
    "mask",
    [np.zeros((4, 4, 3)), np.zeros((0, 4)), np.full((4, 4), 2.0), np.full((4, 4), np.nan), np.zeros((4, 4), int)],
)
def test_what_is_no_mask_is_said_before_any_work(photo, mask):
    with pytest.raises(OptionError, match="mask"):
        run(photo[:100, :100], mask=mask)


def test_a_mask_of_the_source_is_enlarged():
    large = over_canvas(np.array([[0, 255]], np.uint8), Canvas(8, 2))
    assert (
        large.shape == (2, 8) and large[0, 0] == 0 and large[0, 7] == 255 and (np.diff(large[0].astype(int)) >= 0).all()
    )


@given(blur=st.integers(1, 20), edge=st.integers(20, 80))
@settings(max_examples=30, deadline=None)
def test_a_soft_edge_keeps_what_was_painted_and_fades_outwards(blur, edge):
    mask = np.zeros((3, 100), np.uint8)
    mask[:, :edge] = 255
    soft = soften(mask, blur, blur)[1].astype(int)
    assert (soft[: edge - 1] >= 250).all() and (np.diff(soft) <= 0).all()
    assert edge == 100 or soft[min(edge + 3 * blur, 99) :].max() == 0 or edge + 3 * blur > 99
    assert np.array_equal(soften(mask, 0, 0), mask)


def test_a_soft_mask_mixes_the_two_pictures_in_proportion():
    """Against the sum in floating point, whatever the mask's values; rounded once."""
    draw = np.random.default_rng(3)
    inside, outside = draw.integers(0, 256, (2, 300, 40, 3), dtype=np.uint8)
    mask = draw.integers(0, 256, (300, 40), dtype=np.uint8)
    mask[:3], mask[:, :2], mask[50], mask[60] = 0, 0, 255, 0
    share = mask[:, :, None] / 255
    expected = share * inside + (1 - share) * outside
    mixed = through(mask, inside, outside)
    assert np.abs(mixed - expected).max() <= 0.5 + 1e-9
    assert np.array_equal(mixed[mask == 0], outside[mask == 0])
    assert np.array_equal(mixed[mask == 255], inside[mask == 255])
