from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_usdu.geometry import Canvas, Region
from lib_usdu.latents import Latents
from lib_usdu.noise import NoiseMode, tile_noise, window_noise


def full(seed, draw, channels, height, width):
    return window_noise(seed, draw, channels, height, width, Region(0, 0, width, height))


@given(
    seed=st.integers(0, 2**64 - 1), draw=st.integers(0, 500), channels=st.integers(1, 5),
    height=st.integers(1, 40), width=st.integers(1, 40), data=st.data(),
)  # fmt: skip
def test_a_window_is_cut_from_the_full_draw(seed, draw, channels, height, width, data):
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    region = Region(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    window = window_noise(seed, draw, channels, height, width, region)
    assert window.dtype == np.float32
    assert np.array_equal(window, full(seed, draw, channels, height, width)[(slice(None), *region.slices)])


# Drawn by the webui's own generator: modules/rng_philox.py of v1.10.1, Generator(seed).randn((2, 2, 3)), call `draw`.
RECORDED = {
    (7, 0): [-0.30484697222709656, 1.0453333854675293, -0.27856409549713135, 0.7178203463554382, -0.7942412495613098,
             -1.1229435205459595, -0.8032764196395874, -1.0096871852874756, 0.6302139759063721, -0.2872333526611328,
             0.40710827708244324, 0.7822999954223633],
    (12345678901, 2): [-1.0841472148895264, 0.5901035666465759, -0.3535377085208893, 0.05276353657245636, 1.026356816291809, -0.304492324590683, 2.1686930656433105, -0.46856585144996643, -1.606909155845642, -0.0888676717877388, 0.020454145967960358, -0.95975661277771],
}  # fmt: skip


@pytest.mark.parametrize("key", RECORDED)
def test_the_values_are_the_webuis(key):
    seed, draw = key
    assert full(seed, draw, 2, 2, 3).ravel().tolist() == RECORDED[key]


def test_it_is_standard_normal_and_draws_differ():
    noise = full(1, 0, 4, 128, 128)
    assert abs(noise.mean()) < 0.01 and abs(noise.std() - 1) < 0.01
    other = full(1, 1, 4, 128, 128)
    assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.01


def test_past_the_canvas_it_wraps():
    window = window_noise(3, 0, 2, 10, 12, Region(8, 7, 8, 6))
    whole = full(3, 0, 2, 10, 12)
    assert np.array_equal(window, np.tile(whole, (1, 2, 2))[:, 7:13, 8:16])


def test_a_canvas_beyond_the_webuis_counter_does_not_repeat():
    height = width = 40000  # 4 channels of it are more than 2^32 values
    far = window_noise(1, 0, 4, height, width, Region(0, 0, 4, 4))[3]
    wrapped = 3 * height * width - 2**32
    near = window_noise(1, 0, 4, height, width, Region(wrapped % width, wrapped // width % height, 4, 1))
    assert not np.array_equal(far[0], near[wrapped // (height * width)][0])


def test_modes():
    def window(x, index, mode):
        return tile_noise(5, mode, Region(x, 0, 64, 64), index, Canvas(256, 128), Latents()).draw(0, 4)

    assert np.array_equal(window(0, 0, "canvas")[:, :, 4:], window(32, 1, "canvas")[:, :, :4])
    assert not np.array_equal(window(0, 0, "tile"), window(0, 1, "tile"))
    # One tile over the whole canvas is the plain draw in every mode.
    whole = [tile_noise(5, mode, Region(0, 0, 256, 128), 0, Canvas(256, 128), Latents()).draw(1, 4) for mode in get_args(NoiseMode)]
    assert np.array_equal(whole[0], full(5, 1, 4, 16, 32)) and np.array_equal(whole[0], whole[1])


def test_noise_of_a_step_holds_that_of_its_first_part():
    """As the samplers' Brownian tree: unit variance over every interval, and as much in common as the intervals have."""
    torch = pytest.importorskip("torch")
    from lib_usdu.run.noise_draws import Brownian

    generator = torch.Generator().manual_seed(5)
    drawn = []

    def draw():
        drawn.append(torch.randn(100_000, generator=generator))
        return drawn[-1]

    noise = Brownian(draw)
    half, whole, quarter, again = noise(8.0, 5.0), noise(8.0, 4.0), noise(8.0, 7.0), noise(8.0, 4.0)
    assert torch.allclose(whole, again) and len(drawn) == 3  # known by then
    for one in (half, whole, quarter):
        assert abs(float(one.std()) - 1) < 0.01
    for one, other, common in ((half, whole, 3 / 12**0.5), (quarter, half, 3**-0.5), (quarter, whole, 0.5)):
        assert abs(float((one * other).mean()) - common) < 0.01
    following = noise(torch.tensor(4.0), torch.tensor(2.0))
    assert torch.equal(following, drawn[-1])  # one step after the other: the draws themselves
    assert abs(float((following * whole).mean())) < 0.01
    assert torch.equal(noise(2.0, 1.0), drawn[-1]) and len(drawn) == 5


def test_dpmpp_sde_adds_as_much_noise_as_with_the_hosts_tree():
    """The first half of a step and the whole of it, many times: with independent draws the sum has 6 % less."""
    torch = pytest.importorskip("torch")
    from lib_usdu.run.noise_draws import Brownian

    generator = torch.Generator().manual_seed(6)

    def total(noise):
        x = torch.zeros(50_000)
        for sigma in (8.0, 6.0, 4.0, 3.0):
            x = x + noise(sigma, sigma - 0.5) + noise(sigma, sigma - 1)
        return float(x.std())

    def draw():
        return torch.randn(50_000, generator=generator)

    assert total(lambda *_: draw()) == pytest.approx(8**0.5, rel=0.01)
    assert total(Brownian(draw)) == pytest.approx((4 * (2 + 2 * 0.5**0.5)) ** 0.5, rel=0.01)
