"""How a pipeline has the latents of windows: as they are, or in tokens of 2 x 2 latents (Flux and its relatives)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def pack(latents: Any) -> Any:
    """(n, channels, h, w) in tokens (n, h/2 * w/2, channels * 4), row by row: each holds a channel's four after the
    other (FluxImg2ImgPipeline._pack_latents)."""
    count, channels, height, width = latents.shape
    cut = latents.reshape(count, channels, height // 2, 2, width // 2, 2)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(count, height // 2 * (width // 2), channels * 4)


def unpack(tokens: Any, height: int, width: int) -> Any:
    """The reverse of `pack`; height and width in latents."""
    count, _, values = tokens.shape
    cut = tokens.reshape(count, height // 2, width // 2, values // 4, 2, 2)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(count, values // 4, height, width)


def places(height: int, width: int, like: Any) -> Any:
    """Where each token of a window lies: (h/2 * w/2, 3), its row and column in the last two."""
    import torch

    rows, columns = torch.meshgrid(torch.arange(height // 2), torch.arange(width // 2), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], -1).reshape(-1, 3).to(like)


@dataclass(frozen=True)
class Packing:
    """packed: latents (n, channels, h, w) as the pipeline has them; unpacked: back, from (latents, h, w); prepared:
    what its `prepare_latents` returns of packed latents and the window's (h, w)."""

    packed: Callable[[Any], Any] = lambda latents: latents
    unpacked: Callable[[Any, int, int], Any] = lambda latents, height, width: latents
    prepared: Callable[[Any, int, int], Any] = lambda latents, height, width: latents


PLAIN = Packing()
IN_FLOAT32 = Packing(prepared=lambda latents, height, width: latents.float())
"""Z-Image's pipeline has latents in single precision, whatever its network calculates in, and insists on it."""
PACKED = Packing(pack, unpack)
PACKED_WITH_PLACES = Packing(
    pack, unpack, lambda tokens, height, width: (tokens, places(height, width, tokens[0, 0, 0]))
)


def rows(latents: Any) -> Any:
    """(n, channels, h, w) as tokens (n, h * w, channels), row by row: each latent is one."""
    return latents.flatten(2).transpose(1, 2)


def unrows(tokens: Any, height: int, width: int) -> Any:
    """The reverse of `rows`."""
    return tokens.transpose(1, 2).unflatten(2, (height, width))


def places_of_four(height: int, width: int, like: Any) -> Any:
    """Where each token of a window lies, as Flux 2 is told it: (h * w, 4), row and column in the middle two."""
    import torch

    across, down = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    none = torch.zeros_like(across)
    return torch.stack([none, across, down, none], -1).reshape(-1, 4).to(like)


def _with_places_of_four(tokens: Any, height: int, width: int) -> tuple[Any, Any]:
    found = places_of_four(height, width, tokens[0, 0, 0]).long()
    return tokens, found[None].expand(len(tokens), -1, -1)


ROWS_WITH_PLACES = Packing(rows, unrows, _with_places_of_four)
