"""The embedded denoiser: diffusers' UNet without attention, made strictly local and preconditioned per frequency.

Local: every GroupNorm (statistics over the whole window) becomes a norm over the channels of one position, so a tile's
result at a place depends only on pixels near it, and two windows agree where they overlap.
Preconditioned (Karras et al. 2022): latent channels differ in size by two orders of magnitude, so the network works on
channels of unit variance and predicts, per channel, the mixture of noise and image that suits this noise level.
Gated: the latents are frequencies, where denoising is mostly shrinking each coefficient by what its surroundings say.
The UNet sees the coefficients and their magnitudes, and gives a factor for each and an addition to it.
Outwardly it is an epsilon predictor for Stable Diffusion's schedule.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

from diffusers import UNet2DConditionModel  # noqa: E402
from diffusers.configuration_utils import register_to_config  # noqa: E402
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput  # noqa: E402


class PositionNorm(nn.Module):
    """Takes the place of GroupNorm: a norm over the channels of each position, soft (eps 1): faint stays faint."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, h, w) to the same."""
        return F.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias, eps=1.0).movedim(-1, 1)


class Denoiser(UNet2DConditionModel):
    """`signal_std`: std of each latent channel of a clean photo. `doubt`: error of an upscaled image in latent units,
    counted as noise that is always there. `noise_scale`: one unit of the host's noise in training units."""

    @register_to_config
    def __init__(
        self,
        signal_std: list[float],
        doubt: float = 1.0,
        noise_scale: float = 1.0,
        block_out_channels: tuple[int, ...] = (160, 224),
        layers_per_block: int = 1,
    ):
        levels, channels = len(block_out_channels), len(signal_std)
        super().__init__(
            in_channels=2 * channels,
            out_channels=2 * channels,
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
        self.signal = torch.tensor(signal_std)[:, None, None]
        self.doubt, self.noise_scale = doubt, noise_scale
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # missing in torch's overloads

    def sigma_at(self, timestep, like: torch.Tensor) -> torch.Tensor:
        """The schedule's noise over signal at possibly fractional timesteps, shaped (N, 1, 1, 1)."""
        t = torch.as_tensor(timestep).to(like.device, torch.float32).reshape(-1).clamp(0, 999)
        table, low = self.log_sigma.to(like.device), t.long().clamp(max=998)
        log_sigma = torch.lerp(table[low], table[low + 1], t - low)
        return log_sigma.exp().expand(like.shape[0])[:, None, None, None]

    def network(self, x: torch.Tensor, sigma: torch.Tensor, dtype: torch.dtype):
        """For x = image + sigma * noise in training units: the scales (kept, predicted) and the raw prediction, so that
        image = (1 - taken) * x + scale * prediction."""
        signal = self.signal.to(x.device)
        total = signal**2 + sigma**2 + self.doubt**2
        taken, scale = (sigma**2 + self.doubt**2) / total, signal * ((sigma**2 + self.doubt**2) / total).sqrt()
        inner = (x / total.sqrt()).to(dtype, memory_format=torch.channels_last)
        time = (sigma.flatten().log() * 100 + 500).to(x.device)
        both = torch.cat([inner, inner.abs()], 1)
        # Without attention there is no text to attend to.
        raw = super().forward(both, time, None, return_dict=False)[0]  # pyright: ignore[reportArgumentType]
        factor, addition = raw.chunk(2, 1)
        return taken, scale, (factor * inner + addition).float()

    def forward(self, sample, timestep, encoder_hidden_states=None, *args, return_dict: bool = True, **kwargs):
        """As diffusers' UNet: the noise in latents (n, channels, h, w) at this timestep. encoder_hidden_states: passed
        over."""
        sigma = self.sigma_at(timestep, sample)
        x = sample.float() * (1 + sigma**2).sqrt() * self.noise_scale  # from variance preserving to exploding
        sigma = sigma * self.noise_scale
        taken, scale, prediction = self.network(x, sigma, self.dtype)
        noise = ((taken * x - scale * prediction) / sigma).to(sample.dtype)
        return UNet2DConditionOutput(sample=noise) if return_dict else (noise,)
