"""One call of the webui for a whole canvas, whose windows take each sampler step together (see `fused`).

The call believes it makes one small picture. Its `init` gives it the latents of the canvas, encoded window by window;
its `sample` lets the sampler run over them with the model asked window by window, decodes window by window, and hands
a scrap of a picture back. Neither encoder nor decoder ever sees the canvas. File:line: AUTOMATIC1111 v1.10.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch

from ..host import Fusion
from ..run.latent_windows import Conditions, assemble, on_device, over_windows, patches
from .protocols import Processing, ProcessingModule, SdModel


@dataclass
class FusedCall:
    """Makes `tile_p` (a tile's copy of p, whose noise is the canvas's) the call for these windows.

    processing: the host's module. stop: raises what the host's samplers take for an interrupt, when there is one.
    step_done: called after each call of the model. After the call `images` holds what each window became: float32
    (h, w, 3), levels 0-255; it is empty where the call was interrupted.
    """

    processing: ProcessingModule
    create_sampler: Callable[[], Any]
    tile_p: Processing
    fusion: Fusion
    scale: int
    stop: Callable[[], None]
    step_done: Callable[[], None]
    interrupted: Callable[[], bool]
    images: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self):
        region, fusion = self.fusion.noise.region, self.fusion
        self._places = patches(fusion.tiles, fusion.canvas, self.scale, fusion.reach)
        self._size = region.height, region.width
        self._sample = self.tile_p.sample
        self.tile_p.init, self.tile_p.sample = self._init, self.sample

    def _init(self, all_prompts: Any, all_seeds: Any, all_subseeds: Any) -> None:
        """What StableDiffusionProcessingImg2Img.init does without a mask (processing.py:1604-1755)."""
        p = self.tile_p
        p.extra_generation_params["Denoising strength"] = p.denoising_strength
        p.image_cfg_scale = None
        p.sampler = self.create_sampler()
        latents = (self._encode(image, number) for number, image in enumerate(self.fusion.images))
        first = next(latents)
        self._places = on_device(self._places, first.device)
        canvas = torch.empty(1, first.shape[1], *self._size, dtype=first.dtype, device=first.device)
        p.init_latent = assemble(chain([first], latents), self._places, canvas)
        p.image_conditioning = canvas.new_zeros(1, 5, 1, 1)  # of a model that takes none (processing.py:396)

    def _encode(self, image: np.ndarray, number: int) -> torch.Tensor:
        pixels = torch.from_numpy(np.moveaxis(image.astype(np.float32) / 255, 2, 0)[None].copy())
        torch.manual_seed((self.fusion.noise.seed + number) % 2**64)  # the encoder's own small noise
        return self.processing.images_tensor_to_samples(pixels, None, self.tile_p.sd_model)

    def sample(self, *args: Any, **kwargs: Any) -> Any:
        # A module of this sampler's own, made in init and gone with it: nothing to put back.
        denoiser = self.tile_p.sampler.model_wrap_cfg.inner_model
        model = denoiser.forward

        def forward(x: torch.Tensor, sigma: torch.Tensor, **others: Any) -> torch.Tensor:
            def predict(cut: torch.Tensor, conditions: Conditions) -> torch.Tensor:
                return model(cut, conditions(sigma), **conditions(others))

            predicted = over_windows(x, self._places, self.fusion.limit, self.stop, predict)
            self.step_done()
            return predicted

        denoiser.forward = forward
        latents = self._sample(*args, **kwargs)
        if not self.interrupted():
            for place in self._places:
                decoded = self.processing.decode_latent_batch(
                    self.tile_p.sd_model, place.cut(latents), target_device=torch.device("cpu"),
                    check_for_nans=True,
                )  # fmt: skip
                pixels = torch.clamp((decoded[0].float() + 1) / 2, 0, 1)
                self.images.append(pixels.movedim(0, 2).numpy() * np.float32(255))
        scrap = self.processing.DecodedSamples()
        scrap.append(torch.zeros(3, 8, 8))
        return scrap


def cannot_fuse(processing: ProcessingModule, sd_model: SdModel, *, controlnet: bool) -> str:
    """Why windows cannot take each step together here; "" where they can.

    processing: the host's module. controlnet: whether a unit is on.
    """
    if not hasattr(processing, "DecodedSamples") or hasattr(sd_model, "forge_objects"):
        return "this webui's samplers call the model in another way"
    if controlnet:
        return "with a ControlNet unit on"
    if getattr(getattr(sd_model, "model", None), "conditioning_key", "crossattn") != "crossattn":
        return "with an inpainting, edit or depth checkpoint"
    return ""
