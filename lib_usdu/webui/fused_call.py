"""One call of the webui for a whole canvas, whose windows take each sampler step together (see `fused`).

The call believes it makes one small picture. Its `init` gives it the latents of the canvas, encoded window by window;
its `sample` lets the sampler run over them with the model asked window by window, decodes window by window, and hands
a scrap of a picture back. Neither encoder nor decoder ever sees the canvas. File:line: AUTOMATIC1111 v1.10.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch

from ..fused.windows import CutConditions, assemble, canvas_of, on_device, over_windows, patches, through_the_patcher
from ..host import Fusion
from ..latents import Latents
from ..speed.denoiser import network_of
from .phases import asked_once, coder_at, refuse_bare_noise, room_for
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
    latents: Latents
    stop: Callable[[], None]
    step_done: Callable[[], None]
    interrupted: Callable[[], bool]
    images: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self):
        region, fusion = self.fusion.noise.region, self.fusion
        self._places = patches(fusion.tiles, fusion.canvas, self.latents, fusion.reach)
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
        with asked_once(), self._coder():
            first = next(latents)
            self._places = on_device(self._places, first.device)
            canvas = torch.empty(*first.shape[:-2], *self._size, dtype=first.dtype, device=first.device)
            p.init_latent = assemble(chain([first], latents), self._places, canvas)
        p.image_conditioning = canvas.new_zeros(1, 5, 1, 1)  # of a model that takes none (processing.py:396)

    def _encode(self, image: np.ndarray, number: int) -> torch.Tensor:
        pixels = torch.from_numpy(np.moveaxis(image.astype(np.float32) / 255, 2, 0)[None].copy())
        torch.manual_seed((self.fusion.noise.seed + number) % 2**64)  # the encoder's own small noise
        return self.processing.images_tensor_to_samples(pixels, None, self.tile_p.sd_model)

    def _coder(self) -> AbstractContextManager[None]:
        return coder_at(self.fusion.batches[0].speed, self.tile_p.sd_model)

    def sample(self, *args: Any, **kwargs: Any) -> Any:
        """In the place of `p.sample`: its arguments; returns what the host takes for a decoded picture."""
        sampler = self.tile_p.sampler
        forge = hasattr(self.tile_p.sd_model, "forge_objects")
        network = network_of(self.tile_p.sd_model)
        self._beside = canvas_of(network, self._places) if isinstance(network, torch.nn.Module) else None
        self._rows_first = forge
        if forge:
            sampler.sample_img2img = self._patched(sampler.sample_img2img)
        else:
            denoiser = sampler.model_wrap_cfg.inner_model
            denoiser.forward = self._in_windows(denoiser.forward)
        with nullcontext() if self._beside is None else self._beside.put_in():
            latents = self._sample(*args, **kwargs)
        refuse_bare_noise(self.tile_p, latents)
        if not self.interrupted():
            with asked_once(), self._coder():
                self.images += [self._decode(place.cut(latents)) for place in self._places]
        scrap = self.processing.DecodedSamples()
        scrap.append(torch.zeros(3, 8, 8))
        return scrap

    def _over(
        self, x: torch.Tensor, predict: Callable[[torch.Tensor, CutConditions], torch.Tensor], level: float
    ) -> torch.Tensor:
        predicted = over_windows(
            x, self._places, self.fusion.limit, self.stop, predict, self._beside, level, rows_first=self._rows_first
        )
        self.step_done()
        return predicted

    def _in_windows(self, model: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """`forward` of AUTOMATIC1111's denoiser: a module of this sampler's own, made in init and gone with it."""

        def forward(x: torch.Tensor, sigma: torch.Tensor, **others: Any) -> torch.Tensor:
            def predict(cut: torch.Tensor, conditions: CutConditions) -> torch.Tensor:
                return model(cut, conditions(sigma), **conditions(others))

            return self._over(x, predict, float(sigma[0]))

        return forward

    def _patched(self, sample: Callable[..., Any]) -> Callable[..., Any]:
        """`sample_img2img` of the Forge family's samplers, with the model's patcher wrapped. By then the host has put
        the model's objects back to what they were, and extensions have wrapped them for this call
        (processing.py:1850 of Forge); the host's next call puts them back again."""

        def sample_in_windows(p: Any, *args: Any, **kwargs: Any) -> Any:
            objects = p.sd_model.forge_objects
            objects.unet = objects.unet.clone()
            below = objects.unet.model_options.get("model_function_wrapper")

            def wrapper(model: Callable[..., torch.Tensor], given: dict[str, Any]) -> torch.Tensor:
                def asked(told: dict[str, Any]) -> torch.Tensor:
                    if below is not None:
                        return below(model, told)
                    return model(told["input"], told["timestep"], **told["c"])

                return through_the_patcher(asked, given, self._over)

            objects.unet.model_options["model_function_wrapper"] = wrapper
            with room_for(p.sd_model, self._of_windows):
                return sample(p, *args, **kwargs)

        return sample_in_windows

    def _of_windows(self, shape: Sequence[int]) -> list[int]:
        """The shape of what the model sees at a time of a canvas's latents."""
        return [shape[0] * self.fusion.limit, *shape[1:-2], *self._places[0].share.shape]

    def _decode(self, latents: torch.Tensor) -> np.ndarray:
        decoded = self.processing.decode_latent_batch(
            self.tile_p.sd_model, latents, target_device=torch.device("cpu"), check_for_nans=True
        )
        picture = decoded[0].reshape(-1, *decoded[0].shape[-2:])  # (3, h, w), with an axis of frames in video models
        return torch.clamp((picture.float() + 1) / 2, 0, 1).movedim(0, 2).numpy() * np.float32(255)


def cannot_fuse(
    processing: ProcessingModule, sd_model: SdModel, *, controlnet: bool, one_picture: bool = False
) -> str:
    """Why windows cannot take each step together here; "" where they can.

    processing: the host's module. controlnet: whether a unit is on. one_picture: whether the checkpoint looks at the
    whole of a picture beside its latents.
    """
    if not hasattr(processing, "DecodedSamples"):
        return "this webui's samplers call the model in another way"
    if controlnet:
        return "with a ControlNet unit on"
    conditioned = getattr(getattr(sd_model, "model", None), "conditioning_key", "crossattn") != "crossattn"
    if conditioned or one_picture or getattr(sd_model, "is_inpaint", False):
        return "with an inpainting, edit, depth or video checkpoint"
    return ""
