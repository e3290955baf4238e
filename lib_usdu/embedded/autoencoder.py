"""The embedded model's latent space: detail to be added, beside the canvas that it is added to.

RGB in [-1, 1] is rotated to luma and two chroma axes, then each 8x8 block becomes 64 frequencies per axis (192 channels
at 1/8 resolution). The transform is Malvar's lapped orthogonal one: a rotation across every block boundary before the
block DCT, so that its basis functions overlap and nothing added in latent space can show as 8x8 blocks.

Of 257 channels the last 192 are the picture itself, with so great a gain that noise does not touch it: the denoiser
reads the canvas there, and the decoder adds the detail to it. So colour, tone and all that is flat or clipped stay the
canvas's by construction. Channels 1 to 63 are the luma of the detail: nothing, for a picture that is encoded. Each has
a gain, about one over the error that upscaling leaves in that frequency: noise is then, frequency by frequency, in
proportion to what upscaling did not know. How strong detail is at a place, `amplitude` says, from the canvas.

Two channels tell the denoiser where in a run it is, in every sampler. Channel 0 (of the mean of a block, which has no
detail) is large at the start, and nothing of it is to be left: it says how much of the start is left. Channel 64 is
where the denoiser notes the noise that the run began with.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F

from ..enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

from diffusers.configuration_utils import ConfigMixin, register_to_config  # noqa: E402
from diffusers.models.modeling_utils import ModelMixin  # noqa: E402

BLOCK = 8
DETAIL = BLOCK * BLOCK
"""Channels of the detail: luma's frequencies."""
CANVAS = DETAIL + 1
"""The first channel of the canvas; the note is before it."""
CHANNELS = CANVAS + 3 * DETAIL
MARK = 2000.0
"""What is in channel 0 at the start, and the note's unit."""
CANVAS_GAIN = 20000.0
"""Of the canvas's channels: at denoise 0.5 noise moves it by less than a twentieth of a level of 255."""
GROWTH = 0.68
"""Of what upscaling misses with the canvas's deviation from its own mean: measured on the training pictures."""
LOUDEST = 0.25
"""Detail of amplitude 1 is softly held below this, about 2.5 times its deviation: a dot is not texture."""
FLAT, BUSY = 0.7, 2.2
"""Levels of 255, deviation of luma within 7 px: below the first nothing is added, above the second all of it."""
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


def _mean(x: torch.Tensor, side: int) -> torch.Tensor:
    return F.avg_pool2d(x, side, 1, side // 2, count_include_pad=False)


def amplitude(picture: torch.Tensor, here: float = 0.0, most: float = 1.2) -> torch.Tensor:
    """How strong detail is at each place of a picture, RGB in [-1, 1]: (n, 1, h, w), 1 where luma deviates by 10
    levels of 255 all around.

    None where the picture is flat or a plain gradient, nor where it is as white or as black as it can be. Beside an
    edge, and on one that stands alone, less than amid texture: the least deviation 5 px around counts. here: 0 to 1,
    how much the deviation at the place itself counts. most: of the deviation, in 10 levels. Training looks at edges
    too (0.5 and 4); what the network is not sure of there is left to the canvas.
    """
    luma = picture.mean(1, keepdim=True) * 127.5
    deviation = _mean((luma - _mean(luma, 7)).square(), 7).sqrt()
    reach = 5
    wide = F.pad(deviation, (reach,) * 4, mode="replicate")
    height, width = deviation.shape[2:]
    around = deviation
    for y in (0, reach, 2 * reach):
        for x in (0, reach, 2 * reach):
            around = around.minimum(wide[:, :, y : y + height, x : x + width])
    texture = _mean(around ** (1 - here) * deviation**here, 5)
    busy = ((deviation - FLAT) / (BUSY - FLAT)).clamp(0, 1)
    from_ends = ((127.5 - luma.abs() - 1.5) / 10).clamp(0, 1)
    room = busy * busy * (3 - 2 * busy) * _mean(from_ends, 7).minimum(from_ends)
    return room * (texture / 10).clamp(max=most) ** GROWTH


class LappedAutoencoder(ModelMixin, ConfigMixin):
    """The part of AutoencoderKL's interface that the img2img pipelines use; height and width are multiples of 8."""

    @register_to_config
    def __init__(
        self,
        gains: list[float] | None = None,
        canvas_gain: float = CANVAS_GAIN,
        latent_channels: int = CHANNELS,
        scaling_factor: float = 1.0,
        block_out_channels: tuple[int, ...] = (1, 1, 1, 1),
        in_channels: int = 3,
        out_channels: int = 3,
    ):
        super().__init__()
        self.register_buffer("gain", torch.tensor(gains or [1.0] * DETAIL)[:, None, None], persistent=False)
        self.canvas_gain = canvas_gain
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

    def frequencies(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures (n, 3, h, w) to their coefficients (n, 192, h / 8, w / 8): luma's 64, then chroma's."""
        height, width = x.shape[2:]
        if height % BLOCK or width % BLOCK:
            raise ValueError(f"height and width must be multiples of {BLOCK}, not {height} and {width}")
        return self.of_axes(torch.einsum("kc,nchw->nkhw", self.colour.float(), x.float()))

    def of_axes(self, x: torch.Tensor) -> torch.Tensor:
        """Any number of axes (n, k, h, w) to their coefficients (n, 64 k, h / 8, w / 8)."""
        z = self._forward_1d(x)  # n k H w' v
        z = self._forward_1d(z.movedim(2, -1))  # n k w' v h' u
        return z.permute(0, 1, 5, 3, 4, 2).flatten(1, 3)

    def axes(self, z: torch.Tensor) -> torch.Tensor:
        """The reverse of `of_axes`."""
        x = z.float().unflatten(1, (-1, BLOCK, BLOCK)).permute(0, 1, 5, 3, 4, 2)
        return self._inverse_1d(self._inverse_1d(x).movedim(-1, 2))  # n k H w' v in between

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> Any:
        """Pictures (n, 3, h, w), -1 to 1, to latents (n, 257, h / 8, w / 8), as AutoencoderKL hands them over.

        Raises ValueError for sides that are no multiples of 8.
        """
        canvas = self.frequencies(x) * self.canvas_gain
        detail = torch.zeros_like(canvas[:, :CANVAS])
        detail[:, 0] = MARK
        latents = Latents(torch.cat([detail, canvas], 1).to(x.dtype))
        return SimpleNamespace(latent_dist=latents) if return_dict else (latents,)

    def decode(self, z: torch.Tensor, return_dict: bool = True, generator=None) -> Any:
        """Latents back to pictures, as AutoencoderKL hands them over."""
        x = self._pixels(z)
        return SimpleNamespace(sample=x) if return_dict else (x,)

    def _pixels(self, z: torch.Tensor) -> torch.Tensor:
        detail, canvas = z[:, :DETAIL].float() / self.gain.float(), z[:, CANVAS:].float() / self.canvas_gain
        detail[:, 0] = 0  # the mean of a block: tone is the canvas's
        picture = torch.einsum("kc,nkhw->nchw", self.colour.float(), self.axes(canvas))
        added = LOUDEST * torch.tanh(self.axes(detail) / LOUDEST) * amplitude(picture)
        return (picture + added * self.colour[0, 0].float()).to(z.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures to latents and back."""
        return self._pixels(self.encode(x).latent_dist.mode())
