import numpy as np
import pytest
from hosts import NoisyRefiner, stopping_host
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from lib_usdu.engine import upscale
from lib_usdu.errors import ModelError, OptionError, Stopped
from lib_usdu.geometry import Canvas
from lib_usdu.options import BLENDS, NOISE_MODES, REDRAW_MODES, SEAMS_FIX_TYPES, Options
from lib_usdu.passes import plan_passes
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

REDRAWS, FIXES = list(REDRAW_MODES.labels), list(SEAMS_FIX_TYPES.labels)


@st.composite
def runs(draw):
    """A picture, a tiling and ways to compose it."""
    width, height = draw(st.integers(1, 500)), draw(st.integers(1, 400))
    rgb = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (height, width, 3), dtype=np.uint8)
    options = {
        "tile_width": draw(st.integers(64, 220)), "tile_height": draw(st.sampled_from([0, 64, 100, 160])),
        "padding": draw(st.integers(0, 60)), "mask_blur": draw(st.integers(0, 30)),
        "seams_fix_width": draw(st.integers(0, 100)), "seams_fix_padding": draw(st.integers(0, 60)),
        "seams_fix_mask_blur": draw(st.integers(0, 20)), "custom_scale": draw(st.sampled_from([0.5, 1, 1.3])),
        "tile_batch": draw(st.integers(0, 6)), "blend": draw(st.sampled_from(list(BLENDS.labels))),
        "tone_lock": draw(st.sampled_from([0, 0.5, 1])), "noise": draw(st.sampled_from(list(NOISE_MODES.labels))),
    }  # fmt: skip
    return rgb, options


@settings(max_examples=200, deadline=None)
@given(run=runs(), redraw=st.sampled_from(REDRAWS), fix=st.sampled_from(FIXES))
def test_an_identity_refiner_returns_the_upscaled_canvas_bit_for_bit(run, redraw, fix):
    rgb, given_options = run
    assume(redraw != "fused" or given_options["noise"] == "canvas")
    result = upscale(
        rgb, Options(**given_options, redraw_mode=redraw, seams_fix_type=fix), LocalHost(IdentityRefiner())
    )
    assert np.array_equal(result.image, result.upscaled)


@pytest.mark.parametrize("fix", FIXES)
@pytest.mark.parametrize("redraw", REDRAWS)
def test_identity_in_every_mode(redraw, fix, photo):
    for blend in BLENDS.labels:
        options = Options(
            tile_width=160, redraw_mode=redraw, seams_fix_type=fix, blend=blend, custom_scale=0.9, upscaler="Lanczos"
        )
        result = upscale(photo, options, LocalHost(IdentityRefiner()))
        assert np.array_equal(result.image, result.upscaled) and result.image.shape == (461, 461, 3)
        assert result.finished and (result.redrawn is None) == (fix == "none")


@settings(max_examples=40, deadline=None)
@given(run=runs(), redraw=st.sampled_from(REDRAWS), fix=st.sampled_from(FIXES), batch=st.integers(2, 8))
def test_batching_never_changes_the_result(run, redraw, fix, batch):
    rgb, given_options = run
    assume(redraw != "fused" or given_options["noise"] == "canvas")
    assume(min(rgb.shape[:2]) >= 32)  # of a few px this refiner may make one flat colour, which is no picture
    pictures = []
    for size in (1, batch):
        options = Options(**{**given_options, "tile_batch": size}, redraw_mode=redraw, seams_fix_type=fix)
        pictures.append(upscale(rgb, options, LocalHost(NoisyRefiner())).image)
    assert np.array_equal(*pictures)


def test_windows_are_1_to_1_and_of_one_size_in_a_pass(photo):
    for width, height in ((512, 512), (397, 211), (64, 65)):
        for fix in FIXES:
            refiner = NoisyRefiner()
            upscale(photo[:height, :width], Options(tile_width=128, seams_fix_type=fix), LocalHost(refiner))
            assert refiner.batches
            for batch in refiner.batches:
                for tile, image in zip(batch.tiles, batch.images):
                    assert image.shape == (tile.window.height, tile.window.width, 3)
    for fix in FIXES:
        for found in plan_passes(Options(tile_width=512, seams_fix_type=fix), Canvas(4000, 3000), 64):
            assert len({(tile.window.width, tile.window.height) for tile in found.tiles}) == 1


def test_seams_fixes_cover_every_seam_and_no_strip_of_the_whole_canvas():
    for fix, most in (("band", 64 + 2 * 16), ("half", 512 + 2 * 16), ("half+intersections", 512 + 2 * 16)):
        passes = plan_passes(Options(tile_width=512, redraw_mode="none", seams_fix_type=fix), Canvas(2048, 2048), 64)
        assert len(passes) == (3 if fix == "half+intersections" else 2)
        covered = np.zeros((2048, 2048), bool)
        for found in passes:
            for tile in found.tiles:
                covered[tile.core.slices] = True
                assert min(tile.window.width, tile.window.height) <= -(-(most + 20) // 64) * 64
                assert max(tile.window.width, tile.window.height) <= 832
        for seam in (512, 1024, 1536):
            assert covered[:, seam - 1 : seam + 1].all() and covered[seam - 1 : seam + 1].all()


def test_denoise_and_seed_reach_the_host(photo):
    refiner = NoisyRefiner()
    options = Options(
        tile_width=128, denoise=0.25, seed=11, seams_fix_type="band", seams_fix_denoise=0.5, custom_scale=0.5
    )
    upscale(photo, options, LocalHost(refiner))
    assert {batch.denoise for batch in refiner.batches} == {0.25, 0.5}
    first, last = refiner.batches[0], refiner.batches[-1]
    assert first.noises[0].seed == 11 and last.noises[0].seed != 11  # not the same noise twice over a seam


def test_tiles_share_the_canvas_noise_where_they_overlap(photo):
    refiner = NoisyRefiner()
    upscale(photo, Options(tile_width=256, custom_scale=1), LocalHost(refiner))
    left, right = (batch.noises[0].draw(0, 4) for batch in refiner.batches[:2])
    # windows 0-320 and 192-512: latents 24-40 of the first are 0-16 of the second
    assert np.array_equal(left[:, :, 24:], right[:, :, :16])


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("calls", [1, 3, 9])
def test_a_stop_keeps_whole_tiles_and_says_so(calls, inside, photo):
    host = stopping_host(calls, inside=inside)
    result = upscale(photo, Options(tile_width=200, custom_scale=1, tone_lock=0), host)
    done = calls - inside
    assert result.finished == (done == 9)
    assert result.stats.tiles_done == done
    assert (f"unfinished: {done} of 9 tiles" in result.infotext) == (not result.finished)
    changed = (result.image != result.upscaled).any(axis=2)
    assert changed.mean() == pytest.approx(done / 9, abs=0.08)


def test_a_stop_before_the_first_tile_or_while_upscaling(photo):
    host = LocalHost(NoisyRefiner(), stop=True)
    result = upscale(photo, Options(tile_width=200, custom_scale=1), host)
    assert not result.finished and np.array_equal(result.image, photo)

    def stopped(*_):
        raise Stopped("stopped")

    host = LocalHost(NoisyRefiner())
    host.enlarge = stopped
    result = upscale(photo, Options(tile_width=200, custom_scale=2), host)
    assert not result.finished and result.image.shape == (1024, 1024, 3) and not host.refiner.batches


def test_a_model_that_returns_the_wrong_size_is_told(photo):
    class Wrong(IdentityRefiner):
        def refine(self, batch, stop):
            return batch.images[:, :-8]

    with pytest.raises(ModelError, match="returned"):
        upscale(photo, Options(custom_scale=1), LocalHost(Wrong()))


def test_nothing_is_upscaled_when_the_size_is_not_allowed(photo):
    host = LocalHost(IdentityRefiner())
    host.enlarge = None  # would fail if it were called
    with pytest.raises(OptionError, match="megapixels"):
        upscale(photo, Options(custom_scale=64, max_megapixels=10), host)


def test_progress_counts_all_tiles_of_the_run(photo):
    told = []
    host = LocalHost(IdentityRefiner(), on_progress=told.append)
    result = upscale(photo, Options(tile_width=256, custom_scale=1, seams_fix_type="half"), host)
    assert [p.done for p in told] == list(range(1, result.stats.tiles + 1))
    assert {p.total for p in told} == {result.stats.tiles}


def test_pil_images_and_greyscale_are_welcome(photo):
    image = Image.fromarray(photo).convert("L")
    result = upscale(image, Options(custom_scale=0.5), LocalHost(IdentityRefiner()))
    assert result.image.shape == (256, 256, 3)
