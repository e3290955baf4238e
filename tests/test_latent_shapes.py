"""Latents of any shape: windows, origins and noise fit them on any canvas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_usdu.compose.weights import reach_of
from lib_usdu.errors import OptionError
from lib_usdu.fused.windows import patches
from lib_usdu.geometry import Canvas, Region
from lib_usdu.latents import Latents
from lib_usdu.noise import tile_noise, window_noise

KINDS = st.builds(
    Latents, st.sampled_from([4, 12, 16, 32]), st.sampled_from([8, 16, 32]), st.sampled_from([1, 2]),
    st.sampled_from([(), (1,)]),
)  # fmt: skip
SIDES = st.integers(1, 700)


@given(KINDS, SIDES, SIDES, st.integers(64, 300), st.integers(0, 70), st.booleans())
def test_windows_are_whole_latents_and_patches(latents, width, height, tile, padding, wraps):
    """Whatever the canvas, one smaller than a window too; only a canvas that wraps must be whole latents itself."""
    if wraps:
        width, height = (-(-side // latents.grain) * latents.grain for side in (width, height))
    canvas = Canvas(width, height, wraps)
    tiles = canvas.divide(tile, tile, padding, align=latents.aligned(64), grain=latents.grain)
    px = latents.scale * latents.patch
    assert len({(one.window.width, one.window.height) for one in tiles}) == 1
    for one in tiles:
        window = one.window
        assert (window.x % px, window.y % px, window.width % px, window.height % px) == (0, 0, 0, 0)
        assert window.contains(one.core)
        if not wraps:
            assert window.x >= 0 and window.right < width + latents.grain and window.bottom < height + latents.grain
    assert [one.core for one in tiles] == [one.core for one in canvas.divide(tile, tile, padding)]


@given(KINDS, SIDES, SIDES, st.integers(64, 300), st.integers(0, 70), st.integers(0, 2**40))
def test_noise_is_the_canvass_wherever_windows_overlap(latents, width, height, tile, padding, seed):
    canvas = Canvas(width, height)
    tiles = canvas.divide(tile, tile, padding, align=latents.aligned(64), grain=latents.grain)
    rows, columns = latents.size(canvas)
    whole = window_noise(seed, 3, 2, rows, columns, Region(0, 0, columns, rows))
    for one in tiles:
        drawn = tile_noise(seed, "canvas", one.window, one.index, canvas, latents).draw(3, 2)
        place = latents.region(one.window)
        assert drawn.shape[1:] == latents.shape(1, place)[-2:]
        assert np.array_equal(drawn, whole[:, place.y : place.bottom, place.x : place.right])


@given(KINDS, SIDES, SIDES, st.integers(64, 300), st.integers(0, 70), st.integers(0, 60))
def test_shares_of_fused_windows_sum_to_one(latents, width, height, tile, padding, reach):
    canvas = Canvas(width, height)
    tiles = canvas.divide(tile, tile, padding, align=latents.aligned(64), grain=latents.grain)
    total = torch.zeros(*latents.size(canvas))
    for one in patches(tiles, canvas, latents, reach_of(tiles, canvas, (reach, reach))):
        total.flatten().index_add_(0, one.places, one.share.flatten())
    assert torch.allclose(total, torch.ones_like(total), atol=1e-5)


def test_the_plain_kind_is_the_one_there_always_was():
    assert (Latents().grain, Latents().aligned(64), Latents().aligned(8)) == (8, 64, 8)
    assert Latents().region(Region(8, 16, 70, 64)) == Region(1, 2, 9, 8)
    assert Latents(16, 8, 2, (1,)).shape(3, Region(0, 0, 10, 6)) == (3, 16, 1, 6, 10)
    assert Latents(16, 8, 2).grain == 16 and Latents(32, 32).aligned(64) == 64 and Latents(4, 12, 2).aligned(64) == 192


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"scale": 0}, {"patch": 0}, {"between": (3,)}])
def test_what_are_no_latents_of_pictures(wrong):
    with pytest.raises(ValueError):
        Latents(**wrong)


def test_a_seamless_canvas_must_be_whole_patches():
    Canvas(72, 64, wraps=True).check()
    with pytest.raises(OptionError, match="multiples of 16 px, as 64x64"):
        Canvas(72, 64, wraps=True).check(Latents(patch=2).grain)
