"""How much fits a device: how many bytes a window takes, before anything has been measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..batch_size import BatchLimits
from . import memory

LARGEST_BATCH = 16
LARGEST_ON_CPU = 4
"""Two tiles at once take 0.89 of the time on a CPU (a small SD 1 in the webui, windows of 576 px), four 0.86."""
FIRST_BATCH = 4
"""Most of what batches gain is there by then; from there on they grow by measurement."""
CALL_PIXELS = 10_000_000
"""Of all windows in one call: the webui holds each as 12 bytes a pixel, on the device and several times over."""
FEWEST_IN_A_CALL = 4
"""On a device to which models move: fewer would not be worth the way, however long they take."""
UPSCALER_BATCH = 4
"""Windows of 288 px fill a card each: more at once only wait longer for their download."""
_SHARE = 0.7
"""Of the free memory is filled: torch's allocator leaves gaps, and the desktop takes more now and then."""
_UPSCALER_BYTES = 8000
"""Bytes of a large upscaler (RRDB, factor 4) a pixel of the small picture; 4100 were measured in half precision."""


@dataclass(frozen=True)
class Needs:
    """Bytes a pixel of a window, beside the weights, with guidance and in half precision.

    model: of every window in the batch, in the diffusion model. autoencoder: of one window, the decoder takes them one
    after another.
    """

    model: int
    autoencoder: int

    def of(self, count: int, width: int, height: int, *, half: bool = True) -> int:
        """Bytes that so many windows take together."""
        return width * height * max(self.model * count, self.autoencoder) * (1 if half else 2)


SD = Needs(model=525, autoencoder=2450)
"""Stable Diffusion 1 and 2. Measured on an H200 at 576 x 576: 0.76 GiB up to a batch of 4, 1.29 at 8, 2.59 at 16."""
XL = Needs(model=400, autoencoder=4900)
"""SDXL: the model counts 315 without work space; its decoder runs in single precision, twice SD's."""
SIXTEEN = Needs(model=900, autoencoder=3000)
"""Models of 16 latent channels (SD3, Flux): attention over all latents, and no second call for guidance in some."""


def windows_that_fit(
    device: Any, width: int, height: int, *, half: bool, needs: Needs = SD, away: int = 0, managed: bool = False
) -> BatchLimits:
    """How many windows of this size to refine together, by free memory; one where that is not known.

    A GPU begins with several; a CPU, which gains little by more, with one. away: bytes of weights that are not on the
    device yet and will be (a webui's --medvram). managed: the host moves weights as it sees fit, so that free memory
    says little: it begins with one, and grows by measurement.
    """
    free = memory.free_bytes(device)
    if free is None:
        return BatchLimits(1, 1)
    most = int(_SHARE * (free - away) / (needs.model * width * height * (1 if half else 2)))
    on_gpu = _kind(device) != "cpu"
    limits = (BatchLimits(FIRST_BATCH, LARGEST_BATCH) if on_gpu else BatchLimits(1, LARGEST_ON_CPU)).within(most)
    return BatchLimits(1, max(limits.most, FIRST_BATCH)) if managed and on_gpu else limits


def call_limits(device: Any, width: int, height: int) -> BatchLimits | None:
    """The fewest and the most windows of this size, px, for a call that works on some of them at a time; None where
    there is room for one only. On a processor nothing moves: there the fewest is one.
    """
    most = CALL_PIXELS // (width * height)
    return BatchLimits(1 if _kind(device) == "cpu" else min(FEWEST_IN_A_CALL, most), most) if most > 1 else None


def upscaler_windows(device: Any, side: int) -> int:
    """How many windows of side x side px an upscaler is given together: one on a CPU, by free memory on a GPU."""
    free = memory.free_bytes(device)
    if free is None or _kind(device) == "cpu":
        return 1
    return max(1, min(UPSCALER_BATCH, int(0.5 * free / (_UPSCALER_BYTES * side * side))))


def short(device: Any, width: int, height: int, needs: Needs = SD) -> bool:
    """Whether a model that is not needed now should leave: two windows of this size would not fit beside it."""
    free = memory.free_bytes(device)
    return free is not None and needs.of(2, width, height) > 0.5 * free


def _kind(device: Any) -> str:
    """Of a torch.device or its name."""
    return getattr(device, "type", None) or str(device).partition(":")[0]
