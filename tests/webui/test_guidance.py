"""Guidance that cancels out is left out, and nothing else."""

import math
import types
from collections import namedtuple

import pytest
import torch

from lib_usdu.geometry import Canvas, Region
from lib_usdu.latents import Latents
from lib_usdu.noise import tile_noise
from lib_usdu.run.noise_draws import CanvasDraws
from lib_usdu.webui.guidance import same_conditioning, without_idle_guidance

Scheduled = namedtuple("Scheduled", ["end_at_step", "cond"])
A, B = torch.zeros(77, 8), torch.ones(77, 8)
XL = {"crossattn": A, "vector": torch.zeros(4)}


def prompt(*parts):
    """Of one picture, as the webui's MulticondLearnedConditioning has it."""
    return [types.SimpleNamespace(schedules=schedule, weight=weight) for schedule, weight in parts]


def conditioning(*pictures):
    return types.SimpleNamespace(batch=list(pictures))


ONE = [Scheduled(20, A)]
EARLY, LATE = [Scheduled(5, A), Scheduled(20, A)], [Scheduled(9, A), Scheduled(20, A)]


@pytest.mark.parametrize(
    "prompts, negatives, same",
    [
        (conditioning(prompt((ONE, 1.0))), [[Scheduled(20, A.clone())]], True),
        (conditioning(prompt((ONE, 1.0)), prompt((ONE, 1.0))), [ONE, ONE], True),
        (conditioning(prompt(([Scheduled(20, XL)], 1.0))), [[Scheduled(20, dict(XL))]], True),
        (conditioning(prompt((ONE, 1.0))), [[Scheduled(20, B)]], False),
        (conditioning(prompt((ONE, 1.0)), prompt(([Scheduled(20, B)], 1.0))), [ONE, ONE], False),
        (conditioning(prompt((ONE, 0.8))), [ONE], False),
        (conditioning(prompt((ONE, 1.0), (ONE, 1.0))), [ONE], False),
        (conditioning(prompt(([Scheduled(5, A), Scheduled(20, B)], 1.0))), [ONE], False),
        (conditioning(prompt((EARLY, 1.0))), [LATE], False),
        (conditioning(prompt(([Scheduled(20, XL)], 1.0))), [[Scheduled(20, {**XL, "vector": torch.ones(4)})]], False),
        (conditioning(prompt((ONE, 1.0))), [ONE, ONE], False),
        (conditioning(prompt(([Scheduled(20, A[:70])], 1.0))), [ONE], False),
        (["a"], ["a"], False),
        (None, None, False),
    ],
)
def test_prompts_that_condition_alike(prompts, negatives, same):
    assert same_conditioning(prompts, negatives) == same


def tile(**values):
    return types.SimpleNamespace(**{"cfg_scale": 7.0, "s_min_uncond": 0.0, "extra_generation_params": {}, **values})


def call(tile_p, settings, negative=A, error=None):
    seen = []

    def sample(**_):
        seen.append((tile_p.cfg_scale, tile_p.s_min_uncond, dict(settings)))
        tile_p.extra_generation_params |= {"NGMS": tile_p.s_min_uncond, "NGMS all steps": True, "Other": 1}
        if error:
            raise error

    prompts, negatives = conditioning(prompt((ONE, 1.0))), [[Scheduled(20, negative)]]
    without_idle_guidance(sample, tile_p, settings)(conditioning=prompts, unconditional_conditioning=negatives)
    return seen[0]


@pytest.mark.parametrize("settings", [{}, {"s_min_uncond_all": False}, {"s_min_uncond_all": True}])
def test_the_negative_prompt_is_left_out_and_the_settings_are_put_back(settings):
    before, tile_p = dict(settings), tile()
    assert call(tile_p, settings) == (1.0, math.inf, {"s_min_uncond_all": True})
    assert settings == before and tile_p.extra_generation_params == {"Other": 1}


def test_settings_are_put_back_after_an_error():
    settings = {}
    with pytest.raises(RuntimeError):
        call(tile(), settings, error=RuntimeError("interrupted"))
    assert settings == {}


@pytest.mark.parametrize("values", [{"s_min_uncond": 0.5}, {"s_min_uncond": None}])
def test_the_persons_own_setting_stands(values):
    tile_p = tile(**values)
    assert call(tile_p, {}) == (7.0, values["s_min_uncond"], {})


def test_prompts_that_differ_are_both_asked():
    assert call(tile(), {}, negative=B) == (7.0, 0.0, {})


def test_draws_nobody_uses_are_zeros():
    window = Region(0, 0, 64, 64)
    noises = [tile_noise(1, "canvas", window, 0, Canvas(64, 64), Latents())] * 2
    plain, saving = CanvasDraws(noises, 4, "cpu"), CanvasDraws(noises, 4, "cpu", first_only=True)
    assert torch.equal(plain.next(), saving.next())
    later = saving.next()
    assert later.shape == (2, 4, 8, 8) and not later.any() and plain.next().any()
