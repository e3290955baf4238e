"""The extension where things go wrong: faults in a call, runs that end early, hostile requests, calls in turn."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from modules import devices, processing, sd_models, shared, standin
from PIL import Image
from probes.harness import options
from test_extension import ask, extension, person, photo, refused, snapshot  # noqa: F401

from lib_usdu.options import Options
from lib_usdu.resume import journal
from lib_usdu.webui import script as webui
from lib_usdu.webui.environment import journal_folder
from lib_usdu.webui.host import WebuiHost
from lib_usdu.webui.request import Wanted

sys.path.append(str(Path(__file__).parents[1] / "reliability"))
from counts import count, wanted  # noqa: E402
from strategies import script_args  # noqa: E402

TILES = {"tile_width": 64, "padding": 16}


class Killed(BaseException):
    """Ends a run as nothing in it may catch."""


def picture(done):
    return np.asarray(done.images[0])


def folder():
    return journal_folder()


def killed_at(call, monkeypatch, args=TILES, **values):
    """A run that ends in the n-th call of process_images."""
    original, calls = processing.process_images, []

    def watched(p):
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return original(p)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(processing, "process_images", watched)
        ask([args], **values)
    for job in journal.kept_runs(folder()):  # the writing thread may still be at the last of them
        for _ in range(500):
            if journal.KeptRun.at(job.folder).entries == call - 1:
                break
            time.sleep(0.01)
    standin.log.calls.clear()


# --- a tile does not depend on its batch ------------------------------------------------------------------------------


def test_a_window_is_encoded_from_its_own_seed_whatever_batch_it_is_in(extension, monkeypatch):  # noqa: F811
    import torch

    encode = sd_models.Model.encode

    def noisy(self, images):
        """As DiagonalGaussianDistribution.sample: from torch's global generator."""
        latents = encode(self, images)
        return latents + 0.2 * torch.randn(latents.shape)

    monkeypatch.setattr(sd_models.Model, "encode", noisy)
    before = torch.get_rng_state()
    pictures = [picture(ask([{**TILES, "tile_batch": n}])) for n in (1, 2, 4, 9)]
    monkeypatch.setattr(sd_models.Model, "encode", encode)
    plain = picture(ask([TILES]))
    assert all(np.array_equal(pictures[0], other) for other in pictures[1:]) and not np.array_equal(pictures[0], plain)
    assert torch.equal(before, torch.get_rng_state())
    assert processing.images_tensor_to_samples.__module__.endswith("sd_samplers_common")


# --- resuming ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fix", ["none", "half"])
def test_the_same_request_goes_on_after_a_crash(extension, monkeypatch, fix):  # noqa: F811
    args = {**TILES, "seams_fix_type": fix, "redraw_mode": "linear"}
    undisturbed = picture(ask([args]))
    calls = len(standin.log.calls)
    killed_at(6, monkeypatch, args)
    done = ask([args])
    assert np.array_equal(picture(done), undisturbed) and len(standin.log.calls) == calls - 5
    assert "resumed: 5 tiles" in done.comments
    assert journal.kept_runs(folder()) == []  # the picture is there: nothing is kept


def test_the_folder_is_inside_the_webuis_data(extension, monkeypatch, tmp_path):  # noqa: F811
    killed_at(3, monkeypatch)
    found = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "params.txt"]  # the host's own
    assert found and all((tmp_path / "data" / "cache" / "ultimate-sd-upscale") in path.parents for path in found)


def test_a_webui_that_does_not_say_where_its_data_is(extension, monkeypatch):  # noqa: F811
    from modules import paths

    monkeypatch.delattr(paths, "data_path")
    assert folder() is None and ask([TILES]).images


CHANGED = [
    {"prompt": "b"}, {"negative_prompt": "b"}, {"steps": 5}, {"cfg_scale": 3}, {"sampler_name": "Euler a"}, {"seed": 4},
    {"denoising_strength": 0.4}, {"subseed_strength": 0.5}, {"override_settings": {"CLIP_stop_at_last_layers": 2}},
    {"prompt": "a <lora:detail:0.5>"}, {"image": photo().transpose(Image.Transpose.FLIP_LEFT_RIGHT)},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGED, ids=[" ".join(change) + f" {n}" for n, change in enumerate(CHANGED)])
def test_a_changed_setting_never_finds_an_old_tile(extension, monkeypatch, change):  # noqa: F811
    killed_at(6, monkeypatch)
    done = ask([TILES], **change)
    assert len(standin.log.calls) == 9 and "resumed" not in done.comments


def test_a_changed_checkpoint_lora_or_style_never_finds_an_old_tile(extension, monkeypatch, tmp_path):  # noqa: F811
    lora = tmp_path / "detail.safetensors"
    lora.write_bytes(b"1")
    network = type("Network", (), {"filename": str(lora)})
    monkeypatch.setitem(sys.modules, "networks", type("Networks", (), {"available_networks": {"detail": network}}))
    values = {"prompt": "a <lora:detail:0.5>", "styles": ["s"]}

    def calls():
        standin.log.calls.clear()
        ask([TILES], **values)
        return len(standin.log.calls)

    killed_at(6, monkeypatch, **values)
    lora.write_bytes(b"22")
    assert calls() == 9
    killed_at(6, monkeypatch, **values)
    with monkeypatch.context() as patch:
        patch.setattr(shared.prompt_styles, "apply_styles_to_prompt", lambda text, styles: f"{text}, sharp")
        assert calls() == 9
        patch.setattr(shared.sd_model.sd_checkpoint_info, "filename", "another.safetensors")
        patch.setattr(shared.prompt_styles, "apply_styles_to_prompt", lambda text, styles: text)
        assert calls() == 9
    assert calls() == 4  # none of that in the way: the five are found


def test_per_call_scripts_are_part_of_it_and_what_cannot_be_compared_switches_it_off(extension):  # noqa: F811
    from modules import scripts

    class Unit:
        def __init__(self, weight):
            self.enabled, self.weight, self.image = False, weight, np.zeros((4, 4, 3), np.uint8)

    class ControlNet(scripts.Script):
        alwayson, args_from, args_to = True, 1, 2

    runner = scripts.scripts_img2img
    runner.alwayson_scripts.append(ControlNet())

    def comments(*units):
        p = person()
        p.scripts, p.script_args = runner, [0, *units, *[0] * 60]
        picture = Wanted(3, 0, image=0, iteration=0, position=0, count=1)
        host = WebuiHost(p, picture, "t", None, None, 0, Options())
        return journal.digest(host.identity())

    assert comments(Unit(1.0)) == comments(Unit(1.0)) != comments(Unit(0.5))
    p = person()
    p.scripts, p.script_args = runner, [0, print, *[0] * 60]
    done = webui.run(p, extension, [TILES])
    runner.alwayson_scripts.pop()
    assert done.images and "cannot be compared" in done.comments
    assert not [path for path in folder().rglob("*") if path.name != "timings.json"]


def test_off_by_one_checkbox(extension, monkeypatch):  # noqa: F811
    killed_at(6, monkeypatch, {**TILES, "resume": False})
    assert not folder().exists()


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError, devices.NansException, MemoryError, ValueError])
def test_a_fault_in_one_call_costs_nothing(extension, error):  # noqa: F811
    undisturbed = picture(ask([TILES]))
    survived, tiles = 0, range(0, 9, wanted("USDU_FAULT_STEP", 4))
    for at in tiles:
        standin.knobs.fail_on, standin.knobs.error = standin.log.process_images + at, error
        before = dict(shared.opts.data)
        survived += np.array_equal(picture(ask([TILES])), undisturbed) and shared.opts.data == before
    count(f"one fault in the webui: {error.__name__}", len(tiles), survived, len(standin.log.reports))
    assert survived == len(tiles) and standin.log.reports == []


def test_a_tile_that_fails_twice_stays_as_upscaled_and_is_named(extension):  # noqa: F811
    standin.knobs.fail_on, standin.knobs.fail_times = 4, 2
    done = ask([TILES])
    assert "Ultimate SD upscale tiles left as upscaled: redraw 5" in done.infotexts[0]
    assert "tile 5 of the redraw stays as upscaled: RuntimeError: the stand-in was told to fail here" in done.comments
    assert done.images[0].size == (192, 144) and "unfinished" not in done.infotexts[0]


def test_a_tile_of_broken_numbers_is_tried_with_attention_in_single_precision(extension, monkeypatch):  # noqa: F811
    original, seen = processing.process_images, []

    def watched(p):
        seen.append(shared.opts.data.get("upcast_attn"))
        return original(p)

    shared.opts.add_option("upcast_attn", type(shared.opts.data_labels["tiling"])(False))
    monkeypatch.setattr(processing, "process_images", watched)
    standin.knobs.fail_on, standin.knobs.error = 1, devices.NansException
    ask([TILES])
    assert seen == [False, False, True] + [False] * 7
    del shared.opts.data_labels["upcast_attn"]


def test_a_model_that_never_works_is_one_500_and_is_reported_once(extension):  # noqa: F811
    standin.knobs.fail_on, standin.knobs.fail_times = 0, 99
    error = refused([TILES])
    assert error.status_code == 500 and "told to fail" in error.detail and "\n" not in error.detail
    assert standin.log.process_images == 6 and len(standin.log.reports) == 1
    done = webui.run(person(), extension, [TILES])
    assert done.images == [] and "told to fail" in done.comments


def test_a_picture_too_large_names_the_webuis_own_flag(extension, monkeypatch):  # noqa: F811
    monkeypatch.setattr(shared.cmd_opts, "usdu_max_megapixels", 0.01, raising=False)
    detail = refused([TILES]).detail
    assert "--usdu-max-megapixels" in detail and "--allow-huge" not in detail


@pytest.mark.parametrize("name", ["../../x.pth", "/etc/passwd", "C:\\x.safetensors", "models/x.pth", str(__file__)])
def test_upscalers_only_from_the_hosts_list(extension, name):  # noqa: F811
    assert refused([{"upscaler": name}]).status_code == 422
    assert standin.log.calls == []


# --- tiles by number --------------------------------------------------------------------------------------------------


def test_numbers_come_after_the_picture_and_a_tile_is_done_again(extension):  # noqa: F811
    first = ask([{**TILES, "number_tiles": True, "mask_blur": 0}])
    assert len(first.images) == 2 and first.images[1].size == (192, 144) and len(first.infotexts) == 2
    standin.log.calls.clear()
    again = ask([{**TILES, "redo_tiles": "5", "custom_scale": 1, "mask_blur": 0}], first.images[0], seed=99)
    changed = (picture(again) != picture(first)).any(axis=2)
    assert len(standin.log.calls) == 1 and changed[50:90, 70:120].any()
    changed[48:96, 64:128] = False
    assert not changed.any()


# --- one call after another -------------------------------------------------------------------------------------------


def state_fields():
    return {name: value for name, value in vars(shared.state).items() if name not in ("time_start", "job_timestamp")}


def test_calls_in_turn_leave_no_trace_in_each_other(extension):  # noqa: F811
    first = {"prompt": "one", "seed": 5}
    second = {"prompt": "two", "seed": 9, "override_settings": {"CLIP_stop_at_last_layers": 3}}
    alone = [ask([TILES], **values) for values in (first, second)]
    before = dict(shared.opts.data), state_fields()
    for values, expected in ((first, alone[0]), (second, alone[1]), (first, alone[0])):
        done = ask([TILES], **values)
        assert np.array_equal(picture(done), picture(expected)) and done.infotexts == expected.infotexts
        assert shared.opts.data == before[0]
    assert state_fields().keys() == before[1].keys()


@pytest.mark.parametrize("flag", ["interrupted", "stopping_generation"])
def test_an_interrupt_between_two_calls_and_a_changed_setting(extension, monkeypatch, flag):  # noqa: F811
    undisturbed = ask([TILES])
    with options(CLIP_stop_at_last_layers=2):
        other = ask([TILES])
    original, calls = processing.process_images, []

    def watched(p):
        calls.append(1)
        if len(calls) == 3:
            setattr(shared.state, flag, True)
        return original(p)

    with monkeypatch.context() as patch:
        patch.setattr(processing, "process_images", watched)
        assert "unfinished" in ask([TILES]).infotexts[0]
    setattr(shared.state, flag, True)  # pressed while nothing runs: the host's begin() clears it
    with options(CLIP_stop_at_last_layers=2):
        done = ask([TILES])
        assert np.array_equal(picture(done), picture(other)) and done.infotexts == other.infotexts
    done = ask([TILES])
    assert np.array_equal(picture(done), picture(undisturbed)) and done.infotexts == undisturbed.infotexts


# --- hostile requests -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fuzzed():
    """Grows by one with each clean outcome."""
    found = []
    yield found
    count("fuzz: script arguments in the webui", len(found), len(found))


@settings(max_examples=wanted("USDU_FUZZ", 500) // 5, deadline=None, suppress_health_check=list(HealthCheck))
@given(args=script_args())
def test_fuzz_script_args(extension, fuzzed, args):  # noqa: F811
    """A picture or one clear error; p, settings and state as before."""
    p = person(init_images=[photo(48, 40)])
    p.is_api = True
    before, opts = snapshot(p), dict(shared.opts.data)
    shared.cmd_opts.usdu_max_megapixels = 0.02
    try:
        done = webui.run(p, extension, args)
        assert done.images and done.images[0].size[0] * done.images[0].size[1] <= 20_000
        assert "Ultimate SD upscale" in done.infotexts[0]
    except Exception as error:
        assert getattr(error, "status_code", None) == 422, repr(error)
        assert "\n" not in error.detail and len(error.detail) < 2000
    finally:
        del shared.cmd_opts.usdu_max_megapixels
    after = snapshot(p)
    assert before.keys() == after.keys() and all(after[k] == v or after[k] is v for k, v in before.items())
    assert shared.opts.data == opts and standin.log.reports == []
    standin.log.calls.clear()
    fuzzed.append(1)
