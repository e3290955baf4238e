"""Tiles through diffusers' Stable Diffusion img2img pipelines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch

from ..batch_size import BatchLimits
from ..enlarge.precision import multiplies_bfloat16
from ..errors import ModelError, OptionError, Stopped
from ..host import Batch, Fusion
from ..noise import TileNoise
from ..options.tile_prompts import joined
from ..pictures import infotext
from ..resume.digest import digest
from ..run.latent_windows import assemble, patches, unet_in_windows
from ..run.memory import windows_that_fit
from ..run.noise_draws import CanvasDraws
from .host import Refiner
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


class DiffusersRefiner(Refiner):
    """Refines tiles with an img2img pipeline (Stable Diffusion 1, 2, XL, or the embedded model).

    `model_name` goes into the infotext. A pipeline without a text encoder has no text input: prompts and CFG are left
    out. Several tiles go through the model at once, each with its own noise.
    """

    def __init__(self, pipeline: Any, sampling: Sampling, model_name: str):
        self.pipeline, self.sampling, self.model_name = pipeline, sampling, model_name
        self.latent_scale = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
        self.default_tile = 1024 if hasattr(pipeline, "text_encoder_2") else 512
        pipeline.scheduler = scheduler_for(sampling.sampler, pipeline.scheduler)
        pipeline.set_progress_bar_config(disable=True)
        if hasattr(pipeline.vae, "enable_slicing"):
            pipeline.vae.enable_slicing()  # a batch of windows is decoded one by one
        self.device = pipeline.unet.device
        self._in_bfloat16 = self._dtype == torch.float32 and multiplies_bfloat16(self.device)
        if self._in_bfloat16:
            pipeline.unet.forward = self._reduced(pipeline.unet.forward)
        self.guided = pipeline.text_encoder is not None and sampling.cfg_scale > 1
        self._conditioning = self._encode_prompts(sampling.prompt)
        self._tile_conditioning: dict[str, dict[str, torch.Tensor]] = {}  # of the last batch, by its tiles' texts

    @property
    def works_apart(self) -> bool:
        return self.device.type != "cpu"

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        return windows_that_fit(self.device, width, height, half=self._dtype == torch.float16)

    def refine(self, batch: Batch, stop: Callable[[], bool]) -> np.ndarray:
        """The windows after img2img, float32 (n, h, w, 3), levels 0-255. A denoise of 0 leaves them as they are."""
        if batch.denoise == 0:
            return batch.images
        self._piecewise_vae(batch)
        pixels = self._pixels(batch)
        noise = self._noise(batch)
        result = self._sample(
            lambda: torch.cat([self._encode(one[None]) for one in pixels]),
            noise,
            batch.denoise,
            self._conditioning_of(batch.prompts, len(batch.tiles)),
            stop,
        )
        images = _levels(result.images)
        return images[:, : batch.images.shape[1], : batch.images.shape[2]]

    def why_not_fused(self) -> str:
        return ""

    def fuse(
        self, fusion: Fusion, step_done: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> Iterator[np.ndarray]:
        """All windows of a canvas together, see `fused`; a batch's images after the other, as `refine` gives them."""
        first, region = fusion.batches[0], fusion.noise.region
        if first.denoise == 0:
            yield from (batch.images for batch in fusion.batches)
            return
        self._piecewise_vae(first)
        noise = self._noise(first)
        height, width = region.height, region.width
        places = patches(fusion.tiles, width, height, self.latent_scale, fusion.reach, wrap=fusion.wrap)

        def encoded() -> torch.Tensor:
            windows = (self._encode(one[None]) for batch in fusion.batches for one in self._pixels(batch))
            canvas = torch.empty(1, self.pipeline.vae.config.latent_channels, height, width, dtype=self._dtype)
            return assemble(windows, places, canvas.to(self.device))

        def check() -> None:
            if stop():
                raise Stopped("stopped in a step")

        unet, size = self.pipeline.unet, first.images.shape[1:3]
        forward = unet.forward
        unet.forward = unet_in_windows(forward, places, fusion.limit, check)
        try:
            canvas = self._sample(
                encoded, noise, first.denoise, self._conditioning, stop, step_done, size, output_type="latent"
            ).images
        finally:
            unet.forward = forward
        windows = iter(places)
        for batch in fusion.batches:
            images = torch.cat([self._decode(place.cut(canvas)) for place in islice(windows, len(batch.tiles))])
            yield _levels(images)

    def identity(self) -> dict[str, Any]:
        """The weights themselves, LoRA files merged in, and the settings but the seed: that is in the noise."""
        names = ("unet", "vae", "text_encoder", "text_encoder_2")
        parts = {name: getattr(self.pipeline, name, None) for name in names}
        return {
            "engine": "diffusers", "torch": torch.__version__, "device": self.device.type,
            "bfloat16": self._in_bfloat16,
            "weights": {name: fingerprint(part) for name, part in parts.items() if part is not None},
            "scheduler": dict(self.pipeline.scheduler.config), **{**asdict(self.sampling), "seed": None},
        }  # fmt: skip

    def save_memory(self) -> bool:
        """The autoencoder in pieces."""
        vae = self.pipeline.vae
        if not hasattr(vae, "enable_tiling") or getattr(vae, "use_tiling", False):
            return False
        vae.enable_tiling()
        return True

    @contextmanager
    def more_precise(self) -> Iterator[None]:
        """In single precision, where the model is in half."""
        dtype, conditioning = self._dtype, self._conditioning
        if dtype == torch.float32:
            reduced, self._in_bfloat16 = self._in_bfloat16, False
            try:
                yield
            finally:
                self._in_bfloat16 = reduced
            return
        try:
            self.pipeline.to(dtype=torch.float32)
            self._conditioning = {name: value.float() for name, value in conditioning.items()}
            self._tile_conditioning = {}
            yield
        finally:
            self.pipeline.to(dtype=dtype)
            self._conditioning, self._tile_conditioning = conditioning, {}

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

    def _reduced(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The UNet with its matrix products in bfloat16; latents and the sampler stay in float32.

        A third of the time on a CPU with units for it, and 73 dB from float32 (the embedded model on a photo).
        """

        def in_bfloat16(*args: Any, **kwargs: Any) -> Any:
            with torch.autocast("cpu", torch.bfloat16, enabled=self._in_bfloat16):
                predicted = forward(*args, **kwargs)
            if isinstance(predicted, tuple):
                return tuple(one.float() for one in predicted)
            return replace(predicted, sample=predicted.sample.float())

        return in_bfloat16

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
            return {"prompt_embeds": torch.zeros(1, 1, width, device=self.device, dtype=self._dtype)}
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

    @property
    def _dtype(self) -> torch.dtype:
        return self.pipeline.unet.dtype

    def _noise(self, batch: Batch) -> _CanvasNoise:
        return _CanvasNoise(batch.noises, self.pipeline.vae.config.latent_channels, self.device, self._dtype)

    def _piecewise_vae(self, batch: Batch) -> None:
        if max(batch.images.shape[1:3]) > WHOLE_DECODE:
            self.save_memory()

    @staticmethod
    def _pixels(batch: Batch) -> torch.Tensor:
        """float (n, 3, h, w), -1 to 1."""
        return torch.tensor(batch.images).permute(0, 3, 1, 2).float() / 127.5 - 1

    def _sample(
        self,
        encoded: Callable[[], torch.Tensor],
        noise: _CanvasNoise,
        denoise: float,
        conditioning: Mapping[str, torch.Tensor],
        stop: Callable[[], bool],
        step_done: Callable[[int, int], None] = lambda step, steps: None,
        size: tuple[int, int] | None = None,
        output_type: str = "pt",
    ) -> Any:
        """Runs the pipeline on latents that are made when it asks for them, under the canvas's noise.

        conditioning: its prompt arguments, a row for each of the latents.
        size: (height, width) an SDXL model is told; None: that of the latents.
        """

        def after_step(pipeline: Any, step: int, timestep: Any, values: dict) -> dict:
            if stop():
                raise Stopped("stopped in a tile")
            step_done(step + 1, pipeline.num_timesteps)
            return values

        def prepare_latents(image: Any, timestep: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            return self._noised(encoded(), timestep, noise)

        self.pipeline.prepare_latents = prepare_latents
        # Guidance between two prompts that are one cancels out, and costs as much as the model itself.
        guided = self.guided and not _alike(conditioning)
        told = {"original_size": size, "target_size": size} if size and hasattr(self.pipeline, "text_encoder_2") else {}
        try:
            with step_noise(self.pipeline.scheduler, noise.draw):
                return self.pipeline(
                    image=torch.zeros(noise.count, 3, 8, 8),  # prepare_latents has the real ones
                    strength=denoise,
                    # At least one step is run, however low the denoise.
                    num_inference_steps=max(self.sampling.steps, math.ceil(1 / denoise)),
                    guidance_scale=self.sampling.cfg_scale if guided else 1.0,
                    output_type=output_type,
                    callback_on_step_end=after_step,
                    **told,
                    **conditioning,
                )
        finally:
            del self.pipeline.prepare_latents

    def _encode(self, image: torch.Tensor) -> torch.Tensor:
        """Latents of an image (1, 3, h, w), -1 to 1.

        The mean of the encoder's distribution is taken, not a sample: a tile's result depends on nothing random.
        """
        vae = self.pipeline.vae
        with torch.inference_mode(), self._full_precision():
            latents = vae.encode(image.to(self.device, vae.dtype)).latent_dist.mode()
        mean, factor = self._latent_scaling(latents)
        return ((latents - mean) * factor).to(self._dtype)

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        """The reverse: an image (1, 3, h, w), 0 to 1."""
        vae = self.pipeline.vae
        mean, factor = self._latent_scaling(latents)
        with torch.inference_mode(), self._full_precision():
            image = vae.decode((latents / factor + mean).to(vae.dtype), return_dict=False)[0]
        return (image / 2 + 0.5).clamp(0, 1)

    def _latent_scaling(self, like: torch.Tensor) -> tuple[torch.Tensor | float, torch.Tensor | float]:
        """What is taken from an autoencoder's latents, and what they are then multiplied by."""
        config = self.pipeline.vae.config
        mean, std = (getattr(config, name, None) for name in ("latents_mean", "latents_std"))
        if mean is None or std is None:
            return 0.0, config.scaling_factor
        mean, std = (torch.tensor(value).view(1, -1, 1, 1).to(like) for value in (mean, std))
        return mean, config.scaling_factor / std

    @contextmanager
    def _full_precision(self) -> Iterator[None]:
        """SDXL's autoencoder overflows in half precision."""
        vae = self.pipeline.vae
        upcast = getattr(vae.config, "force_upcast", False) and vae.dtype == torch.float16
        if upcast:
            vae.to(torch.float32)
        try:
            yield
        finally:
            if upcast:
                vae.to(torch.float16)

    def _noised(self, latents: torch.Tensor, timestep: torch.Tensor, noise: _CanvasNoise) -> torch.Tensor:
        """Stands for the pipeline's `prepare_latents`: the latents under the canvas's noise."""
        scheduler = self.pipeline.scheduler
        noised = scheduler.add_noise(latents, noise.draw(latents.shape), timestep)
        replace_brownian_tree(scheduler, noise.draw, latents.shape)
        return noised


def _alike(conditioning: Mapping[str, torch.Tensor]) -> bool:
    """Whether prompt and negative prompt condition the model alike."""
    prompts = [name for name in conditioning if not name.startswith("negative_")]
    pairs = [(conditioning[name], conditioning.get("negative_" + name)) for name in prompts]
    return all(negative is not None and torch.equal(value, negative) for value, negative in pairs)


def _levels(images: torch.Tensor) -> np.ndarray:
    """float32 (n, h, w, 3), 0-255, of (n, 3, h, w), 0-1."""
    return images.float().mul(255).permute(0, 2, 3, 1).cpu().numpy()


def fingerprint(module: Any) -> str:
    """Of a network's weights: 64 values spread over each, which any training or merged LoRA changes."""
    with torch.inference_mode():
        values = [
            (name, tuple(weight.shape), str(weight.dtype), weight.flatten()[:: max(1, weight.numel() // 64)][:64])
            for name, weight in module.named_parameters()
        ]
        return digest(values)


class _CanvasNoise:
    """The canvas's draws in place of diffusers' `randn_tensor`."""

    def __init__(self, noises: Sequence[TileNoise], channels: int, device: torch.device, dtype: torch.dtype):
        self._draws, self._dtype, self.count = CanvasDraws(noises, channels, device), dtype, len(noises)

    def draw(self, shape: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        drawn = self._draws.next()
        if drawn.shape != tuple(shape):
            raise ModelError(f"the model asked for noise of {tuple(shape)}; its windows have {tuple(drawn.shape)}")
        return drawn.to(self._dtype)
