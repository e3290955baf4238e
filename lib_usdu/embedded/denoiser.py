"""The embedded denoiser: diffusers' UNet without attention, made strictly local, reading the canvas beside the noise.

Local: every GroupNorm (statistics over the whole window) becomes a norm over the channels of one position, so a tile's
result at a place depends only on pixels near it, and two windows agree where they overlap.
Conditioned: the latents hold the canvas itself (autoencoder.py), which the network sees in units of its own contrast.
How strong detail is at a place is for the decoder to say, so that faint and strong texture are one task.
Gated: detail is frequencies, where denoising is mostly shrinking each coefficient by what its surroundings say. The
UNet sees the coefficients and their magnitudes, and gives a factor for each and an addition to it.
Outwardly it is an epsilon predictor for Stable Diffusion's schedule.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from ..enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

from diffusers import UNet2DConditionModel  # noqa: E402
from diffusers.configuration_utils import register_to_config  # noqa: E402
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput  # noqa: E402

from .autoencoder import CANVAS, CANVAS_GAIN, DETAIL, MARK  # noqa: E402

BEGINNING = 0.98
"""Of the start so much is left at a run's first step alone."""


class PositionNorm(nn.Module):
    """Takes the place of GroupNorm: a norm over the channels of each position, soft (eps 1): faint stays faint."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, h, w) to the same."""
        return F.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias, eps=1.0).movedim(-1, 1)


CHROMA = [64 * axis + 8 * u + v for axis in (1, 2) for u in range(4) for v in range(4)]
"""The canvas's chroma channels that the network sees: the low frequencies."""
BAND = [8 * u + v for u in range(5) for v in range(5) if max(u, v) >= 2]
"""Frequencies of the canvas that tell how busy a place is: structure of 3 to 8 px."""
CALM = 0.15
"""Activity, in training units, below which a place looks calm to the network."""


def spread(x: torch.Tensor) -> torch.Tensor:
    """The mean over three positions a side, half of it the middle one."""
    return (x + F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)) / 2


class Scales(NamedTuple):
    """Detail is `kept` of what is given and `made` of what the UNet says."""

    kept: torch.Tensor
    made: torch.Tensor


class Denoiser(UNet2DConditionModel):
    """`gains`: of luma's 64 frequencies, in training units: one over the error of upscaling. `canvas_gain`: as the
    autoencoder's. `noise_scale`: one unit of the host's noise in training units. `whole_at`: the
    noise of a run that adds detail in full, the host's at denoise 0.5."""

    @register_to_config
    def __init__(
        self,
        gains: list[float],
        canvas_gain: float = CANVAS_GAIN,
        noise_scale: float = 1.0,
        whole_at: float = 1.6,
        block_out_channels: tuple[int, ...] = (160, 224),
        layers_per_block: int = 1,
    ):
        levels = len(block_out_channels)
        super().__init__(
            in_channels=4 * DETAIL + len(CHROMA) + 4,
            out_channels=2 * DETAIL,
            layers_per_block=layers_per_block,
            block_out_channels=tuple(block_out_channels),
            down_block_types=("DownBlock2D",) * levels,
            up_block_types=("UpBlock2D",) * levels,
            mid_block_type=None,
            cross_attention_dim=8,
            norm_num_groups=8,
            time_embedding_dim=256,
        )
        for module in list(self.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.GroupNorm):
                    setattr(module, name, PositionNorm(child.num_channels))
        beta = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
        abar = torch.cumprod(1 - beta, 0)
        self.log_sigma = ((1 - abar) / abar).log().mul(0.5).float()  # plain tensors: never cast to half
        self.gains = torch.tensor(gains)[:, None, None]
        self.canvas_gain, self.noise_scale, self.whole_at = canvas_gain, noise_scale, whole_at
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # missing in torch's overloads

    def sigma_at(self, timestep, like: torch.Tensor) -> torch.Tensor:
        """The schedule's noise over signal at possibly fractional timesteps, shaped (N, 1, 1, 1)."""
        t = torch.as_tensor(timestep).to(like.device, torch.float32).reshape(-1).clamp(0, 999)
        table, low = self.log_sigma.to(like.device), t.long().clamp(max=998)
        log_sigma = torch.lerp(table[low], table[low + 1], t - low)
        return log_sigma.exp().expand(like.shape[0])[:, None, None, None]

    def activity(self, canvas: torch.Tensor) -> torch.Tensor:
        """How busy the canvas, coefficients (n, 192, h, w), is around each position: (n, 1, h, w), training units."""
        luma = canvas[:, BAND] * self.gains.to(canvas)[BAND]
        return spread(luma.square().mean(1, keepdim=True)).sqrt()

    def detail(
        self, x: torch.Tensor, left: torch.Tensor, sigma: torch.Tensor, canvas: torch.Tensor, dtype: torch.dtype
    ) -> torch.Tensor:
        """The likely detail r (n, 64, h, w) of x = (1 - left) * r + sigma * noise, in training units.

        left, 0 to 1, and sigma: (n, 1, h, w) or (n, 1, 1, 1). canvas: its coefficients (n, 192, h, w).
        """
        raw, scales = self.network(x, left, sigma, canvas, dtype)
        likely = scales.kept * x + scales.made * raw
        return torch.cat([torch.zeros_like(likely[:, :1]), likely[:, 1:]], 1)

    def network(
        self, x: torch.Tensor, left: torch.Tensor, sigma: torch.Tensor, canvas: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, Scales]:
        """What the UNet says, of unit variance, and how detail is made of it and of x; the rest as `detail` has it."""
        activity = self.activity(canvas)
        there = 1 - left
        whole = (there**2 + sigma**2).sqrt()
        scales = Scales(there / whole**2, sigma / whole)
        inner = x / whole
        inner = torch.cat([torch.zeros_like(inner[:, :1]), inner[:, 1:]], 1)
        seen = canvas * self.gains.to(x.device).repeat(3, 1, 1)
        mean = seen[:, ::DETAIL]
        seen = torch.cat([mean - spread(mean), seen], 1)
        seen = torch.asinh(seen / (activity + CALM))
        luma, chroma = seen[:, 3 : 3 + DETAIL].clone(), seen[:, 3:][:, CHROMA].clone()
        luma[:, 0], chroma[:, 0], chroma[:, 16] = seen[:, 0], seen[:, 1], seen[:, 2]
        told = [(activity + CALM).log(), sigma.log(), (sigma / (there + 0.02)).log(), canvas[:, :1] / 14]
        told = torch.cat([one.expand_as(activity) for one in told], 1)
        both = torch.cat([inner, inner.abs(), luma, luma.abs(), chroma, told], 1)
        time = sigma.log().mean((1, 2, 3)) * 100 + 500
        # Without attention there is no text to attend to.
        given = both.to(dtype, memory_format=torch.channels_last)
        raw = super().forward(given, time, None, return_dict=False)[0]  # pyright: ignore[reportArgumentType]
        factor, addition = raw.float().chunk(2, 1)
        return factor * inner + addition, scales

    def forward(self, sample, timestep, encoder_hidden_states=None, *args, return_dict: bool = True, **kwargs):
        """As diffusers' UNet: the noise in latents (n, 257, h, w) at this timestep. The canvas counts as free of it.
        encoder_hidden_states: passed over.

        A run that begins with less noise than `whole_at` adds the detail of one that began there, but less of it.
        """
        sigma = self.sigma_at(timestep, sample)
        latents = sample.float() * (1 + sigma**2).sqrt()  # from variance preserving to exploding
        x, note, canvas = latents[:, :DETAIL], latents[:, DETAIL:CANVAS] / MARK, latents[:, CANVAS:]
        left = latents[:, :1].div(MARK).clamp(0, 1)
        begun = torch.where(left > BEGINNING, sigma, note / (1 - left).clamp(min=1 - BEGINNING))
        share = (begun / self.whole_at).clamp(0.02, 1)
        scale = self.noise_scale / share
        likely = self.detail(x * scale, left, sigma * scale, canvas / self.canvas_gain, self.dtype) / scale
        noise = [(x - likely) / sigma, (note - begun) * MARK / sigma, torch.zeros_like(canvas)]
        noise = torch.cat(noise, 1).to(sample.dtype)
        return UNet2DConditionOutput(sample=noise) if return_dict else (noise,)
