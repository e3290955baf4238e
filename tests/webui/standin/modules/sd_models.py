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
        self.images = self._detail = None

    def encode(self, images):
        """(B, 3, H, W) of 0..1 -> (B, 4, H/8, W/8): means of 8x8 blocks of 2x - 1. What the means lack is remembered
        for decode; pictures may come one by one.
        """
        height, width = images.shape[2] // 8 * 8, images.shape[3] // 8 * 8
        images = images[..., :height, :width]
        colour = F.avg_pool2d(images.float(), 8) * 2 - 1
        self.images = self._and_before(self.images, images)
        self._detail = self._and_before(self._detail, images - self._enlarge(colour))
        return torch.cat([colour, torch.zeros_like(colour[:, :1])], 1)

    def decode(self, latents):
        """Latents -> (B, 3, H, W) of -1..1, with the detail of the pictures encoded last (none where the sizes
        differ).
        """
        images = self._enlarge(latents[:, :3].float())
        if self._detail is not None and self._detail[-len(images) :].shape == images.shape:
            images = images + self._detail[-len(images) :]
        return (images + _BIAS / 255) * 2 - 1

    @staticmethod
    def _and_before(before, images):
        """With the pictures before them, where those are of the same size; 64 at most."""
        if before is None or before.shape[1:] != images.shape[1:]:
            return images
        return torch.cat([before, images])[-64:]

    @staticmethod
    def _enlarge(colour):
        return (colour.repeat_interleave(8, 2).repeat_interleave(8, 3) + 1) / 2


def levels(value):
    """Levels of 0..255 as a difference of latents."""
    return value * 2 / 255


def reload_model_weights(sd_model=None, info=None, forced_reload=False):
    from . import shared

    return shared.sd_model
