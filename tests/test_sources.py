"""What is known of a checkpoint before it is loaded."""

import json

import pytest

from lib_usdu.standalone.families.table import STABLE_DIFFUSION
from lib_usdu.standalone.sources import kind_of


def automatic_tile(source):
    """Side in px; 512 until the model is loaded where its kind cannot be seen."""
    return (kind_of(source) or STABLE_DIFFUSION).tile


def safetensors(*names):
    header = json.dumps({name: {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]} for name in names}).encode()
    return len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize(
    "content, tile",
    [
        (safetensors("cond_stage_model.transformer.x", "model.diffusion_model.x"), 512),
        (safetensors("conditioner.embedders.0.transformer.x", "model.diffusion_model.x"), 1024),
        (b"", 512), (b"\xff" * 8 + b"{}", 512), (safetensors("a")[:-4], 512), ((2).to_bytes(8, "little") + b"[]", 512),
        ((4).to_bytes(8, "little") + b"null", 512),
    ],
)  # fmt: skip
def test_the_tile_of_a_checkpoint_file(content, tile, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(content)
    assert automatic_tile(str(tmp_path / "model.safetensors")) == tile


@pytest.mark.parametrize(
    "index, tile",
    [
        ({"text_encoder": ["transformers", "CLIPTextModel"]}, 512),
        ({"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]}, 1024),
        ({"text_encoder_2": [None, None]}, 512), ([], 512), ({"text_encoder_2": []}, 512),
    ],
)  # fmt: skip
def test_the_tile_of_a_diffusers_folder(index, tile, tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert automatic_tile(str(tmp_path)) == tile


def test_what_cannot_be_seen_from_here():
    for source in ("embedded", "owner/name", "/not/there.safetensors", "model.ckpt", ""):
        assert automatic_tile(source) == 512


def gguf(*names):
    """A file of llama.cpp's format: a text, a number and a list of texts, then tensors of two axes."""

    def text(value):
        return len(value).to_bytes(8, "little") + value.encode()

    def number(value, size=4):
        return value.to_bytes(size, "little")

    values = [text("name") + number(8) + text("model"), text("n") + number(4) + number(7)]
    values.append(text("words") + number(9) + number(8) + number(2, 8) + text("a") + text("bc"))
    values.append(text("sizes") + number(9) + number(5) + number(3, 8) + bytes(12))
    tensors = [text(name) + number(2) + number(4, 8) * 2 + number(0) + number(0, 8) for name in names]
    return b"GGUF" + number(3) + number(len(names), 8) + number(len(values), 8) + b"".join(values + tensors)


FILES = {
    "Flux": ["double_blocks.0.x", "single_blocks.0.x", "guidance_in.x"],
    "Chroma": ["double_blocks.0.x", "single_blocks.0.x", "distilled_guidance_layer.x"],
    "Stable Diffusion 3": ["joint_blocks.0.x"], "Qwen-Image": ["transformer_blocks.0.x", "txt_norm.weight"],
    "Z-Image": ["layers.0.x", "cap_pad_token"], "Stable Diffusion XL": ["conditioner.embedders.0.x", "input_blocks.0"],
    "Stable Diffusion 1 and 2": ["cond_stage_model.x", "input_blocks.0.0.weight"],
    None: ["double_blocks.0.x", "single_blocks.0.x", "single_stream_modulation.lin.weight"],
}  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("made, suffix", [(safetensors, ".safetensors"), (gguf, ".gguf")])
@pytest.mark.parametrize("name", FILES)
def test_the_kind_of_model_in_a_file(name, made, suffix, prefix, tmp_path):
    names = [one if one.startswith(("cond", "conditioner")) else prefix + one for one in FILES[name]]
    (tmp_path / f"model{suffix}").write_bytes(made(*names))
    found = kind_of(str(tmp_path / f"model{suffix}"))
    assert (found.name if found else None) == name


DAMAGED = [b"", b"GGUF", b"GGML" + bytes(40), gguf("a")[:-9], b"GGUF\x03\0\0\0" + b"\xff" * 16]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_gguf_file_is_of_no_kind(content, tmp_path):
    (tmp_path / "model.gguf").write_bytes(content)
    assert kind_of(str(tmp_path / "model.gguf")) is None


def test_the_kind_of_model_in_a_folder(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "QwenImagePipeline"}))
    assert kind_of(str(tmp_path)).name == "Qwen-Image" and automatic_tile(str(tmp_path)) == 1024
