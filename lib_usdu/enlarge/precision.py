"""In which number format networks run fastest on a device without a difference anybody sees."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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


def upscaler_dtype(descriptor: Any, device: Any, *, convolutional: bool, half: bool = True) -> Any:
    """The torch dtype for a spandrel descriptor: float16 on CUDA, bfloat16 there where the network cannot do that, and
    on a CPU that multiplies it; else float32.

    Against float32 the result moves by 61 dB (float16) and 51 to 57 dB (bfloat16, three networks on two photos).
    convolutional: on CPUs only such networks were measured in bfloat16. half: whether 16 bits are allowed at all on a
    card.
    """
    import torch

    if torch.device(device).type == "cuda":
        if half and descriptor.supports_half:
            return torch.float16
        # Cards before Ampere have no units for it.
        capable = half and descriptor.supports_bfloat16 and torch.cuda.get_device_capability(device)[0] >= 8
        return torch.bfloat16 if capable else torch.float32
    if convolutional and descriptor.supports_bfloat16 and multiplies_bfloat16(device):
        return torch.bfloat16
    return torch.float32


def end_in_float32(descriptor: Any, device: Any) -> None:
    """Changes a spandrel descriptor in place: under autocast its last convolution runs in float32.

    bfloat16 tells apart 256 levels between 0.5 and 1 and twice as many below, so white paper would come out a level or
    two grey, and a smooth sky in a pattern of one level.
    """
    import torch

    called: list[Any] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: called.append(module))
        for module in descriptor.model.modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    with torch.inference_mode():
        descriptor(torch.zeros(1, descriptor.input_channels, 32, 32, device=device))
    for hook in hooks:
        hook.remove()
    if called:
        called[-1].forward = partial(_in_float32, called[-1].forward, kind=torch.device(device).type)


def _in_float32(forward: Callable[[Any], Any], x: Any, *, kind: str) -> Any:
    import torch

    with torch.autocast(kind, enabled=False):
        return forward(x.float())
