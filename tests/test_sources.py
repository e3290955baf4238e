"""What is known of a checkpoint before it is loaded."""

import json

import pytest

from lib_usdu.standalone.sources import default_tile


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
    assert default_tile(str(tmp_path / "model.safetensors")) == tile


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
    assert default_tile(str(tmp_path)) == tile


def test_what_cannot_be_seen_from_here():
    for source in ("embedded", "owner/name", "/not/there.safetensors", "model.ckpt", ""):
        assert default_tile(source) == 512
