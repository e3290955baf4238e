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
_WORDS_FOR_NO_MEMORY = (
    "out of memory",  # CUDA, HIP, XPU and MPS, their allocators' and their drivers'
    "not enough memory",  # DefaultCPUAllocator on Windows
    "can't allocate memory",  # and on Linux
    "not enough gpu video memory",  # DirectML
    "invalid buffer size",  # MPS: one tensor larger than Metal allows
    "status_alloc_failed",  # cuBLAS, cuDNN, hipBLAS, cuSOLVER, cuSPARSE
    "unable to find an engine",  # cuDNN 8 and 9: no algorithm whose workspace can be had
    "unable to find a valid cudnn algorithm",  # cuDNN 7
    "out_of_device_memory", "out_of_host_memory", "result_error_out_of_resources", "pi_error_out_of_resources",  # Intel
)  # fmt: skip
"""As they stand in RuntimeErrors, in small letters."""


def out_of_memory(error: BaseException) -> bool:
    """Whether this is the machine or the card running out of memory, however torch, its libraries or numpy put it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).casefold()
    return isinstance(error, RuntimeError) and any(words in said for words in _WORDS_FOR_NO_MEMORY)


def give_back() -> None:
    """Gives back what a failed or finished piece of work has left: to the driver of whatever card there is."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    xpu = getattr(torch, "xpu", None)  # Intel's cards: in torch from 2.3 on, before that brought by an extension
    if xpu is not None and xpu.is_available():
        xpu.empty_cache()


def free_bytes(device: Any) -> int | None:
    """Memory that a call may still take: on a CUDA device torch's own reserve among it, on a CPU what Linux calls
    available. None where nobody says.

    device: a torch.device or its name. A webui's has no index, which means the current card.
    """
    kind, _, number = str(device).partition(":")
    if kind == "cpu":
        return _available()
    if kind != "cuda":
        return None
    import torch

    index = int(number) if number else torch.cuda.current_device()  # torch before 2.5 asks for an index
    free, _ = torch.cuda.mem_get_info(index)
    return int(free + torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index))


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
