"""How much memory a device has left, and what to do when it was not enough."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Any

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
    sentence = str(error).casefold()
    return isinstance(error, RuntimeError) and any(words in sentence for words in _WORDS_FOR_NO_MEMORY)


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


_KEPT, _HEAP = 2**30, 2**28
"""Bytes that glibc may keep after they were freed, and those of a piece of memory that it keeps at all."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as malloc.h has them


def keep_freed() -> bool:
    """From here on this process keeps the memory that one tile frees for the next one. Whether it does.

    glibc gives it back to the system, and gets it anew page by page: 5 % of a tile's time with the embedded model on a
    processor. Windows, macOS and musl have no such setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _HEAP) and mallopt(_M_TRIM_THRESHOLD, _KEPT))


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
