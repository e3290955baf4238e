"""All windows of a canvas take each sampler step together: what they predict is averaged where they overlap.

MultiDiffusion (Bar-Tal et al., ICML 2023) averages the samples, which blurs with samplers that add noise; as in Mixture
of Diffusers (Jimenez, 2023) it is the model's output that is averaged here, so that sampler, history and step noise are
those of one picture. The weights are the ramps of the tiles' cores: they sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..blend import axis_weight
from ..geometry import Region, Tile

Conditions = Callable[[Any], Any]


@dataclass(frozen=True)
class Patch:
    """A window in latents of the canvas, and its share of what it covers: float32 (1, 1, height, width)."""

    window: Region
    share: torch.Tensor


def patches(tiles: Sequence[Tile], width: int, height: int, scale: int, reach: tuple[int, int]) -> list[Patch]:
    """A patch for each tile. width, height: of the canvas in latents; reach: of a core past its end, in pixels."""
    found = []
    for tile in tiles:
        window = _latents(tile.window, scale)
        core = _latents(tile.core, scale)
        share = torch.zeros(window.height, window.width)
        across = axis_weight(core.x, min(core.right, width), width, reach[0] // scale)
        down = axis_weight(core.y, min(core.bottom, height), height, reach[1] // scale)
        seen = core.grow(reach[0] // scale, reach[1] // scale).intersect(Region(0, 0, width, height))
        share[seen.relative_to(window).slices] = torch.from_numpy(down[:, None] * across[None, :])
        found.append(Patch(window, share[None, None]))
    return found


def _latents(region: Region, scale: int) -> Region:
    """Rounded outward at the canvas's right and lower edge, the only ones that may lie between latents."""
    return Region.between(region.x // scale, region.y // scale, -(-region.right // scale), -(-region.bottom // scale))


def assemble(parts: Iterator[torch.Tensor], places: Sequence[Patch], like: torch.Tensor) -> torch.Tensor:
    """The canvas, as `like`, of windows (n, channels, h, w) that come in the order of `places`."""
    total = torch.zeros_like(like, dtype=torch.float32)
    for part, place in zip(parts, places):
        total[:, :, place.window.slices[0], place.window.slices[1]] += part.float() * place.share.to(total.device)
    return total.to(like.dtype)


def over_windows(
    sample: torch.Tensor,
    places: Sequence[Patch],
    limit: int,
    stop: Callable[[], None],
    predict: Callable[[torch.Tensor, Conditions], torch.Tensor],
) -> torch.Tensor:
    """What `predict` says of a canvas (n, channels, h, w) that it sees in at most `limit` windows at a time.

    It is given the windows, each with all n entries of the canvas (under CFG one without and one with the prompt), and
    a function that makes conditions of the canvas those of the windows. stop: called before each group; may raise.
    """

    def windows() -> Iterator[torch.Tensor]:
        for start in range(0, len(places), limit):
            stop()
            group = [place.window.slices for place in places[start : start + limit]]
            cut = torch.cat([sample[:, :, rows, columns] for rows, columns in group])

            def conditions(value: Any, group: Any = group) -> Any:
                return _for_windows(value, sample, group)

            yield from predict(cut, conditions).split(len(sample))

    return assemble(windows(), places, sample)


def unet_in_windows(
    model: Callable[..., Any], places: Sequence[Patch], limit: int, stop: Callable[[], None]
) -> Callable[..., tuple[torch.Tensor]]:
    """`forward` of diffusers' UNet for the whole canvas; `model` is its own."""

    def forward(sample: torch.Tensor, timestep: Any, encoder_hidden_states: Any, **others: Any) -> tuple[torch.Tensor]:
        def predict(cut: torch.Tensor, conditions: Conditions) -> torch.Tensor:
            told = {**conditions(others), "return_dict": False}
            return model(cut, timestep, encoder_hidden_states=conditions(encoder_hidden_states), **told)[0]

        return (over_windows(sample, places, limit, stop, predict),)

    return forward


def _for_windows(value: Any, sample: torch.Tensor, group: Sequence[tuple[slice, slice]]) -> Any:
    """Tensors with a row for each entry of the canvas are repeated, those of its size cut; anything else stays."""
    if isinstance(value, dict):
        return {name: _for_windows(inner, sample, group) for name, inner in value.items()}
    if isinstance(value, list):
        return [_for_windows(inner, sample, group) for inner in value]
    if not isinstance(value, torch.Tensor) or value.ndim == 0 or len(value) != len(sample):
        return value
    if value.ndim == 4 and value.shape[2:] == sample.shape[2:]:
        return torch.cat([value[:, :, rows, columns] for rows, columns in group])
    return value.repeat(len(group), *[1] * (value.ndim - 1))
