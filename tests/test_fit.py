import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_usdu.enlarge.resize_mode import CROP, FILL, STRETCH, fit
from lib_usdu.enlarge.windows import resize


@given(
    w=st.integers(1, 90), h=st.integers(1, 90), width=st.integers(1, 200), height=st.integers(1, 200),
    mode=st.integers(0, 3),
)  # fmt: skip
def test_every_mode_is_exact_to_the_pixel(w, h, width, height, mode):
    assert fit(np.zeros((h, w, 3), np.uint8), width, height, mode, resize).shape == (height, width, 3)


@pytest.mark.parametrize("size", [(200, 100), (100, 200)])
def test_crop_and_fill_keep_the_aspect_and_stretch_does_not(size):
    """A centred disc stays round; stretched it does not."""
    y, x = np.mgrid[0:100, 0:100]
    disc = np.repeat(((np.hypot(x - 49.5, y - 49.5) < 25) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    sides = {}
    for mode in (STRETCH, CROP, FILL):
        ink = fit(disc, *size, mode, resize)[:, :, 0] > 127
        sides[mode] = int(ink.any(axis=0).sum()), int(ink.any(axis=1).sum())
    assert abs(sides[CROP][0] - sides[CROP][1]) <= 1 and sides[CROP][0] in range(98, 103)
    assert abs(sides[FILL][0] - sides[FILL][1]) <= 1 and sides[FILL][0] in range(48, 53)
    assert abs(sides[STRETCH][0] - sides[STRETCH][1]) > 40


def test_filling_repeats_the_outermost_pixels():
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[:, 0], picture[:, -1] = 50, 90
    filled = fit(picture, 30, 10, FILL, resize)
    assert (filled[:, :10] == 50).all() and (filled[:, 20:] == 90).all()
