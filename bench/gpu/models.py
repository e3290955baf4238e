"""Diffusion models and upscalers of real size with random weights; tiny ones for a run on the CPU."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lib_usdu.embedded import DEFAULT_UPSCALER, span
from lib_usdu.enlarge.torchvision_operators import declare_missing_operators
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling

declare_missing_operators()

SIZES = {"SD 1.5": (512, 576), "SDXL": (1024, 1088)}
"""Side of a tile and of its window, in pixels."""
UNETS: Mapping[str, Mapping[str, Any]] = {
    "SD 1.5": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    "SDXL": {
        "sample_size": 128, "block_out_channels": (320, 640, 1280), "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20), "use_linear_projection": True, "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256, "transformer_layers_per_block": (1, 2, 10),
        "projection_class_embeddings_input_dim": 2816,
    },
}  # fmt: skip
"""What diffusers' UNet is made of."""


def refiner(kind: str, device: torch.device, *, tiny: bool, sampler: str = "DPM++ 2M") -> DiffusersRefiner:
    """kind: one of SIZES. 20 steps at a denoise of 0.25 are 5 of them, with guidance."""
    from diffusers.utils import logging

    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        if tiny:
            from tests import tiny_models

            make = tiny_models.sd1 if kind == "SD 1.5" else tiny_models.sdxl
            pipeline = make(Path(folder)).to(device)
        else:
            pipeline = (_sd15 if kind == "SD 1.5" else _sdxl)(device, Path(folder))
            pipeline = _packed(pipeline, device)
    return DiffusersRefiner(pipeline, Sampling("a photo", "", sampler, 8 if tiny else 20, 7.0, 1), "random")


def _packed(pipeline: Any, device: torch.device) -> Any:
    """As a checkpoint that was loaded lies on the card: weights made in float32 leave gaps when they are halved."""
    pipeline.to("cpu")
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return pipeline.to(device)


def _scheduler() -> Any:
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)


def _sd15(device: torch.device, folder: Path) -> Any:
    from diffusers import StableDiffusionImg2ImgPipeline, UNet2DConditionModel

    from tests import tiny_models

    torch.manual_seed(0)
    words = tiny_models.tokenizer(folder)
    with torch.device(device):
        unet = UNet2DConditionModel(**UNETS["SD 1.5"]).half()
        vae, text = autoencoder(512, upcast=False).half(), _text(768, 12, 12, 3072, len(words)).half()
    return StableDiffusionImg2ImgPipeline(
        vae=vae, text_encoder=text, tokenizer=words, unet=unet, scheduler=_scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).to(device, torch.float16)  # fmt: skip


def _sdxl(device: torch.device, folder: Path) -> Any:
    from diffusers import StableDiffusionXLImg2ImgPipeline, UNet2DConditionModel

    from tests import tiny_models

    torch.manual_seed(0)
    words = tiny_models.tokenizer(folder)
    with torch.device(device):
        unet = UNet2DConditionModel(**UNETS["SDXL"]).half()
        vae = autoencoder(1024, upcast=True).half()
        text = _text(768, 12, 12, 3072, len(words)).half()
        text_2 = _text(1280, 32, 20, 5120, len(words), 1280).half()
    return StableDiffusionXLImg2ImgPipeline(
        vae=vae, text_encoder=text, tokenizer=words, text_encoder_2=text_2, tokenizer_2=words, unet=unet,
        scheduler=_scheduler(), requires_aesthetics_score=False,
    ).to(device, torch.float16)  # fmt: skip


def autoencoder(side: int, *, upcast: bool) -> Any:
    """Of Stable Diffusion's size. upcast: SDXL's, which breaks down in half precision."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=[128, 256, 512, 512], latent_channels=4, sample_size=side, layers_per_block=2,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
        scaling_factor=0.13025 if upcast else 0.18215, force_upcast=upcast,
    )  # fmt: skip


def _text(width: int, layers: int, heads: int, inner: int, words: int, projected: int | None = None) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    settings = CLIPTextConfig(
        vocab_size=words, hidden_size=width, intermediate_size=inner, num_attention_heads=heads,
        num_hidden_layers=layers, bos_token_id=words - 2, eos_token_id=words - 1, pad_token_id=words - 1,
        **({"projection_dim": projected} if projected else {}),
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(settings)


def upscalers() -> dict[str, Callable[[], Any]]:
    """Spandrel's descriptors by name, of factor 4: SPAN is the embedded one, the others have random weights."""
    from spandrel import ModelLoader
    from spandrel.architectures import ESRGAN, Compact

    torch.manual_seed(0)
    return {
        "SPAN": lambda: ModelLoader("cpu").load_from_state_dict(span.read(DEFAULT_UPSCALER)),
        "Compact": lambda: Compact.CompactArch().load(Compact.Compact(num_conv=16, upscale=4).state_dict()),
        "RRDB of 6 blocks": lambda: ESRGAN.ESRGANArch().load(ESRGAN.ESRGAN(scale=4, num_blocks=6).state_dict()),
        "RRDB of 23 blocks": lambda: ESRGAN.ESRGANArch().load(ESRGAN.ESRGAN(scale=4, num_blocks=23).state_dict()),
    }
