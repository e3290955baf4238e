"""The panel's line about folders, shapes and the tab's own values."""

import json

import pytest

from lib_usdu.host import Abilities
from lib_usdu.noise_share import of_webui, share_of
from lib_usdu.options import LEGACY_ARGUMENTS, OWN_ARGUMENTS, Options
from lib_usdu.panel.live_line import live_line
from lib_usdu.panel.text import DISTORTED, DRIFT, FOLDER, NO_PICTURE, SMALLER, TAB_DEFAULT
from lib_usdu.spacing import plain_webui
from lib_usdu.speed.few_steps import KINDS, of_loras


class Source:
    def __init__(self, controlnet=False, few=None):
        self.controlnet, self.few = controlnet, few

    def abilities(self):
        return Abilities()

    def is_xl(self):
        return False

    def seconds(self, plan, steps, sampler, cfg_scale):
        return {"Euler a": plan.tiles * steps * cfg_scale / 10}.get(sampler)

    def few_steps(self, prompt):
        return of_loras(prompt, lambda name: ()) or self.few

    def has_controlnet(self):
        return self.controlnet

    def noise_share(self, steps, sampler, scheduler, window=None):
        known = {"Karras": "Karras", "Uniform": ""}.get(scheduler)
        if sampler != "Euler a" or known is None:
            return None
        shares = lambda count: [share_of(sigma) for sigma in plain_webui(known, count)]  # noqa: E731
        return of_webui(shares, steps, guessed=scheduler == "Uniform")


def said(*page, controlnet=False, **changes):
    names = ["upscaler" if name == "upscaler_index" else name for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)]
    values = [changes.get(name, getattr(Options, name)) for name in names]
    return live_line(Source(controlnet), 1000.0, json.dumps(page), *values).replace("&#x27;", "'")


@pytest.mark.parametrize(
    "changes, size",
    [
        ({}, "2 times its size"), ({"target_size_type": "custom", "custom_width": 999}, "999x2048"),
        ({"target_size_type": "img2img"}, "640x480"),
    ],
)  # fmt: skip
def test_in_the_batch_tab_the_line_speaks_of_the_folder(changes, size):
    text = said(0, 0, 640, 480, 0.3, True, 0, **changes)
    assert FOLDER in text and size in text and "tiles of 512x512" in text and NO_PICTURE not in text
    assert NO_PICTURE in said(0, 0, 640, 480, 0.3, False, 0)


@pytest.mark.parametrize("controlnet", [False, True])
@pytest.mark.parametrize("denoise, left", [(0.75, True), (0.74, False), (0.3, False)])
def test_the_strength_that_the_tab_starts_with_is_told(denoise, left, controlnet):
    assert (TAB_DEFAULT in said(1024, 1024, 512, 512, denoise, controlnet=controlnet)) == left
    assert TAB_DEFAULT not in said(1024, 1024, 512, 512, denoise, redraw_mode="none")


def test_one_tile_cannot_drift():
    assert DRIFT in said(1024, 1024, 512, 512, 0.6) and DRIFT not in said(200, 200, 512, 512, 0.6)


@pytest.mark.parametrize(
    "mode, size, distorted, smaller",
    [
        (0, (2048, 2048), True, False), (1, (2048, 2048), False, False), (-1, (2048, 2048), False, False),
        (0, (1500, 1000), False, False), (0, (1501, 1000), False, False), (0, (600, 400), False, True),
        (1, (600, 2048), False, True),
    ],
)  # fmt: skip
def test_another_shape_and_a_smaller_result_are_told(mode, size, distorted, smaller):
    custom = {"target_size_type": "custom", "custom_width": size[0], "custom_height": size[1]}
    text = said(900, 600, 512, 512, 0.3, False, mode, **custom)
    assert (DISTORTED in text, SMALLER in text) == (distorted, smaller)


@pytest.mark.parametrize("drawn, time", [
    ([20, "Euler a", 7], "9 tiles of 576x576, 9 batches, <b>about 2 min 10 s</b>"), ([20, "Heun", 7], ""),
    ([0, "", 0], ""), ([], ""), (["x", None, {}], ""), ([20], ""),
])  # fmt: skip
def test_the_time_is_said_once_the_same_work_was_done(drawn, time):
    text = said(768, 768, 512, 512, 0.3, False, 0, *drawn)
    assert (time in text) if time else ("about" not in text)


def test_the_line_says_what_the_strength_means():
    """In every state of the page that knows a strength, and only where something is redrawn."""
    tab = (512, 512, 0.25, False, 0, 20, "Euler a", 7)
    exactly = "Denoising strength 0.25: <b>21 %</b> noise with this model"
    assert exactly in said(1024, 1024, *tab, "Karras") and exactly in said(0, 0, *tab, "Karras")
    assert exactly in said(0, 0, 512, 512, 0.25, True, *tab[4:], "Karras")
    guessed = said(1024, 1024, *tab, "Uniform")
    assert "Denoising strength 0.25: about <b>42 %</b> noise" in guessed and "this model" not in guessed
    for page in ((*tab, "KL Optimal"), tab, (*tab[:5], 0, *tab[6:], "Karras")):
        assert "noise" not in said(1024, 1024, *page)
    assert "noise" not in said(1024, 1024, *tab, "Karras", redraw_mode="none")


@pytest.mark.parametrize(
    "steps, cfg, warned", [(20, 7, True), (8, 7, True), (20, 1, True), (8, 1, False), (0, 7, False)]
)
def test_a_model_of_few_steps_asked_like_others(steps, cfg, warned):
    values = [getattr(Options, name) for name in OWN_ARGUMENTS]
    legacy = [getattr(Options, "upscaler" if name == "upscaler_index" else name) for name in LEGACY_ARGUMENTS]
    page = json.dumps([512, 512, 0, 0, 0.3, False, 0, steps, "Euler", cfg])
    text = live_line(Source(few=KINDS["lightning"]), 1000.0, page, *legacy, *values)
    assert ("A Lightning checkpoint: 8 steps, CFG 1, Euler." in text) == warned
    assert """data-few-steps='{"steps": 8, "cfg_scale": 1.0, "sampling": "Euler"}'""" in text  # for the presets
    assert "data-few-steps" not in live_line(Source(), 1000.0, page, *legacy, *values)


@pytest.mark.parametrize("loras, said", [
    ("<lora:lcm-lora-sdv1-5:1>", "A LCM LoRA: 8 steps, CFG 1.5, LCM."), ("<lora:boats:1>", ""), ("", ""),
    (["<lora:lcm:1>"], ""), (None, ""), ("<lora:lcm:0>", ""),
    ("<lora:boats:1><lora:sdxl_lightning_4step_lora>", "A Lightning LoRA: 4 steps, CFG 1, Euler."),
])  # fmt: skip
def test_a_lora_of_few_steps_in_the_prompt(loras, said):
    values = [getattr(Options, name) for name in OWN_ARGUMENTS]
    legacy = [getattr(Options, "upscaler" if name == "upscaler_index" else name) for name in LEGACY_ARGUMENTS]
    page = [512, 512, 0, 0, 0.3, False, 0, 20, "Euler", 7, "Karras", loras, False, {}]
    text = live_line(Source(), 1000.0, json.dumps(page), *legacy, *values)
    assert ("data-few-steps" in text) == bool(said) and said in text
