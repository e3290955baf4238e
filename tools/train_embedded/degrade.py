"""What happens to photos before somebody enlarges them, on tensors: blur, shrinking, noise, JPEG once or twice.

A `Damage` says how often and how much; `DAMAGES` has one for each network that is trained. JPEG is computed as libjpeg
does it (Annex K quantisation tables scaled by quality, 4:2:0 or 4:4:4, 8x8 DCT), so that thousands of patches a second
come out on a GPU; `test_degrade.py` compares it with Pillow's files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

# fmt: off
_LUMA = torch.tensor([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]).view(8, 8).float()
_CHROMA = torch.tensor([
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *[99] * 32]).view(8, 8).float()
_TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
# fmt: on


def _dct() -> torch.Tensor:
    """The orthonormal 8-point DCT: (frequency, sample)."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    matrix = torch.cos((2 * n + 1) * k * math.pi / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


def _tables(quality: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """(n, 1, 1, 8, 8) for qualities (n,), 1-100, scaled as libjpeg's jpeg_quality_scaling."""
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    table = ((base * scale[:, None, None] + 50) / 100).floor().clamp(1, 255)
    return table[:, None, None]


def _quantised(plane: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """A plane (n, h, w), levels around 0, h and w multiples of 8, after DCT, rounding to the table and back."""
    n, height, width = plane.shape
    dct = _dct().to(plane)
    blocks = plane.view(n, height // 8, 8, width // 8, 8).transpose(2, 3)
    coefficients = (dct @ blocks @ dct.T / table).round() * table
    return (dct.T @ coefficients @ dct).transpose(2, 3).reshape(n, height, width)


def jpeg(rgb: torch.Tensor, quality: torch.Tensor, *, subsampled: bool) -> torch.Tensor:
    """float (n, 3, h, w) 0-1, h and w multiples of 16, through JPEG of these qualities (n,); rounded to 8 bits."""
    to_ycc = _TO_YCC.to(rgb)
    levels = (rgb.clamp(0, 1) * 255).round()
    ycc = torch.einsum("ij,njhw->nihw", to_ycc, levels).round()
    luma = _quantised(ycc[:, 0] - 128, _tables(quality, _LUMA.to(rgb))) + 128
    chroma = ycc[:, 1:]
    height, width = chroma.shape[2:]
    if subsampled:
        chroma = F.avg_pool2d(chroma, 2).round()
    table = _tables(quality, _CHROMA.to(rgb))
    blue, red = (_quantised(chroma[:, i].contiguous(), table) for i in (0, 1))
    chroma = torch.stack([blue, red], 1).round()
    if subsampled:  # libjpeg's "fancy" upsampling is this triangle filter
        chroma = F.interpolate(chroma, (height, width), mode="bilinear", align_corners=False)
    whole = torch.cat([luma.round()[:, None], chroma], 1)
    back = torch.linalg.inv(to_ycc.float()).to(rgb)
    return torch.einsum("ij,njhw->nihw", back, whole).round().clamp(0, 255) / 255


def blurred(rgb: torch.Tensor, sigma: float) -> torch.Tensor:
    """A Gaussian blur of `sigma` px."""
    if sigma < 0.2:
        return rgb
    half = max(1, round(3 * sigma))
    taps = torch.exp(-(torch.arange(-half, half + 1.0, device=rgb.device) ** 2) / (2 * sigma**2)).to(rgb)
    taps = (taps / taps.sum()).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    rgb = F.conv2d(F.pad(rgb, (half, half, 0, 0), mode="reflect"), taps, groups=3)
    return F.conv2d(F.pad(rgb, (0, 0, half, half), mode="reflect"), taps.transpose(2, 3), groups=3)


def noisy(rgb: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Sensor noise: Gaussian of `strength` (n,) in levels, half of it with the brightness, and coarser colour noise."""

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device=rgb.device, generator=generator)

    n, _, height, width = rgb.shape
    sigma = (strength / 255).view(-1, 1, 1, 1).to(rgb)
    fine = draw(n, 3, height, width) * 0.7 + draw(n, 1, height, width) * 0.7
    coarse = F.interpolate(draw(n, 3, height // 2, width // 2), (height, width), mode="bilinear", align_corners=False)
    brightness = 0.6 + 0.8 * rgb.clamp(0, 1).mean(1, keepdim=True).sqrt()
    return rgb + sigma * (fine * brightness + coarse * draw(n, 1, 1, 1).abs().clamp(max=1.5))


@dataclass(frozen=True)
class Damage:
    """How often (a share of the patches, 0-1) and how much."""

    blurred: float
    blur: float
    "the widest Gaussian, px of the sharp patch"
    noisy: float
    noise: float
    "the strongest, levels of 255; most are far weaker"
    written: float
    "saved as a JPEG"
    twice: float
    "saved once more, of those that are saved"
    quality: tuple[int, int]
    "of the JPEG, libjpeg's 1-100"


DAMAGES = {
    "jpeg": Damage(blurred=0.15, blur=1.2, noisy=0.3, noise=8, written=1, twice=0.2, quality=(30, 96)),
    "noise": Damage(blurred=0.1, blur=1.2, noisy=1, noise=32, written=0.5, twice=0.1, quality=(60, 98)),
    "all": Damage(blurred=0.4, blur=2.4, noisy=0.5, noise=28, written=0.88, twice=0.25, quality=(30, 96)),
}


def degraded(
    sharp: torch.Tensor, damage: Damage, generator: torch.Generator, random: torch.Generator
) -> torch.Tensor:
    """Small, damaged copies of sharp patches: float (n, 3, 4h, 4w), 0-1, to (n, 3, h, w), h and w multiples of 16.

    One kernel for the whole batch, noise and quality of each patch by itself. random: a generator on the CPU.
    """

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=random))

    def each(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(len(sharp), device=sharp.device, generator=generator)

    size = sharp.shape[2] // 4, sharp.shape[3] // 4
    sigma = uniform(0, damage.blur) if uniform(0, 1) < damage.blurred else 0.0
    kernel = ("bicubic", "bicubic", "bilinear", "area")[int(uniform(0, 3.999))]
    sharp = blurred(sharp, sigma)
    small = F.interpolate(sharp, size, mode=kernel, **({} if kernel == "area" else {"antialias": True}))
    strength = each(0, 1) ** 2 * damage.noise
    strength = torch.where(each(0, 1) < damage.noisy, strength, torch.zeros_like(strength))
    small = noisy(small, strength, generator).clamp(0, 1)
    times = 0 if uniform(0, 1) >= damage.written else 2 if uniform(0, 1) < damage.twice else 1
    for _ in range(times):
        shift = int(uniform(0, 7.999)), int(uniform(0, 7.999))  # blocks do not start at the patch's corner
        moved = jpeg(torch.roll(small, shift, (2, 3)), each(*damage.quality).round(), subsampled=uniform(0, 1) < 0.7)
        small = torch.roll(moved, (-shift[0], -shift[1]), (2, 3))
    return (small * 255).round() / 255
