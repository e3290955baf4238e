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
def test_the_latents_are_lossless(vae, shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = vae.encode(image).latent_dist.sample()
    assert z.shape == (shape[0], 257, shape[2] // 8, shape[3] // 8)
    assert z[:, 1:64].abs().max() == 0  # no detail yet
    assert (vae.decode(z).sample - image).abs().max() < 1e-4


def test_the_frequencies_of_a_flat_image_are_one(vae):
    z = vae.frequencies(torch.full((1, 3, 64, 64), 0.5))
    assert z[:, 0].std() < 1e-4 and z[:, 1:].abs().max() < 1e-4


def test_noise_in_the_latents_leaves_the_canvas(vae):
    """At denoise 0.5 a twentieth of a level of 255, in all colours; what it does to the detail is another matter."""
    image = crop(64)
    z = vae.encode(image).latent_dist.mode()
    noise = 1.6 * torch.randn(z.shape, generator=torch.Generator().manual_seed(1))
    noise[:, 1:64] = 0
    assert (vae.decode(z + noise).sample - image).abs().max() * 127.5 < 0.05


def test_detail_goes_where_detail_is(vae):
    """None into paper, gradients and what is clipped, and no change of colour or of tone anywhere."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(256.0), indexing="ij")
    waves = 0.3 * torch.sin(x * 1.2) * torch.sin(y * 1.1)
    parts = [torch.ones(64, 64), (x[:, :64] - 32) / 80, waves[:, :64], torch.full((64, 64), -1.0)]
    image = torch.cat(parts, 1).expand(1, 3, -1, -1) * torch.tensor([1.0, 0.99, 0.98])[:, None, None]
    image[..., :64] = 1
    z = vae.encode(image).latent_dist.mode()
    z[:, 1:64] = torch.randn(1, 63, 8, 32, generator=torch.Generator().manual_seed(2))
    added = (vae.decode(z).sample - image)[0] * 127.5
    inner = [added[..., 64 * part + 8 : 64 * part + 56] for part in range(4)]
    assert max(inner[part].abs().max() for part in (0, 1, 3)) < 0.05
    assert inner[2].std() > 1
    assert (added - added.mean(0, keepdim=True)).abs().max() < 0.05
    assert torch.nn.functional.avg_pool2d(inner[2][None], 16).abs().max() < 1


def test_odd_sizes_are_refused(vae):
    with pytest.raises(ValueError, match="multiples of 8"):
        vae.encode(torch.zeros(1, 3, 60, 64))


def test_the_pipeline_runs_and_keeps_the_picture(pipe):
    assert pipe.vae_scale_factor == 8 and pipe.text_encoder is None
    image = crop(64)
    out = refine(pipe, image)
    assert out.shape == image.shape and torch.isfinite(out).all()
    assert ((out - image) ** 2).mean() < 4 * 10**-2.6  # 26 dB
    assert (out - image).mean((2, 3)).abs().max() < 0.5 / 127.5  # no colour drift


def test_one_evaluation_denoises(pipe):
    """Half of the way there: what is missing in an enlarged photo comes out nearer than it went in."""
    sharp = crop(128)
    small = torch.nn.functional.interpolate(sharp, scale_factor=0.5, mode="area")
    canvas = torch.nn.functional.interpolate(small, scale_factor=2, mode="bicubic")
    vae, unet = pipe.vae, pipe.unet
    missing = (vae.frequencies(sharp) - vae.frequencies(canvas))[:, :64] * unet.gains
    missing[:, 0] = 0
    sigma, left = torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.5)
    noise = torch.randn(missing.shape, generator=torch.Generator().manual_seed(3))
    x = 0.5 * missing + 0.5 * noise
    with torch.inference_mode():
        found = unet.detail(x, left, sigma, vae.frequencies(canvas), torch.float32)
    plain = min((share * x - missing)[:, 1:].square().mean() for share in torch.arange(0, 2, 0.05))
    assert torch.isfinite(found).all()
    assert (found - missing).square().mean() < 0.9 * plain


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M", "DPM++ 2M SDE Karras"])
def test_in_every_sampler_the_network_knows_where_in_a_run_it_is(pipe, sampler, monkeypatch):
    """How much of the start is left, and with how much noise the run began: then noise is scaled alike in all steps."""
    from lib_usdu.standalone.samplers import scheduler_for

    seen, noises, detail, sigma_at = [], [], pipe.unet.detail, pipe.unet.sigma_at

    def noted(x, left, sigma, *args):
        seen.append((float(left.mean()), float(left.std()), float(sigma.mean()), float(sigma.std())))
        return detail(x, left, sigma, *args)

    def noise(*args):
        noises.append(float(sigma_at(*args)))
        return sigma_at(*args)

    monkeypatch.setattr(pipe.unet, "detail", noted)
    monkeypatch.setattr(pipe.unet, "sigma_at", noise)
    monkeypatch.setattr(pipe, "scheduler", scheduler_for(sampler, pipe.scheduler))
    refine(pipe, crop(64), 0.4)
    lefts, uneven, sigmas, spread = map(np.array, zip(*seen))
    straight = np.array(noises) / noises[0]
    assert lefts[0] == pytest.approx(1, abs=2e-3) and (np.diff(lefts) < 0).all() and uneven.max() < 2e-3
    assert np.abs(sigmas / sigmas[0] - straight).max() < 5e-3 and spread.max() < 1e-2
    if sampler in ("Euler", "DPM++ 2M"):
        assert np.abs(lefts - straight).max() < 5e-3
    else:  # noise drawn in the steps takes the place of the start's
        assert (lefts[1:] < straight[1:]).all()


def test_a_tile_is_local(pipe):
    """What is far away in the window does not change a place: windows agree where they overlap."""
    one = torch.zeros(1, 257, 4, 64)
    one[..., :4] = torch.randn(1, 257, 4, 4, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        near, far = (pipe.unet(x, 300, None).sample for x in (torch.zeros_like(one), one))
    assert (near - far)[..., :4].abs().max() > 1e-3
    assert (near - far)[..., 48:].abs().max() < 1e-4


@pytest.fixture(scope="module")
def host(pipe):
    from lib_usdu.standalone.host import LocalHost
    from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling

    return LocalHost(DiffusersRefiner(embedded.load_pipeline(), Sampling(), "embedded"), BUNDLED)


def redrawn(host, canvas: np.ndarray, denoise: float) -> np.ndarray:
    from lib_usdu.engine import upscale
    from lib_usdu.options import Options

    options = Options(custom_scale=1, upscaler="None", denoise=denoise, tile_width=128, padding=16, resume=False)
    return upscale(canvas, options, host).image


def test_more_denoise_is_more_detail_where_detail_belongs(host):
    """A photo's enlarged half: power of luminance above 1 px rises, tone and colours stay, and a white and a pale
    border stay to the bit."""
    photo = Image.open(PHOTOS / "astronaut.jpg").convert("RGB").crop((150, 40, 342, 232))
    small = np.asarray(photo.reduce(2))
    canvas = host.enlarge(small, "SPAN x4", 192, 192)
    framed = np.pad(canvas, ((32, 32), (32, 32), (0, 0)), constant_values=255)
    framed[:32] = 231, 200, 160
    pictures = [framed, *(redrawn(host, framed, denoise) for denoise in (0.15, 0.3, 0.5))]

    def power(picture: np.ndarray) -> float:
        grey = picture[32:-32, 32:-32].astype(float).mean(axis=2)
        return (grey[1:-1, 1:-1] - (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4).var()

    powers = np.array([power(picture) for picture in pictures])
    assert (np.diff(powers) > 0).all() and powers[3] > 1.2 * powers[0]
    for picture in pictures[1:]:
        assert (picture[:24] == framed[:24]).all() and (picture[-24:] == 255).all()
        changed = picture.astype(float) - framed
        assert np.abs(changed.mean(axis=(0, 1))).max() < 0.3


def test_paper_and_sky_stay_to_the_bit(host):
    sky = np.linspace((236, 160, 120), (70, 90, 150), 256)[:, None].repeat(64, 1).round().astype(np.uint8)
    for canvas in (np.full((64, 64, 3), 255, np.uint8), sky):
        assert np.array_equal(redrawn(host, canvas, 0.5), canvas)


def test_a_cfg_scale_is_said_to_be_left_out(tmp_path, photo, capsys):
    from PIL import Image

    from lib_usdu.cli.main import main

    Image.fromarray(photo[:64, :64]).save(tmp_path / "a.png")
    flags = ["-c", "embedded", "--cfg", "5", "--steps", "1", "--scale", "1", "-u", "None"]
    assert main([str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), *flags]) == 0
    assert "CFG scale and LoRA files are left out" in capsys.readouterr().err
