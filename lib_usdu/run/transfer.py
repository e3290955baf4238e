"""Pictures and noise to a device without making it wait."""

from __future__ import annotations

from typing import Any

import numpy as np


def to_device(array: np.ndarray, device: Any) -> Any:
    """The array as a tensor on a torch device.

    Out of page-locked memory where that is CUDA: the copy then waits its turn behind the device's work, and the
    processor goes on.
    """
    import torch

    # torch wants memory that it may write to
    tensor = torch.from_numpy(array if array.flags.writeable and array.flags.c_contiguous else np.array(array))
    if torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def on_host(shape: tuple[int, ...], dtype: Any, device: Any) -> Any:
    """An empty tensor in the processor's memory, to be filled by `copy_(..., non_blocking=True)` from the device. What
    it holds is there once the device has been waited for."""
    import torch

    return torch.empty(shape, dtype=dtype, pin_memory=torch.device(device).type == "cuda")
