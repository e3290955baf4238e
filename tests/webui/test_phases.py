"""A call of the webui for several tiles in phases: encode all, sample all, decode all; models see a few at a time."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from modules import processing, script_callbacks, sd_samplers, shared, standin
from probes.harness import options
from test_extension import ask, extension, person, photo  # noqa: F401

from lib_usdu.batch_size import BatchLimits
from lib_usdu.run import memory_needs
from lib_usdu.run.time_left import TimeLeft
from lib_usdu.webui import model_kind, progress_bar
from lib_usdu.webui import script as webui
from lib_usdu.webui.phases import asked_once, room_for
from lib_usdu.webui.upscaler_files import SESSION

NINE = {"custom_scale": 2, "tile_width": 64, "padding": 16, "tone_lock": 0, "resume": False}


@pytest.fixture
def phases(monkeypatch):
    """Makes this a machine on which a call may hold many tiles, so many of them seen together, and the session one that
    knows that they take no time."""
    monkeypatch.setattr(SESSION, "_sizes", {})

    def begin(together=1):
        monkeypatch.setattr(memory_needs, "CALL_PIXELS", 10_000_000)
        monkeypatch.setattr(model_kind, "batch_limits", lambda width, height: BatchLimits(together, together))
        SESSION._sizes.clear()
        ask([NINE], steps=1)
        standin.log.__init__()

    return begin


def pixels(done):
    return np.asarray(done.images[0])


@pytest.mark.parametrize("values", [
    {}, {"sampler_name": "Euler a"}, {"sampler_name": "DPM++ SDE"}, {"sampler_name": "DPM++ 2M", "cfg_scale": 1},
    {"sampler_name": "Heun", "s_churn": 0.5, "prompt": "a AND b:0.5"}, {"subseed": 9, "subseed_strength": 0.3},
    {"prompt": "[a:b:2] c", "cfg_scale": 3, "negative_prompt": " ".join(["word"] * 90)},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("together", [1, 2])
def test_the_result_is_that_of_tile_by_tile(extension, phases, values, together):  # noqa: F811
    knobs = {"prompt_gain": 6, "step_gain": 8, "window_gain": 10}
    vars(standin.knobs).update(knobs)
    with options(s_churn=values.get("s_churn", 0)):
        values = {name: value for name, value in values.items() if name != "s_churn"}
        given = {**NINE, "tile_batch": together}
        tile_by_tile = pixels(ask([given], **values))
        most = {rows for rows, _ in standin.log.asked}
        assert len(standin.log.calls) == -(-9 // together)
        phases(together)
        done = ask([NINE], **values)
    assert np.array_equal(pixels(done), tile_by_tile)
    assert [len(call.seeds) for call in standin.log.calls] == [9]
    assert {rows for rows, _ in standin.log.asked} <= most and max(standin.log.decoded) == together


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_one_call_encodes_each_prompt_once_and_asks_for_each_model_once(extension, phases, kind):  # noqa: F811
    phases()
    standin.load(kind)
    ask([{**NINE, "tile_width": 64}], prompt="a cat", negative_prompt="a dog")  # the first tile is timed
    standin.log.__init__()
    ask([{**NINE, "tile_width": 64}], prompt="a house", negative_prompt="a ship")
    assert standin.log.process_images == 1 and len(standin.log.calls[0].seeds) == 9
    assert sorted(standin.log.encoded) == ["a house", "a ship"]
    if standin.knobs.forge:
        assert [name for name, _ in standin.log.wanted] == ["vae", "clip", "clip", "unet", "vae"]
        assert dict(standin.log.wanted)["unet"] == 2 * 16 * 16  # for one tile and its guidance, not for nine
    else:
        assert standin.log.wanted == []
    assert standin.log.decoded == [1] * 9
    assert "memory_required" not in vars(getattr(getattr(shared.sd_model, "forge_objects", shared), "unet", shared))


def test_a_run_encodes_once_however_many_tiles_its_calls_hold(extension, phases):  # noqa: F811
    """The host keeps conditionings by the list of a batch's prompts: another number of them would be another list."""
    phases()
    SESSION._sizes.clear()  # the first tile goes alone
    ask([NINE], prompt="a house", negative_prompt="a ship")
    assert [len(call.seeds) for call in standin.log.calls] == [1, 8]
    assert sorted(standin.log.encoded) == ["a house", "a ship"]


def test_each_tile_has_its_own_prompt(extension, phases):  # noqa: F811
    standin.knobs.prompt_gain = 20
    given = {**NINE, "tile_prompts": "2: cat\n7: dog"}
    tile_by_tile = pixels(ask([given]))
    phases()
    assert np.array_equal(pixels(ask([given])), tile_by_tile)
    (call,) = standin.log.calls
    assert [prompt for prompt in call.prompts if prompt != "a"] == ["a, cat", "a, dog"]


@pytest.mark.parametrize("values", [{"redraw_mode": "linear"}, {"tile_batch": 1}], ids=str)
def test_tiles_that_wait_for_others_go_alone_and_so_they_do_if_told(extension, phases, values):  # noqa: F811
    phases()
    ask([{**NINE, **values}])
    assert len(standin.log.calls) == 9


def test_a_sampler_that_looks_at_the_whole_batch_has_one_tile_a_call(extension, phases, monkeypatch):  # noqa: F811
    phases()
    euler = sd_samplers.find_sampler_config("Euler")
    monkeypatch.setitem(sd_samplers.all_samplers_map, "DPM adaptive", euler._replace(name="DPM adaptive"))
    ask([NINE], sampler_name="DPM adaptive")
    ask([{**NINE, "tile_batch": 4}], sampler_name="DPM adaptive")
    assert [len(call.seeds) for call in standin.log.calls] == [1] * 18


@pytest.mark.parametrize("flag", ["interrupted", "skipped"])
def test_a_stop_or_skip_in_a_step_is_noticed_before_the_next_tile(extension, phases, flag):  # noqa: F811
    phases()
    seen = []

    def at_the_third_tile(_):
        seen.append(1)
        if len(seen) == 3:
            setattr(shared.state, flag, True)

    script_callbacks.on_cfg_after_cfg(at_the_third_tile)
    shared.state.begin(job="t")
    done = webui.run(person(), extension, [NINE])
    assert len(seen) == 3 and standin.log.process_images == 1
    said = {"interrupted": "unfinished: 0 of 9 tiles", "skipped": "skipped: 9 tiles"}[flag]
    assert f"Ultimate SD upscale {said}" in done.infotexts[0]


def test_finished_calls_are_kept_by_a_stop(extension, phases, monkeypatch):  # noqa: F811
    """Of 9 tiles a call holds 4: after a stop in the second call, four tiles are there when it is asked again."""
    phases()
    monkeypatch.setattr(memory_needs, "CALL_PIXELS", 4 * 128 * 128)
    given = {**NINE, "resume": True}
    whole = pixels(ask([given], seed=5))
    assert [len(call.seeds) for call in standin.log.calls] == [4, 4, 1]
    standin.log.__init__()
    calls = []

    def in_the_second_call(params):
        calls.append(standin.log.process_images)
        if calls[-1] == 2:
            shared.state.interrupted = True

    script_callbacks.on_cfg_denoiser(in_the_second_call)
    shared.state.begin(job="t")
    first = webui.run(person(seed=6), extension, [given])
    assert "unfinished: 4 of 9 tiles" in first.infotexts[0]
    script_callbacks.clear_callbacks()
    shared.state.begin(job="t")
    standin.log.__init__()
    done = webui.run(person(seed=6), extension, [given])
    assert "resumed: 4 tiles were there" in done.comments and sum(len(call.seeds) for call in standin.log.calls) == 5
    standin.log.__init__()
    shared.state.begin(job="t")
    again = webui.run(person(seed=6), extension, [{**given, "resume": False}])
    assert np.array_equal(pixels(done), pixels(again)) and not np.array_equal(pixels(done), whole)


def test_a_stop_while_a_call_decodes_loses_none_of_its_tiles(extension, phases, monkeypatch):  # noqa: F811
    """Their steps are done: of 9 tiles the first call's four are kept, and they are what they would have been."""
    phases()
    monkeypatch.setattr(memory_needs, "CALL_PIXELS", 4 * 128 * 128)
    given, decode = {**NINE, "resume": True}, processing.decode_latent_batch

    def in_the_first_call(*args, **kwargs):
        shared.state.interrupted = True
        return decode(*args, **kwargs)

    monkeypatch.setattr(processing, "decode_latent_batch", in_the_first_call)
    shared.state.begin(job="t")
    standin.log.__init__()
    first = webui.run(person(seed=8), extension, [given])
    assert standin.log.process_images == 1 and "unfinished: 4 of 9 tiles" in first.infotexts[0]
    monkeypatch.setattr(processing, "decode_latent_batch", decode)
    shared.state.begin(job="t")
    done = webui.run(person(seed=8), extension, [given])
    assert "resumed: 4 tiles were there" in done.comments
    shared.state.begin(job="t")
    again = webui.run(person(seed=8), extension, [{**given, "resume": False}])
    assert np.array_equal(pixels(done), pixels(again))


@pytest.mark.parametrize("place", ["backend.memory_management", "ldm_patched.modules.model_management"])
def test_the_same_request_for_models_is_made_once_wherever_the_host_keeps_it(monkeypatch, place):
    """Forge and Neo, and reForge and Classic, which branched off earlier."""
    for name in list(sys.modules):
        if name == "backend" or name.startswith("backend."):
            monkeypatch.delitem(sys.modules, name)
    parts, asked = place.split("."), []
    for depth in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), ModuleType(parts[depth - 1]))
    manager = sys.modules[place]
    manager.load_models_gpu = lambda models, memory_required=0: asked.append((models, memory_required))
    vae, unet = object(), object()
    with asked_once():
        for models in ([vae], [vae], [unet], [vae]):
            manager.load_models_gpu(models, memory_required=5)
        manager.load_models_gpu([vae], memory_required=6)
    manager.load_models_gpu([vae], memory_required=6)
    assert asked == [([vae], 5), ([unet], 5), ([vae], 5), ([vae], 6), ([vae], 6)]


def test_room_is_made_for_what_is_seen_at_a_time_also_where_conditions_count():
    """reForge's models are asked with the shapes of conditions beside (ldm_patched/modules/model_base.py:346)."""
    asked = []

    class Model:
        def memory_required(self, input_shape, cond_shapes=None):
            asked.append((input_shape, cond_shapes))
            return 7

    model = Model()
    sd_model = SimpleNamespace(forge_objects=SimpleNamespace(unet=SimpleNamespace(model=model)))
    with room_for(sd_model, lambda shape: [2, *shape[1:]]) as begin:
        assert model.memory_required([9, 4, 8, 8], cond_shapes={"y": 1}) == 7
        begin()
        model.memory_required([9, 4, 8, 8])
    assert asked == [([2, 4, 8, 8], {"y": 1}), ([9, 4, 8, 8], None)]


def test_memory_that_does_not_hold_the_tiles_seen_together(extension, phases):  # noqa: F811
    """Fewer are seen at a time; the call goes on to hold all."""
    standin.knobs.noise_gain = 8
    expected = pixels(ask([NINE]))
    phases(4)
    standin.knobs.error, standin.knobs.fail_on, standin.knobs.fail_times = MemoryError, 0, 2
    done = ask([NINE])
    assert np.array_equal(pixels(done), expected)
    assert "out of memory: 1 tile of 128x128 at once" in done.comments
    assert standin.log.process_images == 3 and [len(call.seeds) for call in standin.log.calls] == [9]


def test_a_long_call_says_the_time_left_before_each_step(extension, phases, monkeypatch):  # noqa: F811
    phases(2)
    seconds = iter(range(900, 0, -10))
    monkeypatch.setattr(TimeLeft, "now", lambda self: next(seconds))
    told = []
    monkeypatch.setattr(progress_bar, "about", lambda left: told.append(left) or f"{left} s")
    webui.run(person(steps=8), extension, [NINE])
    steps = [left for left in told if left in range(10, 901, 10)]
    assert len(standin.log.calls) == 1 and len(steps) >= 1 + 4  # half of the eight, and once before


def striped(low, high):
    """A decoder that makes every picture of rows of these two levels, 0-255."""

    def decode(model, latents, **kwargs):
        decoded = processing.DecodedSamples()
        for latent in latents:
            height, width = latent.shape[-2:]
            rows = torch.tensor([low, high]).repeat(4 * height)[None, :, None]
            decoded.append(rows.expand(3, -1, 8 * width) / 127.5 - 1)
        return decoded

    return decode


def test_levels_are_not_cut_off_tile_by_tile(extension, monkeypatch):  # noqa: F811
    monkeypatch.setattr(processing, "decode_latent_batch", striped(60.7, 100.2))
    done = pixels(ask([NINE], steps=1))
    assert (done[::2] == 61).all() and (done[1::2] == 100).all()  # the host's own pictures say 60


def test_what_changes_a_tile_after_it_was_decoded_counts(extension, monkeypatch):  # noqa: F811
    monkeypatch.setattr(processing, "decode_latent_batch", striped(60.7, 100.2))
    process = processing.process_images

    def darker(p):
        processed = process(p)
        processed.images = [one.point(lambda level: level - 20) for one in processed.images]
        return processed

    monkeypatch.setattr(processing, "process_images", darker)
    done = pixels(ask([NINE], steps=1))
    assert (done[::2] == 40).all() and (done[1::2] == 80).all()
