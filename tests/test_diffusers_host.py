"""The real diffusers pipelines, tiny and random, and the embedded model."""

import numpy as np
import pytest
import torch
from PIL import Image

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import tiny_models  # noqa: E402

from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import ModelError, OptionError  # noqa: E402
from lib_usdu.geometry import Canvas, plan_tiles  # noqa: E402
from lib_usdu.host import Batch  # noqa: E402
from lib_usdu.latents import Latents  # noqa: E402
from lib_usdu.noise import tile_noise  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.resume.digest import digest  # noqa: E402
from lib_usdu.standalone.checkpoints import EMBEDDED, add_loras, load_checkpoint  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402
from lib_usdu.standalone.samplers import SAMPLERS  # noqa: E402
from lib_usdu.standalone.sources import kind_of  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def folder(request, tmp_path_factory):
    """A tiny model saved the way diffusers saves one."""
    place = tmp_path_factory.mktemp(request.param)
    getattr(tiny_models, request.param)(place).save_pretrained(place / "model")
    return place / "model"


def refiner(folder, **sampling):
    pipeline, name = load_checkpoint(str(folder), CPU)
    return DiffusersRefiner(pipeline, Sampling(**{"prompt": "a cat", "steps": 10, "cfg_scale": 3, **sampling}), name)


def small(photo):
    return photo[100:196, 150:278]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_and_a_batch_is_its_tiles(folder, sampler, photo):
    made = refiner(folder, sampler=sampler)
    options = Options(tile_width=64, padding=0, custom_scale=1, denoise=0.3, tone_lock=0)
    alone = upscale(small(photo), options, LocalHost(made))
    together = upscale(small(photo), options.with_(tile_batch=3), LocalHost(made))
    assert together.stats.batches < alone.stats.batches
    assert np.abs(alone.image.astype(int) - together.image).max() <= 1  # float order inside torch
    assert (alone.image != alone.upscaled).mean() > 0.5


def test_a_pipeline_on_the_card(folder, photo, card):
    """In half precision, and in batches that its free memory allows: the picture is the one made tile by tile."""
    made = refiner(folder)
    options = Options(tile_width=64, padding=0, custom_scale=1, denoise=0.3, tone_lock=0)
    alone = upscale(small(photo), options.with_(tile_batch=1), LocalHost(made))
    assert not made.works_apart and card.placement.halved == 0
    pipeline, name = load_checkpoint(str(folder), torch.device("cuda"))
    assert card.placement.halved
    made = DiffusersRefiner(pipeline, made.sampling, name)
    # As its weights would say, were they there.
    made.device = made.autoencoder.device = torch.device("cuda")
    made.works_apart = True
    together = upscale(small(photo), options, LocalHost(made))
    assert together.stats.batches < alone.stats.batches and "cuda" in card.placement.asked
    assert np.abs(alone.image.astype(int) - together.image).max() <= 1


def test_one_tile_over_the_canvas_is_the_plain_pipeline_with_that_noise(folder, photo):
    """Nothing of ours stands between: the same call to diffusers' own prepare_latents, fed the canvas's noise."""
    rgb = small(photo)
    made = refiner(folder, sampler="Euler")
    tiles = plan_tiles(128, 96, 512, 512, 0)
    noise = tile_noise(5, "canvas", tiles[0].window, 0, Canvas(128, 96), Latents())
    ours = made.refine(Batch(tiles, rgb[None], (noise,), 0.5, Canvas(128, 96)), lambda: False)

    pipeline, _ = load_checkpoint(str(folder), CPU)
    with tiny_models.fed(pipeline, rgb, noise):
        plain = pipeline(
            "a cat", negative_prompt="", image=Image.fromarray(rgb), strength=0.5, num_inference_steps=10,
            guidance_scale=3.0, output_type="np",
        ).images  # fmt: skip
    assert np.abs(ours - plain * 255).max() < 0.6


def test_a_rerun_is_identical_and_the_seed_matters(folder, photo):
    made = refiner(folder, sampler="Euler a")
    options = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.3, tone_lock=0)
    first = upscale(small(photo), options, LocalHost(made)).image
    torch.manual_seed(1234)
    assert np.array_equal(first, upscale(small(photo), options, LocalHost(made)).image)
    assert not np.array_equal(first, upscale(small(photo), options.with_(seed=2), LocalHost(made)).image)


def test_the_next_process_finds_the_tiles_of_this_one(folder):
    """diffusers writes its list of defaulted settings in the order of a set: another one in each process."""
    made = refiner(folder)
    before = digest(made.identity())
    config = dict(made.pipeline.scheduler.config)
    assert len(config["_use_default_values"]) > 1
    made.pipeline.scheduler._internal_dict = {**config, "_use_default_values": config["_use_default_values"][::-1]}
    assert made.pipeline.scheduler.config["_use_default_values"] != config["_use_default_values"]
    assert digest(made.identity()) == before
    made.pipeline.scheduler._internal_dict = {**config, "beta_end": 0.5}
    assert digest(made.identity()) != before


def test_the_automatic_tile_is_known_before_the_model_is_loaded(folder):
    assert kind_of(str(folder)).tile == refiner(folder).default_tile


def test_prompts_and_cfg_count(folder, photo):
    options = Options(custom_scale=1, denoise=0.5, tone_lock=0)
    cat = upscale(small(photo), options, LocalHost(refiner(folder, cfg_scale=9)))
    dog = upscale(
        small(photo), options, LocalHost(refiner(folder, cfg_scale=9, prompt="a dog, red", negative_prompt="x"))
    )
    assert not np.array_equal(cat.image, dog.image)
    assert dog.infotext.startswith("a dog, red\nNegative prompt: x\nSteps: 10, Sampler: DPM++ 2M, CFG scale: 9")


def test_a_tile_with_a_prompt_of_its_own(folder, photo):
    """The other tiles stay as they were, and a batch of both is its tiles."""
    made = refiner(folder)
    options = Options(tile_width=64, padding=0, mask_blur=0, custom_scale=1, denoise=0.5, tone_lock=0, tile_batch=4)
    plain = upscale(small(photo), options, LocalHost(made)).image.astype(int)
    with_text = options.with_(tile_prompts="2: a ship")
    ours = upscale(small(photo), with_text, LocalHost(made)).image.astype(int)
    alone = upscale(small(photo), with_text.with_(tile_batch=1), LocalHost(made)).image.astype(int)
    everywhere = upscale(small(photo), options, LocalHost(refiner(folder, prompt="a cat, a ship"))).image.astype(int)
    tile = np.s_[:48, 64:]
    assert np.abs(ours[tile] - everywhere[tile]).max() <= 1 and np.abs(ours[tile] - plain[tile]).max() > 1
    assert np.abs(ours[:, :64] - plain[:, :64]).max() <= 1 and np.abs(ours - alone).max() <= 1


@pytest.mark.parametrize("denoise, changed", [(0, False), (0.01, True), (1, True)])
def test_the_ends_of_denoise(folder, denoise, changed, photo):
    options = Options(custom_scale=1, denoise=denoise, tone_lock=0)
    result = upscale(small(photo), options, LocalHost(refiner(folder)))
    assert np.array_equal(result.image, result.upscaled) != changed


def test_a_stop_in_a_tile(folder, photo):
    host = LocalHost(refiner(folder))
    asked = iter([False, False, True])
    host.stop_requested = lambda: next(asked, True)  # before the tile, after its first step, after its second
    result = upscale(small(photo), Options(tile_width=64, custom_scale=1, denoise=0.5), host)
    assert not result.finished and result.stats.tiles_done == 0 and np.array_equal(result.image, result.upscaled)


def test_lora_files(folder, photo, tmp_path):
    from peft import LoraConfig, get_peft_model_state_dict

    pipeline, _ = load_checkpoint(str(folder), CPU)
    pipeline.unet.add_adapter(LoraConfig(r=2, init_lora_weights="gaussian", target_modules=["to_q", "to_v"]))
    state = {name: torch.randn_like(value) for name, value in get_peft_model_state_dict(pipeline.unet).items()}
    type(pipeline).save_lora_weights(tmp_path, unet_lora_layers=state, weight_name="detail.safetensors")

    options = Options(custom_scale=1, denoise=0.5, tone_lock=0)
    pictures = {}
    for strength in ("", ":0", ":0.5"):
        pipeline, name = load_checkpoint(str(folder), CPU)
        add_loras(pipeline, [f"{tmp_path / 'detail.safetensors'}{strength}"])
        made = DiffusersRefiner(pipeline, Sampling("a cat", steps=10, cfg_scale=3), name)
        pictures[strength] = upscale(small(photo), options, LocalHost(made)).image
    plain = upscale(small(photo), options, LocalHost(refiner(folder))).image
    assert np.array_equal(pictures[":0"], plain)
    assert not np.array_equal(pictures[""], plain) and not np.array_equal(pictures[":0.5"], pictures[""])
    with pytest.raises(OptionError, match="existing"):
        add_loras(pipeline, ["missing.safetensors"])
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"broken\.safetensors"):
        add_loras(pipeline, [str(broken)])


def test_loras_are_in_the_parameters(folder, photo, tmp_path):
    from peft import LoraConfig, get_peft_model_state_dict

    pipeline, name = load_checkpoint(str(folder), CPU)
    pipeline.unet.add_adapter(LoraConfig(r=2, init_lora_weights="gaussian", target_modules=["to_q", "to_v"]))
    state = get_peft_model_state_dict(pipeline.unet)
    type(pipeline).save_lora_weights(tmp_path, unet_lora_layers=state, weight_name="fine detail.safetensors")
    pipeline, name = load_checkpoint(str(folder), CPU)
    loras = add_loras(pipeline, [f"{tmp_path / 'fine detail.safetensors'}:0.5"])
    for prompt, first in (("a cat", "a cat <lora:fine detail:0.5>"), ("", "<lora:fine detail:0.5>")):
        made = DiffusersRefiner(pipeline, Sampling(prompt=prompt, steps=2), name, loras)
        text = upscale(small(photo), Options(custom_scale=1, denoise=0.3), LocalHost(made)).infotext
        assert text.splitlines()[0] == first
        assert f'Lora hashes: "fine detail: {loras[0].digest}"' in text and len(loras[0].digest) == 12


def test_checkpoints_that_are_none(tmp_path):
    for name, content in (("a.safetensors", b"nothing"), ("b.ckpt", b"nothing"), ("c.ckpt", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=name):
            load_checkpoint(str(tmp_path / name), CPU)
    torch.save({"state_dict": {"other.weight": torch.zeros(1)}}, tmp_path / "d.ckpt")
    with pytest.raises(ModelError, match="not a model of one of Stable Diffusion"):
        load_checkpoint(str(tmp_path / "d.ckpt"), CPU)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty"):
        load_checkpoint(str(tmp_path / "empty"), CPU)
    with pytest.raises(OptionError, match="embedded, a diffusers folder"):
        load_checkpoint(str(tmp_path / "missing.safetensors"), CPU)


def test_pickles_are_not_run(tmp_path):
    import os
    import pickle

    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps(Attack()))
    torch.save({"state_dict": Attack()}, tmp_path / "evil2.ckpt")
    for name in ("evil.ckpt", "evil2.ckpt"):
        with pytest.raises(ModelError):
            load_checkpoint(str(tmp_path / name), CPU)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("values", [{"sampler": "Magic"}, {"steps": 0}, {"cfg_scale": float("nan")}])
def test_bad_sampling_is_named(folder, values):
    with pytest.raises(OptionError, match=next(iter(values)).split("_")[0]):
        refiner(folder, **values)


def test_the_embedded_model_refines_tiles_that_agree(photo):
    pipeline, name = load_checkpoint(EMBEDDED, CPU)
    made = DiffusersRefiner(pipeline, Sampling(sampler="Euler"), name)
    assert not made.guided
    rgb = photo[:192, 150:342]
    tiled = upscale(rgb, Options(tile_width=96, padding=16, custom_scale=1, tone_lock=0), LocalHost(made))
    whole = upscale(rgb, Options(tile_width=512, custom_scale=1, tone_lock=0), LocalHost(made))
    assert tiled.stats.tiles == 4 and whole.stats.tiles == 1
    error = np.mean((tiled.image.astype(float) - whole.image) ** 2)
    assert 10 * np.log10(255**2 / error) > 38
    assert "Model: embedded" in tiled.infotext and (tiled.image != rgb).mean() > 0.1


def test_two_prompts_that_are_one_need_one_call_of_the_model(folder, photo, monkeypatch):
    """Guidance between them cancels out; with prompts that differ it is asked for."""
    options = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5, tone_lock=0, tile_batch=1)
    images, rows = {}, {}
    prompts = {"empty": {}, "same": {"prompt": "a", "negative_prompt": "a"}, "prompt": {"prompt": "a"}}
    for name, given in prompts.items():
        made = refiner(folder, **{"prompt": "", "negative_prompt": "", "cfg_scale": 7.0, **given})
        seen, forward = [], made.pipeline.unet.forward
        made.pipeline.unet.forward = lambda x, *args, seen=seen, forward=forward, **kw: (
            seen.append(len(x)),
            forward(x, *args, **kw),
        )[1]
        images[name], rows[name] = upscale(small(photo), options, LocalHost(made)).image, set(seen)
    assert rows == {"empty": {1}, "same": {1}, "prompt": {2}}
    monkeypatch.setattr("lib_usdu.standalone.conditioning.alike", lambda conditioning: False)
    made = refiner(folder, prompt="", negative_prompt="", cfg_scale=7.0)
    guided = upscale(small(photo), options, LocalHost(made)).image
    assert np.abs(images["empty"].astype(int) - guided).max() <= 1


def test_the_unet_in_bfloat16_is_the_same_to_the_eye(folder, photo, monkeypatch):
    options = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.3, tone_lock=0)
    plain = upscale(small(photo), options, LocalHost(refiner(folder, cfg_scale=1.0))).image
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    made = refiner(folder, cfg_scale=1.0)
    reduced = upscale(small(photo), options, LocalHost(made)).image
    error = np.abs(plain.astype(int) - reduced)
    assert 0 < error.max() <= 8 and error.mean() < 1
    with made.more_precise():
        assert np.array_equal(upscale(small(photo), options, LocalHost(made)).image, plain)
    assert np.array_equal(upscale(small(photo), options, LocalHost(made)).image, reduced)
