"""The embedded default model: a lossless latent space, files of bounded size, and a denoiser that really denoises."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib_usdu import embedded
from lib_usdu.enlarge.bundled import BUNDLED

pytestmark = pytest.mark.needs("diffusers")

PHOTOS = Path(__file__).parent / "photos"


@pytest.fixture(scope="module")
def pipe():
    return embedded.load_pipeline()


@pytest.fixture(scope="module")
def vae():
    return embedded.load_autoencoder()


def crop(size: int) -> torch.Tensor:
    """A held-back photo's middle in [-1, 1]; where the photo is absent, a drawing."""
    path = PHOTOS / "astronaut.jpg"
    if path.exists():
        image = Image.open(path).convert("RGB")
        left, top = (image.width - size) // 2, (image.height - size) // 2
        pixels = np.array(image.crop((left, top, left + size, top + size)), np.float32) / 127.5 - 1
        return torch.from_numpy(pixels).permute(2, 0, 1)[None]
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    disc = (x**2 + y**2 < 0.4).float()
    return torch.stack([x * 0.6, disc - 0.5, (x + y > 0.2).float() * 0.8 - y * 0.2])[None]


def refine(pipe, image: torch.Tensor, strength: float = 0.3, steps: int = 20) -> torch.Tensor:
    nothing = torch.zeros(1, 1, 8)
    out = pipe(
        image=(image + 1) / 2,
        prompt_embeds=nothing,
        guidance_scale=1.0,
        strength=strength,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(1),
        output_type="pt",
    ).images
    return out * 2 - 1


def test_importing_the_package_is_light():
    code = "import sys, lib_usdu.embedded; assert not {'torch', 'diffusers', 'spandrel'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_files_are_there_and_small():
    weights = list(embedded.HERE.rglob("*.safetensors"))
    assert {*BUNDLED.values()} < {*weights} and len(weights) == 4
    assert sum(path.stat().st_size for path in weights) <= 24e6


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (2, 3, 8, 136), (1, 3, 200, 8)])
def test_the_latents_are_lossless_both_ways(vae, shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = vae.encode(image).latent_dist.sample()
    assert z.shape == (shape[0], 192, shape[2] // 8, shape[3] // 8)
    assert (vae.decode(z).sample - image).abs().max() < 1e-4
    again = vae.encode(vae.decode(z).sample).latent_dist.mode()
    assert ((again - z).abs() / (1 + z.abs())).max() < 1e-3


def test_the_latents_of_a_flat_image_are_one_frequency(vae):
    z = vae.encode(torch.full((1, 3, 64, 64), 0.5)).latent_dist.mode()
    assert z[:, 0].std() < 1e-2 and z[:, 1:].abs().max() < 1e-2


def test_odd_sizes_are_refused(vae):
    with pytest.raises(ValueError, match="multiples of 8"):
        vae.encode(torch.zeros(1, 3, 60, 64))


def test_the_pipeline_runs_and_keeps_the_picture(pipe):
    assert pipe.vae_scale_factor == 8 and pipe.text_encoder is None
    image = crop(64)
    out = refine(pipe, image)
    assert out.shape == image.shape and torch.isfinite(out).all()
    assert ((out - image) ** 2).mean() < 4 * 10**-3.0  # 30 dB
    assert (out - image).mean((2, 3)).abs().max() < 2 / 127.5  # no colour drift


def test_one_evaluation_denoises(pipe):
    """At t = 700: below about t = 400 the noise is fainter than the small network's own error on a sharp photo."""
    clean = pipe.vae.encode(crop(128)).latent_dist.mode()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
    sigma = float(pipe.unet.log_sigma[700].exp())
    noisy = clean + sigma * noise
    with torch.inference_mode():
        eps = pipe.unet(noisy / (1 + sigma**2) ** 0.5, torch.tensor([700]), None).sample
    before, after = ((pipe.vae.decode(z).sample - crop(128)).pow(2).mean() for z in (noisy, noisy - sigma * eps))
    assert torch.isfinite(eps).all()
    assert after < 0.75 * before


def test_a_tile_is_local(pipe):
    """What is far away in the window does not change a place: windows agree where they overlap."""
    one = torch.zeros(1, 192, 4, 64)
    one[..., :4] = torch.randn(1, 192, 4, 4, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        near, far = (pipe.unet(x, 300, None).sample for x in (torch.zeros_like(one), one))
    assert (near - far)[..., :4].abs().max() > 1e-3
    assert (near - far)[..., 48:].abs().max() < 1e-4
