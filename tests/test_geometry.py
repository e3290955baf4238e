import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_usdu.errors import OptionError
from lib_usdu.geometry import Canvas, Region, crop, plan_tiles

sizes = st.integers(1, 3000)


def lines(tiles):
    return [f"{t.index} r{t.row} c{t.column} core {t.core} window {t.window}" for t in tiles]


def test_plan_of_a_hd_canvas():
    assert lines(plan_tiles(1280, 720, 512, 512, 32)) == [
        "0 r0 c0 core 424x360+0+0 window 512x448+0+0",
        "1 r0 c1 core 432x360+424+0 window 512x448+384+0",
        "2 r0 c2 core 424x360+856+0 window 512x448+768+0",
        "3 r1 c0 core 424x360+0+360 window 512x448+0+272",
        "4 r1 c1 core 432x360+424+360 window 512x448+384+272",
        "5 r1 c2 core 424x360+856+360 window 512x448+768+272",
    ]


def test_plan_of_an_exact_grid_keeps_the_padding_on_every_inner_side():
    tiles = plan_tiles(1536, 1536, 512, 512, 32)
    assert str(tiles[0].window) == "576x576+0+0"
    assert str(tiles[4].window) == "576x576+480+480"
    assert str(tiles[8].window) == "576x576+960+960"


@pytest.mark.parametrize(
    "size, tile, padding, expected",
    [
        ((1, 1), 512, 32, ["0 r0 c0 core 1x1+0+0 window 8x8+0+0"]),
        ((100, 60), 512, 32, ["0 r0 c0 core 100x60+0+0 window 104x64+0+0"]),
        ((576, 576), 576, 0, ["0 r0 c0 core 576x576+0+0 window 576x576+0+0"]),
        (
            (1, 130),
            64,
            16,
            [
                "0 r0 c0 core 1x40+0+0 window 8x128+0+0",
                "1 r1 c0 core 1x48+0+40 window 8x128+0+0",
                "2 r2 c0 core 1x42+0+88 window 8x128+0+8",
            ],
        ),
    ],
)
def test_small_canvases(size, tile, padding, expected):
    assert lines(plan_tiles(*size, tile, tile, padding)) == expected


@settings(deadline=None)
@given(width=sizes, height=sizes, tile_width=sizes, tile_height=st.integers(64, 1024), padding=st.integers(0, 300))
def test_properties_of_every_plan(width, height, tile_width, tile_height, padding):
    tiles = plan_tiles(width, height, tile_width, tile_height, padding)
    canvas = Region(0, 0, width, height)
    limit_x, limit_y = -(-width // 8) * 8, -(-height // 8) * 8

    assert len(tiles) == -(-width // tile_width) * -(-height // tile_height)
    assert [tile.index for tile in tiles] == list(range(len(tiles)))
    columns = sorted({(t.core.x, t.core.right) for t in tiles})
    rows = sorted({(t.core.y, t.core.bottom) for t in tiles})
    for spans, length in ((columns, width), (rows, height)):  # cores partition each axis, evenly
        assert spans[0][0] == 0 and spans[-1][1] == length
        assert all(a[1] == b[0] for a, b in zip(spans, spans[1:]))
        widths = [end - start for start, end in spans]
        assert min(widths) > 0 and max(widths) - min(widths) <= 16
    assert len(tiles) == len(columns) * len(rows)

    assert len({(t.window.width, t.window.height) for t in tiles}) == 1  # windows: one size, aligned, inside
    for tile in tiles:
        window = tile.window
        assert window.x % 8 == window.y % 8 == 0 and window.x >= 0 and window.y >= 0
        assert window.right <= limit_x and window.bottom <= limit_y
        assert window.width % 64 == 0 or window.width == limit_x
        assert window.height % 64 == 0 or window.height == limit_y
        assert window.contains(tile.core.grow(padding).intersect(canvas))


def test_another_alignment():
    assert {t.window.width % 96 for t in plan_tiles(4000, 4000, 500, 500, 20, align=96)} == {0}


@pytest.mark.parametrize("values", [(0, 9, 64, 64, 0), (9, 9, 0, 64, 0), (9, 9, 64, 64, -1)])
def test_nonsense_is_named(values):
    with pytest.raises(OptionError):
        plan_tiles(*values)


@given(
    width=st.integers(1, 40), height=st.integers(1, 40),
    x=st.integers(0, 39), y=st.integers(0, 39), w=st.integers(1, 60), h=st.integers(1, 60),
)  # fmt: skip
def test_crop_is_numpys_reflection(width, height, x, y, w, h):
    x, y = min(x, width - 1), min(y, height - 1)
    canvas = np.arange(width * height, dtype=np.int32).reshape(height, width)
    padded = np.pad(canvas, ((0, 100), (0, 100)), mode="reflect")
    got = crop(canvas, Region(x, y, w, h))
    assert np.array_equal(got, padded[y : y + h, x : x + w])
    got[:] = -1
    assert canvas.min() == 0  # a copy


def test_region_algebra():
    a, b = Region(0, 0, 10, 10), Region(5, 6, 10, 10)
    assert a.intersect(b) == Region(5, 6, 5, 4) and a.overlaps(b)
    assert not a.overlaps(Region(10, 0, 5, 5)) and a.intersect(Region(20, 20, 5, 5)).area == 0
    assert a.grow(2) == Region(-2, -2, 14, 14) and a.grow(-2, 0) == Region(2, 0, 6, 10)
    assert b.relative_to(a.shift(1, 1)) == Region(4, 5, 10, 10)
    with pytest.raises(ValueError):
        Region(0, 0, -1, 1)


@given(
    width=st.integers(1, 40), height=st.integers(1, 40), wraps=st.booleans(),
    x=st.integers(-90, 90), y=st.integers(-90, 90), w=st.integers(1, 90), h=st.integers(1, 90),
)  # fmt: skip
def test_where_a_region_lies_on_a_canvas(width, height, wraps, x, y, w, h):
    """Its places are the pixels that a crop of it shows, each where the shift says; none is missing."""
    picture, region = np.arange(width * height).reshape(height, width), Region(x, y, w, h)
    canvas = Canvas.of(picture, wraps=wraps)
    assert canvas == Canvas(width, height, wraps) and canvas.region == Region(0, 0, *canvas.size)
    if not wraps:
        assert canvas.shifts_onto(region) == [(0, 0)] and canvas.seen(region) == region.intersect(canvas.region)
        (place,) = canvas.places(region)
        assert place == canvas.seen(region)
        return
    assert canvas.seen(region) == region
    rows, columns = np.arange(y, y + h) % height, np.arange(x, x + w) % width
    shown = canvas.crop(picture, region)
    assert np.array_equal(shown, picture[np.ix_(rows, columns)])
    count = 0
    for (dx, dy), place in zip(canvas.shifts_onto(region), canvas.places(region), strict=True):
        assert dx % width == dy % height == 0 and place.area > 0 and canvas.region.contains(place)
        part = place.shift(-dx, -dy).relative_to(region)
        assert np.array_equal(picture[place.slices], shown[part.slices])
        count += place.area
    assert count == region.area


def test_a_canvas_that_wraps_is_whole_latents():
    Canvas(70, 64).check()
    Canvas(72, 64, wraps=True).check()
    with pytest.raises(OptionError, match="seamless.*70x64.*multiples of 8 px, as 72x64"):
        Canvas(70, 64, wraps=True).check()
