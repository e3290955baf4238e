import time
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_usdu.errors import OptionError
from lib_usdu.geometry import crop, plan_tiles
from lib_usdu.schedule import INDEPENDENT, Context, batches, ordered, write_region

contexts = st.sampled_from(get_args(Context))


@st.composite
def plans(draw):
    width, height = draw(st.integers(1, 700)), draw(st.integers(1, 700))
    tile = draw(st.integers(64, 200))
    return width, height, plan_tiles(width, height, tile, draw(st.integers(64, 200)), draw(st.integers(0, 80)))


@settings(max_examples=150, deadline=None)
@given(
    plan=plans(),
    context=contexts,
    limit=st.integers(1, 9),
    reach=st.none() | st.tuples(st.integers(0, 20), st.integers(0, 20)),
)
def test_batches_give_what_one_at_a_time_gives(plan, context, limit, reach):
    width, height, tiles = plan
    groups = batches(tiles, context, limit, reach=reach)
    assert sorted(t.index for group in groups for t in group) == [t.index for t in tiles]
    assert all(1 <= len(group) <= limit for group in groups)
    if context not in INDEPENDENT:  # where nothing finished is read at all
        one_by_one = [[tile] for tile in ordered(tiles, context)]
        assert what_tiles_read(groups, width, height, reach) == what_tiles_read(one_by_one, width, height, reach)


def test_batches_for_thousands_of_tiles_come_quickly():
    tiles = plan_tiles(65536, 32768, 512, 512, 32)
    started = time.process_time()
    for context in ("linear", "chess"):
        assert sum(map(len, batches(tiles, context, 4, reach=(20, 20)))) == 8192
    assert time.process_time() - started < 20  # seconds; minutes where each group looks at every tile


@settings(max_examples=100, deadline=None)
@given(
    plan=plans(),
    context=st.sampled_from(["linear", "chess"]),
    limit=st.integers(1, 9),
    reach=st.none() | st.tuples(st.integers(0, 20), st.integers(0, 20)),
)
def test_no_group_could_have_taken_a_tile_of_the_next(plan, context, limit, reach):
    """Groups are full, unless every tile of the next one waits for a tile of this one."""
    _, _, tiles = plan
    position = {tile.index: i for i, tile in enumerate(ordered(tiles, context))}
    groups = batches(tiles, context, limit, reach=reach)
    for group, following in zip(groups, groups[1:]):
        if len(group) < limit:
            assert all(
                any(position[one.index] < position[later.index] and one.window.overlaps(later.window) for one in group)
                for later in following
            )


def what_tiles_read(groups, width, height, reach):
    """For every tile, the set of tiles that had written each pixel of its window when it was read, as a bit mask."""
    canvas = np.zeros((height, width), object)
    seen = {}
    for group in groups:
        for tile in group:
            seen[tile.index] = crop(canvas, tile.window).tolist()
        for tile in group:
            canvas[write_region(tile, reach).slices] += 1 << tile.index
    return seen


def test_parallel_fills_every_batch_first():
    tiles = plan_tiles(5 * 512, 2 * 512, 512, 512, 32)
    assert [len(group) for group in batches(tiles, "parallel", 4)] == [4, 4, 2]


def test_linear_runs_as_a_wave():
    tiles = plan_tiles(8 * 512, 8 * 512, 512, 512, 32)
    groups = batches(tiles, "linear", 64, reach=(20, 20))
    assert len(groups) == 8 + 2 * 7  # each row starts two tiles behind the one above
    assert max(len(group) for group in groups) == 4


def test_chess_starts_with_one_colour():
    tiles = plan_tiles(4 * 512, 4 * 512, 512, 512, 32)
    order = ordered(tiles, "chess")
    assert [(t.row + t.column) % 2 for t in order] == [0] * 8 + [1] * 8
    groups = batches(tiles, "chess", 1, reach=(20, 20))
    first = [group[0] for group in groups[:2]]
    assert all((t.row + t.column) % 2 == 0 for t in first)


def test_many_tiles_are_planned_quickly():
    tiles = plan_tiles(32768, 16384, 512, 512, 32)
    assert sum(len(group) for group in batches(tiles, "linear", 8, reach=(20, 20))) == len(tiles) == 2048


def test_bad_values_are_named():
    tiles = plan_tiles(64, 64, 64, 64, 0)
    with pytest.raises(OptionError, match="tile_batch"):
        batches(tiles, "linear", 0)
    with pytest.raises(OptionError, match="linear, chess, parallel"):
        batches(tiles, "spiral", 1)
