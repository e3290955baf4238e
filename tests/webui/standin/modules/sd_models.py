"""The pretended model: a VAE that loses nothing and a sampler's target that shows which noise reached which pixel."""

import types

import torch
import torch.nn.functional as F

# The webui cuts 127.9999 to 127 (processing.py:1034-1035): so that an unrefined picture survives, decoding adds this.
_BIAS = 0.01


class Model:
    latent_channels = 4
    cond_stage_key = "txt"
    sd_model_hash = "0" * 10
    is_sdxl = is_sd2 = is_sd3 = False
    is_sd1 = True

    def __init__(self):
        self.sd_checkpoint_info = types.SimpleNamespace(
            name_for_extra="standin", name="standin", title="standin.safetensors"
        )
        self.model = types.SimpleNamespace(conditioning_key="crossattn")
        self._encoded = []

    def encode(self, images):
        """(B, 3, H, W) of 0..1 -> (B, 4, H/8, W/8): means of 8x8 blocks of 2x - 1. What the means lack is remembered
        for decode; pictures may come one by one.
        """
        height, width = images.shape[2] // 8 * 8, images.shape[3] // 8 * 8
        images = images[..., :height, :width]
        colour = F.avg_pool2d(images.float(), 8) * 2 - 1
        self._encoded = [*self._encoded, *zip(images, images - self._enlarge(colour))][-64:]
        return torch.cat([colour, torch.zeros_like(colour[:, :1])], 1)

    def decode(self, latents):
        """Latents -> (B, 3, H, W) of -1..1, with the detail of the pictures encoded last (none where the sizes
        differ).
        """
        images = self._enlarge(latents[:, :3].float())
        detail = [detail for _, detail in self._encoded[-len(images) :]]
        if len(detail) == len(images) and all(one.shape == images.shape[1:] for one in detail):
            images = images + torch.stack(detail)
        return (images + _BIAS / 255) * 2 - 1

    def encoded(self, count):
        """The pictures that were encoded last, (count, 3, H, W) of 0..1; None where there are none."""
        return torch.stack([picture for picture, _ in self._encoded[-count:]]) if self._encoded else None

    @staticmethod
    def _enlarge(colour):
        return (colour.repeat_interleave(8, 2).repeat_interleave(8, 3) + 1) / 2


def levels(value):
    """Levels of 0..255 as a difference of latents."""
    return value * 2 / 255


def reload_model_weights(sd_model=None, info=None, forced_reload=False):
    from . import shared

    return shared.sd_model
