"""Self-attention that looks at the whole canvas, for a network that sees it window by window.

A window's places ask all places of the window; in a pass over the whole picture they ask all of the picture. Here they
ask, beside their own window, what other windows have outside of it: its keys and values of the step before, as in
DistriFusion (Li et al., CVPR 2024). Of a large canvas they ask only each n-th row and column, so that what a window
costs does not grow with the canvas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from .of_canvas import OfCanvas

if TYPE_CHECKING:
    from .windows import Patch

MOST = 3
"""Windows' worth of places that are looked at in all, its own window's among them."""

Size = tuple[int, int]


class CanvasAttention(OfCanvas[torch.Tensor]):
    """The self-attention of a UNet, over windows.

    The layers are found by their names, which Stable Diffusion's code and diffusers share: `attn1` with `to_k` and
    `to_v`. What is kept of a window, (rows, places, channels), are the keys or values of its core.
    """

    def __init__(self, network: torch.nn.Module, places: Sequence[Patch]):
        super().__init__(places)
        layers = [part for name, part in network.named_modules() if name.rpartition(".")[2] == "attn1"]
        found = [getattr(layer, name, None) for layer in layers for name in ("to_k", "to_v")]
        self._layers = [] if self.whole else [one for one in found if isinstance(one, torch.nn.Module)]
        height, width = places[0].share.shape
        self._window: Size = height, width
        self._lies = cache(self._where)

    def _over_canvas(self, number: int, layer: torch.nn.Module) -> Callable[..., torch.Tensor]:
        """`forward` of what makes keys or values of the features of windows."""
        own = layer.forward

        def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            made = own(x, *args, **kwargs)
            size = self._size_of(made) if self._count else None
            if size is None:
                return made
            key, (kept, asked) = (self._call, number), self._lies(size, made.device)
            windows = self._by_window(made)
            self._now.setdefault(key, []).extend(one[:, at] for one, at in zip(windows, kept[self._group]))
            before = self._before.get(key)
            if before is None or before[0].shape[::2] != (self._rows, made.shape[-1]):
                return made
            canvas = torch.cat(before, dim=1)
            others = torch.stack([canvas[:, at] for at in asked[self._group]])
            return torch.cat([made, self._in_rows(others).to(made)], dim=1)

        return forward

    def _size_of(self, made: torch.Tensor) -> Size | None:
        """(height, width) of the features of a window; None where these are not of windows."""
        if made.ndim != 3 or len(made) != self._count * self._rows:
            return None
        height, width = self._window
        sizes = ((-(-height // 2**halved), -(-width // 2**halved)) for halved in range(6))
        return next((size for size in sizes if math.prod(size) == made.shape[1]), None)

    def _where(self, size: Size, device: torch.device) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """For each window: which of its places are kept for others, and which of all that are kept it asks, the same
        number each: the farthest may be left out. Numbers into features of this size in one line."""
        kept, rows, columns = [], [], []
        every = self._every()
        for place in self._places:
            at = [_centres(inside, of) for inside, of in zip(size, self._window)]
            down, across = (place.share.amax(dim).cpu()[along] >= 0.5 for dim, along in zip((1, 0), at))
            row, column = place.rows.flatten().cpu()[at[0]], place.columns.flatten().cpu()[at[1]]
            step = [every * -(-of // inside) for inside, of in zip(size, self._window)]
            down, across = down & (row % step[0] < step[0] // every), across & (column % step[1] < step[1] // every)
            kept.append((down[:, None] & across[None, :]).flatten().nonzero()[:, 0])
            rows.append(row.repeat_interleave(len(column))[kept[-1]])
            columns.append(column.repeat(len(row))[kept[-1]])
        lies = torch.cat(rows), torch.cat(columns)
        away = [_away(place, *lies) for place in self._places]
        count = min(int((distance > 0).sum()) for distance in away)
        asked = [
            distance.where(distance > 0, torch.inf).argsort(stable=True)[:count].sort().values for distance in away
        ]
        return [one.to(device) for one in kept], [one.to(device) for one in asked]

    def _every(self) -> int:
        """Each so many-th row and column is kept for others."""
        canvas = float(sum(place.share.sum() for place in self._places))
        return math.ceil(math.sqrt(canvas / (MOST * math.prod(self._window))))


def _centres(inside: int, of: int) -> torch.Tensor:
    """Where, along a side of so many latents, the middles of features lie: int64 (inside,)."""
    return ((torch.arange(inside) * 2 + 1) * -(-of // inside) // 2).clamp(max=of - 1)


def _away(place: Patch, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """How far from a window places of the canvas lie, in latents; 0: inside."""
    own = (place.rows, rows), (place.columns, columns)
    apart = ((those[:, None] - lines.flatten().cpu()[None, :]).abs().amin(1).float() for lines, those in own)
    return torch.hypot(*apart)
