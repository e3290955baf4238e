"""What reaches the model in the stand-in webui: windows of a canvas in one step, prompts with parts and schedules,
guidance that is left out, noise of churn, SDXL's conditionings."""

import html
import sys
import types
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from modules import (
    forge_backend,
    processing,
    script_callbacks,
    sd_samplers,
    sd_samplers_common,
    sd_samplers_kdiffusion,
    shared,
    standin,
)
from PIL import Image
from probes.harness import options
from test_extension import ask, extension, person, photo  # noqa: F401

from lib_usdu.noise import TileNoise
from lib_usdu.options import SCRIPT_OPTIONS, Options
from lib_usdu.panel.live_line import live_line
from lib_usdu.webui import model_kind, panel_host, phases
from lib_usdu.webui import script as webui
from lib_usdu.webui.panel_host import PanelHost

FUSED = {"custom_scale": 1, "tile_width": 64, "padding": 16, "redraw_mode": "fused", "tone_lock": 0}
TILES = {**FUSED, "redraw_mode": "parallel"}


def pixels(done):
    return np.asarray(done.images[0]).astype(int)


def untiled(picture, **values):
    """Plain img2img of the whole picture, with the source of noise that tiles have."""
    with options(randn_source="NV"):
        return pixels(ask([], picture, script_name=None, width=picture.width, height=picture.height, **values))


# --- Fused ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seamless", [False, True])
def test_fused_changes_nothing_where_the_model_does_not(extension, seamless):  # noqa: F811
    standin.knobs.noise_gain = 0
    picture = photo(192, 144)
    done = ask([{**FUSED, "seamless": seamless}], picture)
    assert np.array_equal(pixels(done), np.asarray(picture).astype(int))


@pytest.mark.parametrize("values", [
    {}, {"sampler_name": "DPM++ 2M"}, {"sampler_name": "Heun"}, {"prompt": "a AND b:0.5", "negative_prompt": "c"},
    {"prompt": "[a:b:2] c", "cfg_scale": 3}, {"prompt": " ".join(["word"] * 90)},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("batch", [1, 4])
def test_fused_is_one_pass_over_the_canvas(extension, values, batch):  # noqa: F811
    """A model that sees only pixels says the same of a window as of the whole, so that the result is that of one pass
    without tiles; 1 level for the rounding."""
    standin.knobs.prompt_gain, picture = 6, photo(192, 144)
    whole = untiled(picture, **values)
    sizes = {size for _, size in standin.log.asked}
    assert sizes == {(18, 24)}
    standin.log.asked.clear()
    fused = pixels(ask([{**FUSED, "tile_batch": batch}], picture, **values))
    assert {size for _, size in standin.log.asked} == {(16, 16)}  # never the canvas
    assert np.abs(fused - whole).max() <= 1 and np.abs(fused - np.asarray(picture)).max() > 5


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("values", [{}, {"sampler_name": "Heun"}, {"prompt": "a", "negative_prompt": "c"}], ids=str)
def test_fused_normalises_by_the_canvas(extension, values, batch):  # noqa: F811
    """A network with a GroupNorm: windows alone normalise by what they see, and a tile is far from the whole."""
    vars(standin.knobs).update(norm_gain=30, noise_gain=0, prompt_gain=6)
    picture = photo(192, 144)
    whole = untiled(picture, **values)
    fused, tiles = (pixels(ask([{**how, "tile_batch": batch}], picture, **values)) for how in (FUSED, TILES))
    assert np.abs(fused - whole).max() <= 2 and np.abs(tiles - whole).max() > 6
    norm = model_kind.loaded_model().network.norm
    assert "forward" not in vars(norm)


def test_fused_asks_for_as_many_windows_as_allowed(extension):  # noqa: F811
    ask([{**FUSED, "tile_batch": 4}], photo(192, 144), negative_prompt="b")
    steps = 3  # of 4 at 0.5
    assert [rows for rows, _ in standin.log.asked] == [8, 8, 2] * steps  # 9 windows, with and without the prompt


def test_fused_windows_are_averaged_where_they_overlap(extension):  # noqa: F811
    """Each window's answer tilts from left to right by 2 x 40 levels: where only one window counts it is all there,
    and between two there is no step."""
    standin.knobs.noise_gain, grey = 0, photo(192, 64).point(lambda value: 128)
    flat = pixels(ask([FUSED], grey))
    standin.knobs.window_gain = 40
    tilted = pixels(ask([FUSED], grey)) - flat
    row = tilted[32, ::8, 0]  # one value a latent
    assert row[0] == pytest.approx(-40, abs=1) and row[-1] == pytest.approx(40, abs=1)
    assert np.abs(np.diff(row)).max() < 20  # the windows themselves differ by up to 80 where they meet
    assert (tilted == tilted[:1]).all()


def test_fused_that_is_stopped_while_it_decodes_is_the_whole_picture(extension, monkeypatch):  # noqa: F811
    picture, decode = photo(192, 144), processing.decode_latent_batch
    whole = pixels(ask([FUSED], picture))

    def stopped(*args, **kwargs):
        shared.state.interrupted = True
        return decode(*args, **kwargs)

    monkeypatch.setattr(processing, "decode_latent_batch", stopped)
    done = ask([FUSED], picture)
    assert "unfinished" not in done.info and np.array_equal(pixels(done), whole)


@pytest.mark.parametrize("flag, left", [("interrupted", "unfinished"), ("skipped", "skipped")])
def test_fused_is_left_between_two_steps(extension, flag, left):  # noqa: F811
    seen = []

    def at_step_2(params):
        seen.append(1)
        if len(seen) == 2:
            setattr(shared.state, flag, True)

    picture = photo(192, 144)
    script_callbacks.on_cfg_after_cfg(at_step_2)
    shared.state.begin(job="t")
    done = webui.run(person(init_images=[picture]), extension, [FUSED])
    assert len(seen) == 2 and left in done.infotexts[0]
    assert np.array_equal(pixels(done), np.asarray(picture))
    assert shared.state.skipped is False


FORGE_FAMILY = pytest.mark.parametrize("host", ["forge", "neo"], indirect=True)


@FORGE_FAMILY
@pytest.mark.parametrize("values", [
    {}, {"prompt": "a AND b:0.5", "negative_prompt": " ".join(["word"] * 90)}, {"sampler_name": "Euler a"},
    {"prompt": "", "negative_prompt": ""},
], ids=str)  # fmt: skip
def test_fused_of_the_forge_family_is_a1111s(extension, values):  # noqa: F811
    """The same latents and the same model: at least 60 dB, which is a level here and there."""
    found = []
    for shape in (None, "a1111"):
        if shape:
            standin.become(shape)
        vars(standin.knobs).update(prompt_gain=6, window_gain=20, step_gain=8)
        found.append(pixels(ask([{**FUSED, "tile_batch": 2}], photo(192, 144), **values)))
    error = np.mean(np.square(found[0] - found[1], dtype=np.float64))
    assert error == 0 or 10 * np.log10(255**2 / error) >= 60


@FORGE_FAMILY
def test_fused_is_told_to_what_wraps_the_patcher(extension):  # noqa: F811
    """Another extension's wrapper sees windows in the order that `cond_or_uncond` says; room is made for them."""
    told = []

    def wrapper(model, given):
        options = given["c"]["transformer_options"]
        told.append((tuple(given["input"].shape), given["cond_or_uncond"], options["cond_indices"]))
        assert len(given["timestep"]) == len(given["c"]["c_crossattn"]) == len(given["input"])
        assert (given["c"]["c_crossattn"][options["uncond_indices"]] == 0).all()  # no negative prompt
        return model(given["input"], given["timestep"], **given["c"])

    shared.sd_model.forge_objects_after_applying_lora.unet.set_model_unet_function_wrapper(wrapper)
    before = forge_backend.KModel.memory_required
    done = ask([{**FUSED, "tile_batch": 4}], photo(192, 144), prompt="a cat", negative_prompt="")
    marks = [1, 0]
    assert told[:3] == [
        ((8, 4, 16, 16), marks, [4, 5, 6, 7]), ((8, 4, 16, 16), marks, [4, 5, 6, 7]), ((2, 4, 16, 16), marks, [1])
    ]  # fmt: skip
    assert dict(standin.log.wanted)["unet"] == 2 * 4 * 16 * 16
    assert shared.sd_model.forge_objects.unet.model.memory_required.__func__ is before and done.images


@FORGE_FAMILY
@pytest.mark.parametrize("name", ["sampler_post_cfg_function", "sampler_cfg_function", "conditioning_modifiers"])
def test_guidance_is_kept_where_a_patch_sees_both_answers(extension, name):  # noqa: F811
    options = shared.sd_model.forge_objects_after_applying_lora.unet.model_options
    assert rows(prompt="", negative_prompt="")[0] == {1}
    options[name] = [lambda *args: None]
    assert rows(prompt="", negative_prompt="")[0] == {2}


def test_fused_is_refused_with_an_inpainting_checkpoint(extension):  # noqa: F811
    if standin.knobs.forge:
        shared.sd_model.is_inpaint = True
    else:
        shared.sd_model.model.conditioning_key = "hybrid"
    done = webui.run(person(), extension, [FUSED])
    said = "allowed: linear, chess, none, parallel (with an inpainting, edit, depth or video checkpoint)"
    assert done.images == [] and said in done.comments and standin.log.calls == []
    values = [FUSED.get(name, getattr(Options, name)) for name in SCRIPT_OPTIONS]
    assert said in html.unescape(live_line(PanelHost(), 1000, "[192, 144, 0, 0, 0.3]", *values))


# --- guidance left out ------------------------------------------------------------------------------------------------


def rows(**values):
    standin.log.asked.clear()
    done = ask([TILES], photo(128, 128), **values)
    assert "NGMS" not in done.infotexts[0]
    return {count for count, _ in standin.log.asked}, pixels(done)


def test_guidance_that_cancels_out_is_left_out_and_nothing_changes(extension):  # noqa: F811
    standin.knobs.prompt_gain = 6
    alone, without = rows(prompt="", negative_prompt="")
    assert alone == {1}
    watched = []
    script_callbacks.on_cfg_denoised(lambda params: watched.append(len(params.x)))  # it must see both answers
    both, with_guidance = rows(prompt="", negative_prompt="")
    assert both == {2} and np.array_equal(without, with_guidance)
    assert set(watched) == (set() if standin.knobs.forge else {2})  # the Forge family never calls it
    assert not shared.opts.data.get("s_min_uncond_all")


@pytest.mark.parametrize("values", [
    {"prompt": "a"}, {"prompt": "", "negative_prompt": "a"}, {"prompt": "a AND a", "negative_prompt": "a"},
    {"prompt": "[a:b:2]", "negative_prompt": "a"}, {"prompt": "a:0.5", "negative_prompt": "a"},
], ids=str)  # fmt: skip
def test_guidance_that_matters_is_kept(extension, values):  # noqa: F811
    assert max(rows(**values)[0]) > 1


def test_guidance_is_left_out_with_the_same_schedules_too(extension):  # noqa: F811
    assert rows(prompt="[a:b:2]", negative_prompt="[a:b:2]")[0] == {1}


def test_guidance_shows_in_the_picture(extension):  # noqa: F811
    """The stand-in's model hears prompts: else the tests above would say nothing."""
    standin.knobs.prompt_gain = 6
    assert not np.array_equal(rows(prompt="a")[1], rows(prompt="b")[1])
    assert not np.array_equal(rows(prompt="a")[1], rows(prompt="a", cfg_scale=2)[1])
    assert not np.array_equal(rows(prompt="a AND b")[1], rows(prompt="a AND b:0.5")[1])


# --- the samplers' own noise ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("redraw", ["parallel", "fused"])
@pytest.mark.parametrize("sampler, churn", [("Euler", 4.0), ("Heun", 4.0), ("Euler", 0.0), ("Euler a", 0.0)])
def test_noise_of_the_steps_is_that_of_one_pass(extension, sampler, churn, redraw):  # noqa: F811
    standin.knobs.step_gain, picture = 30, photo(128, 128)
    with options(s_churn=churn):
        whole = untiled(picture, sampler_name=sampler, steps=8)
        tiles = pixels(ask([{**FUSED, "redraw_mode": redraw}], picture, sampler_name=sampler, steps=8))
    standin.knobs.step_gain = 0
    quiet = untiled(picture, sampler_name=sampler, steps=8)
    assert np.abs(tiles - whole).max() <= 1
    added = np.abs(whole - quiet).max()
    assert added > 5 if churn or sampler == "Euler a" else added == 0


@pytest.mark.parametrize("sampler, churn, draws", [("Euler", 0.0, 1), ("Euler", 4.0, 6), ("DPM++ 2M", 0.0, 1)])
def test_noise_that_nobody_uses_is_not_drawn(extension, monkeypatch, sampler, churn, draws):  # noqa: F811
    drawn, draw = [], TileNoise.draw
    monkeypatch.setattr(TileNoise, "draw", lambda self, *args: drawn.append(1) or draw(self, *args))
    with options(s_churn=churn):
        ask([{**TILES, "tile_width": 128}], photo(128, 128), sampler_name=sampler, steps=8)
    assert len(standin.log.calls) == 1 and len(drawn) == draws


def ddpm(model, x, sigmas, extra_args=None, callback=None, disable=None, noise_sampler=None):
    """As Forge's DDPM (backend/modules/k_diffusion_extra.py): its own module draws, which the host does not reach."""
    noise_sampler = noise_sampler or (lambda sigma, sigma_next: torch.randn_like(x))
    for i, (sigma, sigma_next) in enumerate(zip(sigmas, sigmas[1:])):
        x = model(x, sigma.expand(len(x)), **extra_args) + sigma_next * noise_sampler(sigma, sigma_next)
        callback({"i": i})
    return x


def test_a_sampler_with_a_noise_sampler_of_its_own_gets_the_canvass(extension, monkeypatch):  # noqa: F811
    monkeypatch.setitem(sd_samplers.all_samplers_map, "DDPM", sd_samplers_common.SamplerData(
        "DDPM", lambda model: sd_samplers_kdiffusion.KDiffusionSampler(ddpm, model), ["ddpm"], {}
    ))  # fmt: skip
    standin.knobs.step_gain, picture = 30, photo(192, 144)
    one, nine = (pixels(ask([{**TILES, "tile_width": tile}], picture, sampler_name="DDPM")) for tile in (192, 64))
    assert len(standin.log.calls) == 1 + 9 and np.abs(one - nine).max() <= 1


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_eta_reaches_the_sampler(extension, eta):  # noqa: F811
    standin.knobs.step_gain, picture = 30, photo(128, 128)
    full = pixels(ask([TILES], picture, sampler_name="Euler a", steps=8))
    less = ask([TILES], picture, sampler_name="Euler a", steps=8, eta=eta)
    assert not np.array_equal(pixels(less), full) and f"Eta: {eta}" in less.infotexts[0]


# --- SDXL -------------------------------------------------------------------------------------------------------------


def test_the_tile_of_sdxl(extension):  # noqa: F811
    assert model_kind.default_tile() == 512 and not PanelHost().is_xl()
    standin.load("sdxl")
    assert model_kind.default_tile() == 1024 and PanelHost().is_xl()


@pytest.mark.parametrize("host", ["forge", "neo"], indirect=True)
def test_the_first_run_after_another_checkpoint_was_chosen_has_its_tile(extension):  # noqa: F811
    """Forge loads in the first call: what is in memory before says nothing of it. 640 px are two tiles of at most 512,
    with 32 px around each, or one of at most 1024."""
    for chosen, windows in (("sd1", {(384, 384)}), ("sdxl", {(640, 640)}), ("sd1", {(384, 384)})):
        standin.knobs.checkpoint = f"{chosen}.safetensors"
        forge_backend.refresh_model_loading_parameters()
        standin.log.calls.clear()
        ask([{"custom_scale": 1, "tile_width": 0, "tile_height": 0, "padding": 32}], photo(640, 640))
        assert {call.size for call in standin.log.calls} == windows


def test_sdxls_conditionings_in_tiles_and_fused(extension):  # noqa: F811
    standin.load("sdxl")
    standin.knobs.prompt_gain, picture = 6, photo(192, 144)
    whole = untiled(picture, prompt="a AND b")
    for redraw in ("parallel", "fused"):
        done = ask([{**FUSED, "redraw_mode": redraw}], picture, prompt="a AND b")
        assert np.abs(pixels(done) - whole).max() <= 1
    standin.log.asked.clear()
    ask([FUSED], picture, prompt="", negative_prompt="")
    assert {count for count, _ in standin.log.asked} == {1}  # dicts of tensors are compared, too


def test_sdxl_is_told_the_size_of_the_window(extension):  # noqa: F811
    standin.load("sdxl")
    encode, told = shared.sd_model.get_learned_conditioning, []
    shared.sd_model.get_learned_conditioning = lambda texts: told.append((texts.width, texts.height)) or encode(texts)
    ask([{**TILES, "tile_width": 64, "tile_height": 96}], photo(192, 144), prompt="told once")
    assert set(told) == {call.size for call in standin.log.calls} == {(128, 128)}


# --- prompts ----------------------------------------------------------------------------------------------------------


def test_prompts_are_encoded_once_for_a_run_of_equal_tiles(extension):  # noqa: F811
    ask([TILES], photo(192, 144), prompt="never said before", negative_prompt="nor this")
    assert sorted(standin.log.encoded) == ["never said before", "nor this"] and len(standin.log.calls) == 9


def test_each_tiles_own_prompt_reaches_its_row(extension):  # noqa: F811
    standin.knobs.prompt_gain, standin.knobs.noise_gain = 6, 0
    picture = photo(128, 64).point(lambda value: 128)
    given = {**TILES, "padding": 0, "mask_blur": 0, "tile_batch": 2, "tile_prompts": "2: cat"}
    plain = pixels(ask([{**given, "tile_prompts": ""}], picture))
    cat = pixels(ask([given], picture)) - plain
    assert (cat[:, :48] == 0).all() and (cat[:, 80:] != 0).all()
    assert processing.StableDiffusionProcessing.cached_c[0] is not None


# --- Resemblance ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M", "DDIM"])
@pytest.mark.parametrize("how", [TILES, FUSED], ids=["tiles", "fused"])
def test_resemblance_holds_what_is_coarse(extension, sampler, how):  # noqa: F811
    """The prompt changes the level everywhere: held, the picture keeps its own."""
    standin.knobs.noise_gain, standin.knobs.prompt_gain = 0, 30
    picture = photo(192, 144)

    def moved(resemblance):
        done = ask([{**how, "resemblance": resemblance}], picture, sampler_name=sampler, prompt="cat")
        return abs((pixels(done) - picture).mean())

    free, half, held = map(moved, (0, 0.25, 0.5))
    assert free > 3 and held < 0.2 * free < half < 0.8 * free


@pytest.mark.parametrize("how", [TILES, FUSED], ids=["tiles", "fused"])
def test_the_directions_of_colour_are_asked_for_once_a_run(extension, how, monkeypatch):  # noqa: F811
    """And only where something is held; the encoder's own noise, of the global generator, stays that of the windows."""
    asked, encode = [], processing.images_tensor_to_samples

    def noted(image, *args, **kwargs):
        asked.append((tuple(image.shape), float(torch.rand(1))))
        return encode(image, *args, **kwargs)

    monkeypatch.setattr(processing, "images_tensor_to_samples", noted)
    seen = []
    for resemblance in (0, 0.5):
        asked.clear()
        ask([{**how, "tile_batch": 1, "resemblance": resemblance}], photo(192, 144))
        assert sum(shape == (1, 3, 64, 64) for shape, _ in asked) == (6 if resemblance else 0)
        seen.append([one for one in asked if one[0] != (1, 3, 64, 64)])
    assert seen[0] == seen[1] and len(seen[0]) == 9


def test_resemblance_stands_in_the_parameters(extension):  # noqa: F811
    done, plain = (ask([{**TILES, **more}], photo(96, 72)) for more in ({"resemblance": 0.4}, {}))
    assert "Ultimate SD upscale resemblance: 0.4" in done.info and "resemblance" not in plain.info


# --- Strength maps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M", "DDIM"])
@pytest.mark.parametrize("how", [TILES, FUSED], ids=["tiles", "fused"])
def test_smooth_places_stay_and_lively_ones_are_redrawn(extension, sampler, how):  # noqa: F811
    """The prompt changes the level everywhere: where the picture is blank, it is not asked."""
    standin.knobs.noise_gain, standin.knobs.prompt_gain = 0, 30
    picture = photo(192, 144)
    picture.paste((128, 128, 128), (0, 0, 96, 144))
    before = np.asarray(picture).astype(int)
    moved = pixels(ask([{**how, "strength_map": "detail"}], picture, sampler_name=sampler, prompt="cat")) - before
    free = pixels(ask([how], picture, sampler_name=sampler, prompt="cat")) - before
    assert np.abs(moved[:, :40]).max() <= 1 and np.abs(free[:, :40]).min() > 3
    assert abs(moved[:, 144:].mean()) > 0.7 * abs(free[:, 144:].mean())


def test_the_masks_greys_are_strengths(extension):  # noqa: F811
    standin.knobs.noise_gain, standin.knobs.prompt_gain = 0, 30
    picture, mask = photo(192, 64), Image.new("L", (192, 64), 255)
    for x, grey in ((0, 0), (48, 4), (96, 60)):
        mask.paste(grey, (x, 0, x + 48, 64))
    values = dict(mask=mask, mask_blur=0, prompt="cat", steps=8)
    before = np.asarray(picture).astype(int)
    done = ask([{**TILES, "strength_map": "mask"}], picture, **values)
    moved = np.abs(pixels(done) - before).mean(axis=(0, 2))
    free = np.abs(pixels(ask([TILES], picture, prompt="cat", steps=8)) - before).mean(axis=(0, 2))
    assert (moved[:48] == 0).all() and moved[52:92].max() < 1  # below the last step's noise
    assert 1 < moved[100:140].mean() < free[100:140].mean() - 1
    assert np.allclose(moved[150:], free[150:], atol=1)
    assert "Ultimate SD upscale strength_map: mask" in done.info


def test_greys_need_a_mask(extension):  # noqa: F811
    with pytest.raises(Exception, match="strength_map.*without a mask"):
        ask([{**TILES, "strength_map": "mask"}], photo(96, 72))
    assert not standin.log.calls


# --- Speed ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [{}, {"prompt": "a AND b:0.5", "negative_prompt": "c"}], ids=str)
@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DDIM", "Euler a"])
@pytest.mark.parametrize("how", [{**TILES, "tile_batch": 2}, FUSED], ids=["tiles", "fused"])
def test_the_negative_prompt_is_asked_about_at_first(extension, sampler, how, values):  # noqa: F811
    """What it changes is the same share of the noise at each step here: the picture is that of exact."""
    standin.knobs.prompt_gain, standin.knobs.prompt_by_noise, picture = 6, True, photo(192, 144)
    values = {"prompt": "cat", "negative_prompt": "dog", "sampler_name": sampler, **values}
    exact = pixels(ask([how], picture, **values))
    most = sum(rows for rows, _ in standin.log.asked)
    standin.log.asked.clear()
    fast = ask([{**how, "speed": "fast"}], picture, **values)
    assert sum(rows for rows, _ in standin.log.asked) < 0.9 * most
    assert np.abs(pixels(fast) - exact).max() <= 1
    assert "Ultimate SD upscale speed: fast" in fast.info and "NGMS" not in fast.info
    assert "forward" not in vars(shared.sd_model)
    again = pixels(ask([how], picture, **values))
    assert np.array_equal(again, exact)


def test_guidance_that_an_extension_watches_is_asked_for_at_each_step(extension):  # noqa: F811
    watched = []
    script_callbacks.on_cfg_denoiser(lambda params: watched.append(len(params.x)))
    for speed in ("exact", "fast"):
        standin.log.asked.clear()
        ask([{**TILES, "speed": speed, "tile_batch": 1}], photo(96, 72), prompt="cat")
        assert {rows for rows, _ in standin.log.asked} == {2}, speed
    assert watched


@pytest.mark.parametrize("how", [TILES, FUSED], ids=["tiles", "fused"])
def test_the_autoencoder_is_quicker_but_not_with_exact(extension, how, monkeypatch):  # noqa: F811
    """Only while a call has it: afterwards it is the host's again."""
    asked, now = [], []

    @contextmanager
    def noted(vae):
        now.append(vae)
        yield
        now.pop()

    def asked_for(own):
        def asked_now(*args, **told):
            asked.append(len(now))
            return own(*args, **told)

        return asked_now

    for name in ("images_tensor_to_samples", "decode_latent_batch"):
        monkeypatch.setattr(processing, name, asked_for(getattr(processing, name)))
    monkeypatch.setattr(phases, "quicker", noted)
    for speed, quick in (("fastest", 1), ("exact", 0)):
        asked.clear()
        ask([{**how, "speed": speed}], photo(96, 72), prompt="cat")
        assert set(asked) == {quick} and not now, speed


def test_a_model_without_inner_blocks_is_said(extension):  # noqa: F811
    done = ask([{**TILES, "speed": "fast"}], photo(96, 72), prompt="cat")
    assert "no inner blocks" in done.comments


@pytest.mark.parametrize("checkpoint, sampler", [
    ("juggernautXL_lightning_8steps.safetensors [1234abcd]", "Euler"), ("lcm-dreamshaper.safetensors", "LCM"),
    ("z-image-turbo-fp8.safetensors", "Euler"), ("v1-5-pruned.safetensors", None),
])  # fmt: skip
def test_a_checkpoint_of_few_steps_by_its_name(checkpoint, sampler):
    with options(sd_model_checkpoint=checkpoint):
        found = PanelHost().few_steps()
    assert (found and found.sampler) == sampler


@pytest.mark.parametrize("prompt, kind", [
    ("a cat <lora:lcm-lora-sdv1-5:1>", "LCM"), ("<lora:renamed:0.7>", "Hyper"), ("<lora:quick:1>", "Lightning"),
    ("<lora:renamed:0>", None), ("<lora:boats:1>", None), ("<lora:not there:1>", None), ("", None),
])  # fmt: skip
def test_a_lora_of_few_steps_by_its_name_and_by_its_file(monkeypatch, prompt, kind):
    """The webui may call a file by what its trainer wrote into it, and a file may be renamed."""
    lora = lambda file, **said: types.SimpleNamespace(filename=f"/models/{file}", metadata=said)  # noqa: E731
    files = {"renamed": lora("renamed.safetensors", ss_output_name="Hyper-SD15-8steps"), "boats": lora("boats.pt")}
    aliases = {**files, "quick": lora("sdxl_lightning_8step_lora.safetensors", ss_output_name="quick")}
    known = types.SimpleNamespace(available_networks=files, available_network_aliases=aliases)
    monkeypatch.setitem(sys.modules, "networks", known)
    with options(sd_model_checkpoint="v1-5-pruned.safetensors"):
        found = PanelHost().few_steps(prompt)
    assert (found and (found.name, found.file)) == (kind and (kind, "LoRA"))
    with options(sd_model_checkpoint="turbo.safetensors"):  # the LoRA is put over the checkpoint
        assert PanelHost().few_steps(prompt).name == (kind or "Turbo")
    monkeypatch.delitem(sys.modules, "networks")
    with options(sd_model_checkpoint="v1-5-pruned.safetensors"):
        assert (PanelHost().few_steps(prompt) is not None) == (kind == "LCM")


def test_a_checkpoint_of_few_steps_by_what_its_file_says(monkeypatch):
    told = types.SimpleNamespace(metadata={"modelspec.title": "SDXL Turbo"}, filename="x.safetensors", name="x")
    monkeypatch.setattr(panel_host, "chosen_checkpoint", lambda: told)
    with options(sd_model_checkpoint="x.safetensors"):
        assert PanelHost().few_steps().name == "Turbo"
    told.metadata = None
    with options(sd_model_checkpoint="x.safetensors"):
        assert PanelHost().few_steps() is None
