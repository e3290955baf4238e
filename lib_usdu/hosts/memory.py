"""How much fits a device."""

from __future__ import annotations

from typing import Any

LARGEST_BATCH = 8


def windows_that_fit(device: Any, width: int, height: int, *, half: bool) -> int:
    """Windows of this size to refine together: one on a CPU, by free memory on a GPU."""
    if getattr(device, "type", "cpu") != "cuda":
        return 1
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    # About 1.5 kB of activations a pixel in half precision for SD 1's UNet with guidance; XL needs no more.
    needed = 1500 * width * height * (1 if half else 2)
    return int(min(max(0.5 * free / needed, 1), LARGEST_BATCH))
