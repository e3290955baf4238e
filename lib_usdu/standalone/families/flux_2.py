"""Flux 2 [klein] from a picture. diffusers draws with it from words and edits pictures with it; img2img it has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import Flux2KleinPipeline
from diffusers.pipelines.flux2.pipeline_output import Flux2PipelineOutput

from .flow import empirical_shift


class Flux2KleinImg2ImgPipeline(Flux2KleinPipeline):
    """`Flux2KleinPipeline` that begins with a picture under noise. `get_timesteps` and `prepare_latents` are those of
    `Steps`, which knows the picture."""

    def get_timesteps(self, steps: int, strength: float, device: Any) -> tuple[Any, int]:
        """As diffusers' img2img pipelines have it."""
        raise NotImplementedError

    @torch.no_grad()
    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]: an img2img pipeline's arguments
        self, image: Any = None, *, prompt_embeds: torch.Tensor, negative_prompt_embeds: torch.Tensor | None = None,
        height: int, width: int, strength: float, num_inference_steps: int, guidance_scale: float = 1.0,
        callback_on_step_end: Any = None, **others: Any,
    ) -> Flux2PipelineOutput:  # fmt: skip
        """Latents (n, height / 16 * width / 16, 128) of so many rows of prompts. height, width: px."""
        self._guidance_scale, self._attention_kwargs, self._interrupt = guidance_scale, None, False
        device, scheduler = self._execution_device, self.scheduler
        side = self.vae_scale_factor * 2
        tokens = (height // side) * (width // side)
        sigmas = np.linspace(1.0, 1 / num_inference_steps, num_inference_steps)
        mu = empirical_shift(scheduler.config, tokens, num_inference_steps)
        scheduler.set_timesteps(num_inference_steps, device=device, sigmas=sigmas, mu=mu)
        timesteps, _ = self.get_timesteps(num_inference_steps, strength, device)
        begin: Any = self.prepare_latents  # of `Steps`, which needs nothing
        latents, places = begin()
        told = {"img_ids": places, "guidance": None, "return_dict": False}
        both = [prompt_embeds, negative_prompt_embeds] if self.do_classifier_free_guidance else [prompt_embeds]
        self._num_timesteps = len(timesteps)
        for number, time in enumerate(timesteps):
            share = time.expand(len(latents)).to(latents.dtype) / 1000
            said = [
                self.transformer(
                    hidden_states=latents.to(self.transformer.dtype), timestep=share, encoder_hidden_states=words,
                    txt_ids=self._prepare_text_ids(words).to(device), **told,
                )[0]
                for words in both
            ]  # fmt: skip
            drawn = said[0] if len(said) == 1 else said[1] + guidance_scale * (said[0] - said[1])
            kept = latents.dtype
            latents = scheduler.step(drawn, time, latents, return_dict=False)[0].to(kept)
            if callback_on_step_end is not None:
                callback_on_step_end(self, number, time, {})
        self.maybe_free_model_hooks()
        return Flux2PipelineOutput(images=latents)
