"""Small cards, without one: where networks lie, what moves, and what is said where nothing fits."""

import dataclasses

import accelerate
import numpy as np
import pytest
import torch

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import tiny_flow  # noqa: E402
import tiny_models  # noqa: E402
from fake_card import GIB  # noqa: E402

from lib_usdu.cli import models  # noqa: E402
from lib_usdu.cli.flags import parser  # noqa: E402
from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import ModelError, OptionError  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.run import memory  # noqa: E402
from lib_usdu.run.memory_needs import Needs  # noqa: E402
from lib_usdu.standalone import placement, refiner  # noqa: E402
from lib_usdu.standalone.families.table import family_of  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.placement import Placement, fitting, weight_bytes  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402

CPU = torch.device("cpu")
OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5, upscaler="None", tone_lock=0)
SAMPLING = Sampling("a cat", "", "DPM++ 2M", 10, 3.0, 1)


@pytest.fixture(params=["sd1", "sdxl"])
def pipeline(request, tmp_path):
    return getattr(tiny_models, request.param)(tmp_path)


class OnACard(Placement):
    """Believes that the processor is a card, which has accelerate's real hooks do their work."""

    def __init__(self, pipeline, device, low_memory, tile, needs):
        super().__init__(pipeline, device, "off", tile, needs)
        self.device, self.way = torch.device("cpu:0"), low_memory

    def _hooks(self):
        if self.way != "sequential":
            return super()._hooks()
        # As `enable_sequential_cpu_offload` does it. That says "cpu:0", from which torch makes a copy of what is on
        # "cpu", and no parameter any more.
        self.pipeline.remove_all_hooks()
        self.pipeline.to("cpu")
        for network in placement.networks(self.pipeline):
            accelerate.cpu_offload(network, CPU, offload_buffers=len(network._parameters) > 0)


class Card:
    type, index = "cuda", None


def test_nobody_looks_for_the_device_in_a_tile(pipeline, monkeypatch, photo):
    """diffusers looks for it in every module of every network, five times a tile."""
    made, own = DiffusersRefiner(pipeline, SAMPLING, "tiny"), type(pipeline)

    def searched(pipeline):
        raise AssertionError("the device is looked for")

    assert isinstance(own._execution_device, property)
    monkeypatch.setattr(own, "_execution_device", property(searched))
    assert upscale(photo[:128, :128], OPTIONS, LocalHost(made)).stats.tiles_done == 4
    assert type(pipeline) is own, "the pipeline's class is its own again"


def test_the_number_format_is_looked_for_once(pipeline, monkeypatch, photo):
    """diffusers looks for a setting of it in every module of the network, several times a tile or a step."""
    made, looked = DiffusersRefiner(pipeline, SAMPLING, "tiny"), []
    own = type(made.network)
    theirs = own.dtype.fget
    monkeypatch.setattr(own, "dtype", property(lambda network: (looked.append(network), theirs(network))[1]))
    assert upscale(photo[:128, :128], OPTIONS, LocalHost(made)).stats.tiles_done == 4
    assert len(looked) == 1 and type(made.network) is own
    made.network.to(torch.float64)
    with made.placement.told():
        assert made.network.dtype == torch.float64, "what was found is that of another format"
    assert len(looked) == 2


def test_the_end_of_a_call_looks_for_a_cache_where_there_is_one(tmp_path, monkeypatch, photo):
    """diffusers looks through every module of the network for what a cache has kept."""
    pipeline, ended = tiny_flow.flux(tmp_path), []
    made = DiffusersRefiner(pipeline, Sampling(steps=2), "tiny")
    own = type(pipeline).maybe_free_model_hooks
    monkeypatch.setattr(type(pipeline), "maybe_free_model_hooks", lambda self: (ended.append(self), own(self)))
    upscale(photo[:64, :64], OPTIONS, LocalHost(made))
    assert not ended
    monkeypatch.setattr(made.network, "_cache_config", object())
    assert made.network.is_cache_enabled
    upscale(photo[:64, :64], OPTIONS, LocalHost(made))
    assert ended == [pipeline]


def test_the_way_is_the_fastest_that_fits(pipeline, monkeypatch):
    sizes = {name: weight_bytes(part) for name, part in pipeline.components.items() if hasattr(part, "parameters")}
    window, everything = 1000, sum(sizes.values())
    ways = {
        everything + window: "off", everything + window - 1: "prompts",
        sizes["unet"] + sizes["vae"] + window: "prompts",
        max(sizes.values()) + window: "model", max(sizes.values()) + window - 1: "sequential", 0: "sequential",
    }  # fmt: skip
    for free, way in ways.items():
        monkeypatch.setattr(placement, "free_bytes", lambda device, free=free: free)
        assert fitting(pipeline, Card(), window) == way
    monkeypatch.setattr(placement, "free_bytes", lambda device: None)
    assert fitting(pipeline, Card(), window) == "off"


@pytest.mark.parametrize("way", ["prompts", "model", "sequential"])
def test_every_way_gives_the_same_picture(pipeline, photo, monkeypatch, way):
    """With a tile's own prompt, for which the text encoders come back."""
    rgb, options = photo[100:196, 150:278], OPTIONS.with_(tile_prompts="2: a ship", tile_batch=2)
    good = upscale(rgb, options, LocalHost(DiffusersRefiner(pipeline, SAMPLING, "tiny")))
    identity = DiffusersRefiner(pipeline, SAMPLING, "tiny").identity()
    monkeypatch.setattr("lib_usdu.standalone.refiner.Placement", OnACard)
    made = DiffusersRefiner(pipeline, SAMPLING, "tiny", device="cpu", low_memory=way)
    assert pipeline.text_encoder is None and made.placement.way == way
    result = upscale(rgb, options, LocalHost(made))
    assert np.abs(result.image.astype(int) - good.image).max() <= 1 and not result.notes
    assert pipeline.text_encoder is None and made.identity()["weights"] == identity["weights"]
    fused = upscale(rgb, OPTIONS.with_(redraw_mode="fused"), LocalHost(made))
    assert fused.finished


@pytest.mark.parametrize("way", ["model", "sequential"])
def test_the_networks_are_not_on_the_card_between_batches(pipeline, photo, monkeypatch, way):
    monkeypatch.setattr("lib_usdu.standalone.refiner.Placement", OnACard)
    made, freed = DiffusersRefiner(pipeline, SAMPLING, "tiny", device="cpu", low_memory=way), []
    free = type(pipeline).maybe_free_model_hooks
    monkeypatch.setattr(type(pipeline), "maybe_free_model_hooks", lambda self: freed.append(1) or free(self))
    upscale(photo[100:196, 150:278], OPTIONS.with_(tile_batch=4), LocalHost(made))
    # After encoding, after the steps (the pipeline itself) and after decoding.
    assert len(freed) == (3 if way == "model" else 1)
    assert made.more_precise() is not None


class Refusing:
    """Stands for a pipeline on a card that holds nothing unless it comes in parts."""

    def __init__(self, pipeline, fits):
        self._pipeline, self.fits, self.tried = pipeline, fits, []

    def __getattr__(self, name):
        return getattr(self._pipeline, name)

    def _try(self, way):
        self.tried.append(way)
        if way not in self.fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    def to(self, device):
        if device != "cpu":
            self._try("off")

    def enable_model_cpu_offload(self, device):
        self._try("model")

    def enable_sequential_cpu_offload(self, device):
        self._try("sequential")


@pytest.mark.parametrize("low_memory, advice", [("off", "--low-memory model"), ("model", "--low-memory sequential")])
def test_a_model_that_does_not_fit_is_said_in_a_sentence(pipeline, low_memory, advice, monkeypatch):
    monkeypatch.setattr(placement, "free_bytes", lambda device: 3.2e9)
    placed = Placement(Refusing(pipeline, ()), torch.device("cuda"), low_memory, 512)
    with pytest.raises(ModelError, match=f"^checkpoint: the model's .* GB do not fit cuda .3.2 GB are free.*{advice}"):
        placed.before_prompts(), placed.after_prompts()


def test_auto_goes_on_where_it_was_wrong(pipeline, monkeypatch):
    monkeypatch.setattr(placement, "free_bytes", lambda device: 100e9)
    refusing = Refusing(pipeline, ("sequential",))
    placed = Placement(refusing, torch.device("cuda"), "auto", 512)
    assert placed.way == "off"
    monkeypatch.setattr(placed, "_resident", lambda: refusing._try("off") if placed.way == "off" else None)
    placed.before_prompts()
    placed.after_prompts()
    assert placed.way == "prompts" and refusing.tried == ["off"]


def test_low_memory_on_a_cpu_is_refused(pipeline):
    with pytest.raises(OptionError, match="low_memory.*sequential.*auto or off where the model runs on a CPU"):
        DiffusersRefiner(pipeline, SAMPLING, "tiny", device="cpu", low_memory="sequential")


def test_memory_that_runs_out_in_a_run_takes_the_next_way(pipeline, photo, monkeypatch):
    """The text encoders leave, the autoencoder goes in pieces, then one network at a time, then one layer."""
    monkeypatch.setattr("lib_usdu.standalone.refiner.Placement", OnACard)
    made = DiffusersRefiner(pipeline, SAMPLING, "tiny", device="cpu", low_memory="off")
    made.device = torch.device("cpu:0")
    rgb, ways = photo[100:196, 150:278], []
    monkeypatch.setattr(Placement, "less", _on_a_cpu_too(Placement.less))
    made.save_memory = _pretending(made, made.save_memory, ways)
    while made.save_memory():
        assert upscale(rgb, OPTIONS.with_(tile_batch=2), LocalHost(made)).finished
    assert ways == ["prompts", "prompts", "prompts", "model", "sequential"]


def _on_a_cpu_too(less):
    def taken(self):
        self.device = Card()
        try:
            return less(self)
        finally:
            self.device = torch.device("cpu:0")

    return taken


def _pretending(made, save, ways):
    def saved():
        device, made.device = made.device, Card()
        hooks = made.placement._hooks
        made.placement._hooks = lambda: (setattr(made.placement, "device", torch.device("cpu:0")), hooks())
        try:
            done = save()
        finally:
            made.device, made.placement._hooks = device, hooks
        if done:
            ways.append(made.placement.way)
        return done

    return saved


@pytest.mark.parametrize("taken, way", [(0, "off"), (7.7, "prompts"), (7.9, "sequential")])
def test_where_a_pipeline_lies_on_the_card(pipeline, card, taken, way, monkeypatch):
    """By the card's free memory, asked for with a device that has no index."""
    monkeypatch.setattr(placement, "free_bytes", memory.free_bytes)
    card.memory[1].others = int(taken * GIB)
    sizes = {"unet": 0.2, "vae": 0.1, "text_encoder": 0.7}
    names = {id(getattr(pipeline, name)): size for name, size in sizes.items()}
    monkeypatch.setattr(placement, "weight_bytes", lambda network: int(names.get(id(network), 0) * GIB / 4))
    family = family_of(pipeline)
    needs = Needs(0, 400 // (family.tile // 512) ** 2)
    monkeypatch.setattr(refiner, "family_of", lambda pipeline: dataclasses.replace(family, needs=needs))
    asked = []
    monkeypatch.setattr(type(pipeline), "enable_sequential_cpu_offload", lambda self, device: asked.append(device))
    made = DiffusersRefiner(pipeline, SAMPLING, "tiny", device=torch.device("cuda"))
    assert made.placement.way == way and made.works_apart
    assert asked == ([torch.device("cuda")] if way == "sequential" else [])
    if way == "prompts":
        assert made.save_memory() and made.save_memory() and pipeline.vae.tile_sample_min_size == 256
        monkeypatch.setattr(type(pipeline), "enable_model_cpu_offload", lambda self, device: asked.append(device))
        assert made.save_memory() and made.placement.way == "model" and asked == [torch.device("cuda")]


def test_the_command_line_keeps_freed_memory_for_the_next_tile(monkeypatch):
    asked = []
    monkeypatch.setattr(models, "keep_freed", lambda: asked.append("before the model is loaded"))
    with pytest.raises(OptionError, match="checkpoint"):
        models._refiner(parser().parse_args(["a.png", "-c", "missing.safetensors"]), Options())
    assert asked == ["before the model is loaded"]
