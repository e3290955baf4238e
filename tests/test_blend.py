import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_usdu.compose.cut import CUT_FADE, Cut, _join, minimum_cut
from lib_usdu.compose.feather import Feather
from lib_usdu.compose.weights import axis_weight, reach_of, to_uint8
from lib_usdu.geometry import Canvas, Region, crop, plan_tiles
from lib_usdu.schedule import ordered

CORNER = 3 * CUT_FADE


@st.composite
def cases(draw):
    width, height = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    tiles = plan_tiles(width, height, draw(st.integers(64, 200)), draw(st.integers(64, 200)), draw(st.integers(0, 60)))
    wanted = draw(st.tuples(st.integers(0, 60), st.integers(0, 60)))
    reach = reach_of(tiles, Canvas(width, height), wanted)
    order = draw(st.permutations(tiles))
    return width, height, tiles, reach, order, draw(st.integers(0, 2**32))


def composers(base, out, tiles, reach):
    return [
        Feather(Canvas.of(base), base, out(), tiles, reach),
        Cut(Canvas.of(base), base, out(), tiles, reach),
        Cut(Canvas.of(base), base, out(), tiles, reach, context="linear"),
        Cut(Canvas.of(base), base, out(), tiles, reach, context="chess"),
    ]


@settings(max_examples=40, deadline=None)
@given(cases())
def test_unchanged_tiles_change_nothing_and_constants_stay_constant(case):
    width, height, tiles, reach, order, seed = case
    base = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for compose in composers(base, base.copy, tiles, reach):
        for tile in order:
            compose.add(tile, crop(base, tile.window).astype(np.float32))
        compose.close()
        assert np.array_equal(compose.out, base)
    for compose in composers(base, base.copy, tiles, reach):
        for tile in order:
            compose.add(tile, np.full((tile.window.height, tile.window.width, 3), 77.0, np.float32))
        compose.close()
        assert (compose.out == 77).all()


@settings(max_examples=25, deadline=None)
@given(cases())
def test_the_order_of_tiles_does_not_matter(case):
    width, height, tiles, reach, order, seed = case
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    results = {t.index: rng.random((t.window.height, t.window.width, 3)).astype(np.float32) * 255 for t in tiles}
    pictures = []
    for chosen in (tiles, order):
        for compose in composers(base, base.copy, tiles, reach):
            for tile in chosen:
                compose.add(tile, results[tile.index])
            compose.close()
            pictures.append(compose.out)
    for one, other in zip(pictures[:4], pictures[4:]):
        assert np.array_equal(one, other)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_weights_sum_to_one(case):
    width, height, tiles, reach, _, _ = case
    total = np.zeros((height, width))
    for tile in tiles:
        support = tile.core.grow(*reach).intersect(Region(0, 0, width, height))
        across = axis_weight(tile.core.x, tile.core.right, width, reach[0])
        down = axis_weight(tile.core.y, tile.core.bottom, height, reach[1])
        total[support.slices] += down[:, None] * across[None, :]
    assert np.abs(total - 1).max() < 1e-6


def test_a_feather_is_rounded_once():
    tiles = plan_tiles(256, 256, 128, 128, 32)
    base = np.zeros((256, 256, 3), np.uint8)
    compose = Feather(Canvas.of(base), base, base.copy(), tiles, (16, 16))
    exact = np.zeros((256, 256, 3))
    levels = [10.4, 20.3, 30.7, 41.2]
    for tile, level in zip(tiles, levels):
        compose.add(tile, np.full((tile.window.height, tile.window.width, 3), level, np.float32))
        support = tile.core.grow(16).intersect(Region(0, 0, 256, 256))
        across = axis_weight(tile.core.x, tile.core.right, 256, 16)
        down = axis_weight(tile.core.y, tile.core.bottom, 256, 16)
        exact[support.slices] += level * (down[:, None] * across[None, :])[..., None]
    assert np.abs(compose.out - exact).max() <= 0.5 + 1e-4


def test_a_part_of_the_plan_fades_into_the_base():
    tiles = plan_tiles(256, 128, 128, 128, 32)
    base = np.full((128, 256, 3), 100, np.uint8)
    compose = Feather(Canvas.of(base), base, base.copy(), tiles, (16, 16))
    compose.add(tiles[0], np.full((tiles[0].window.height, tiles[0].window.width, 3), 200.0))
    row = compose.out[64, :, 0].astype(int)
    assert (row[:112] == 200).all() and (row[144:] == 100).all()
    steps = np.diff(row[110:146])
    assert (steps <= 0).all() and steps.min() >= -4


def test_minimum_cut_is_the_cheapest_of_all_paths():
    rng = np.random.default_rng(0)
    for _ in range(60):
        length, across = rng.integers(1, 7), rng.integers(1, 6)
        error = rng.random((length, across))
        path = minimum_cut(error)
        assert (np.abs(np.diff(path)) <= 1).all()
        every = (p for p in itertools.product(range(across), repeat=length) if (np.abs(np.diff(p)) <= 1).all())
        best = min(error[range(length), list(p)].sum() for p in every)
        assert error[range(length), path].sum() == pytest.approx(best)


def test_a_cut_goes_where_tiles_agree_and_stays_out_of_cores():
    """Two tiles that differ everywhere but along a winding line: the cut finds it."""
    tiles = plan_tiles(256, 128, 128, 128, 32)
    base = np.zeros((128, 256, 3), np.uint8)
    line = (128 + 12 * np.sin(np.arange(128) / 12)).astype(int)
    left = np.full((128, 256, 3), 50, np.uint8)
    right = np.full((128, 256, 3), 200, np.uint8)
    for y, x in enumerate(line):
        left[y, x - 3 : x + 3] = right[y, x - 3 : x + 3] = 125
    compose = Cut(Canvas.of(base), base, base.copy(), tiles, (24, 24))
    for tile, picture in zip(tiles, (left, right)):
        compose.add(tile, crop(picture, tile.window).astype(np.float32))
    assert (compose.out[:, :104] == left[:, :104]).all() and (compose.out[:, 152:] == right[:, 152:]).all()
    crossing = np.abs(np.diff(compose.out[..., 0].astype(int), axis=1)).max(axis=1)
    assert crossing.max() <= 76  # from 50 to 125 and on to 200, never at once


def test_a_stopped_pass_leaves_a_whole_picture():
    rng = np.random.default_rng(1)
    base = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    tiles = plan_tiles(300, 300, 100, 100, 16)
    for compose in composers(base, base.copy, tiles, (16, 16)):
        for tile in tiles[:5]:
            compose.add(tile, np.full((tile.window.height, tile.window.width, 3), 9.0))
        compose.close()
        assert (compose.out[:70, :] == 9).all() and (compose.out[120:180, 20:60] == 9).all()
        assert np.array_equal(compose.out[230:], base[230:])


def test_rounding():
    assert to_uint8(np.array([-3.0, 0.49, 0.51, 254.6, 300.0])).tolist() == [0, 0, 1, 255, 255]


@pytest.mark.parametrize("context", ["linear", "chess"])
@pytest.mark.parametrize("wrap", [False, True])
def test_a_cut_stays_out_of_the_core_refined_first(context, wrap):
    """Where two tiles meet, nothing of the later one is seen in the earlier one's core; a corner where two cores of
    the first colour of a chess board meet is crossed as fast as a cut can turn."""
    canvas = Canvas(384, 256, wrap)
    tiles = canvas.divide(128, 128, 32)
    order = ordered(tiles, context)
    reach = reach_of(tiles, canvas, (20, 20))
    rng = np.random.default_rng(0)
    detail = {t.index: rng.normal(0, 20, (t.window.height, t.window.width, 3)) for t in tiles}
    for number, first in enumerate(order):
        base = np.zeros((256, 384, 3), np.uint8)
        compose = Cut(canvas, base, base.copy(), tiles, reach, context=context)
        for turn, tile in enumerate(order):
            level = 60 if turn <= number else 180
            compose.add(tile, np.clip(level + detail[tile.index], level - 50, level + 50).astype(np.float32))
        core = compose.out[first.core.slices]
        if context == "chess":
            assert (core[CORNER:-CORNER] <= 110).all() and (core[:, CORNER:-CORNER] <= 110).all()
        else:
            assert (core <= 110).all()


def test_a_cut_takes_its_half_of_the_overlap_when_told():
    rng = np.random.default_rng(2)
    first, second = np.zeros((300, 40, 3), np.float32), rng.uniform(50, 200, (300, 40, 3)).astype(np.float32)
    assert (_join(first, second, 1)[:, :20] == 0).all() and (_join(first, second, 1)[:, 20:] > 0).any()
    assert (_join(first, second, -1)[:, 20:] == second[:, 20:]).all()
    sides = np.where(np.arange(300) < 150, 1, -1)
    mixed = _join(first, second, sides, closed=True)
    assert (mixed[12:138, :20] == 0).all() and (mixed[162:288, 20:] == second[162:288, 20:]).all()
    for narrow in (2, 4, 6):  # too narrow to be soft, or nearly
        assert (_join(first[:, :narrow], second[:, :narrow], 1)[:, : narrow // 2] == 0).all()
