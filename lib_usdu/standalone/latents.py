"""Between pictures and latents: a pipeline's autoencoder, window by window."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from ..run.memory import give_back, out_of_memory
from ..run.transfer import on_host, to_device
from ..speed.autoencoder import quicker

WHOLE_DECODE = 1536
"""Windows larger than this go through the autoencoder in pieces: a whole 2048 x 2048 takes 10 GB in half precision."""
PIECES = ((512, 64), (256, 32))
"""Sides of the pieces and their overlap, in pixels. SDXL's decoder takes 3.4 GiB for 1088 x 1088 whole in float32,
0.8 in pieces of 512 and 0.2 in pieces of 256."""


def dtype_of(network: Any) -> torch.dtype:
    """In which a network calculates: its weights', but for one in few bits a weight (GGUF). diffusers' own `dtype`
    looks at every module of it first, 2 ms each time."""
    quantized = getattr(network, "hf_quantizer", None)
    if quantized is not None:
        return quantized.compute_dtype
    weight = next(network.parameters(), None)
    return network.dtype if weight is None else weight.dtype


def scale_of(vae: Any) -> int:
    """Pixels per latent along each axis."""
    config = vae.config
    return 2 ** (len(config.temperal_downsample) if hasattr(config, "z_dim") else len(config.block_out_channels) - 1)


def floats(predicted: Any) -> Any:
    """The tensors of a prediction in float32: one, a tuple or list of them, or diffusers' own output with `sample`."""
    if isinstance(predicted, (tuple, list)):
        return type(predicted)(floats(one) for one in predicted)
    if hasattr(predicted, "sample"):
        return replace(predicted, sample=floats(predicted.sample))
    return predicted.float()


def in_bfloat16(forward: Callable[..., Any], enabled: Callable[[], bool]) -> Callable[..., Any]:
    """A network's `forward` with its matrix products in bfloat16, as long as that is enabled; latents and the sampler
    stay in float32.

    A third of the time on a CPU with units for it, and 73 dB from float32 (the embedded model on a photo).
    """

    def reduced(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled()):
            return floats(forward(*args, **kwargs))

    return reduced


class Autoencoder:
    """Encodes and decodes windows one by one; `dtype` is that of the latents.

    Where memory runs out it goes on in smaller pieces. Where a picture of finite latents holds NaN, it goes on in
    single precision: half precision overflows in some decoders, in SDXL's always (`force_upcast`). `remarks` says what
    was changed, a line each.
    """

    def __init__(self, vae: Any, device: torch.device, dtype: torch.dtype):
        self.vae, self.device, self.dtype = vae, device, dtype
        self.of_videos = hasattr(vae.config, "z_dim")
        """Whether it has an axis of frames between channels and height (Qwen-Image's), which is 1 long here."""
        self.folds = 2 if hasattr(vae, "bn") else 1
        """So many of its latents along each axis are one of the model's, their values in its channels (Flux 2)."""
        self.scale = scale_of(vae) * self.folds
        """Pixels per latent along each axis."""
        self.channels: int = vae.config.z_dim if self.of_videos else vae.config.latent_channels * self.folds**2
        self._norm: tuple[torch.Tensor, torch.Tensor] | None = None
        if self.folds > 1:  # read now: where layers lie elsewhere until they are needed, these numbers do too
            kept = vae.bn.running_mean, (vae.bn.running_var + vae.config.batch_norm_eps) ** 0.5
            mean, spread = (one.detach().float().cpu().clone().view(1, -1, 1, 1) for one in kept)
            self._norm = mean, spread
        self.remarks: dict[str, None] = {}
        self.keeps_format = False
        """Whether the weights' number format must stay as it is."""
        self.quick = False
        """Whether it may be a little less exact for less time (speed/autoencoder.py)."""
        self._pieces = 0
        if hasattr(vae, "enable_slicing"):
            vae.enable_slicing()
        if getattr(vae.config, "force_upcast", False) and dtype_of(vae) == torch.float16:
            vae.to(torch.float32)

    def encode(self, images: np.ndarray) -> torch.Tensor:
        """Latents (n, channels, h / scale, w / scale) of uint8 (n, h, w, 3).

        The mean of the encoder's distribution is taken, not a sample: a tile's result depends on nothing random.
        """
        return torch.cat([self._sparing(self._encode, one) for one in to_device(images, self.device)])

    def pictures(self, latents: torch.Tensor, height: int, width: int) -> np.ndarray:
        """The reverse: float32 (n, height, width, 3), levels 0-255, contiguous; NaN where latents are not finite or
        the decoder breaks down in single precision too."""
        images = on_host((len(latents), height, width, 3), torch.float32, self.device)
        good = [self._decode_into(images[i], one[None]) for i, one in enumerate(latents)]
        # The one wait for the device: by now all copies are done.
        for i in torch.nonzero(~torch.stack(good).cpu()).flatten().tolist():
            if not (bool(torch.isfinite(latents[i]).all()) and self._again_precisely(images[i], latents[i][None])):
                images[i] = torch.nan
        return images.numpy()

    def small_pieces(self) -> bool:
        """Smaller pieces from here on; False where they are the smallest, or this autoencoder has no pieces."""
        if not hasattr(self.vae, "enable_tiling") or self._pieces >= len(PIECES):
            return False
        side, overlap = PIECES[self._pieces]
        self._pieces += 1
        if self.of_videos:
            self.vae.enable_tiling(side, side, side - overlap, side - overlap)
            return True
        self.vae.enable_tiling()
        # Names of AutoencoderKL's own attributes. The decoder's pieces are counted in latents.
        self.vae.tile_sample_min_size = side
        self.vae.tile_latent_min_size = side * self.folds // self.scale
        self.vae.tile_overlap_factor = overlap / side
        return True

    def fit_for(self, side: int) -> None:
        """Told how large the windows are, in pixels: large ones go in pieces of the size the model was trained on."""
        if side > WHOLE_DECODE and self._pieces == 0 and hasattr(self.vae, "enable_tiling"):
            self.vae.enable_tiling()

    def whole(self) -> None:
        """Whole windows again, as at the start."""
        self._pieces = 0
        if hasattr(self.vae, "disable_tiling"):
            self.vae.disable_tiling()

    def precise(self) -> None:
        """In single precision from here on."""
        self.vae.to(torch.float32)

    def _sparing(self, work: Callable[..., Any], *given: Any) -> Any:
        """`work`, again in smaller pieces as often as memory does not hold it."""
        while True:
            try:
                with quicker(self.vae) if self.quick else nullcontext():
                    return work(*given)
            except Exception as error:
                if not out_of_memory(error) or not self.small_pieces():
                    raise
            give_back()  # not before the error has let go of what the call held
            self.remarks[f"out of memory: the autoencoder works in pieces of {PIECES[self._pieces - 1][0]} px"] = None

    def _encode(self, image: torch.Tensor) -> torch.Tensor:
        """image: uint8 (h, w, 3) on the device."""
        # In place where nobody else holds the numbers: fresh memory costs more than the arithmetic on a processor.
        pixels = image.permute(2, 0, 1)[None].to(torch.float32, copy=True).div_(127.5).sub_(1)
        with torch.no_grad():
            pixels = pixels[:, :, None] if self.of_videos else pixels
            latents = self.vae.encode(pixels.to(dtype_of(self.vae))).latent_dist.mode()
            latents = latents[:, :, 0] if self.of_videos else pixel_unshuffle(latents, self.folds)
            mean, factor = self._scaling(latents)
            return ((latents - mean) * factor).to(self.dtype)

    def _decode_into(self, image: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Fills the picture, in time; whether all of it is finite, as a tensor on the device."""
        with torch.no_grad():
            decoded = self._sparing(self._decode, latents)[0, :, : image.shape[0], : image.shape[1]]
            levels = decoded.float().mul_(127.5).add_(127.5)  # in place: nobody else holds what was decoded
            ends = torch.stack(torch.aminmax(levels))  # one pass, no mask in fresh memory; NaN goes through
            levels = levels.clamp_(0, 255).permute(1, 2, 0)
            on_card = self.device.type == "cuda"
            image.copy_(levels.contiguous() if on_card else levels, non_blocking=on_card)
            return torch.isfinite(ends).all()

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        mean, factor = self._scaling(latents)
        latents = pixel_shuffle((latents / factor + mean).to(dtype_of(self.vae)), self.folds)
        decoded = self.vae.decode(latents[:, :, None] if self.of_videos else latents, return_dict=False)[0]
        return decoded[:, :, 0] if self.of_videos else decoded

    def _again_precisely(self, image: torch.Tensor, latents: torch.Tensor) -> bool:
        """Once more in single precision, where that was not it already; whether the picture is finite now."""
        if self.keeps_format or dtype_of(self.vae) == torch.float32:
            return False
        was = dtype_of(self.vae)
        try:
            self.precise()
            good = bool(self._decode_into(image, latents))
        except Exception as error:
            if not out_of_memory(error):
                raise
            good = False
        if good:
            self.remarks["NaN in a decoded picture: the autoencoder works in single precision from here on"] = None
        else:
            with suppress(RuntimeError):
                self.vae.to(was)
        return good

    def _scaling(self, like: torch.Tensor) -> tuple[torch.Tensor | float, torch.Tensor | float]:
        """What is taken from an autoencoder's latents, and what they are then multiplied by."""
        config = self.vae.config
        if self._norm is not None:
            mean, spread = self._norm
            return mean.to(like), 1 / spread.to(like)
        mean, std = (getattr(config, name, None) for name in ("latents_mean", "latents_std"))
        if mean is None or std is None:
            return getattr(config, "shift_factor", None) or 0.0, config.scaling_factor
        mean, std = (torch.tensor(value).view(1, -1, 1, 1).to(like) for value in (mean, std))
        return mean, getattr(config, "scaling_factor", 1.0) / std
