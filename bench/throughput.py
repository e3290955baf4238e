"""Tiles a second through the engine beside the bare model's, at equal batch.

On a CPU the model is the embedded one. On a GPU it is a UNet of Stable Diffusion 1.5's shape (859 M parameters) with
random weights in half precision, without an autoencoder: latents are the windows shrunk by 8.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch

from lib_usdu.engine import upscale
from lib_usdu.enlarge.torchvision_operators import declare_missing_operators
from lib_usdu.options import Options
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

STEPS = 5  # the default 20 at denoise 0.25


class UnetRefiner(IdentityRefiner):
    """Windows through a UNet's steps with classifier-free guidance, and the work on both sides of it."""

    works_apart = True

    def __init__(self, device: str, channels: tuple[int, ...] = (320, 640, 1280, 1280)):
        declare_missing_operators()
        from diffusers import UNet2DConditionModel

        self.device = torch.device(device)
        torch.manual_seed(0)
        with torch.device(self.device):
            self.unet = UNet2DConditionModel(
                sample_size=64, cross_attention_dim=768, attention_head_dim=8, block_out_channels=channels
            )
        self.unet.to(torch.float16).eval().requires_grad_(False)
        self.text = torch.zeros(1, 77, 768, device=self.device, dtype=torch.float16)

    @torch.inference_mode()
    def steps(self, latents: torch.Tensor) -> torch.Tensor:
        """The bare model: latents (n, 4, h, w), half precision, on the device."""
        text = self.text.expand(2 * len(latents), -1, -1)
        for step in range(STEPS):
            both = self.unet(torch.cat([latents, latents]), 999 - step, text).sample
            latents = latents - 0.01 * both.chunk(2)[0]
        return latents

    def refine(self, batch: Any, stop: Any) -> np.ndarray:
        pixels = torch.from_numpy(batch.images).to(self.device).permute(0, 3, 1, 2).half()
        latents = torch.nn.functional.avg_pool2d(pixels, 8)[:, [0, 1, 2, 0]] / 127.5 - 1
        noise = [torch.from_numpy(noise.draw(0, 4)).to(self.device, torch.float16) for noise in batch.noises]
        self.steps(latents + torch.stack(noise))
        return batch.images.astype(np.float32)


class EmbeddedRefiner(IdentityRefiner):
    """The embedded model."""

    def __init__(self):
        from lib_usdu.standalone.checkpoints import EMBEDDED, load_checkpoint
        from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling

        pipeline, name = load_checkpoint(EMBEDDED, torch.device("cpu"))
        self.refiner = DiffusersRefiner(pipeline, Sampling(), name)

    def refine(self, batch: Any, stop: Any) -> np.ndarray:
        return self.refiner.refine(batch, stop)


def measure(device: str, batch: int, tiles: int) -> dict:
    """Tiles a second of a run of about so many tiles at this batch, and of the model alone on the same windows.

    On a CPU the model alone is the refine call's share of the run; on a GPU its steps run again without the rest.
    """
    refiner = EmbeddedRefiner() if device == "cpu" else UnetRefiner(device)
    columns = max(1, round(tiles**0.5))
    rows = -(-tiles // columns)
    picture = np.random.default_rng(0).integers(0, 256, (512 * rows, 512 * columns, 3), dtype=np.uint8)
    options = Options(tile_width=512, padding=32, custom_scale=1, tile_batch=batch)
    upscale(picture[:512], options, LocalHost(refiner))  # warm-up
    stats = upscale(picture, options, LocalHost(refiner)).stats
    loop = stats.refine_seconds + stats.outside_seconds
    bare = stats.refine_seconds / stats.tiles_done if device == "cpu" else _bare_seconds(refiner, batch)
    per_second = stats.tiles_done / loop
    return {"batch": batch, "tiles_per_second": per_second, "bare_tiles_per_second": 1 / bare,
            "share": per_second * bare}  # fmt: skip


def _bare_seconds(refiner: UnetRefiner, batch: int) -> float:
    """Median seconds a tile of the bare model's steps on 576 px windows."""
    latents = torch.randn(batch, 4, 72, 72, device=refiner.device, dtype=torch.float16)
    times = []
    for _ in range(6):
        torch.cuda.synchronize()
        started = time.perf_counter()
        refiner.steps(latents)
        torch.cuda.synchronize()
        times.append((time.perf_counter() - started) / batch)
    return statistics.median(times[1:])


def start_up_seconds() -> dict:
    """Seconds until the command line has said its version, and until an 8 x 8 picture has gone through the embedded
    model: each in a process of its own."""
    import subprocess
    import sys
    import tempfile
    from pathlib import Path

    from lib_usdu.pictures import imagefile

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "small.png"
        imagefile.write(picture, np.zeros((8, 8, 3), np.uint8))
        runs = {"version": ["--version"], "first picture": [str(picture), "--quiet", "--scale", "1"]}
        seconds = {}
        for name, arguments in runs.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-m", "lib_usdu", *arguments], check=True, capture_output=True)
            seconds[name] = time.perf_counter() - started
    return seconds
