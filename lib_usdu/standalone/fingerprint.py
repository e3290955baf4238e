"""What tells one network's weights from another's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..resume.digest import digest


def fingerprint(network: Any) -> str:
    """Of a network's weights: 64 values spread over each, which any training or merged LoRA changes."""
    with torch.inference_mode():
        values = [
            (name, tuple(weight.shape), str(weight.dtype), weight.flatten()[:: max(1, weight.numel() // 64)][:64])
            for name, weight in _weights(network)
        ]
        return digest(values)


def _weights(network: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """By name, those too that accelerate brings layer by layer (sequential): it holds them beside the layer."""
    for place, layer in network.named_modules():
        for name, weight in layer.named_parameters(recurse=False):
            beside = getattr(getattr(layer, "_hf_hook", None), "weights_map", None)
            yield f"{place}.{name}".lstrip("."), beside[name] if weight.is_meta and beside is not None else weight
