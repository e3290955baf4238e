"""What a run costs outside the model: time a tile and memory, by the size of the canvas."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import torch

from lib_usdu.cli.report import peak_rss_mb
from lib_usdu.engine import upscale
from lib_usdu.options import Options
from lib_usdu.standalone.host import IdentityRefiner, LocalHost
from lib_usdu.standalone.latents import Autoencoder

TILE, PADDING = 512, 32  # windows of 576 x 576


class Shrinking(torch.nn.Module):
    """An autoencoder that costs next to nothing: means of 8 x 8 pixels, and those repeated."""

    config = SimpleNamespace(block_out_channels=(1, 1, 1, 1), latent_channels=3, scaling_factor=1.0)
    dtype = torch.float32

    def encode(self, pixels):
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: torch.nn.functional.avg_pool2d(pixels, 8)))

    def decode(self, latents, return_dict=False):
        return (torch.nn.functional.interpolate(latents, scale_factor=8.0),)


class FloatRefiner(IdentityRefiner):
    """The diffusers host's own way from pictures to latents and back, and so its own arrays, without its model."""

    def __init__(self):
        self._autoencoder = Autoencoder(Shrinking(), torch.device("cpu"), torch.float32)

    def refine(self, batch, stop):
        height, width = batch.images.shape[1:3]
        return self._autoencoder.pictures(self._autoencoder.encode(batch.images), height, width)


def measure(size: int) -> dict:
    """One canvas of size x size, from a picture of half that; in this process."""
    before = peak_rss_mb()
    random = np.random.default_rng(0)
    picture = np.empty((size // 2, size // 2, 3), np.uint8)
    for row in picture:
        row[:] = random.integers(0, 256, row.shape, dtype=np.uint8)
    options = Options(tile_width=TILE, padding=PADDING, custom_scale=2, upscaler="Lanczos", max_megapixels=1e5)
    stats = upscale(picture, options, LocalHost(FloatRefiner())).stats
    each = [1000 * seconds for seconds in stats.outside_per_tile]
    return {
        "canvas": size, "tiles": stats.tiles, "outside_ms_min": min(each), "outside_ms_median": statistics.median(each),
        "rss_mb": peak_rss_mb(), "rss_before_mb": before, "upscale_seconds": stats.stages["upscale"],
    }  # fmt: skip


class Device(FloatRefiner):
    """A model on a device of its own that takes 50 ms a tile: the processor sleeps meanwhile."""

    def refine(self, batch, stop):
        time.sleep(0.05 * len(batch.tiles))
        return super().refine(batch, stop)


def measure_beside(side: int = 4096) -> dict:
    """Milliseconds a tile for which such a device waits, one step after the other and with the work beside it."""
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    options = Options(tile_width=TILE, padding=PADDING, custom_scale=1, max_megapixels=1e5, tile_batch=2)
    waits = {}
    for name, apart in (("after another", False), ("beside", True)):
        host = LocalHost(Device())
        host.works_apart = apart
        waits[name] = upscale(picture, options, host).stats.outside_ms_per_tile
    return waits


def measure_apart(size: int) -> dict:
    """As `measure`, in a process of its own: peak memory is then this size's."""
    command = [sys.executable, "-m", "bench.outside", str(size)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", type=int)
    print(json.dumps(measure(parser.parse_args().size)))
