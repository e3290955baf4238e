"""Tileable output: nothing knows where the canvas's edges are."""

import itertools

import numpy as np
import pytest
from hosts import NoisyRefiner
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_usdu.compose.cut import Cut, closed_minimum_cut
from lib_usdu.compose.feather import Feather
from lib_usdu.compose.weights import reach_of
from lib_usdu.engine import upscale
from lib_usdu.enlarge.seamless import enlarge_wrapped, resize_wrapped
from lib_usdu.enlarge.windows import resize
from lib_usdu.errors import OptionError
from lib_usdu.geometry import Canvas, plan_tiles
from lib_usdu.options import BLENDS, NOISE_MODES, REDRAW_MODES, SEAMS_FIX_TYPES, Options
from lib_usdu.passes import plan_passes
from lib_usdu.schedule import batches, ordered, write_region
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

FIXES, BLEND_NAMES = list(SEAMS_FIX_TYPES.labels), list(BLENDS.labels)


class WindowRefiner(IdentityRefiner):
    """Depends on a window's pixels and on where in the window they lie, never on noise or on where the window lies."""

    def refine(self, batch, stop):
        images = batch.images.astype(np.float32)
        y, x = np.mgrid[0 : images.shape[1], 0 : images.shape[2]]
        ripple = 9 * np.sin(x / 11.3) * np.cos(y / 7.1)
        return 0.31 * images + 0.57 * np.roll(images, (3, 5), axis=(1, 2)) + 7.3 + ripple[None, :, :, None]


def picture(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def run(rgb, refiner=None, **options):
    given_options = {"custom_scale": 1, "seamless": True, **options}
    return upscale(rgb, Options(**given_options), LocalHost(refiner or WindowRefiner()))


def assert_same(one, other):
    """Overlaps are summed in the tiles' order, which a roll changes: a few pixels may round the other way."""
    difference = np.abs(one.astype(int) - other)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


@st.composite
def runs(draw):
    width, height = 8 * draw(st.integers(1, 50)), 8 * draw(st.integers(1, 50))
    options = {
        "tile_width": draw(st.integers(64, 220)), "tile_height": draw(st.sampled_from([0, 64, 100, 160])),
        "padding": draw(st.integers(0, 60)), "mask_blur": draw(st.integers(0, 30)),
        "seams_fix_width": draw(st.integers(0, 100)), "seams_fix_padding": draw(st.integers(0, 60)),
        "seams_fix_mask_blur": draw(st.integers(0, 20)), "seams_fix_type": draw(st.sampled_from(FIXES)),
        "redraw_mode": draw(st.sampled_from(list(REDRAW_MODES.labels))), "blend": draw(st.sampled_from(BLEND_NAMES)),
        "tone_lock": draw(st.sampled_from([0, 0.5, 1])), "noise": draw(st.sampled_from(list(NOISE_MODES.labels))),
    }  # fmt: skip
    if options["redraw_mode"] == "fused":
        options["noise"] = "canvas"
    return picture(width, height, draw(st.integers(0, 99))), options


@settings(max_examples=80, deadline=None)
@given(runs())
def test_an_identity_refiner_returns_the_canvas_bit_for_bit(case):
    rgb, options = case
    result = run(rgb, IdentityRefiner(), **options)
    assert np.array_equal(result.image, rgb)


@settings(max_examples=30, deadline=None)
@given(case=runs(), batch=st.integers(2, 8))
def test_batching_never_changes_the_result(case, batch):
    rgb, options = case
    one, more = (run(rgb, NoisyRefiner(), **options, tile_batch=size).image for size in (1, batch))
    assert np.array_equal(one, more)


@pytest.mark.parametrize("blend", BLEND_NAMES)
@pytest.mark.parametrize("fix", FIXES)
@pytest.mark.parametrize("columns, rows", [(1, 1), (1, 3), (2, 1), (3, 2)])
def test_a_rolled_picture_gives_the_rolled_result(columns, rows, fix, blend):
    rgb = picture(columns * 96, rows * 96)
    options = {"tile_width": 96, "padding": 24, "seams_fix_type": fix, "blend": blend, "tone_lock": 0.5}
    result = run(rgb, **options).image
    assert (result != rgb).mean() > 0.9
    for by in ((0, 96), (96, 0), (96, 192)):
        assert_same(run(np.roll(rgb, by, axis=(0, 1)), **options).image, np.roll(result, by, axis=(0, 1)))


@pytest.mark.parametrize("blend", BLEND_NAMES)
@pytest.mark.parametrize("fix", ["none", "half+intersections"])
@pytest.mark.parametrize("size", [(64, 64), (192, 96)])  # a canvas smaller than its only window, and two columns
def test_a_repeated_picture_gives_the_repeated_result(size, fix, blend):
    """What "tileable" means: the result laid side by side is the result of the picture laid side by side."""
    rgb = picture(*size, seed=3)
    for scale in (1, 2):
        options = {"tile_width": min(size) * scale, "padding": 16, "seams_fix_type": fix, "blend": blend}
        options["custom_scale"] = scale
        once, four = run(rgb, **options).image, run(np.tile(rgb, (2, 2, 1)), **options).image
        assert_same(four, np.tile(once, (2, 2, 1)))


def test_without_the_option_the_edges_differ():
    """The tests above can tell: the same run without wrapping fails them."""
    rgb = picture(192, 96, seed=3)
    once, four = (
        run(image, tile_width=96, padding=16, seamless=False).image for image in (rgb, np.tile(rgb, (2, 2, 1)))
    )
    assert np.abs(four.astype(int) - np.tile(once, (2, 2, 1))).max() > 5


def test_the_canvas_noise_wraps():
    refiner = NoisyRefiner()
    run(picture(512, 256), refiner, tile_width=256, padding=32)
    noises = {batch.tiles[0].column: batch.noises[0].draw(0, 4) for batch in refiner.batches}
    assert str(refiner.batches[0].tiles[0].window) == "320x320+-32+-32"
    assert np.array_equal(noises[0][:, :, :8], noises[1][:, :, 32:])  # columns 480-512 and 0-32
    assert np.array_equal(noises[0][:, :8], noises[0][:, 32:])  # one row: above the canvas is its bottom


@settings(max_examples=100, deadline=None)
@given(
    width=st.integers(1, 70), height=st.integers(1, 70), tile=st.integers(64, 200), padding=st.integers(0, 80),
    context=st.sampled_from(["linear", "chess"]), limit=st.integers(1, 9), wanted=st.integers(0, 30),
)  # fmt: skip
def test_batches_keep_the_order_across_the_edges(width, height, tile, padding, context, limit, wanted):
    width, height = 8 * width, 8 * height
    canvas = Canvas(width, height, wraps=True)
    tiles = canvas.divide(tile, tile, padding)
    reach = reach_of(tiles, canvas, (wanted, wanted))

    marks = np.random.default_rng(0).integers(0, 2**63, len(tiles), np.uint64)  # a place knows by its sum who wrote it

    def read(groups):
        written = np.zeros((height, width), np.uint64)
        seen = {}
        for group in groups:
            seen.update({tile.index: canvas.crop(written, tile.window).tobytes() for tile in group})
            for done in group:
                region = write_region(done, reach)
                rows, columns = np.arange(region.y, region.bottom), np.arange(region.x, region.right)
                written[np.ix_(np.unique(rows % height), np.unique(columns % width))] += marks[done.index]
        return seen

    groups = batches(tiles, context, limit, reach=reach, canvas=canvas)
    assert sorted(t.index for group in groups for t in group) == [t.index for t in tiles]
    assert read(groups) == read([[tile] for tile in ordered(tiles, context)])


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 50), height=st.integers(1, 50), tile=st.integers(64, 200), padding=st.integers(0, 60),
    wanted=st.integers(0, 60), align=st.sampled_from([8, 64]),
)  # fmt: skip
def test_plans_and_weights_go_around(width, height, tile, padding, wanted, align):
    width, height = 8 * width, 8 * height
    canvas = Canvas(width, height, wraps=True)
    tiles = canvas.divide(tile, tile, padding, align=align)
    assert [t.core for t in tiles] == [t.core for t in plan_tiles(width, height, tile, tile, padding, align=align)]
    assert len({(t.window.width, t.window.height) for t in tiles}) == 1
    for found in tiles:
        assert found.window.contains(found.core.grow(padding))
        assert found.window.x % 8 == found.window.y % 8 == 0
        assert found.window.width % align == found.window.height % align == 0
    reach = reach_of(tiles, canvas, (wanted, wanted))
    base = np.zeros((height, width, 3), np.uint8)
    for compose in (
        Feather(canvas, base, base.copy(), tiles, reach),
        Cut(canvas, base, base.copy(), tiles, reach),
        Cut(canvas, base, base.copy(), tiles, reach, context="chess"),
    ):
        for found in tiles:
            compose.add(found, np.full((found.window.height, found.window.width, 3), 200.0, np.float32))
        compose.close()
        assert (compose.out == 200).all()


def test_seams_fixes_cover_the_edges():
    for fix in FIXES[1:]:
        options = Options(tile_width=256, redraw_mode="none", seams_fix_type=fix, seamless=True)
        covered = np.zeros((512, 512), bool)
        for found in plan_passes(options, Canvas(512, 512, wraps=True), 64):
            for tile in found.tiles:
                rows, columns = np.arange(tile.core.y, tile.core.bottom), np.arange(tile.core.x, tile.core.right)
                covered[np.ix_(rows % 512, columns % 512)] = True
        for seam in (0, 256):
            assert covered[[seam - 1, seam]].all() and covered[:, [seam - 1, seam]].all()


def test_a_closed_cut_is_the_cheapest_of_all_that_close():
    rng = np.random.default_rng(0)
    for _ in range(60):
        length, across = rng.integers(1, 7), rng.integers(1, 6)
        error = rng.random((length, across))
        path = closed_minimum_cut(error)
        steps = np.abs(np.diff(path, append=path[0]))
        assert steps.max() <= 1
        closed = (
            p for p in itertools.product(range(across), repeat=length) if (np.abs(np.diff(p, append=p[0])) <= 1).all()
        )
        best = min(error[range(length), list(p)].sum() for p in closed)
        assert error[range(length), path].sum() == pytest.approx(best)


@pytest.mark.parametrize("size", [(128, 96), (192, 144), (64, 48), (200, 40), (640, 480)])
def test_a_resize_wraps(size):
    rgb = picture(128, 96)
    whole = resize(np.tile(rgb, (5, 5, 1)), size[0] * 5, size[1] * 5)
    middle = whole[size[1] * 2 : size[1] * 3, size[0] * 2 : size[0] * 3]
    assert np.abs(resize_wrapped(rgb, *size).astype(int) - middle).max() <= 1


@pytest.mark.parametrize("size", [(256, 192), (192, 144), (64, 48), (512, 384)])
def test_an_upscaler_sees_around_the_edges(size):
    """An upscaler that spoils what is near the edges of its input: nothing of that is in the result."""
    asked = []

    def enlarge(rgb, name, width, height):
        asked.append((name, rgb.shape[1::-1], (width, height)))
        spoiled = np.zeros_like(rgb)
        spoiled[16:-16, 16:-16] = rgb[16:-16, 16:-16]
        return resize(spoiled, width, height)

    rgb = picture(128, 96)
    result = enlarge_wrapped(enlarge, rgb, "some model", *size)
    if size[0] != 192:  # there by two resizes, not one
        assert np.abs(result.astype(int) - resize_wrapped(rgb, *size)).max() <= 1
    repeated = enlarge_wrapped(enlarge, np.tile(rgb, (2, 2, 1)), "some model", size[0] * 2, size[1] * 2)
    assert np.abs(np.tile(result, (2, 2, 1)).astype(int) - repeated).max() <= 1
    name, given_size, wanted = asked[0]
    assert name == "some model" and given_size == (192, 160) and wanted[0] * 160 == wanted[1] * 192


def test_sizes_that_cannot_wrap_are_named():
    with pytest.raises(OptionError, match="seamless: '250x256'.*multiples of 8 px.*248x256"):
        run(picture(250, 256))
    with pytest.raises(OptionError, match="multiples of 8"):
        run(picture(100, 100), custom_scale=1.1)
    assert run(picture(100, 100), custom_scale=2).image.shape == (200, 200, 3)
