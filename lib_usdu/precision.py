"""In which number format networks run fastest on a device without a difference anybody sees."""

from __future__ import annotations

from typing import Any


def multiplies_bfloat16(device: Any) -> bool:
    """Whether this is a CPU with matrix units for bfloat16 (Intel AMX, as torch sees it from 2.4 on).

    There convolutions take a third of the time that float32 takes. CPUs that only have instructions for it are not
    among these: what they gain has not been measured.
    """
    import torch

    if torch.device(device).type != "cpu":
        return False
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return supported is not None and bool(supported())


def upscaler_dtype(descriptor: Any, device: Any, *, convolutional: bool) -> Any:
    """The torch dtype for a spandrel descriptor: float16 on CUDA, bfloat16 on a CPU that multiplies it, else float32.

    Against float32 the result moves by 61 dB (float16) and 49 to 56 dB (bfloat16, three networks on two photos).
    convolutional: only such networks were measured in bfloat16.
    """
    import torch

    if torch.device(device).type == "cuda" and descriptor.supports_half:
        return torch.float16
    if convolutional and descriptor.supports_bfloat16 and multiplies_bfloat16(device):
        return torch.bfloat16
    return torch.float32
