"""How the webui encodes windows into latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def encoding_alone(processing: Any, seeds: Sequence[int]) -> Iterator[None]:
    """Each window is encoded from its own seed, whatever batch it is in.

    processing: the host's module. It encodes one by one with noise of the global generator
    (sd_samplers_common.py:102, DiagonalGaussianDistribution.sample): a window's would depend on those before it.
    """
    encode = getattr(processing, "images_tensor_to_samples", None)
    if encode is None:
        yield
        return

    def one_by_one(image: Any, *args: Any, **kwargs: Any) -> Any:
        import torch

        latents = []
        for i in range(len(image)):
            torch.manual_seed(seeds[i % len(seeds)])
            latents.append(encode(image[i : i + 1], *args, **kwargs))
        return torch.cat(latents)

    processing.images_tensor_to_samples = one_by_one
    try:
        yield
    finally:
        processing.images_tensor_to_samples = encode
