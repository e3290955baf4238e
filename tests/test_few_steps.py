"""Models of few steps are recognised and asked as they want."""

import json
import struct

import pytest

from lib_usdu.cli import few_steps as told
from lib_usdu.cli import models
from lib_usdu.cli.flags import given_names, parser
from lib_usdu.speed.few_steps import KINDS, FewSteps, named, of_folder, of_metadata


@pytest.mark.parametrize("name, kind, steps", [
    ("sdxl_lightning_4step_lora", "Lightning", 4), ("dreamshaperXL_lightningDPMSDE", "Lightning", 8),
    ("juggernautXL_v9Rdphoto2Lightning", "Lightning", 8), ("sd_xl_turbo_1.0_fp16", "Turbo", 8),
    ("Hyper-SDXL-8steps-lora", "Hyper", 8), ("Hyper-SD15-1step-lora", "Hyper", 4), ("lcm-lora-sdv1-5", "LCM", 8),
    ("LCM_Dreamshaper_v7", "LCM", 8), ("Z-Image-Turbo", "Turbo", 8),
])  # fmt: skip
def test_names_of_real_models(name, kind, steps):
    found = named(name)
    assert (found.name, found.steps) == (kind, steps)


@pytest.mark.parametrize("name", ["dreamshaper_8", "hyperrealism_v3", "turbocharged", "lightningbolt", "v1-5-pruned"])
def test_other_names(name):
    assert named(name) is None


def test_what_a_trainer_wrote_and_a_scheduler(tmp_path):
    assert of_metadata({"ss_output_name": "my lcm lora"}) == KINDS["lcm"]
    assert of_metadata({"ss_output_name": "boats"}) is None
    (tmp_path / "scheduler").mkdir()
    assert of_folder(tmp_path) is None
    (tmp_path / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "LCMScheduler"}')
    assert of_folder(tmp_path) == KINDS["lcm"]


def settled(*flags):
    args = parser().parse_args(["photo.png", *map(str, flags)])
    models.settle_model(args, given_names(args))  # before, as the command does
    return args, told.settle(args)


def test_what_is_not_given_is_as_the_model_wants_it(tmp_path):
    args, found = settled("--checkpoint", tmp_path / "sdxl_lightning_4step.safetensors")
    assert (args.steps, args.cfg, args.sampler) == (4, 1.0, "Euler") and found.startswith("a Lightning checkpoint")
    args, found = settled("--lora", tmp_path / "lcm-lora-sdv1-5.safetensors:0.8", "--steps", 20, "--sampler", "Heun")
    assert (args.steps, args.cfg, args.sampler) == (20, 1.5, "Heun")
    args, found = settled("--prompt", "a cat <lora:Hyper-SD15-8steps-lora:1>", "--cfg", 3)
    assert (args.steps, args.cfg, args.sampler) == (8, 3.0, "DDIM")
    args, found = settled()
    assert (args.steps, args.cfg, args.sampler, found) == (20, None, None, "")


def test_the_files_own_words_count_where_its_name_says_nothing(tmp_path):
    header = json.dumps({"__metadata__": {"modelspec.title": "SDXL Lightning"}}).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    args, _ = settled("--checkpoint", file)
    assert (args.steps, args.cfg) == (8, 1.0)
    assert str(FewSteps("x", 8, 1.5, "LCM")) == "8 steps, CFG 1.5, LCM"


def test_a_lora_in_the_prompt_by_its_file(tmp_path):
    """Its own words count where the prompt's name for it says nothing; one of strength 0 does nothing; a LoRA goes
    before the checkpoint."""
    header = json.dumps({"__metadata__": {"ss_output_name": "LCM LoRA"}}).encode()
    (tmp_path / "fast.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    turbo, how = tmp_path / "sd_xl_turbo.safetensors", ("--lora-folder", tmp_path)
    for prompt in ("<lora:fast:1>", "a cat <lora:boats:1> <lora:FAST>"):
        args, said = settled("--checkpoint", turbo, *how, "--prompt", prompt)
        assert (args.steps, args.cfg, args.sampler) == (8, 1.5, "LCM") and said.startswith("a LCM LoRA draws in")
    for prompt in ("<lora:fast:0>", "<lora:boats:1>"):
        args, said = settled("--checkpoint", turbo, *how, "--prompt", prompt)
        assert args.sampler == "Euler a" and said.startswith("a Turbo checkpoint draws in")
    args, said = settled("--checkpoint", tmp_path / "plain.safetensors", "--lora", f"{tmp_path}/fast.safetensors:0")
    assert not said


def test_a_flow_model_keeps_its_own_sampler_and_guidance(tmp_path):
    folder = tmp_path / "Z-Image-Turbo"
    folder.mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "ZImagePipeline"}')
    args, _ = settled("--checkpoint", folder)
    assert (args.steps, args.cfg, args.sampler) == (8, None, None)
