import numpy as np
import pytest
from hosts import NoisyRefiner
from hypothesis import given
from hypothesis import strategies as st

from lib_usdu.engine import upscale
from lib_usdu.options import Options
from lib_usdu.select.flat import variation
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

OPTIONS = Options(tile_width=64, padding=16, mask_blur=4, custom_scale=1, denoise=0.5, tone_lock=0)


@given(st.integers(0, 2**32))
def test_variation_is_the_standard_deviation_of_the_liveliest_cell(seed):
    picture = np.random.default_rng(seed).integers(0, 256, (48, 32, 3), dtype=np.uint8)
    cells = picture.reshape(3, 16, 2, 16, 3).astype(np.float64)
    assert abs(variation(picture) - cells.std(axis=(1, 3)).max()) < 1e-6


def test_a_smooth_sky_is_flat_and_a_bird_is_not():
    sky = np.repeat(np.linspace(120, 180, 512).round().astype(np.uint8)[:, None], 512, axis=1)
    sky = np.stack([sky, sky, sky], axis=2)
    assert variation(sky) < 1
    sky[300:303, 200:204] = 40
    assert variation(sky) > 10


@pytest.mark.parametrize("mode", ["parallel", "linear", "chess"])
@pytest.mark.parametrize("blend", ["feather", "cut"])
def test_flat_tiles_stay_as_upscaled_and_the_others_are_redrawn(half_sky, mode, blend):
    refiner = NoisyRefiner()
    options = OPTIONS.with_(redraw_mode=mode, blend=blend, skip_flat=1)
    result = upscale(half_sky, options, LocalHost(refiner))
    redrawn = {tile.index for batch in refiner.batches for tile in batch.tiles}
    # The second row of tiles is seen 10 px beyond its core, where the photo begins.
    assert redrawn == set(range(4, 16)) and result.stats.tiles_flat == 4 and result.stats.tiles == 12
    assert np.array_equal(result.image[:50], half_sky[:50])
    assert (result.image[140:] != half_sky[140:]).mean() > 0.5
    (note,) = [note for note in result.notes if "flat" in note]
    assert note.startswith("4 of 16 tiles are flat and stay as upscaled: about ") and note.endswith(" s saved")
    assert result.parameters["Ultimate SD upscale flat tiles left out"] == "4 tiles"


def test_a_blank_picture_needs_no_model():
    refiner = NoisyRefiner()
    blank = np.full((200, 300, 3), 77, np.uint8)
    result = upscale(blank, OPTIONS.with_(skip_flat=0.1, seams_fix_type="half"), LocalHost(refiner))
    assert not refiner.batches and np.array_equal(result.image, blank) and result.finished


def test_off_by_default(half_sky):
    refiner = NoisyRefiner()
    result = upscale(half_sky, OPTIONS, LocalHost(refiner))
    assert sum(len(batch.tiles) for batch in refiner.batches) == 16 and not result.notes


def test_tiles_asked_for_by_number_are_redrawn(half_sky):
    refiner = NoisyRefiner()
    upscale(half_sky, OPTIONS.with_(skip_flat=1, redo_tiles="1, 2"), LocalHost(refiner))
    assert [tile.index for batch in refiner.batches for tile in batch.tiles] == [0, 1]


def test_fused_windows_all_stay(half_sky):
    result = upscale(half_sky, OPTIONS.with_(skip_flat=1, redraw_mode="fused"), LocalHost(NoisyRefiner()))
    assert result.stats.tiles_flat == 0 and (result.image[:50] != half_sky[:50]).any()


def test_fused_leaves_no_flat_tile_out_and_says_so(half_sky):
    result = upscale(half_sky, OPTIONS.with_(redraw_mode="fused", skip_flat=1), LocalHost(IdentityRefiner()))
    assert result.stats.tiles_flat == 0
    assert any("skip_flat leaves no tile of Fused out" in note for note in result.notes)
