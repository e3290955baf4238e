"""The embedded model's latent space: an orthonormal, lossless transform instead of a learned autoencoder.

RGB in [-1, 1] is rotated to luma and two chroma axes, then each 8x8 block becomes 64 frequencies per axis (192 channels
at 1/8 resolution). The transform is Malvar's lapped orthogonal one: a rotation across every block boundary before the
block DCT, so that its basis functions overlap and nothing added in latent space can show as 8x8 blocks. Each channel
is multiplied by a fixed gain, about one over the error that upscaling leaves in that frequency: noise in latent space
is then, frequency by frequency, in proportion to what upscaling did not know.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import torch

from ..enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

from diffusers.configuration_utils import ConfigMixin, register_to_config  # noqa: E402
from diffusers.models.modeling_utils import ModelMixin  # noqa: E402

BLOCK = 8
CHANNELS = 3 * BLOCK * BLOCK
_COLOUR = [[3**-0.5] * 3, [2**-0.5, 0.0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]]


def _cosines(n: int, kind: int) -> torch.Tensor:
    """The orthonormal DCT-II or DCT-IV matrix; rows are frequencies."""
    shift = 0.0 if kind == 2 else 0.5
    index = torch.arange(n, dtype=torch.float64)
    matrix = torch.cos(math.pi / n * (index[:, None] + shift) * (index + 0.5)) * math.sqrt(2 / n)
    if kind == 2:
        matrix[0] *= 0.5**0.5
    return matrix


def _overlap() -> torch.Tensor:
    """The orthogonal 8x8 rotation across each block boundary (the LOT as a pre-filter: Tran, Liang, Tu 2003)."""
    half = BLOCK // 2
    eye = torch.eye(half, dtype=torch.float64)
    flip = eye.flip(0)
    butterfly = torch.cat([torch.cat([eye, flip], 1), torch.cat([flip, -eye], 1)]) * 0.5**0.5
    v = flip @ _cosines(half, 2).T @ _cosines(half, 4) @ flip
    middle = torch.block_diag(eye, v)
    return butterfly @ middle @ butterfly


class Latents:
    """What `encode` returns: a distribution without spread."""

    def __init__(self, mean: torch.Tensor):
        self.mean = mean

    def mode(self) -> torch.Tensor:
        """The latents, (n, 192, h / 8, w / 8)."""
        return self.mean

    def sample(self, generator=None) -> torch.Tensor:
        """The same: nothing is drawn."""
        return self.mean


class LappedAutoencoder(ModelMixin, ConfigMixin):
    """The part of AutoencoderKL's interface that the img2img pipelines use; height and width are multiples of 8."""

    @register_to_config
    def __init__(
        self,
        gains: list[float] | None = None,
        latent_channels: int = CHANNELS,
        scaling_factor: float = 1.0,
        block_out_channels: tuple[int, ...] = (1, 1, 1, 1),
        in_channels: int = 3,
        out_channels: int = 3,
    ):
        super().__init__()
        self.register_buffer("gain", torch.tensor(gains or [1.0] * CHANNELS)[:, None, None], persistent=False)
        self.register_buffer("colour", torch.tensor(_COLOUR), persistent=False)
        self.register_buffer("dct", _cosines(BLOCK, 2).float(), persistent=False)
        self.register_buffer("overlap", _overlap().float(), persistent=False)

    @property
    def dtype(self) -> torch.dtype:
        """The number format it is in; it always calculates in float32."""
        return self.gain.dtype

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.gain.device

    def _forward_1d(self, x: torch.Tensor) -> torch.Tensor:
        """(..., n) pixels to (..., n/8, 8) frequencies along the last axis."""
        half, inner = BLOCK // 2, x[..., BLOCK // 2 : x.shape[-1] - BLOCK // 2]
        inner = (inner.unflatten(-1, (-1, BLOCK)) @ self.overlap.float().T).flatten(-2) if inner.shape[-1] else inner
        x = torch.cat([x[..., :half], inner, x[..., x.shape[-1] - half :]], -1)
        return x.unflatten(-1, (-1, BLOCK)) @ self.dct.float().T

    def _inverse_1d(self, x: torch.Tensor) -> torch.Tensor:
        x = (x @ self.dct.float()).flatten(-2)
        half, inner = BLOCK // 2, x[..., BLOCK // 2 : x.shape[-1] - BLOCK // 2]
        inner = (inner.unflatten(-1, (-1, BLOCK)) @ self.overlap.float()).flatten(-2) if inner.shape[-1] else inner
        return torch.cat([x[..., :half], inner, x[..., x.shape[-1] - half :]], -1)

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> Any:
        """Pictures (n, 3, h, w), -1 to 1, to latents (n, 192, h / 8, w / 8), as AutoencoderKL hands them over.

        Raises ValueError for sides that are no multiples of 8.
        """
        latents = Latents(self._latents(x))
        return SimpleNamespace(latent_dist=latents) if return_dict else (latents,)

    def _latents(self, x: torch.Tensor) -> torch.Tensor:
        n, _, height, width = x.shape
        if height % BLOCK or width % BLOCK:
            raise ValueError(f"height and width must be multiples of {BLOCK}, not {height} and {width}")
        z = torch.einsum("kc,nchw->nkhw", self.colour.float(), x.float())
        z = self._forward_1d(z)  # n k H w' v
        z = self._forward_1d(z.movedim(2, -1))  # n k w' v h' u
        z = z.permute(0, 1, 5, 3, 4, 2).reshape(n, CHANNELS, height // BLOCK, width // BLOCK)
        return (z * self.gain.float()).to(x.dtype)

    def decode(self, z: torch.Tensor, return_dict: bool = True, generator=None) -> Any:
        """Latents back to pictures, as AutoencoderKL hands them over."""
        x = self._pixels(z)
        return SimpleNamespace(sample=x) if return_dict else (x,)

    def _pixels(self, z: torch.Tensor) -> torch.Tensor:
        x = (z.float() / self.gain.float()).unflatten(1, (3, BLOCK, BLOCK)).permute(0, 1, 5, 3, 4, 2)
        x = self._inverse_1d(x).movedim(-1, 2)  # n k H w' v
        return torch.einsum("kc,nkhw->nchw", self.colour.float(), self._inverse_1d(x)).to(z.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures to latents and back."""
        return self._pixels(self._latents(x))
