"""Creativity in the webui: the share of noise asked for becomes the denoising strength that has it here."""

import numpy as np
import pytest
from client import img2img
from modules import standin
from test_extension import extension, person, photo  # noqa: F401

from lib_usdu.pictures.infotext import pairs_of
from lib_usdu.webui import model_kind, script

KEY = "Ultimate SD upscale creativity"


def ask(**values):
    request = {"init_images": [photo()], "steps": 9, "seed": 3, "sampler_name": "Euler", "denoising_strength": 0.75}
    options = {"custom_scale": 1, "tile_width": 64, **values.pop("options", {})}
    return img2img(**{**request, "script_name": "Ultimate SD Upscale", "script_args": [options], **values})


def test_it_decides_over_the_denoising_strength(extension):  # noqa: F811
    answer = ask(options={"creativity": 0.8})
    known = model_kind.noise_share("Euler", None, 9, in_run=True)
    wanted = known.denoise(0.8)
    assert wanted != 0.75 and {call.denoise for call in standin.log.calls} == {wanted}
    said = pairs_of(answer.info)
    assert said["Denoising strength"] == f"{wanted:g}" and said[KEY] == "0.8"
    by_strength = ask(denoising_strength=wanted, options={})
    assert np.array_equal(answer.images[0], by_strength.images[0]) and KEY not in by_strength.info


def test_a_strength_that_begins_as_near_stays_to_the_last_digit(extension):  # noqa: F811
    """In the page both are given: the strength was moved by Creativity, or stood there already."""
    ask(options={})
    known = model_kind.noise_share("Euler", None, 9, in_run=True)
    share = known.of(0.3456)
    standin.log.calls.clear()
    ask(denoising_strength=0.3456, options={"creativity": round(share, 2)})
    assert {call.denoise for call in standin.log.calls} == {0.3456}


def test_p_keeps_its_strength_and_padding_follows_the_one_that_is_used(extension):  # noqa: F811
    p = person(steps=9, denoising_strength=0.9, sampler_name="Euler")
    options = {"custom_scale": 4, "tile_width": 128, "creativity": 0.3, "auto_padding": True}
    done = script.run(p, extension, [options])
    assert p.denoising_strength == 0.9
    used = float(pairs_of(done.infotexts[0])["Denoising strength"])
    assert used < 0.35 and {call.size for call in standin.log.calls} == {(192, 192)}, "32 px of padding"


def test_where_nothing_is_known_the_strength_decides_and_that_is_said(extension, monkeypatch):  # noqa: F811
    def broken(name, model):
        raise RuntimeError("another kind of samplers")

    monkeypatch.setattr(model_kind, "samplers", lambda: (type("S", (), {"create_sampler": broken}), None))
    answer = ask(options={"creativity": 0.3})
    assert {call.denoise for call in standin.log.calls} == {0.75} and "Creativity is not used" in answer.comments


@pytest.mark.parametrize("value", [-0.1, 1.01, "much", None])
def test_a_bad_value_is_refused(extension, value):  # noqa: F811
    with pytest.raises(Exception, match="creativity.*a number from 0 to 1"):
        ask(options={"creativity": value})
