"""How much fits a device, and what to do when it did not."""

from __future__ import annotations

import gc
import sys
from typing import Any

from ..batch_size import BatchLimits

LARGEST_BATCH = 16
LARGEST_ON_CPU = 4
"""Two tiles at once take 0.89 of the time on a CPU (a small SD 1 in the webui, windows of 576 px), four 0.86."""
FIRST_BATCH = 4
"""Most of what batches gain is there by then; from there on they grow by measurement."""
UPSCALER_BATCH = 4
"""Windows of 288 px fill a card each: more at once only wait longer for their download."""
_WINDOW_BYTES = 1500
"""About so many bytes of activations a pixel take SD 1's UNet in half precision, with guidance; XL needs no more."""
_UPSCALER_BYTES = 8000
"""The same of a large upscaler (RRDB, factor 4) a pixel of the small picture."""


def out_of_memory(error: BaseException) -> bool:
    """Whether this is the machine or the card running out of memory, however torch or numpy put it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).casefold()
    return isinstance(error, RuntimeError) and ("out of memory" in said or "not enough memory" in said)


def give_back() -> None:
    """Gives back what a failed or finished piece of work has left."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_bytes(device: Any) -> int | None:
    """Memory that a call may still take: on a CUDA device torch's own reserve among it, on a CPU what Linux calls
    available. None where nobody says."""
    kind = getattr(device, "type", "cpu")
    if kind == "cpu":
        return _available()
    if kind != "cuda":
        return None
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def _available() -> int | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def windows_that_fit(device: Any, width: int, height: int, *, half: bool) -> BatchLimits:
    """How many windows of this size to refine together, by free memory; one where that is not known.

    A GPU begins with several; a CPU, which gains little by more, with one.
    """
    free = free_bytes(device)
    if free is None:
        return BatchLimits(1, 1)
    most = int(0.5 * free / (_WINDOW_BYTES * width * height * (1 if half else 2)))
    on_gpu = getattr(device, "type", "cpu") != "cpu"
    return (BatchLimits(FIRST_BATCH, LARGEST_BATCH) if on_gpu else BatchLimits(1, LARGEST_ON_CPU)).within(most)


def upscaler_windows(device: Any, side: int) -> int:
    """How many windows of side x side px an upscaler is given together: one on a CPU, by free memory on a GPU."""
    free = free_bytes(device)
    if free is None or getattr(device, "type", "cpu") == "cpu":
        return 1
    return max(1, min(UPSCALER_BATCH, int(0.5 * free / (_UPSCALER_BYTES * side * side))))


def short(device: Any, width: int, height: int) -> bool:
    """Whether a model that is not needed now should leave: two windows of this size would not fit beside it."""
    return free_bytes(device) is not None and windows_that_fit(device, width, height, half=True).most < 2
