"""What a network makes of an overview of a window's surroundings (run/overview.py), for it to know when it sees the
window.

In a pass over a whole picture a network normalises its features (GroupNorm) by those of all of it, and its
self-attention asks all of it. A window alone has neither. So the network first looks at the overview, once, under a
part of the noise. As the features of the window's place in it lie to those of all of it, those of the window are moved
after each GroupNorm; and self-attention has the overview's keys and values beside the window's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from ..host import Batch
from ..run.overview import Overview
from ..speed.in_place import in_place_of

PART_OF_NOISE = 0.6
"""Of the share of noise that the steps begin with, the share in what the network looks at: that of a step in the
middle, whose features are nearest to those of all steps."""
MOST = 512
"""Places of an overview that a layer asks: of more, every second row and column, or fewer. With SDXL they then add a
twentieth to the work of self-attention, and some 90 MB a window."""
MOST_ANSWERS = 2
"""Rows that a layer has for one window: with the prompt and without. More are parts of windows (HyperTile)."""
ROOM = 2**29
"""Bytes of what is remembered of overviews, beside those of the present batch: five of SDXL, a row of ten tiles."""


Size = tuple[int, int]


@dataclass
class _Seen:
    """By number of the part of a network: how the features of each of the overview's windows are moved (`_apart`); keys
    or values of the overview, (places, channels). Empty where the network's numbers broke down."""

    moved: dict[int, torch.Tensor] = field(default_factory=dict)
    asked: dict[int, torch.Tensor] = field(default_factory=dict)

    def numbers(self) -> list[torch.Tensor]:
        return [*self.moved.values(), *self.asked.values()]

    def kept(self) -> _Seen:
        """The same in the processor's memory: a card has none to spare."""
        return _Seen(*({at: part.cpu() for at, part in parts.items()} for parts in (self.moved, self.asked)))

    def size(self) -> int:
        """Bytes."""
        return sum(part.numel() * part.element_size() for part in self.numbers())


def looked_at(share: float) -> float:
    """The share of noise in what a network looks at, where its steps begin with this one, 0-1."""
    return PART_OF_NOISE * share


def can_know(network: Any) -> bool:
    """Whether a network has anything that overviews change: a norm with a scale and a shift of its own."""
    parts = network.modules() if isinstance(network, torch.nn.Module) else ()
    return any(isinstance(part, torch.nn.GroupNorm) and part.affine for part in parts)


class Overviews:
    """What one network knows of the overviews of its runs."""

    def __init__(self):
        self._known: dict[Any, _Seen] = {}
        self._looking: tuple[Overview, _Seen] | None = None
        self._of: list[tuple[_Seen, int]] = []  # of each window of the batch: its overview, its number there
        self._start = self._count = 0
        self._ready: dict[tuple[int, int, int], torch.Tensor | None] = {}

    @contextmanager
    def put_in(self, network: torch.nn.Module) -> Iterator[None]:
        """While inside, the network is told what is known of what `sees` has said."""
        parts = list(network.named_modules())
        norms = [part for _, part in parts if isinstance(part, torch.nn.GroupNorm)]
        layers = [part for name, part in parts if name.rpartition(".")[2] == "attn1"]
        asked = [getattr(layer, name, None) for layer in layers for name in ("to_k", "to_v")]
        with ExitStack() as stack:
            for number, norm in enumerate(norms):
                stack.enter_context(in_place_of(norm, forward=self._moving(number, norm)))
            for number, layer in enumerate(asked):
                if isinstance(layer, torch.nn.Module):
                    stack.enter_context(in_place_of(layer, forward=self._asking(~number, layer)))
            try:
                yield
            finally:
                self._of, self._count = [], 0
                self._ready.clear()

    def new(self, batch: Batch) -> list[Overview]:
        """The overviews of a batch that are yet to be looked at. Of older ones the least lately used make room."""
        keys = [_key(batch, at) for at in range(len(batch.overviews))]
        room = ROOM - sum(seen.size() for seen in self._known.values())
        for key in [key for key in self._known if key not in keys]:
            if room >= 0:
                break
            room += self._known.pop(key).size()
        unknown = (at for at, key in enumerate(keys) if key not in self._known)
        return list({batch.overviews[at].content: batch.overviews[at] for at in unknown}.values())

    def learn(self, batch: Batch, at: range, look: Callable[[int], None]) -> None:
        """From here on the network knows the overviews of these windows of a batch, by number; the first ones come
        first. Those that are new it looks at now.

        look: has the network predict what the overview of one of them shows, under that one's prompt.
        """
        if not at.start:
            self._of, self._count = [], 0
            self._ready.clear()
        for number in at:
            key, overview = _key(batch, number), batch.overviews[number]
            seen = self._known.pop(key, None) or self._looked(overview, partial(look, number))
            if seen.moved:  # else the model broke down, and is asked again, perhaps in another precision
                self._known[key] = seen  # the last one used stands last
            self._of.append((seen, overview.windows.index(batch.tiles[number].window)))

    def _looked(self, overview: Overview, look: Callable[[], None]) -> _Seen:
        seen = _Seen()
        self._looking = overview, seen
        try:
            look()
        finally:
            self._looking = None
        return seen.kept() if all(bool(torch.isfinite(part).all()) for part in seen.numbers()) else _Seen()

    def sees(self, start: int, count: int) -> None:
        """The network will now see so many windows of the batch, from this one on."""
        self._start, self._count = start, count

    def _moving(self, number: int, norm: torch.nn.GroupNorm) -> Callable[..., torch.Tensor]:
        """`forward` of a GroupNorm."""
        own = norm.forward

        def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            made = own(x, *args, **kwargs)
            away = norm.weight is None or norm.weight.is_meta  # kept elsewhere until it is asked
            if x.ndim != 4 or away:
                return made
            if self._looking is not None:
                overview, seen = self._looking
                seen.moved[number] = _apart(x, norm, overview)
                return made
            moved = self._for_rows(number, made, lambda found: _scale_and_shift(found, norm))
            return made if moved is None else torch.addcmul(moved[1], made, moved[0])

        return forward

    def _asking(self, number: int, layer: torch.nn.Module) -> Callable[..., torch.Tensor]:
        """`forward` of what makes keys or values of features."""
        own = layer.forward

        def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            made = own(x, *args, **kwargs)
            if made.ndim != 3:
                return made
            if self._looking is not None:
                overview, seen = self._looking
                region = overview.noise.region
                size = _size_of(made.shape[1], (region.height, region.width))
                if size is not None and len(made) <= MOST_ANSWERS:
                    every = math.ceil(math.sqrt(math.prod(size) / MOST))
                    seen.asked[number] = made.mean(0).unflatten(0, size)[::every, ::every].flatten(0, 1)
                return made
            others = self._for_rows(number, made, lambda found: found[None])
            return made if others is None else torch.cat([made, others[0]], dim=1)

        return forward

    def _for_rows(
        self, number: int, made: torch.Tensor, ready: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor | None:
        """What is known of the windows in these features, (parts, rows, ...), as `ready` makes it of (windows, ...);
        None where nothing is. Each row is a window: all of the batch, under guidance again for the other prompt."""
        if not self._count or len(made) % self._count or len(made) > MOST_ANSWERS * self._count:
            return None
        key = number, self._start, self._count
        if key not in self._ready:
            found = [
                seen.moved[number][at] if number >= 0 else seen.asked[number]
                for seen, at in self._of[self._start : self._start + self._count]
                if number in (seen.moved if number >= 0 else seen.asked)
            ]
            alike = len(found) == self._count and len({part.shape for part in found}) == 1
            self._ready[key] = ready(torch.stack(found).to(made.device)).to(made) if alike else None
        each = self._ready[key]
        return None if each is None else each.repeat(1, len(made) // self._count, *[1] * (each.ndim - 2))


def _key(batch: Batch, at: int) -> Any:
    """What a network makes of the overview of a window depends on this."""
    return batch.overviews[at].content, batch.denoise, batch.prompts[at] if batch.prompts else ""


def _apart(x: torch.Tensor, norm: torch.nn.GroupNorm, overview: Overview) -> torch.Tensor:
    """Of features (rows, channels, h, w) of an overview, for each of its windows: how far the mean of all is from that
    of the window's place, in standard deviations there, and the root of the variance there over that of all: float32
    (windows, 2, groups), the mean of the rows."""
    features = x.float().unflatten(1, (norm.num_groups, -1))
    features = features - features.mean((2, 3, 4), keepdim=True)  # squares of what is left keep their digits
    level, square = features.mean(2), features.square().mean(2)
    whole = square.mean((2, 3))
    moved = []
    for window in overview.windows:
        place = window.relative_to(overview.region)
        down = _covered(place.y, place.bottom, overview.region.height, x.shape[2], x.device)
        across = _covered(place.x, place.right, overview.region.width, x.shape[3], x.device)
        mean, squares = (torch.einsum("rghw,h,w->rg", part, down, across) for part in (level, square))
        there = (squares - mean.square()).clamp_min(0) + norm.eps
        moved.append(torch.stack([(-mean / there.sqrt()).mean(0), (there / (whole + norm.eps)).sqrt().mean(0)]))
    return torch.stack(moved)


def _covered(start: int, end: int, length: int, count: int, device: torch.device) -> torch.Tensor:
    """How much of each of `count` equal parts of a length lies between start and end: float32, sum 1."""
    edges = torch.linspace(0, length, count + 1, device=device).clamp(start, end)
    return (edges[1:] - edges[:-1]) / max(min(end, length) - max(start, 0), 1)


def _scale_and_shift(moved: torch.Tensor, norm: torch.nn.GroupNorm) -> torch.Tensor:
    """What makes, of a norm's answer by a window's own mean and variance, that by those of all: (windows, 2, groups) to
    (2, windows, channels, 1, 1)."""
    far, ratio = moved.repeat_interleave(norm.num_channels // norm.num_groups, 2).unbind(1)
    weight, bias = norm.weight.to(far), norm.bias.to(far)
    return torch.stack([ratio, bias - ratio * (bias + far * weight)])[..., None, None]


def _size_of(places: int, latents: Size) -> Size | None:
    """(height, width) of features of so many places; None where these are of all latents, which are dear, or of none of
    their halved sizes."""
    sizes = (tuple(-(-side // 2**halved) for side in latents) for halved in range(1, 6))
    return next((size for size in sizes if math.prod(size) == places), None)
