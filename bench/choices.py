"""How the stand-alone UNet runs fastest: number formats, memory layout, compilation; with what each costs at first."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from typing import Any

import numpy as np
import torch

from lib_usdu.engine import upscale
from lib_usdu.options import Options
from lib_usdu.standalone.checkpoints import EMBEDDED, load_checkpoint
from lib_usdu.standalone.host import LocalHost
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling

CHOICES = ("float32", "as it is run", "channels last", "torch.compile")


def measure(picture: np.ndarray, repeats: int = 4) -> list[dict[str, Any]]:
    """Seconds a tile of 512 px for each choice, all in one run, round after round.

    first: of the first tile, with what the choice needs to warm up. psnr: in dB, to float32.
    """
    with tempfile.TemporaryDirectory() as folder:  # torch.compile must not find what a run before has compiled
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        return _measured(picture, repeats)


def _measured(picture: np.ndarray, repeats: int) -> list[dict[str, Any]]:
    refiners = {name: _refiner(name) for name in CHOICES}
    options = Options(tile_width=512, padding=32, custom_scale=1, tone_lock=0, tile_batch=1)
    first, times, images = {}, {name: [] for name in CHOICES}, {}
    for number in range(repeats + 1):
        for name, refiner in refiners.items():
            started = time.perf_counter()
            images[name] = upscale(picture, options, LocalHost(refiner)).image
            seconds = time.perf_counter() - started
            if number == 0:
                first[name] = seconds
            else:
                times[name].append(seconds)
    plain = images["float32"].astype(np.float64)
    rows = []
    for name in CHOICES:
        error = np.square(images[name] - plain).mean()
        rows.append({
            "choice": name, "first": first[name], "seconds": statistics.median(times[name]),
            "psnr": float(10 * np.log10(255**2 / error)) if error else None,
        })  # fmt: skip
    return rows


def _refiner(choice: str) -> DiffusersRefiner:
    pipeline, name = load_checkpoint(EMBEDDED, torch.device("cpu"))
    refiner = DiffusersRefiner(pipeline, Sampling(), name)
    if choice == "float32":
        refiner._in_bfloat16 = False
    elif choice == "channels last":
        pipeline.unet.to(memory_format=torch.channels_last)
    elif choice == "torch.compile":
        pipeline.unet.forward = torch.compile(pipeline.unet.forward, dynamic=False)
    return refiner
