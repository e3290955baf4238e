"""What every section needs: the card, the report, the time that is left, pictures, and a run of the engine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lib_usdu.engine import Result, upscale
from lib_usdu.options import Options
from lib_usdu.standalone.host import LocalHost, Refiner

from .card import Card
from .models import SIZES
from .report import Report

PHOTO = Path(__file__).parents[2] / "tests" / "photos" / "astronaut.jpg"


@dataclass
class Setting:
    card: Card
    report: Report
    ends: float
    """Of `time.perf_counter()`."""

    @property
    def tiny(self) -> bool:
        return self.card.tiny

    @property
    def seconds_left(self) -> float:
        return self.ends - time.perf_counter()

    def tile(self, kind: str) -> int:
        return 64 if self.tiny else SIZES[kind][0]

    def window(self, kind: str) -> int:
        return 128 if self.tiny else SIZES[kind][1]

    def picture(self, width: int, height: int) -> np.ndarray:
        with Image.open(PHOTO) as photo:
            return np.asarray(photo.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))

    def canvas(self, tiles: int, tile: int) -> np.ndarray:
        """A picture of exactly so many tiles, at least 2 x 2: a smaller one has smaller windows."""
        columns = max(number for number in range(2, int(tiles**0.5) + 1) if tiles % number == 0)
        return self.picture(columns * tile, tiles // columns * tile)

    def host(self, refiner: Refiner) -> LocalHost:
        return LocalHost(refiner, {}, self.card.device)

    def redraw(self, refiner: Refiner, picture: np.ndarray, host: LocalHost | None = None, **changes) -> Result:
        """One run of the engine as the command line makes it, without the upscaling."""
        plain = {"padding": 32, "custom_scale": 1, "denoise": 0.25, "upscaler": "None"}
        return upscale(picture, Options(**{**plain, **changes}), host or self.host(refiner))


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """dB; 99 where they are equal."""
    error = float(np.mean((first.astype(np.float32) - second.astype(np.float32)) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))
