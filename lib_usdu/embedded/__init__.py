"""The embedded default: SPAN x4 upscalers and a small diffusion model for photos, usable without any download.

The model has no text input: callers pass zero `prompt_embeds` (any width) and guidance 1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..enlarge.torchvision_operators import declare_missing_operators

HERE = Path(__file__).resolve().parent
DEFAULT_UPSCALER = HERE / "span_x4.safetensors"


def load_autoencoder():
    """The embedded autoencoder, in float32 on the CPU; it has no weights."""
    declare_missing_operators()
    from .autoencoder import LappedAutoencoder

    return LappedAutoencoder(**json.loads((HERE / "vae" / "config.json").read_text())).eval()


def load_unet():
    """The embedded denoiser with its weights, in float32 on the CPU."""
    declare_missing_operators()
    from safetensors.torch import load_file

    from .denoiser import Denoiser

    unet = Denoiser(**json.loads((HERE / "unet" / "config.json").read_text()))
    unet.register_to_config(sample_size=64)  # diffusers compares it with 64
    weights = load_file(HERE / "unet" / "diffusion_pytorch_model.safetensors")
    unet.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return unet.eval()


def load_pipeline(device: Any = "cpu", dtype: Any = None) -> Any:
    """A diffusers img2img pipeline (epsilon prediction, SD's noise schedule); dtype defaults to float32."""
    import torch

    unet, vae = load_unet(), load_autoencoder()
    from diffusers import EulerDiscreteScheduler, StableDiffusionImg2ImgPipeline

    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        num_train_timesteps=1000,
        timestep_spacing="linspace",
        steps_offset=1,
    )
    networks: dict[str, Any] = dict(vae=vae, unet=unet, scheduler=scheduler)
    left_out: dict[str, Any] = dict.fromkeys(("tokenizer", "text_encoder", "safety_checker", "feature_extractor"))
    pipe = StableDiffusionImg2ImgPipeline(**networks, **left_out, requires_safety_checker=False)
    return pipe.to(device=device, dtype=dtype or torch.float32)
