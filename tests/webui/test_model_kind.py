"""The checkpoint of the next call decides the tile, the batch and the noise: not the one that is still in memory."""

import gc
import types
import weakref

import pytest
import torch
from modules import (
    devices,
    forge_backend,
    processing,
    scripts,
    sd_models,
    sd_samplers,
    sd_samplers_kdiffusion,
    shared,
    standin,
)
from panel_values import from_the_panel
from test_extension import ask, extension, person, refused  # noqa: F401

from lib_usdu.errors import UsduError
from lib_usdu.geometry import Region
from lib_usdu.noise_share import percent, share_of
from lib_usdu.options import VERSION_MARKER
from lib_usdu.panel.live_line import live_line
from lib_usdu.run.noise_draws import Brownian, CanvasDraws
from lib_usdu.spacing import trained_levels
from lib_usdu.webui import model_kind, request, script, tile_call
from lib_usdu.webui.panel_host import PanelHost


def neo(monkeypatch, *, channels=4, **flags):
    """A host that loads inside the call: `chosen` is what the settings name, the old model is still in memory."""
    old = types.SimpleNamespace(is_sd1=True, is_sd2=False, is_sdxl=False)
    parts = types.SimpleNamespace(vae=types.SimpleNamespace(latent_channels=channels))
    new = types.SimpleNamespace(forge_objects=parts, **flags)
    data = types.SimpleNamespace(sd_model=old, forge_loading_parameters={"checkpoint_info": "new"}, forge_hash="old")

    def manage(p):
        p.sd_model = data.sd_model = new
        data.forge_hash = str(data.forge_loading_parameters)

    monkeypatch.setattr(sd_models, "model_data", data, raising=False)
    monkeypatch.setattr(processing, "manage_model_and_prompt_cache", manage, raising=False)
    return data


@pytest.mark.parametrize(
    "channels, flags, tile",
    [(4, {"is_sdxl": True}, 1024), (16, {}, 1024), (4, {"is_sd1": True}, 512), (4, {}, 512), (128, {}, 1024)],
)
def test_the_first_call_after_a_switch_has_the_new_models_tile(monkeypatch, channels, flags, tile):
    neo(monkeypatch, channels=channels, **flags)
    assert not model_kind.loaded_model()
    p = types.SimpleNamespace(sd_model="the old one")
    model_kind.load_chosen_model(p)
    assert p.sd_model == "the old one", "the person's p is not changed"
    assert model_kind.default_tile() == tile


@pytest.mark.parametrize(
    "preset, name, tile",
    [("xl", "a", 1024), ("sd", "a", 512), ("zit", "a", 1024), ("all", "fluxDev", 1024), (None, "pony_v6", 1024),
     (None, "dreamshaper_8", 512), ("all", "dreamshaper_8", 512)],
)  # fmt: skip
def test_the_panel_guesses_without_loading(monkeypatch, preset, name, tile):
    data = neo(monkeypatch, is_sdxl=True)
    monkeypatch.setitem(shared.opts.data, "sd_model_checkpoint", name)
    monkeypatch.setattr(type(shared.opts), "forge_preset", preset, raising=False)
    monkeypatch.setattr(scripts, "scripts_img2img", types.SimpleNamespace(alwayson_scripts=[]))
    assert PanelHost().abilities().default_tile == tile
    assert data.forge_hash == "old", "nothing was loaded"


def test_the_panel_works_without_the_flag_no_half(monkeypatch):
    monkeypatch.delattr(shared.cmd_opts, "no_half", raising=False)
    monkeypatch.setattr(scripts, "scripts_img2img", types.SimpleNamespace(alwayson_scripts=[]))
    assert PanelHost().abilities().batch_limits(512, 512).first >= 1
    monkeypatch.setattr(devices, "dtype_unet", torch.float32, raising=False)
    assert not model_kind.in_half_precision()


@pytest.mark.parametrize("flag", ["kontext", "edit", "klein", "krea2", "wan"])
def test_models_with_references_take_one_picture_a_call(monkeypatch, flag):
    neo(monkeypatch)
    assert not model_kind.one_picture_a_call()
    backend = types.ModuleType("backend.args")
    backend.dynamic_args = types.SimpleNamespace(**{flag: True})
    monkeypatch.setitem(__import__("sys").modules, "backend", types.ModuleType("backend"))
    monkeypatch.setitem(__import__("sys").modules, "backend.args", backend)
    assert model_kind.one_picture_a_call()


def test_encoded_prompts_are_kept_from_tile_to_tile():
    class Processing:
        def cached_params(self, prompts):
            return prompts, float(self.init_latent.sum())

    keys = set()
    for number in range(3):
        p = Processing()
        p.init_latent, p.sd_model = torch.full((1, 4, 8, 8), float(number)), types.SimpleNamespace(ini_latent=None)
        tile_call._hide_latent_from_prompts(p)
        keys.add(p.cached_params("a cat"))
        assert p.init_latent.shape == (1, 4, 8, 8)
    assert len(keys) == 1
    p.sd_model.ini_latent = torch.zeros(1)  # the prompt is encoded together with the picture
    assert p.cached_params("a cat") not in keys


@pytest.mark.parametrize(
    "shape, is_one",
    [((1, 4, 8, 12), True), ((1, 16, 1, 8, 12), True), ((1, 16, 3, 8, 12), False), ((1, 16, 12, 8), False),
     ((8, 12), False)],
)  # fmt: skip
def test_latents_with_an_axis_of_one_frame_are_a_windows(shape, is_one):
    assert tile_call._is_window(shape, Region(0, 0, 12, 8)) == is_one


def churns(model, x, sigmas, s_churn=0.0):
    """As Euler: a draw in every step, used by the churn alone."""
    for sigma in sigmas:
        x = (x + torch.randn_like(x) * s_churn * (sigma > 5) + model(x, sigma)) / 2
    return x


def kohaku(model, x, sigmas, s_churn=0.0, eta=1.0, noise_sampler=None, disable=None):
    """As Kohaku LoNyu Yog: churn, and noise of its own beside it."""
    for sigma in sigmas:
        x = churns(model, x, [sigma], s_churn) + eta * noise_sampler(sigma, 0)
    return x


def odd(model, x, sigmas):
    return x * model.sigma_of_the_data


@pytest.mark.parametrize("sampler, given, uses", [
    (churns, {}, False), (churns, {"s_churn": 0.5}, True), (churns, {"s_churn": 0.5, "sigmas": (4.0, 2.0)}, False),
    (kohaku, {}, True), (kohaku, {"eta": 0.0}, False), (odd, {}, True),
])  # fmt: skip
def test_what_draws_noise_in_its_steps_is_found_out(sampler, given, uses):
    """By trying it with what it is given: churn may be on outside of the steps that are left."""
    rng = types.SimpleNamespace(next=None)
    drawn = []

    def draw(*_):
        drawn.append(1)
        return torch.ones(2, 4, 8, 8)

    draws = CanvasDraws((), 4, "cpu")
    rng.next = draw
    owner = types.SimpleNamespace(func=sampler)
    tile_call._draws_of_steps(owner, draws, rng, draw)
    with pytest.MonkeyPatch.context() as hijacked:  # as the host does (sd_samplers_common.py:294)
        hijacked.setattr(torch, "randn_like", lambda x: rng.next())
        given = {"sigmas": (10.0, 5.0), **given}
        if sampler is odd:
            with pytest.raises(AttributeError):
                owner.func(object(), torch.ones(2, 4, 8, 8), **given)
        else:
            owner.func(lambda x, sigma: x, torch.ones(2, 4, 8, 8), **given)
            assert len(drawn) == len(given["sigmas"]) * (2 if sampler is kohaku else 1)  # none in the trial
    assert draws.first_only != uses and rng.next is draw
    assert isinstance(owner.create_noise_sampler(None, None, None), Brownian)  # SDE samplers take theirs from here


def test_where_noise_cannot_be_the_canvass_each_tile_has_its_own():
    from modules import rng

    shared_rng = rng.ImageRNG((4, 8, 8), [7, 7])
    first = shared_rng.next()
    assert torch.equal(first[0], first[1]), "the host gives tiles of one seed the very same noise"
    tiles = [types.SimpleNamespace(index=index) for index in (0, 1)]
    noises = [types.SimpleNamespace(seed=7)] * 2
    shared_rng = rng.ImageRNG((4, 8, 8), [7, 7])
    tile_call._own_noise(shared_rng, types.SimpleNamespace(tiles=tiles, noises=noises))
    drawn = shared_rng.next()
    assert not torch.equal(drawn[0], drawn[1])
    assert drawn.shape == first.shape


def test_a_request_that_came_while_the_api_was_starting_is_refused():
    """The API then holds [index] instead of all scripts' values: the client's dict is gone."""
    script = types.SimpleNamespace(args_from=65, args_to=98)
    p = types.SimpleNamespace(scripts=types.SimpleNamespace(scripts=[script]), script_args=[3], is_api=True)
    with pytest.raises(UsduError, match="still starting"):
        request.supplied(p, script, ())


def test_a_checkpoint_that_cannot_be_loaded_is_tried_once(extension):  # noqa: F811
    p = person()
    standin.load(None)
    standin.knobs.checkpoint, standin.knobs.unloadable = "other.safetensors", True
    if standin.knobs.forge:
        forge_backend.refresh_model_loading_parameters()
    standin.log.loads.clear()
    done = script.run(p, extension, [{}])
    assert done.images == [] and len(standin.log.loads) == 1
    reason = "a file that is no checkpoint" if standin.knobs.forge else "the webui's console says why"
    assert f"the checkpoint cannot be loaded: {'ValueError: ' * standin.knobs.forge}{reason}" in done.comments


@pytest.mark.parametrize("page", ["[640, 480, 512, 512, 0.3]", "[640, 480, 512, 512, 0.3, true, 0]"])
def test_a_guessed_tile_is_called_about_so_large(extension, page):  # noqa: F811
    """Until a checkpoint is loaded; a tile that the person gave is no guess."""

    def said(**values):
        sent = [value for value in from_the_panel(**values)[1:] if value != VERSION_MARKER]
        return live_line(PanelHost(), 1000.0, page, *sent)

    known = said(tile_width=0, tile_height=0)
    standin.load(None)
    assert "about" not in known and "about " in said(tile_width=0, tile_height=0)
    assert said(tile_width=0, tile_height=0).replace("about ", "") == known
    assert "about" not in said(tile_width=512, tile_height=512)
    assert standin.log.loads == []


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("denoise", [0.2, 0.55])
def test_the_share_of_noise_is_what_the_sampler_begins_with(extension, monkeypatch, exact, denoise):  # noqa: F811
    """By the host's own schedule, for the panel and for the run, in every shape: sigma is read where the model is
    asked."""
    monkeypatch.setitem(shared.opts.data, "img2img_fix_steps", exact)
    sigmas, runs, look = [], [], sd_models.Painting.look
    monkeypatch.setattr(sd_models.Painting, "look", lambda self, x, s: sigmas.append(float(s[0])) or look(self, x, s))
    monkeypatch.setattr(script, "_learn_time", lambda p, host, result: runs.append(result.stats))
    script.run(person(steps=9, denoising_strength=denoise, sampler_name="Euler"), extension, [{"custom_scale": 1}])
    began = sigmas[0] / (1 + sigmas[0])
    shared.state.end()
    panel = PanelHost().noise_share(9, "Euler", "Automatic")
    assert runs[0].noise_share == pytest.approx(began, abs=1e-6)
    assert panel.of(denoise) == pytest.approx(began, abs=1e-6) and not panel.guessed


def test_the_share_while_the_webui_works_is_the_one_found_before(extension):  # noqa: F811
    script.run(person(steps=9), extension, [{"custom_scale": 1}])
    shared.state.end()
    known = PanelHost().noise_share(9, "Euler", "Automatic")
    shared.state.job = "scripts_img2img"
    try:
        assert PanelHost().noise_share(9, "Euler", "Automatic") is known
        assert PanelHost().noise_share(10, "Euler", "Automatic") is None
    finally:
        shared.state.job = ""


def counted(monkeypatch):
    """How often the host was asked for a schedule."""
    asked, shares = [], model_kind._shares_of_steps
    monkeypatch.setattr(model_kind, "_shares_of_steps", lambda *given: asked.append(given[3]) or shares(*given))
    return asked


def test_the_host_is_asked_for_a_schedule_once_until_a_setting_changes(extension, monkeypatch):  # noqa: F811
    script.run(person(steps=9), extension, [{"custom_scale": 1}])
    shared.state.end()
    asked = counted(monkeypatch)
    known = [PanelHost().noise_share(11, "Euler", "Automatic") for _ in range(3)]
    assert known[0] is known[1] is known[2] and asked == [11]
    monkeypatch.setitem(shared.opts.data, "sigma_max", 3.0)  # a setting of samplers
    assert PanelHost().noise_share(11, "Euler", "Automatic") is not known[0] and asked == [11, 11]


def test_a_schedule_that_goes_by_the_size_of_a_call_is_asked_with_the_windows(extension, monkeypatch):  # noqa: F811
    """As Neo's for FLUX.2 (sd_schedulers.py:260 of 2.26). The panel says what the run does."""

    def by_size(self, p, steps):
        return torch.linspace(p.width * p.height / 4096, 0, steps + 1)

    monkeypatch.setattr(sd_samplers_kdiffusion.KDiffusionSampler, "get_sigmas", by_size)
    sigmas, runs, look = [], [], sd_models.Painting.look
    monkeypatch.setattr(sd_models.Painting, "look", lambda self, x, s: sigmas.append(float(s[0])) or look(self, x, s))
    monkeypatch.setattr(script, "_learn_time", lambda p, host, result: runs.append(result))
    options = {"custom_scale": 1, "tile_width": 64, "tile_height": 64, "padding": 0}
    script.run(person(steps=9, denoising_strength=0.5, sampler_name="Euler"), extension, [options])
    shared.state.end()
    began, window = sigmas[0] / (1 + sigmas[0]), runs[0].plan.passes[0].tiles[0].window.size
    assert window != (576, 576) and runs[0].stats.noise_share == pytest.approx(began, abs=1e-6)
    values = [v for v in from_the_panel(**options)[1:] if v != VERSION_MARKER]
    said = live_line(PanelHost(), 1000.0, '[128, 96, 128, 96, 0.5, false, 0, 9, "Euler", 7, "Automatic"]', *values)
    assert f"<b>{percent(began)}</b> noise with this model" in said
    strength = PanelHost().noise_share(9, "Euler", "Automatic", window).denoise(0.8)
    ask = person(steps=9, denoising_strength=0.5, sampler_name="Euler")
    script.run(ask, extension, [options | {"creativity": 0.8}])
    shared.state.end()
    assert runs[1].plan.options.denoise == strength


def test_a_schedule_that_does_not_look_at_the_size_is_asked_once_for_all_sizes(extension, monkeypatch):  # noqa: F811
    script.run(person(steps=9), extension, [{"custom_scale": 1}])
    shared.state.end()
    counts = counted(monkeypatch)
    sizes = [None, (64, 64), (1088, 1088)]
    known = [PanelHost().noise_share(12, "Euler", "Automatic", size) for size in sizes]
    assert known[0] is known[1] is known[2] and counts == [12]


def test_what_is_kept_of_a_schedule_keeps_no_checkpoint(monkeypatch):
    class Model:
        is_sd1 = True

    loaded = [Model()]
    monkeypatch.setattr(model_kind, "loaded_model", lambda: loaded[0] if loaded else None)
    monkeypatch.setattr(sd_samplers, "create_sampler", lambda name, model: _Flow())
    assert model_kind.noise_share("Euler", "x", 20).of(0.25) == pytest.approx(0.3, abs=0.01)
    gone = weakref.ref(loaded.pop())
    gc.collect()
    assert model_kind._shares and gone() is None


@pytest.mark.parametrize("extra", [0.0, 0.2])
def test_the_setting_for_extra_noise_counts_and_is_said(extension, monkeypatch, extra):  # noqa: F811
    """What the sampler begins with is the picture and (sigma + extra) times the canvas's noise."""
    monkeypatch.setitem(shared.opts.data, "img2img_extra_noise", extra)
    seen, runs, look = [], [], sd_models.Painting.look
    monkeypatch.setattr(
        sd_models.Painting, "look", lambda self, x, s: seen.append((x.clone(), float(s[0]))) or look(self, x, s)
    )
    monkeypatch.setattr(script, "_learn_time", lambda p, host, result: runs.append(result))

    def began(setting):
        seen.clear()
        with monkeypatch.context() as told:
            told.setitem(shared.opts.data, "img2img_extra_noise", setting)
            script.run(person(steps=9, seed=3, sampler_name="Euler"), extension, [{"custom_scale": 1}])
            shared.state.end()
        return seen[0]

    (plain, sigma), (noised, _) = began(0.0), began(extra)
    added = float((noised - plain).std())
    assert added == pytest.approx(extra, abs=0.02)
    wanted = (sigma + extra) / (1 + sigma + extra)
    assert runs[-1].stats.noise_share == pytest.approx(wanted, abs=1e-6)
    panel = PanelHost().noise_share(9, "Euler", "Automatic")
    assert panel.of(0.5) == pytest.approx(wanted, abs=1e-6) and panel.extra == extra
    page = '[128, 96, 128, 96, 0.5, false, 0, 9, "Euler", 7]'
    line = live_line(PanelHost(), 1000.0, page, *(v for v in from_the_panel()[1:] if v != VERSION_MARKER))
    assert (", the setting Extra noise 0.2 included" in line) == bool(extra)


@pytest.mark.parametrize(
    "name, scheduler, share",
    [("dreamshaper_8", "Karras", 0.21), ("dreamshaper_8", "Uniform", 0.42), ("fluxDev", "Simple", 0.575)],
)
def test_the_share_is_guessed_before_a_checkpoint_is_loaded(monkeypatch, name, scheduler, share):
    data = neo(monkeypatch)
    monkeypatch.setitem(shared.opts.data, "sd_model_checkpoint", name)
    guess = PanelHost().noise_share(20, "Euler", scheduler)
    assert guess.guessed and guess.of(0.25) == pytest.approx(share, abs=0.01)
    assert data.forge_hash == "old", "nothing was loaded"


class _Sampler:
    """As the hosts' samplers by timesteps: DDIM, PLMS, UniPC (sd_samplers_timesteps.py:92)."""

    def get_timesteps(self, p, steps):
        return torch.clip(torch.asarray(list(range(0, 1000, 1000 // steps))) + 1, 0, 999)


class _Flow:
    """As the Forge family's for a flow model."""

    model_wrap = types.SimpleNamespace(predictor=types.SimpleNamespace(prediction_type="const"))

    def get_sigmas(self, p, steps):
        return torch.linspace(1, 0, steps + 1)


def test_a_schedule_that_begins_with_noise_alone_is_refused(extension, monkeypatch):  # noqa: F811
    """Forge's Automatic with Flux and Euler: levels of thousands, where a flow's end at 1. Its result was flat."""

    def sigmas(self, p, steps):
        return torch.linspace(9999, 0, steps + 1)

    monkeypatch.setattr(sd_samplers_kdiffusion.KDiffusionSampler, "get_sigmas", sigmas)
    monkeypatch.setattr(model_kind, "share_of", lambda sigma, **_: share_of(sigma, flow=True))
    options = {"custom_scale": 1, "tile_width": 64}
    error = refused([options], steps=9, denoising_strength=0.3, sampler_name="Euler")
    assert error.status_code == 422 and standin.log.calls == []
    assert "noise alone at denoising strength 0.3" in error.detail and "Simple" in error.detail
    ask([options], steps=9, denoising_strength=0.8, sampler_name="Euler")
    assert standin.log.calls


@pytest.mark.parametrize("made, share", [(_Sampler(), 0.411), (_Flow(), 0.3)])
def test_samplers_by_timesteps_and_flow_models(extension, monkeypatch, made, share):  # noqa: F811
    """20 steps, denoise 0.25: DDIM begins at trained time 251 (sigma 0.698), a flow at its last step but five."""
    script.run(person(), extension, [{"custom_scale": 1}])
    shared.state.end()
    monkeypatch.setattr(sd_samplers, "create_sampler", lambda name, model: made)
    kept = 1 / (1 + torch.from_numpy(trained_levels()) ** 2)
    monkeypatch.setattr(type(model_kind.loaded_model()), "alphas_cumprod", kept, raising=False)
    assert PanelHost().noise_share(20, "Euler", "x").of(0.25) == pytest.approx(share, abs=0.01)
