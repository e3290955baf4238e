"""Tiles through diffusers' Stable Diffusion img2img pipelines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .. import infotext
from ..errors import ModelError, OptionError, Stopped
from ..host import Batch
from ..noise import TileNoise
from ..tile_prompts import joined
from .canvas_draws import CanvasDraws
from .memory import windows_that_fit
from .samplers import SAMPLERS, replace_brownian_tree, scheduler_for, step_noise

WHOLE_DECODE = 1536
"""Windows larger than this go through the autoencoder in pieces: a whole 2048 x 2048 takes 10 GB in half precision."""


@dataclass(frozen=True)
class Sampling:
    """What the model is told. steps: of a full denoise, as in the webui; a denoise of 0.3 runs 0.3 of them."""

    prompt: str = ""
    negative_prompt: str = ""
    sampler: str = "DPM++ 2M"
    steps: int = 20
    cfg_scale: float = 7.0
    seed: int = 1

    def __post_init__(self):
        if self.sampler.casefold() not in [name.casefold() for name in SAMPLERS]:
            raise OptionError("sampler", self.sampler, ", ".join(SAMPLERS))
        if not 1 <= self.steps <= 1000:
            raise OptionError("steps", self.steps, "a whole number from 1 to 1000")
        if not (math.isfinite(self.cfg_scale) and 0 <= self.cfg_scale <= 100):
            raise OptionError("cfg", self.cfg_scale, "a number from 0 to 100")


class DiffusersRefiner:
    """Refines tiles with an img2img pipeline (Stable Diffusion 1, 2, XL, or the embedded model).

    `model_name` goes into the infotext. A pipeline without a text encoder has no text input: prompts and CFG are left
    out. Several tiles go through the model at once, each with its own noise.
    """

    alignment = 64

    def __init__(self, pipeline: Any, sampling: Sampling, model_name: str):
        self.pipeline, self.sampling, self.model_name = pipeline, sampling, model_name
        self.latent_scale = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
        self.default_tile = 1024 if hasattr(pipeline, "text_encoder_2") else 512
        pipeline.scheduler = scheduler_for(sampling.sampler, pipeline.scheduler)
        pipeline.set_progress_bar_config(disable=True)
        if hasattr(pipeline.vae, "enable_slicing"):
            pipeline.vae.enable_slicing()  # a batch of windows is decoded one by one
        self.device = pipeline.unet.device
        self.guided = pipeline.text_encoder is not None and sampling.cfg_scale > 1
        self._conditioning = self._encode_prompts(sampling.prompt)
        self._tile_conditioning: dict[str, dict[str, torch.Tensor]] = {}  # of the last batch, by its tiles' texts

    def batch_limit(self, width: int, height: int) -> int:
        return windows_that_fit(self.device, width, height, half=self.pipeline.unet.dtype == torch.float16)

    def refine(self, batch: Batch, stop: Callable[[], bool]) -> np.ndarray:
        """The windows after img2img, float32 (n, h, w, 3), levels 0-255. A denoise of 0 leaves them as they are."""
        if batch.denoise == 0:
            return batch.images
        count = len(batch.tiles)
        if max(batch.images.shape[1:3]) > WHOLE_DECODE and hasattr(self.pipeline.vae, "enable_tiling"):
            self.pipeline.vae.enable_tiling()
        noise = _CanvasNoise(
            batch.noises, self.pipeline.vae.config.latent_channels, self.device, self.pipeline.unet.dtype
        )
        self.pipeline.prepare_latents = lambda image, timestep, *args, **kwargs: self._noised(image, timestep, noise)

        def after_step(pipeline: Any, step: int, timestep: Any, values: dict) -> dict:
            if stop():
                raise Stopped("stopped in a tile")
            return values

        try:
            with step_noise(self.pipeline.scheduler, noise.draw):
                result = self.pipeline(
                    image=torch.tensor(batch.images).permute(0, 3, 1, 2).float() / 255,
                    strength=batch.denoise,
                    # At least one step is run, however low the denoise.
                    num_inference_steps=max(self.sampling.steps, math.ceil(1 / batch.denoise)),
                    guidance_scale=self.sampling.cfg_scale if self.guided else 1.0,
                    output_type="pt",
                    callback_on_step_end=after_step,
                    **self._conditioning_of(batch.prompts, count),
                )
        finally:
            del self.pipeline.prepare_latents
        images = result.images.float().mul(255).permute(0, 2, 3, 1).cpu().numpy()
        return images[:, : batch.images.shape[1], : batch.images.shape[2]]

    def infotext(self, parameters: dict[str, str]) -> str:
        """Generation parameters as the webui writes them."""
        sampling = self.sampling
        values = {"Steps": sampling.steps, "Sampler": sampling.sampler}
        if self.guided:
            values["CFG scale"] = sampling.cfg_scale
        values |= {"Seed": sampling.seed, "Model": self.model_name, **parameters}
        if not self._has_text:
            return infotext.write(values)
        return infotext.write(values, sampling.prompt, sampling.negative_prompt)

    @property
    def _has_text(self) -> bool:
        return self.pipeline.text_encoder is not None

    def _conditioning_of(self, texts: Sequence[str], count: int) -> dict[str, torch.Tensor]:
        """The pipeline's prompt arguments for tiles that add these texts to the prompt."""
        if not any(texts) or not self._has_text:
            return {name: value.repeat_interleave(count, dim=0) for name, value in self._conditioning.items()}
        known = {"": self._conditioning, **self._tile_conditioning}
        for text in texts:
            if text not in known:
                known[text] = self._encode_prompts(joined(self.sampling.prompt, text))
        self._tile_conditioning = {text: known[text] for text in texts}
        return {name: torch.cat([known[text][name] for text in texts]) for name in self._conditioning}

    def _encode_prompts(self, prompt: str) -> dict[str, torch.Tensor]:
        """The pipeline's prompt arguments for one tile."""
        if not self._has_text:
            width = self.pipeline.unet.config.cross_attention_dim
            return {"prompt_embeds": torch.zeros(1, 1, width, device=self.device, dtype=self.pipeline.unet.dtype)}
        names = ["prompt_embeds", "negative_prompt_embeds"]
        if hasattr(self.pipeline, "text_encoder_2"):
            names += ["pooled_prompt_embeds", "negative_pooled_prompt_embeds"]
        with torch.inference_mode():
            encoded = self.pipeline.encode_prompt(
                prompt=prompt,
                negative_prompt=self.sampling.negative_prompt,
                device=self.device,
                num_images_per_prompt=1,
                do_classifier_free_guidance=self.guided,
            )
        return {name: value for name, value in zip(names, encoded) if value is not None}

    def _noised(self, image: torch.Tensor, timestep: torch.Tensor, noise: _CanvasNoise) -> torch.Tensor:
        """Stands for the pipeline's `prepare_latents`: the latents of the windows under the canvas's noise.

        The mean of the encoder's distribution is taken, not a sample: a tile's result depends on nothing random.
        """
        vae, dtype = self.pipeline.vae, self.pipeline.unet.dtype
        upcast = getattr(vae.config, "force_upcast", False) and vae.dtype == torch.float16
        if upcast:  # SDXL's autoencoder overflows in half precision
            vae.to(torch.float32)
        latents = torch.cat([vae.encode(one[None].to(self.device, vae.dtype)).latent_dist.mode() for one in image])
        if upcast:
            vae.to(torch.float16)
        mean, std = (getattr(vae.config, name, None) for name in ("latents_mean", "latents_std"))
        if mean is not None and std is not None:
            mean, std = (torch.tensor(value).view(1, -1, 1, 1).to(latents) for value in (mean, std))
            latents = (latents - mean) * vae.config.scaling_factor / std
        else:
            latents = latents * vae.config.scaling_factor
        latents = latents.to(dtype)
        scheduler = self.pipeline.scheduler
        noised = scheduler.add_noise(latents, noise.draw(latents.shape), timestep)
        replace_brownian_tree(scheduler, noise.draw, latents.shape)
        return noised


class _CanvasNoise:
    """The canvas's draws in place of diffusers' `randn_tensor`."""

    def __init__(self, noises: Sequence[TileNoise], channels: int, device: torch.device, dtype: torch.dtype):
        self._draws, self._dtype = CanvasDraws(noises, channels, device), dtype

    def draw(self, shape: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        drawn = self._draws.next()
        if drawn.shape != tuple(shape):
            raise ModelError(f"the model asked for noise of {tuple(shape)}; its windows have {tuple(drawn.shape)}")
        return drawn.to(self._dtype)
