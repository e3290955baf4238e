"""Loading checkpoints: what their files and folders may look like, and what is said of those that cannot be used."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import diffusers  # noqa: E402
import tiny_flow  # noqa: E402
import tiny_models  # noqa: E402

from lib_usdu.cli import models  # noqa: E402
from lib_usdu.cli.flags import parser  # noqa: E402
from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import ModelError, OptionError  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.standalone.checkpoints import add_loras, load_checkpoint  # noqa: E402
from lib_usdu.standalone.control.loading import load_controlnet  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402

CPU = torch.device("cpu")
OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5, tone_lock=0, upscaler="None")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    for name, make in {"sd1": tiny_models.sd1, "sdxl": tiny_models.sdxl, "sd3": tiny_flow.sd3, "flux": tiny_flow.flux,
                       "qwen": tiny_flow.qwen_image}.items():  # fmt: skip
        make(place / "words" / name).save_pretrained(place / name)
    return place


@pytest.fixture
def changed(folders, tmp_path):
    """A copy of a model whose model_index.json says this instead."""

    def made(name, **index):
        shutil.rmtree(tmp_path / "model", ignore_errors=True)
        shutil.copytree(folders / name, tmp_path / "model")
        file = tmp_path / "model" / "model_index.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **index}))
        return tmp_path / "model"

    return made


def drawn(pipeline, photo):
    made = DiffusersRefiner(pipeline, Sampling("a cat", "", "Euler", 6, 3.0), "x")
    return upscale(photo[100:164, 150:246], OPTIONS, LocalHost(made)).image


def test_pipelines_of_the_same_parts_are_drawn_with(changed, photo):
    plain, _ = load_checkpoint(str(changed("sd1")), CPU)
    wanted = drawn(plain, photo)
    for name in ("StableDiffusionPAGPipeline", "StableDiffusionInpaintPipeline", "LatentConsistencyModelPipeline"):
        pipeline, _ = load_checkpoint(str(changed("sd1", _class_name=name)), CPU)
        assert np.array_equal(drawn(pipeline, photo), wanted)


def test_stable_diffusion_3_draws_without_its_third_text_encoder(changed, photo):
    pipeline, _ = load_checkpoint(str(changed("sd3", text_encoder_3=[None, None], tokenizer_3=[None, None])), CPU)
    assert pipeline.text_encoder_3 is None and drawn(pipeline, photo).shape == (64, 96, 3)


def test_sdxls_refiner_draws_with_its_one_text_encoder(tmp_path, photo):
    whole = tiny_models.sdxl(tmp_path / "whole")
    unet = diffusers.UNet2DConditionModel.from_config(
        whole.unet.config, cross_attention_dim=32, projection_class_embeddings_input_dim=72
    )
    parts = {**whole.components, "unet": unet, "text_encoder": None, "tokenizer": None}
    diffusers.StableDiffusionXLImg2ImgPipeline(**parts, requires_aesthetics_score=True).save_pretrained(tmp_path / "x")
    pipeline, _ = load_checkpoint(str(tmp_path / "x"), CPU)
    assert drawn(pipeline, photo).shape == (64, 96, 3)


def test_such_a_network_from_anywhere(tmp_path, monkeypatch):
    """Of a file, whose configuration is not seen before it is loaded."""
    pipeline = tiny_models.sd1(tmp_path)
    monkeypatch.setattr(pipeline.unet, "_internal_dict", {**pipeline.unet.config, "in_channels": 9}, raising=False)
    monkeypatch.setattr("lib_usdu.standalone.checkpoints._from_file", lambda *_: pipeline)
    (tmp_path / "x.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="its network takes 9 channels, of which latents are 4"):
        load_checkpoint(str(tmp_path / "x.safetensors"), CPU)


def test_a_scheduler_of_another_way_from_anywhere(tmp_path, monkeypatch):
    pipeline = tiny_models.sd1(tmp_path)
    pipeline.scheduler = diffusers.EDMEulerScheduler()
    monkeypatch.setattr("lib_usdu.standalone.checkpoints._from_file", lambda *_: pipeline)
    (tmp_path / "x.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="whose scheduler is EDMEulerScheduler is not drawn with here"):
        load_checkpoint(str(tmp_path / "x.safetensors"), CPU)


def test_a_folder_is_looked_at_before_it_is_loaded(changed):
    with pytest.raises(ModelError, match="FluxKontextPipeline is not one of"):
        load_checkpoint(str(changed("flux", _class_name="FluxKontextPipeline")), CPU)
    folder = changed("sd1")
    (folder / "model_index.json").unlink()
    with pytest.raises(ModelError, match="holds no model_index.json"):
        load_checkpoint(str(folder), CPU)


def test_a_transformer_that_lacks_tensors(folders, tmp_path):
    for name in ("flux", "qwen"):
        file = folders / name / "transformer" / "diffusion_pytorch_model.safetensors"
        weights = diffusers.models.model_loading_utils.load_state_dict(str(file))
        cut = tmp_path / f"{name}.safetensors"
        save_file({key: value for key, value in weights.items() if "proj_out" not in key}, cut)
        with pytest.raises(ModelError, match="its tensors are not those of a whole"):
            load_checkpoint(str(cut), CPU, config=str(folders / name))


@pytest.mark.parametrize("name", ["flux", "qwen"])
def test_prefixes_and_scales_of_a_file_count(name, folders, tmp_path, photo):
    """Qwen-Image's names are diffusers' own: it would pass scales over in silence and draw with weights that are too
    large."""
    whole, _ = load_checkpoint(str(folders / name), CPU)
    weights = {
        key: value.to(torch.float8_e4m3fn).float() if value.ndim == 2 else value
        for key, value in whole.transformer.state_dict().items()
    }
    whole.transformer.load_state_dict(weights)
    wanted = drawn(whole, photo)
    halves = {key: (value / 2).to(torch.float8_e4m3fn) for key, value in weights.items() if value.ndim == 2}
    scales = {key.removesuffix("weight") + "scale_weight": torch.tensor(2.0) for key in halves}
    written = {**weights, **halves, **scales, "scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}
    file = tmp_path / "x.safetensors"
    save_file({f"model.diffusion_model.{key}": value.contiguous() for key, value in written.items()}, file)
    pipeline, _ = load_checkpoint(str(file), CPU, config=str(folders / name))
    assert np.abs(drawn(pipeline, photo).astype(int) - wanted).max() <= 3  # halves of the least numbers are rounded
    plain = {key: value.contiguous() for key, value in weights.items()}
    save_file({f"diffusion_model.{key}": value for key, value in plain.items()}, file)
    pipeline, _ = load_checkpoint(str(file), CPU, config=str(folders / name))
    assert np.abs(drawn(pipeline, photo).astype(int) - wanted).max() <= 1


def test_a_configuration_in_the_home_folder(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(folders))
    shutil.copy(folders / "flux" / "transformer" / "diffusion_pytorch_model.safetensors", tmp_path / "x.safetensors")
    assert load_checkpoint(str(tmp_path / "x.safetensors"), CPU, config="~/flux")[1] == "x"


def test_a_controlnet_of_another_kind_and_a_model_without_a_unet(folders, tmp_path, photo):
    unet = diffusers.UNet2DConditionModel.from_pretrained(folders / "sd1" / "unet")
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "config.json").write_text(json.dumps({"_class_name": "FluxControlNetModel"}))
    with pytest.raises(ModelError, match="it is a FluxControlNetModel, not a ControlNetModel"):
        load_controlnet(str(tmp_path / "net"), unet, torch.float32, CPU)
    args = parser().parse_args(["a.png", "-c", "owner/name", "--control", "owner/net"])
    flux, _ = load_checkpoint(str(folders / "flux"), CPU)
    with pytest.raises(OptionError, match="Stable Diffusion 1, 2 or XL, not FluxImg2ImgPipeline"):
        models._controls(args, flux, CPU)


@pytest.mark.parametrize("name", ["meta", "cuda:99", "gpu", ""])
def test_a_device_that_is_not_there(name):
    with pytest.raises(OptionError, match="--device: .* is not allowed; allowed: auto, cpu"):
        models.device_of(name)


def test_a_latent_consistency_model_is_told_the_cfg_scale(tmp_path, photo):
    """It is asked once: there is no second answer to guide with."""
    pipeline = tiny_models.sd1(tmp_path)
    pipeline.unet = diffusers.UNet2DConditionModel.from_config(pipeline.unet.config, time_cond_proj_dim=16)
    asked, forward = [], pipeline.unet.forward
    pipeline.unet.forward = lambda sample, *args, **told: (
        asked.append((len(sample), told["timestep_cond"])) or forward(sample, *args, **told)
    )
    made = DiffusersRefiner(pipeline, Sampling("a cat", "a dog", "LCM", 8, 5.0), "x")
    for speed in ("exact", "fast"):
        result = upscale(photo[100:164, 150:214], OPTIONS.with_(speed=speed), LocalHost(made))
        assert "CFG scale: 5.0" in result.infotext
    assert {count for count, _ in asked} == {1} and all(told is not None for _, told in asked)


@pytest.mark.parametrize("kind", list(tiny_flow.ALL))
def test_a_lora_is_merged_into_a_transformer_as_much_as_asked(kind, tmp_path):
    pipeline = tiny_flow.ALL[kind](tmp_path)
    layers = {name: layer for name, layer in pipeline.transformer.named_modules() if name.endswith("to_q")}
    before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    made = {}
    for name, layer in layers.items():
        made[f"transformer.{name}.lora_A.weight"] = torch.randn(4, layer.in_features)
        made[f"transformer.{name}.lora_B.weight"] = torch.randn(layer.out_features, 4)
    save_file(made, tmp_path / "x.safetensors")
    (merged,) = add_loras(pipeline, [f"{tmp_path / 'x.safetensors'}:0.5"])
    after = dict(pipeline.transformer.named_modules())
    for name, weight in before.items():
        added = made[f"transformer.{name}.lora_B.weight"] @ made[f"transformer.{name}.lora_A.weight"]
        assert torch.allclose(after[name].weight, weight + 0.5 * added, atol=1e-5)
    assert merged.tag == "<lora:x:0.5>" and before


def test_a_file_that_is_no_lora_of_this_model(folders, tmp_path):
    file = folders / "flux" / "transformer" / "diffusion_pytorch_model.safetensors"
    with pytest.raises(ModelError, match="cannot be used with this model .nothing in it belongs to this model"):
        add_loras(tiny_flow.flux(tmp_path), [str(file)])
