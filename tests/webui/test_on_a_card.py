"""The extension in a webui whose device is a CUDA card, named without an index as webuis name it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_card import GIB
from modules import devices, shared, standin
from PIL import Image
from test_extension import ask, extension  # noqa: F401

from lib_usdu.batch_size import BatchLimits
from lib_usdu.enlarge.spandrel_model import SpandrelModel
from lib_usdu.options import LEGACY_ARGUMENTS, OWN_ARGUMENTS, Options
from lib_usdu.panel.live_line import live_line
from lib_usdu.run import memory_needs
from lib_usdu.webui import environment, model_kind
from lib_usdu.webui.host import WebuiHost
from lib_usdu.webui.panel_host import PanelHost
from lib_usdu.webui.upscaler_files import SESSION

CUDA = torch.device("cuda")


@pytest.fixture
def webui(card, monkeypatch):
    """The stand-in on the card: everything that devices.py gives out is "cuda"."""
    for name in ("device", "device_esrgan", "device_interrogate", "device_gfpgan", "device_codeformer"):
        monkeypatch.setattr(devices, name, CUDA)
    monkeypatch.setattr(devices, "dtype_unet", torch.float16)
    monkeypatch.setattr(SESSION, "_sizes", {})  # nothing measured yet
    return card


def moves_weights():
    """Whether this shape of host moves weights as it sees fit, so that free memory says little."""
    return hasattr(shared.sd_model, "forge_objects")


def on_a_processor(*request):
    """The same picture without a card."""
    with pytest.MonkeyPatch.context() as plain:
        plain.setattr(devices, "device", torch.device("cpu"))
        plain.setattr(devices, "device_esrgan", torch.device("cpu"))
        return ask(*request)


@pytest.mark.parametrize("taken", [0, 7.98], ids=["room", "hardly any"])
def test_a_whole_run_on_the_card(extension, card, webui, taken, photo):  # noqa: F811
    """Upscaled by a network and redrawn: the picture is the processor's, in batches where they fit."""
    card.memory[1].others = int(taken * GIB)
    request = [{"upscaler": "SPAN", "tile_width": 64, "tile_height": 64, "padding": 16, "resume": False}]
    picture = Image.fromarray(photo[:72, 150:246])
    done = ask(request, picture)
    batches = [len(call.seeds) for call in standin.log.calls]
    if moves_weights():  # begins with one and grows by measurement, whatever is free
        assert batches[0] == 1 and max(batches) <= 4 and sum(batches) == 9
    else:
        assert batches[0] == 4 if taken == 0 else batches == [1] * 9
    same = on_a_processor(request, picture)
    gap = np.asarray(done.images[0], float) - np.asarray(same.images[0], float)
    assert done.images[0].size == (192, 144) and card.placement.asked
    assert np.abs(gap).max() <= 2 and np.abs(gap).mean() < 0.1  # a card resizes in float


def test_the_host_upscales_on_the_card(extension, card, webui, monkeypatch):  # noqa: F811
    """WebuiHost.enlarge itself, and it gives the memory of its network back where tiles need it."""
    hosts = []
    original = WebuiHost.enlarge
    monkeypatch.setattr(WebuiHost, "enlarge", lambda host, *args: hosts.append(host) or original(host, *args))
    card.memory[1].others = int(7.9 * GIB)
    ask([{"upscaler": "SPAN", "redraw_mode": "none"}])
    (host,) = hosts
    first, least = (1, 4) if moves_weights() else (4, 1)
    assert card.cache_emptied and host.works_apart and host.batch_limits(512, 512) == BatchLimits(1, least)
    card.memory[1].others = 6 * GIB
    assert host.batch_limits(512, 512) == BatchLimits(first, 10)
    monkeypatch.setattr(devices, "dtype_unet", torch.float32)
    assert host.batch_limits(512, 512) == BatchLimits(first, 5)


@pytest.mark.parametrize("taken, batches", [(0, 7), (7.9, 25)])
def test_the_panels_line_counts_the_batches_of_the_card(extension, card, webui, taken, batches):  # noqa: F811
    card.memory[1].others = int(taken * GIB)
    names = ["upscaler" if name == "upscaler_index" else name for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)]
    given = {"tile_width": 512, "tile_height": 512, "custom_scale": 2.5, "upscaler": "Lanczos"}
    values = [given.get(name, getattr(Options, name)) for name in names]
    said = live_line(PanelHost(), 1000.0, json.dumps([1024, 1024, 512, 512, 0.3]), *values)
    batches = 25 if moves_weights() else batches
    assert "25 tiles" in said and (f"{batches} batches" in said or batches == 25), said


def test_the_cards_generator_is_put_back(card, webui):
    card.set_rng_state(torch.full((16,), 7, dtype=torch.uint8), CUDA)
    with environment.own_generators():
        card.set_rng_state(torch.zeros(16, dtype=torch.uint8), CUDA)
    assert card.get_rng_state(CUDA).tolist() == [7] * 16


def test_what_a_host_does_with_its_memory_counts(card, webui, monkeypatch):
    """--medvram: the model's weights will come; Forge moves weights as it likes; larger models need more."""
    model = torch.nn.Linear(1024, 1024 * 256)  # 1 GiB in single precision, on the processor
    checkpoint = SimpleNamespace(model=model, is_sd1=True)
    monkeypatch.setattr(model_kind, "loaded_model", lambda: checkpoint)
    card.memory[1].others = 6 * GIB
    assert model_kind.batch_limits(512, 512) == BatchLimits(4, 5)  # of 10, half of the memory is spoken for
    monkeypatch.setattr(shared.cmd_opts, "lowvram", True, raising=False)
    assert model_kind.batch_limits(512, 512) == BatchLimits(4, 10)
    checkpoint.forge_objects = object()
    assert model_kind.batch_limits(512, 512) == BatchLimits(1, 10)
    checkpoint.latent_channels = 16
    assert model_kind.batch_limits(512, 512) == BatchLimits(1, 6)


@pytest.mark.parametrize("flag", ["no_half", "upcast_sampling"])
def test_upscalers_honour_no_half_and_upcast_sampling(extension, webui, flag, monkeypatch, photo):  # noqa: F811
    made, original = [], SpandrelModel.__init__

    def noted(self, *given, **named):
        original(self, *given, **named)
        made.append(self)

    monkeypatch.setattr(SpandrelModel, "__init__", noted)
    monkeypatch.setattr(SESSION, "_network", None)
    request, picture = [{"upscaler": "SPAN", "redraw_mode": "none", "resume": False}], Image.fromarray(photo[:64, :64])
    ask(request, picture)
    monkeypatch.setattr(shared.cmd_opts, flag, True, raising=False)
    ask(request, picture)
    assert [one.dtype for one in made] == [torch.float16, torch.float32]


def test_a_tile_that_the_webui_gives_back_black_is_done_again(extension, webui, monkeypatch, photo):  # noqa: F811
    """A decoder that broke down: all NaN, and the host's own test says nothing (Forge's, or --disable-nan-check)."""
    from modules import processing

    calls, original = [], processing.process_images

    def black(p):
        processed = original(p)
        calls.append(p)
        if len(calls) == 2:
            processed.images = [Image.new("RGB", image.size) for image in processed.images]
        return processed

    monkeypatch.setattr(processing, "process_images", black)
    request = [{"upscaler": "None", "tile_width": 64, "padding": 16, "tile_batch": 1, "resume": False}]
    picture = Image.fromarray(photo[:72, 150:246])
    done = ask(request, picture)
    assert len(calls) == 10, "nine tiles, one of them twice"
    monkeypatch.setattr(processing, "process_images", original)
    assert np.array_equal(done.images[0], ask(request, picture).images[0])


def test_a_call_holds_as_many_tiles_as_are_done_in_time(extension, card, webui, monkeypatch, photo):  # noqa: F811
    """A first call is timed, while the next is cut out. Models move to a card, so that a call holds at least four tiles
    however slow they are."""
    monkeypatch.setattr(memory_needs, "CALL_PIXELS", 10_000_000)
    request = [{"tile_width": 64, "tile_height": 64, "padding": 16, "resume": False, "upscaler": "None"}]
    picture = Image.fromarray(photo[:72, 150:246])
    expected = on_a_processor([{**request[0], "tile_batch": 1}], picture).images[0]
    standin.log.calls.clear()
    assert np.array_equal(ask(request, picture).images[0], expected)
    first = 1 if moves_weights() else 4
    assert [len(call.seeds) for call in standin.log.calls] == [first, first, 9 - 2 * first]
    assert memory_needs.call_limits(CUDA, 512, 512).first == 4 and memory_needs.call_limits("cpu", 512, 512).first == 1
    assert memory_needs.call_limits(CUDA, 4096, 4096) is None
