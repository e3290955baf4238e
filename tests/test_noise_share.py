"""How much noise a denoising strength means: the relation itself, and its ways to begin."""

import numpy as np
import pytest

from lib_usdu.noise_share import GRID, NoiseShare, of_curve, of_diffusers, of_webui, share_of
from lib_usdu.spacing import WAYS, beta, exponential, karras, plain_flow, plain_webui, trained_levels


def shares(way: str):
    """By the number of steps: of a plain model."""
    if way == "flow":
        return lambda steps: [share_of(sigma, flow=True) for sigma in plain_flow(steps)]
    return lambda steps: [share_of(sigma) for sigma in plain_webui(way, steps)]


def test_a_share_is_that_of_the_noise_in_what_the_model_sees():
    rng = np.random.default_rng(1)
    for sigma in (0.03, 0.5, 1, 14.6):
        scale = (1 + sigma**2) ** 0.5  # as v and epsilon are trained: of unit variance
        assert share_of(sigma) == pytest.approx((sigma / scale) / (1 / scale + sigma / scale))
    assert share_of(float("inf")) == 1 and share_of(0) == 0
    sigma = rng.uniform()
    assert share_of(sigma, flow=True) == sigma


@pytest.mark.parametrize(
    "way, denoise, share",
    [("Karras", 0.25, 0.21), ("Karras", 0.35, 0.36), ("Uniform", 0.25, 0.42), ("Uniform", 0.35, 0.51)],
)
def test_the_same_strength_means_another_thing_in_each_schedule(way, denoise, share):
    """As measured in webuis, 20 steps."""
    assert of_webui(shares(way), 20).of(denoise) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("begin", [of_webui, of_diffusers])
@pytest.mark.parametrize("way", ["Karras", "Exponential", "Beta", "Uniform", "flow"])
@pytest.mark.parametrize("steps", [4, 9, 20, 40])
def test_more_strength_is_more_noise_and_the_way_back_is_the_nearest(begin, way, steps):
    known = begin(shares(way), steps)
    assert all(a <= b + 1e-9 for a, b in zip(known.curve, known.curve[1:]))
    for strength in (0.07, 0.25, 0.5, 0.8, 1.0):
        again = known.denoise(known.of(strength))
        assert known.of(again) == pytest.approx(known.of(strength), abs=1e-9) and again <= strength
        assert known.denoise(known.of(strength), now=strength) == strength
    for target in np.linspace(0.02, 0.98, 25):
        found = known.of(known.denoise(target))
        assert abs(found - target) <= min(abs(share - target) for share in known.curve[1:]) + 1e-6


def test_a_strength_that_is_set_stays_where_no_other_is_nearer():
    known = of_webui(shares("Karras"), 20)
    assert known.denoise(0.21) == 0.25 and known.denoise(0.21, now=0.27) == 0.27
    assert known.denoise(0.21, now=0.45) == 0.25


def test_with_exact_steps_as_many_are_run_as_are_asked_for():
    """The setting "do exactly the amount of steps": a lower strength spaces more steps and runs the last of them."""
    asked = []

    def of_so_many(steps):
        asked.append(steps)
        return shares("Karras")(steps)

    known = of_webui(of_so_many, 10, exact=True)
    assert known.of(0.25) == pytest.approx(shares("Karras")(40)[30]) and asked == [40]
    assert known.of(1.0) == pytest.approx(share_of(trained_levels()[-1])) and known.of(0) == 0


def test_a_low_strength_of_diffusers_has_as_many_steps_as_it_needs():
    known = of_diffusers(shares("flow"), 8, rounds_up=True)
    assert known.of(0.05) == shares("flow")(20)[19]
    assert of_diffusers(shares("flow"), 8).of(0.3) == shares("flow")(8)[6]
    assert known.of(0.3) == shares("flow")(8)[5]  # a part of a step counts


def test_a_schedule_that_leaves_steps_out_begins_at_its_last():
    known = of_webui(lambda steps: [0.9, 0.5, 0.1], 20)
    assert known.of(0.05) == 0.1


def test_a_curve_stands_for_its_function():
    known = of_webui(shares("Karras"), 13)
    assert of_curve(known.curve).curve == known.curve
    assert [of_curve(known.curve).of(strength) for strength in GRID] == list(known.curve)
    assert isinstance(of_curve(known.curve, guessed=True), NoiseShare)


@pytest.mark.parametrize("steps", [4, 20, 40])
def test_schedules_fall_from_the_greatest_level_to_the_least(steps):
    low, high = trained_levels()[[0, -1]]
    for way in WAYS.values():
        found = way(low, high, steps)
        assert len(found) == steps and found[0] == pytest.approx(high) and found[-1] == pytest.approx(low)
        assert all(a > b for a, b in zip(found, found[1:]))
    assert karras(low, high, 20)[14] == pytest.approx(0.273, abs=0.002)
    assert exponential(1, 16, 5) == pytest.approx([16, 8, 4, 2, 1])


def test_beta_is_scipys():
    from scipy import stats

    part = 1 - np.linspace(0, 1, 21)
    assert beta(0, 1, 21) == pytest.approx([stats.beta.ppf(x, 0.6, 0.6) for x in part], abs=1e-4)
