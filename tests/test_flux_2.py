"""Flux 2 [klein]: diffusers has no img2img for it, so that we bring our own pipeline. Tiny and random."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import diffusers  # noqa: E402
import tiny_flow  # noqa: E402

from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import OptionError  # noqa: E402
from lib_usdu.geometry import Canvas, plan_tiles  # noqa: E402
from lib_usdu.host import Batch  # noqa: E402
from lib_usdu.latents import Latents  # noqa: E402
from lib_usdu.noise import tile_noise  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.standalone import steps  # noqa: E402
from lib_usdu.standalone.checkpoints import load_checkpoint  # noqa: E402
from lib_usdu.standalone.families import flow, packing  # noqa: E402
from lib_usdu.standalone.families.known_share import known_share  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402
from lib_usdu.standalone.sources import kind_of  # noqa: E402

OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.4, tone_lock=0, upscaler="None")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As the hub has it: with the name of diffusers' pipeline."""
    place = tmp_path_factory.mktemp("flux2")
    tiny_flow.flux_2_klein(place / "words").save_pretrained(place / "model")
    file = place / "model" / "model_index.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "_class_name": "Flux2KleinPipeline"}))
    return place / "model"


@pytest.fixture
def refiner(folder):
    def made(**sampling):
        pipeline, name = load_checkpoint(str(folder), torch.device("cpu"))
        told = {"prompt": "a cat", "negative_prompt": "a dog", "steps": 8, "cfg_scale": 3.0, **sampling}
        return DiffusersRefiner(pipeline, Sampling(**told), name)

    return made


def small(photo):
    return photo[100:228, 150:310]


def decibels(picture, other):
    difference = picture.astype(float) - other
    return 10 * np.log10(other.astype(float).var() / max((difference**2).mean(), 1e-9))


def test_tiles_of_a_canvas(refiner, photo):
    """Batches, reruns, canvas noise, Fused, words, guidance, sizes and parameters as of every other family."""
    made, rgb = refiner(), small(photo)
    assert made.latents == Latents(32, 16, 1) and made.alignment == 64
    alone, again = (upscale(rgb, OPTIONS, LocalHost(made)) for _ in range(2))
    together = upscale(rgb, OPTIONS.with_(tile_batch=3), LocalHost(made))
    assert np.array_equal(alone.image, again.image) and together.stats.batches < alone.stats.batches
    assert np.abs(alone.image.astype(int) - together.image).max() <= 1
    whole = upscale(rgb, OPTIONS.with_(tile_width=512, tile_height=512), LocalHost(made)).image
    own = upscale(rgb, OPTIONS.with_(noise="tile"), LocalHost(made)).image
    fused = upscale(rgb, OPTIONS.with_(redraw_mode="fused"), LocalHost(made)).image
    assert min(decibels(alone.image, whole), decibels(fused, whole)) > 8 + decibels(own, whole)
    assert upscale(photo[:41, :75], OPTIONS, LocalHost(made)).image.shape == (41, 75, 3)
    assert "Sampler: Euler, CFG scale: 3.0, Seed: 1, Model: model, Size: 160x128" in alone.infotext
    for other in ({"prompt": "a small brown dog"}, {"cfg_scale": 6.0}, {"cfg_scale": 1.0}, {"negative_prompt": "a"}):
        assert not np.array_equal(alone.image, upscale(rgb, OPTIONS, LocalHost(refiner(**other))).image)
    with pytest.raises(OptionError, match="sampler: 'PLMS' is not allowed; allowed: Euler, Euler a"):
        refiner(sampler="PLMS")


@pytest.mark.parametrize("sampler", flow.FLOW_SAMPLERS)
def test_noise_is_the_same_to_the_bit_where_windows_overlap(sampler, refiner, photo, monkeypatch):
    made, drawn = refiner(sampler=sampler, cfg_scale=1.0), []
    draw = steps.CanvasNoise.draw

    def noted(self, shape, *args, **kwargs):
        noise = draw(self, shape, *args, **kwargs)
        drawn.append(packing.unrows(noise, *self.size))
        return noise

    monkeypatch.setattr(steps.CanvasNoise, "draw", noted)
    canvas = Canvas(160, 128)
    first, second = canvas.divide(64, 64, 16)[:2]
    for tile in (first, second):
        noise = tile_noise(1, "canvas", tile.window, tile.index, canvas, made.latents)
        window = canvas.crop(small(photo), tile.window)[None]
        picture = made.refine(Batch((tile,), window, (noise,), 0.4, canvas), lambda: False)
        assert np.isfinite(picture).all()
    shift, half = (second.window.x - first.window.x) // 16, len(drawn) // 2
    for left, right in zip(drawn[:half], drawn[half:]):
        assert torch.equal(left[..., shift:], right[..., : left.shape[-1] - shift])


def test_one_tile_is_diffusers_own_pipeline_from_that_noise(folder, refiner, photo, monkeypatch):
    """From the noise and at the sigmas where the picture is handed to it: places, words, guidance, decoder."""
    made, canvas = refiner(), Canvas(160, 128)
    (tile,) = plan_tiles(*canvas.size, 512, 512, 0)
    noise = tile_noise(5, "canvas", tile.window, 0, canvas, made.latents)
    begun, make = [], flow.noised
    monkeypatch.setattr(flow, "noised", lambda *args: begun.append(make(*args)) or begun[-1])
    ours = made.refine(Batch((tile,), small(photo)[None], (noise,), 0.5, canvas), lambda: False)[0]

    plain = diffusers.Flux2KleinPipeline.from_pretrained(folder)
    plain.set_progress_bar_config(disable=True)
    mu = flow.empirical_shift({}, 10 * 8, 8)
    module = sys.modules[diffusers.Flux2KleinPipeline.__module__]
    assert module.compute_empirical_mu(80, 8) == pytest.approx(mu)
    monkeypatch.setattr(module, "compute_empirical_mu", lambda **_: mu)
    negative, _ = plain.encode_prompt("a dog", device="cpu")
    theirs = plain(
        prompt="a cat", negative_prompt_embeds=negative, height=128, width=160, latents=packing.unrows(begun[0], 8, 10),
        sigmas=np.linspace(1, 1 / 8, 8)[4:], num_inference_steps=4, guidance_scale=3.0, output_type="np",
    ).images[0]  # fmt: skip
    assert np.abs(ours - theirs * 255).max() < 0.6


def test_latents_are_the_pipelines_own(folder, photo):
    made = DiffusersRefiner(load_checkpoint(str(folder), torch.device("cpu"))[0], Sampling("a"), "x")
    pixels = torch.from_numpy(small(photo).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    theirs = made.pipeline._encode_vae_image(pixels, None)
    assert torch.allclose(made.autoencoder.encode(small(photo)[None]), theirs, atol=1e-4)


def test_what_is_known_before_it_is_loaded(folder, refiner):
    assert kind_of(str(folder)).name == "Flux 2 klein"
    for steps_ in (4, 20):
        for canvas in (Canvas(160, 128), Canvas(2048, 1536)):
            real = refiner(steps=steps_).noise_share(canvas).curve
            assert known_share(str(folder), None, steps_, canvas).curve == pytest.approx(real, abs=0.02)
