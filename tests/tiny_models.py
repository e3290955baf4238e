"""Tiny Stable Diffusion pipelines with random weights: the real classes, a few thousand parameters."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionXLImg2ImgPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer


def tokenizer(folder: Path) -> CLIPTokenizer:
    """A byte-level CLIP tokenizer without merges: every letter is a token."""
    letters = [chr(code) for code in range(33, 127)]
    words = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    settings = {"tokenizer_class": "CLIPTokenizer", "pad_token": "<|endoftext|>", "model_max_length": 77}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return CLIPTokenizer.from_pretrained(folder)


def _text_config(vocabulary: int, **changes) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=37, num_attention_heads=4, num_hidden_layers=2,
        bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1, **changes,
    )  # fmt: skip


def _autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=[8, 8, 8, 8], norm_num_groups=2, latent_channels=4, sample_size=64,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4, layers_per_block=1,
    )  # fmt: skip


def _scheduler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)


def sd1(folder: Path) -> StableDiffusionImg2ImgPipeline:
    torch.manual_seed(0)
    words = tokenizer(folder / "words")
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=8, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, attention_head_dim=4, norm_num_groups=2,
    )  # fmt: skip
    return StableDiffusionImg2ImgPipeline(
        vae=_autoencoder(), text_encoder=CLIPTextModel(_text_config(len(words))), tokenizer=words, unet=unet,
        scheduler=_scheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def sdxl(folder: Path) -> StableDiffusionXLImg2ImgPipeline:
    torch.manual_seed(0)
    words = tokenizer(folder / "words")
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=8, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=64, attention_head_dim=(2, 4), use_linear_projection=True, norm_num_groups=2,
        addition_embed_type="text_time", addition_time_embed_dim=8, transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=80,
    )  # fmt: skip
    return StableDiffusionXLImg2ImgPipeline(
        vae=_autoencoder(), text_encoder=CLIPTextModel(_text_config(len(words))), tokenizer=words, unet=unet,
        text_encoder_2=CLIPTextModelWithProjection(_text_config(len(words), projection_dim=32)), tokenizer_2=words,
        scheduler=_scheduler(), requires_aesthetics_score=False,
    )  # fmt: skip


@contextmanager
def fed(pipeline, rgb, noise) -> Iterator[None]:
    """While inside, diffusers' own img2img pipeline gets the latents of a picture, uint8 (h, w, 3), without a draw, and
    this TileNoise for its noise."""
    pipeline.set_progress_bar_config(disable=True)
    module = sys.modules[type(pipeline).__module__]
    image = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    latents = pipeline.vae.encode(image).latent_dist.mode()
    kept = module.randn_tensor, module.retrieve_latents
    module.randn_tensor = lambda shape, **_: torch.from_numpy(noise.draw(0, 4))[None]
    module.retrieve_latents = lambda *_, **__: latents
    try:
        yield
    finally:
        module.randn_tensor, module.retrieve_latents = kept
