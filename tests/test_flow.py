"""Flow models: Stable Diffusion 3, Flux, Chroma, Qwen-Image and Z-Image, tiny and random."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from test_sources import gguf

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import tiny_flow  # noqa: E402

from lib_usdu.cli.main import main  # noqa: E402
from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import ModelError, OptionError  # noqa: E402
from lib_usdu.geometry import Canvas, plan_tiles  # noqa: E402
from lib_usdu.host import Batch  # noqa: E402
from lib_usdu.latents import Latents  # noqa: E402
from lib_usdu.noise import tile_noise  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.standalone import steps  # noqa: E402
from lib_usdu.standalone.checkpoints import load_checkpoint  # noqa: E402
from lib_usdu.standalone.families import flow, packing  # noqa: E402
from lib_usdu.standalone.families.table import FAMILIES, family_of, named, of_any_task  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.loading import flow_files  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402
from lib_usdu.standalone.sources import kind_of  # noqa: E402

OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.4, tone_lock=0, upscaler="None")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The tiny pipeline of each kind, made once; a refiner changes its sampler only."""
    return {kind: make(tmp_path_factory.mktemp(kind)) for kind, make in tiny_flow.KINDS.items()}


@pytest.fixture(params=list(tiny_flow.KINDS))
def kind(request):
    return request.param


@pytest.fixture
def refiner(models):
    plain = {kind: pipeline.scheduler for kind, pipeline in models.items()}

    def made(kind, **sampling):
        told = {"prompt": "a cat", "negative_prompt": "a dog", "steps": 8, "cfg_scale": 3.0, **sampling}
        models[kind].scheduler = plain[kind]
        return DiffusersRefiner(models[kind], Sampling(**told), kind)

    yield made
    for kind, scheduler in plain.items():
        models[kind].scheduler = scheduler


def small(photo):
    return photo[100:228, 150:310]


def decibels(picture, other):
    """How far two pictures are apart, over the contrast of the second."""
    difference = picture.astype(float) - other
    return 10 * np.log10(other.astype(float).var() / max((difference**2).mean(), 1e-9))


def test_a_batch_is_its_tiles_and_a_rerun_is_identical(kind, refiner, photo):
    made = refiner(kind)
    alone = upscale(small(photo), OPTIONS, LocalHost(made))
    again = upscale(small(photo), OPTIONS, LocalHost(made))
    together = upscale(small(photo), OPTIONS.with_(tile_batch=3), LocalHost(made))
    assert together.stats.batches < alone.stats.batches
    assert np.array_equal(alone.image, again.image)
    assert np.abs(alone.image.astype(int) - together.image).max() <= 1  # float order inside torch


def test_with_canvas_noise_tiles_are_near_the_un_tiled_pass(kind, refiner, photo):
    """Much nearer than tiles of their own noise are."""
    made = refiner(kind)
    whole = upscale(small(photo), OPTIONS.with_(tile_width=512, tile_height=512), LocalHost(made)).image
    shared = upscale(small(photo), OPTIONS, LocalHost(made)).image
    own = upscale(small(photo), OPTIONS.with_(noise="tile"), LocalHost(made)).image
    assert decibels(shared, whole) > 8 + decibels(own, whole)


@pytest.mark.parametrize("sampler", ["Euler", "Euler a"])
def test_noise_is_the_same_to_the_bit_where_windows_overlap(kind, sampler, refiner, photo, monkeypatch):
    """That of the first step and that of every later one, packed as the pipeline has it."""
    made, drawn = refiner(kind, sampler=sampler), []
    draw = steps.CanvasNoise.draw

    def noted(self, shape, *args, **kwargs):
        noise = draw(self, shape, *args, **kwargs)
        drawn.append(made.family.pack.unpacked(noise, *self.size))
        return noise

    monkeypatch.setattr(steps.CanvasNoise, "draw", noted)
    canvas = Canvas(160, 128)
    tiles = canvas.divide(64, 64, 16)
    first, second = (tiles[0], tiles[1])
    for tile in (first, second):
        noise = tile_noise(1, "canvas", tile.window, tile.index, canvas, made.latents)
        window = canvas.crop(small(photo), tile.window)[None]
        made.refine(Batch((tile,), window, (noise,), 0.4, canvas), lambda: False)
    shift = second.window.x // 8 - first.window.x // 8
    half = len(drawn) // 2
    assert half == (1 if sampler == "Euler" else 4)
    for left, right in zip(drawn[:half], drawn[half:]):
        assert torch.equal(left[..., shift:], right[..., : left.shape[-1] - shift])


def test_one_tile_over_the_canvas_is_the_plain_pipeline_with_that_noise(kind, refiner, models, photo, monkeypatch):
    """Its own words, noise, steps and decoder: everything here is done as diffusers does it."""
    canvas = Canvas(160, 128)
    (tile,) = plan_tiles(*canvas.size, 512, 512, 0)
    made = refiner(kind)
    noise = tile_noise(5, "canvas", tile.window, 0, canvas, made.latents)
    ours = made.refine(Batch((tile,), small(photo)[None], (noise,), 0.5, canvas), lambda: False)[0]

    pipeline = models[kind]
    drawn = torch.from_numpy(noise.draw(0, 16))
    module = sys.modules[type(pipeline).__module__]
    monkeypatch.setattr(module, "randn_tensor", lambda shape, *_, **__: drawn.reshape(shape))
    monkeypatch.setattr(module, "retrieve_latents", lambda output, *_, **__: output.latent_dist.mode())
    pixels = torch.from_numpy(small(photo).astype(np.float32) / 255).permute(2, 0, 1)[None]
    told = dict(made.family.guidance(pipeline, 3.0, True))
    theirs = pipeline(
        "a cat", negative_prompt="a dog", image=pixels, strength=0.5, num_inference_steps=8, output_type="np",
        height=128, width=160, **told,
    ).images[0]  # fmt: skip
    assert np.abs(ours - theirs * 255).max() < 0.6


@pytest.mark.parametrize("sampler", flow.FLOW_SAMPLERS)
def test_every_sampler_of_flow_models(sampler, refiner, photo):
    """Each ends where the model's own does, near enough for one schedule of one model."""
    canvas = Canvas(160, 128)
    (tile,) = plan_tiles(*canvas.size, 512, 512, 0)
    noise = tile_noise(5, "canvas", tile.window, 0, canvas, Latents(16, 8, 2))
    batch = Batch((tile,), small(photo)[None], (noise,), 0.3, canvas)
    calls = []
    made = refiner("flux", sampler=sampler, steps=20, cfg_scale=1)
    forward = made.network.forward
    made.network.forward = lambda *args, **kwargs: calls.append(kwargs["timestep"]) or forward(*args, **kwargs)
    try:
        picture = made.refine(batch, lambda: False)[0]
    finally:
        made.network.forward = forward
    assert np.isfinite(picture).all()
    assert len(calls) == (11 if sampler == "Heun" else 6)
    plain = refiner("flux", steps=20, cfg_scale=1).refine(batch, lambda: False)[0]
    if sampler in ("Euler a", "LCM", "DPM++ 2M SDE", "DPM++ 3M SDE"):  # other noise: as much of it
        assert picture.std() == pytest.approx(plain.std(), rel=0.3)
    else:
        assert decibels(picture, plain) > 10


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M SDE"])
@pytest.mark.parametrize("kind", list(tiny_flow.ALL))
def test_in_bfloat16_as_on_a_card(kind, sampler, tmp_path, photo):
    """Nearly the picture of single precision. Z-Image's pipeline insists on latents in single precision."""
    drawn = []
    for format in (torch.float32, torch.bfloat16):
        made = DiffusersRefiner(tiny_flow.ALL[kind](tmp_path).to(format), Sampling("a cat", "", sampler, 8, 3.0), "x")
        drawn.append(upscale(small(photo)[:64, :96], OPTIONS, LocalHost(made)).image)
    assert decibels(drawn[1], drawn[0]) > 15


def test_words_and_guidance_count(kind, refiner, photo):
    def drawn(**sampling):
        return upscale(small(photo)[:64, :96], OPTIONS, LocalHost(refiner(kind, **sampling))).image

    plain = drawn(prompt="a cat")
    assert not np.array_equal(plain, drawn(prompt="a small brown dog on a chair"))
    assert not np.array_equal(plain, drawn(cfg_scale=6.0))
    assert not np.array_equal(plain, drawn(cfg_scale=1.0))
    assert np.array_equal(plain, drawn(prompt="a (cat:1.3) <lora:none:1>"))  # weights are Stable Diffusion's


def test_tiles_with_words_of_their_own_stand_in_one_batch(kind, refiner, photo):
    made, options = refiner(kind), OPTIONS.with_(tile_prompts="1: with a long tail and a hat; 3: asleep")
    alone = upscale(small(photo), options, LocalHost(made))
    together = upscale(small(photo), options.with_(tile_batch=4), LocalHost(made))
    assert np.abs(alone.image.astype(int) - together.image).max() <= 1
    assert not np.array_equal(alone.image, upscale(small(photo), OPTIONS, LocalHost(made)).image)


def test_the_parameters_say_what_was_used(kind, refiner, photo):
    text = upscale(small(photo), OPTIONS, LocalHost(refiner(kind, sampler=None, cfg_scale=None, seed=7))).infotext
    cfg = {"sd3": ", CFG scale: 4.5", "chroma": ", CFG scale: 3.0", "qwen-image": ", CFG scale: 4.0"}.get(kind, "")
    told = ", Distilled CFG Scale: 3.5" if kind == "flux" else ""
    assert f"Steps: 8, Sampler: Euler{cfg}{told}, Seed: 7, Model: {kind}, Size: 160x128" in text


def test_a_sampler_that_flow_models_do_not_have_is_named(kind, refiner):
    with pytest.raises(OptionError, match="sampler: 'DDIM' is not allowed; allowed: Euler, Euler a, Heun.*flow model"):
        refiner(kind, sampler="DDIM")


def test_a_canvas_smaller_than_a_window_is_whole_patches(kind, refiner, photo):
    result = upscale(photo[:41, :75], OPTIONS, LocalHost(refiner(kind)))
    assert result.image.shape == (41, 75, 3)


def test_a_folder_and_a_file_of_the_transformer_alone_are_loaded(kind, refiner, photo, tmp_path):
    picture = small(photo)[:64, :96]
    wanted = upscale(picture, OPTIONS, LocalHost(refiner(kind))).image
    fresh = tiny_flow.KINDS[kind](tmp_path)
    fresh.save_pretrained(tmp_path / "model")
    save_file(fresh.transformer.state_dict(), tmp_path / "alone.safetensors")
    told = Sampling("a cat", "a dog", None, 8, 3.0)
    for source, config in ((tmp_path / "model", None), (tmp_path / "alone.safetensors", str(tmp_path / "model"))):
        pipeline, name = load_checkpoint(str(source), torch.device("cpu"), config=config)
        assert name == source.stem and kind_of(str(source)) is family_of(pipeline)
        loaded = upscale(picture, OPTIONS, LocalHost(DiffusersRefiner(pipeline, told, name))).image
        assert np.array_equal(loaded, wanted)


def test_a_gguf_file_says_what_it_needs_or_is_read_by_diffusers(monkeypatch, tmp_path):
    import diffusers

    (tmp_path / "model.gguf").write_bytes(gguf("double_blocks.0.x", "single_blocks.0.x"))
    monkeypatch.setattr(flow_files, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="model.gguf: a GGUF file needs one more package: pip install gguf"):
        load_checkpoint(str(tmp_path / "model.gguf"), torch.device("cpu"))
    asked = {}
    monkeypatch.setattr(flow_files, "find_spec", lambda name: True)
    monkeypatch.setattr(diffusers, "GGUFQuantizationConfig", lambda compute_dtype: ("gguf", compute_dtype))
    monkeypatch.setattr(diffusers.FluxTransformer2DModel, "from_single_file", lambda path, **told: asked.update(told))
    whole = diffusers.FluxImg2ImgPipeline
    monkeypatch.setattr(whole, "from_pretrained", lambda source, **told: asked.update(whole=source))
    load_checkpoint(str(tmp_path / "model.gguf"), torch.device("cpu"), placed=False)
    assert asked["quantization_config"] == ("gguf", torch.float32) and asked["subfolder"] == "transformer"
    assert asked["whole"] == "black-forest-labs/FLUX.1-schnell"  # nothing in the file takes a guidance


def write_gguf(path, weights):
    """As converters do: matrices in 8 bits a weight, everything else as it is."""
    import gguf as package

    writer, eight = package.GGUFWriter(str(path), "tiny"), package.GGMLQuantizationType.Q8_0
    for name, tensor in weights.items():
        values = tensor.float().numpy()
        if name.endswith(".weight") and values.ndim == 2 and values.shape[1] % 32 == 0:
            writer.add_tensor(name, package.quantize(values, eight), raw_dtype=eight)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_is_drawn_with_nearly_as_the_whole_model(kind, refiner, photo, tmp_path):
    made = refiner(kind)
    wanted = upscale(small(photo)[:64, :96], OPTIONS, LocalHost(made))
    fresh = tiny_flow.KINDS[kind](tmp_path)
    fresh.save_pretrained(tmp_path / "model")
    write_gguf(tmp_path / "x.gguf", fresh.transformer.state_dict())
    assert kind_of(str(tmp_path / "x.gguf")) is made.family
    pipeline, name = load_checkpoint(str(tmp_path / "x.gguf"), torch.device("cpu"), config=str(tmp_path / "model"))
    assert {type(value).__name__ for value in pipeline.transformer.parameters()} >= {"GGUFParameter"}
    drawn = upscale(small(photo)[:64, :96], OPTIONS, LocalHost(DiffusersRefiner(pipeline, made.sampling, name)))
    assert decibels(drawn.image, wanted.image) > 30 and "Model: x, Size: 96x64" in drawn.infotext


def test_a_gguf_file_on_the_command_line(photo, tmp_path):
    pipeline = tiny_flow.flux(tmp_path)
    pipeline.save_pretrained(tmp_path / "model")
    write_gguf(tmp_path / "x.gguf", pipeline.transformer.state_dict())
    Image.fromarray(small(photo)[:64, :96]).save(tmp_path / "in.png")
    given = [str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--quiet", "--steps", "4",
             "--upscaler", "Lanczos", "--checkpoint", str(tmp_path / "x.gguf"),
             "--checkpoint-config", str(tmp_path / "model")]  # fmt: skip
    assert main(given) == 0
    with Image.open(tmp_path / "out.png") as made:
        assert made.size == (192, 128) and "Sampler: Euler" in made.info["parameters"]


def test_from_the_command_line(photo, tmp_path, capsys):
    tiny_flow.z_image(tmp_path).save_pretrained(tmp_path / "model")
    Image.fromarray(small(photo)).save(tmp_path / "in.png")
    given = [str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "-c", str(tmp_path / "model"), "--quiet",
             "--scale", "1.5", "--tile", "128", "--upscaler", "Lanczos", "--steps", "4", "-p", "a cat"]  # fmt: skip
    assert main([*given, "--sampler", "PLMS"]) == 2
    assert "sampler: 'PLMS' is not allowed; allowed: Euler, Euler a" in capsys.readouterr().err
    assert main([*given, "--sampler", "DPM++ 2M Karras"]) == 0
    with Image.open(tmp_path / "out.png") as made:
        assert made.size == (240, 192) and "Sampler: DPM++ 2M Karras, Seed" in made.info["parameters"]


class TestShift:
    """Schedules that depend on the picture's size take the canvas's, up to the largest the model was made with."""

    def test_numbers(self):
        config = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}
        assert flow.shift(config, 256) == 0.5
        assert flow.shift(config, 4096) == flow.shift({}, 10**6) == pytest.approx(1.15)

    def test_the_canvass_is_nearer_to_the_un_tiled_pass_than_the_tiles(self, refiner, photo, monkeypatch):
        made = refiner("flux", cfg_scale=1)
        whole = upscale(small(photo), OPTIONS.with_(tile_width=512, tile_height=512), LocalHost(made)).image
        canvas = upscale(small(photo), OPTIONS, LocalHost(made)).image
        by_canvas = flow.shift
        # As far apart as for a tile of 256 x 256 on a canvas of 1024 x 1024.
        monkeypatch.setattr(flow, "shift", lambda config, tokens: by_canvas(config, tokens) - 0.65)
        tile = upscale(small(photo), OPTIONS, LocalHost(made)).image
        assert decibels(canvas, whole) > 3 + decibels(tile, whole)


def test_packed_latents_come_back_and_are_diffuserss_own(models):
    latents = torch.randn(2, 16, 6, 10)
    assert torch.equal(packing.unpack(packing.pack(latents), 6, 10), latents)
    theirs = models["flux"]
    assert torch.equal(packing.pack(latents), theirs._pack_latents(latents, 2, 16, 6, 10))
    assert torch.equal(packing.places(6, 10, latents), theirs._prepare_latent_image_ids(1, 3, 5, "cpu", torch.float32))


def test_which_models_there_are():
    assert named("FluxImg2ImgPipeline").name == "Flux"
    with pytest.raises(ModelError, match="KolorsImg2ImgPipeline is not one of Stable Diffusion 1 and 2, .*, Z-Image"):
        named("KolorsImg2ImgPipeline")
    of_flux = ("FluxPipeline", "FluxInpaintPipeline", "FluxImg2ImgPipeline")
    assert {of_any_task(name).name for name in of_flux} == {"Flux"}
    assert of_any_task("WanPipeline") is None
    assert len({family.pipeline for family in FAMILIES}) == len(FAMILIES) == 8


def test_what_a_tile_costs_outside_the_model_is_measured():
    """For `python -m bench.families`: the parts are those of the whole, and the networks' time is not among them."""
    from bench.families import PARTS, measure

    found = measure("flux", 128, 10)
    assert found["tiles"] == 1 and found["calls"] == 2 + 2 * 4  # encoded, decoded, four steps with guidance
    parts = [found[f"{part}_ms"] for part in PARTS]
    assert found["outside_ms"] == pytest.approx(sum(parts)) and min(parts) > 0 and found["model_ms"] > 0
