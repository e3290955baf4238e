"""The checkpoint of the next call decides the tile, the batch and the noise: not the one that is still in memory."""

import types

import pytest
import torch
from modules import devices, processing, scripts, sd_models, shared

from lib_usdu.errors import UsduError
from lib_usdu.geometry import Region
from lib_usdu.webui import model_kind, request, tile_call
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


@pytest.mark.parametrize(
    "sampler, churns_only",
    [
        (lambda model, x, s_churn=0.0: x, True),
        (lambda model, x, s_churn=0.0, eta=1.0: x, False),
        (lambda model, x, s_churn=0.0, noise_sampler=None: x, False),
        (lambda model, x, eta=1.0: x, False),
    ],
)
def test_a_sampler_that_may_draw_noise_gets_it(sampler, churns_only):
    p = types.SimpleNamespace(sampler=types.SimpleNamespace(func=sampler), s_churn=0)
    assert tile_call._only_churns(p, {}) == churns_only


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
