"""The files of the bundled upscalers: SPAN with each of its three-branch convolutions as the one kernel it comes to.

That is a third of a usual SPAN file and what runs in the end; `in_branches` makes the usual form of it, for spandrel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

KERNEL = ".eval_conv.weight"


def read(file: Path) -> dict[str, Any]:
    """The tensors of one of our files as those of a usual SPAN file, float32."""
    from safetensors.torch import load_file

    return in_branches({name: tensor.float() for name, tensor in load_file(file).items()})


def in_branches(kernels: dict[str, Any]) -> dict[str, Any]:
    """Adds the three convolutions and the shortcut of which each kernel, (out, in, 3, 3), is made: the middle one holds
    it, those around it pass on what they get, the shortcut is 0. The kernel that is made of them is equal to the bit.
    """
    import torch

    made = dict(kernels)
    for name, kernel in kernels.items():
        if not name.endswith(KERNEL):
            continue
        base, (outputs, inputs) = name.removesuffix(KERNEL), kernel.shape[:2]
        first, last = torch.zeros(2 * inputs, inputs, 1, 1), torch.zeros(outputs, 2 * outputs, 1, 1)
        first[:inputs, :, 0, 0], last[:, :outputs, 0, 0] = torch.eye(inputs), torch.eye(outputs)
        middle = torch.zeros(2 * outputs, 2 * inputs, 3, 3)
        middle[:outputs, :inputs] = kernel
        made |= {
            f"{base}.sk.weight": torch.zeros(outputs, inputs, 1, 1), f"{base}.sk.bias": torch.zeros(outputs),
            f"{base}.conv.0.weight": first, f"{base}.conv.0.bias": torch.zeros(2 * inputs),
            f"{base}.conv.1.weight": middle, f"{base}.conv.1.bias": torch.zeros(2 * outputs),
            f"{base}.conv.2.weight": last, f"{base}.conv.2.bias": kernels[f"{base}.eval_conv.bias"].clone(),
        }  # fmt: skip
    return made
