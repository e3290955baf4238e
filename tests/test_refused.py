"""Checkpoints that nothing can be drawn with: each is refused in a sentence, before anything is loaded."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image
from test_sources import safetensors

from lib_usdu.cli import models
from lib_usdu.cli.main import main
from lib_usdu.standalone.families.table import FAMILIES, of_any_task
from lib_usdu.standalone.loading import hub
from lib_usdu.standalone.loading.flow_files import doubtful
from lib_usdu.standalone.loading.refused import absent, check_folder

CONFIGS = {
    "StableDiffusionPipeline": (4, 4), "StableDiffusionXLPipeline": (4, 4), "StableDiffusion3Pipeline": (16, 16),
    "FluxPipeline": (64, 16), "Flux2KleinPipeline": (128, 32), "ChromaPipeline": (64, 16),
    "QwenImagePipeline": (64, 16), "ZImagePipeline": (16, 16),
}  # fmt: skip
"""Channels that the network takes and that the autoencoder makes, by the pipeline's name on the hub."""


@pytest.fixture
def folder(tmp_path):
    """A diffusers folder without weights: what of it is read before it is loaded."""

    def made(name, network=None, **index):
        place = tmp_path / "model"
        shutil.rmtree(place, ignore_errors=True)
        family = of_any_task(name) or of_any_task("StableDiffusionPipeline")
        part = "transformer" if family.network else "unet"
        parts = [part, "vae", "scheduler", *family.encoders]
        parts += [encoder.replace("text_encoder", "tokenizer") for encoder in family.encoders]
        takes, makes = CONFIGS.get(name, (4, 4))
        configs = {part: {"in_channels": takes, **(network or {})}, "vae": {"latent_channels": makes}}
        for one in parts:
            (place / one).mkdir(parents=True)
            (place / one / "config.json").write_text(json.dumps(configs.get(one, {})))
        said = {"_class_name": name, **{one: ["a library", "a class"] for one in parts}, **index}
        (place / "model_index.json").write_text(json.dumps(said))
        return place

    return made


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """What the command line says of a checkpoint, which it refuses before it loads anything."""
    Image.new("RGB", (64, 64)).save(tmp_path / "in.png")

    def touched(*_, **__):
        raise AssertionError("too late")

    monkeypatch.setattr(models, "host_of", touched)

    def said(*flags):
        code = main([str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "-c", *map(str, flags)])
        assert code == 2 and not (tmp_path / "out.png").exists()
        return capsys.readouterr().err

    return said


@pytest.mark.parametrize("name", CONFIGS)
def test_every_kind_is_let_through(name, folder, tmp_path, monkeypatch):
    """What is refused is refused for its fault alone."""
    Image.new("RGB", (64, 64)).save(tmp_path / "in.png")
    assert main([str(tmp_path / "in.png"), "-c", str(folder(name)), "--dry-run"]) == 0
    assert len(CONFIGS) == len(FAMILIES)


EDITING = (
    "StableDiffusionInstructPix2PixPipeline", "StableDiffusionControlNetPipeline", "StableDiffusionUpscalePipeline",
    "FluxKontextPipeline", "FluxFillPipeline", "FluxControlPipeline", "Flux2Pipeline", "QwenImageEditPipeline",
    "QwenImageEditPlusPipeline", "QwenImageLayeredPipeline", "ZImageOmniPipeline", "WanPipeline", "KolorsPipeline",
    "SanaSprintPipeline", "Kandinsky3Pipeline", "PixArtSigmaPipeline", "Lumina2Pipeline", "NoSuchPipeline",
)  # fmt: skip


@pytest.mark.parametrize("name", EDITING)
def test_a_pipeline_of_another_kind(name, folder, refused):
    assert f"{name} is not one of Stable Diffusion 1 and 2, " in refused(folder(name))


def test_pipelines_of_the_same_parts():
    told = {
        "StableDiffusionXLPAGImg2ImgPipeline": "Stable Diffusion XL", "FluxInpaintPipeline": "Flux",
        "StableDiffusion3PAGPipeline": "Stable Diffusion 3", "ZImageInpaintPipeline": "Z-Image",
        "LatentConsistencyModelPipeline": "Stable Diffusion 1 and 2", "Flux2KleinInpaintPipeline": "Flux 2 klein",
    }  # fmt: skip
    assert {name: of_any_task(name).name for name in told} == told


@pytest.mark.parametrize(
    "name, part",
    [("StableDiffusionPipeline", "text_encoder"), ("StableDiffusionPipeline", "vae"),
     ("StableDiffusionPipeline", "unet"), ("StableDiffusionXLPipeline", "text_encoder_2"),
     ("StableDiffusion3Pipeline", "text_encoder_2"), ("FluxPipeline", "text_encoder"), ("FluxPipeline", "transformer"),
     ("QwenImagePipeline", "text_encoder")],
)  # fmt: skip
def test_a_folder_that_lacks_a_part(name, part, folder, refused):
    assert f"its {part} is missing, without which" in refused(folder(name, **{part: [None, None]}))
    place = folder(name)
    shutil.rmtree(place / part)
    assert f"its {part} is missing: no such folder" in refused(place)
    assert absent({}, part) and absent({part: []}, part) and not absent({part: ["diffusers", "X"]}, part)


def test_a_tokenizer_counts_too(folder, refused):
    assert "its tokenizer is missing" in refused(folder("StableDiffusionPipeline", tokenizer=[None, None]))


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_model_index_that_says_nothing(content, folder, refused):
    place = folder("StableDiffusionPipeline")
    (place / "model_index.json").write_text(content)
    assert "its model_index.json" in refused(place)


@pytest.mark.parametrize("name, takes", [("StableDiffusionPipeline", 9), ("FluxPipeline", 384), ("FluxPipeline", 128)])
def test_a_network_that_wants_more_than_latents(name, takes, folder, refused):
    """Inpainting, depth and edit models: they would break in the first tile."""
    said = refused(folder(name, {"in_channels": takes}))
    assert f"a model for inpainting, editing, depth or control (its network takes {takes} channels" in said


@pytest.mark.parametrize(
    "name, scheduler",
    [("StableDiffusionXLPipeline", {"_class_name": "EDMDPMSolverMultistepScheduler"}),
     ("StableDiffusionXLPipeline", {"_class_name": "FlowMatchEulerDiscreteScheduler"}),
     ("StableDiffusionPipeline", {"_class_name": "UniPCMultistepScheduler", "prediction_type": "flow_prediction"}),
     ("FluxPipeline", {"_class_name": "EulerDiscreteScheduler"})],
)  # fmt: skip
def test_a_model_that_is_asked_in_another_way(name, scheduler, folder, refused):
    """Playground 2.5, CosXL, SDXL taught flows: without a word the picture would be wrong."""
    place = folder(name)
    (place / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    assert f"whose scheduler is {scheduler['_class_name']} is not drawn with here" in refused(place)
    told = {"_class_name": "UniPCMultistepScheduler", "prediction_type": "flow_prediction"}
    place = folder("FluxPipeline")
    (place / "scheduler" / "scheduler_config.json").write_text(json.dumps(told))
    assert "is not drawn with here" not in str(check_folder(place))


FLUX = ["double_blocks.0.x", "single_blocks.0.x"]
FILES = {
    "a LoRA of diffusers": (["transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight"],
                            "a LoRA, which goes over a checkpoint: --lora x.safetensors"),
    "a LoRA of kohya": (["lora_unet_input_blocks_1.lora_down.weight"], "a LoRA, which goes over"),
    "a ControlNet": (["control_model.input_blocks.0.0.weight"], "a ControlNet, which steers"),
    "NF4": ([*FLUX, "double_blocks.0.x.quant_state.bitsandbytes__nf4"],
            "its weights are in bitsandbytes' 4 bits, which is not read from a file"),
    "NVFP4": ([*FLUX, "double_blocks.0.x.weight_scale_2"], "its weights are in NVFP4"),
    "fp8 with scales of SD": (["model.diffusion_model.input_blocks.0.0.scale_weight"], "fp8 with scales"),
    "fp8 with scales of a whole Flux": ([*FLUX, "double_blocks.0.x.scale_weight", "vae.x"], "fp8 with scales, beside"),
    "a UNet alone": (["model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.x"],
                     "it holds no text encoder; a whole checkpoint is needed"),
    "an autoencoder": (["encoder.conv_in.weight"], "not a model of one of Stable Diffusion 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_checkpoint(name, refused, tmp_path):
    names, sentence = FILES[name]
    (tmp_path / "x.safetensors").write_bytes(safetensors(*names))
    assert sentence in refused(tmp_path / "x.safetensors")


def test_files_that_are_none(refused, tmp_path):
    for name in ("x.safetensors", "x.gguf"):
        (tmp_path / name).write_bytes(b"<!DOCTYPE html>")
        assert f"not a .{name[2:]} file" in refused(tmp_path / name)
    assert "no such file; allowed: embedded, a diffusers folder" in refused(tmp_path / "gone.safetensors")


def test_a_configuration_of_another_kind(folder, refused, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(safetensors(*FLUX))
    for config in (folder("StableDiffusion3Pipeline"), "/gone", tmp_path):
        said = refused(tmp_path / "x.safetensors", "--checkpoint-config", config)
        assert f"--checkpoint-config: '{config}' is not allowed; allowed: a " in said


def test_which_files_are_read_by_us():
    assert doubtful(["model.diffusion_model.a"]) and doubtful(["transformer.a"]) and doubtful(["a.weight_scale"])
    assert not doubtful(["transformer_blocks.0.a.weight", "single_transformer_blocks.0.a.weight"])


def test_the_hub_is_named_where_it_is_the_reason():
    class LocalEntryNotFoundError(Exception):
        pass

    class GatedRepoError(Exception):
        pass

    def raised(inner):
        try:
            try:
                raise inner
            except Exception as error:
                raise OSError("does not appear to have a file named model_index.json") from error
        except OSError as error:
            return error

    assert "the hub cannot be reached" in hub.why(raised(LocalEntryNotFoundError()))
    assert "its licence has to be accepted" in hub.why(raised(GatedRepoError()))
    assert hub.why(raised(ValueError("x"))) == ""
