"""What a network that sees a canvas window by window is told of the rest of it: what it made of all windows in the step
before. Between two steps features change little (DistriFusion, Li et al., CVPR 2024). No window waits for another, and
what one becomes does not depend on which are seen together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from ..speed.in_place import in_place_of

if TYPE_CHECKING:
    from .windows import Patch

Seen = TypeVar("Seen")
"""What is kept of one window."""


class OfCanvas(Generic[Seen]):
    """Base of what replaces parts of a network. places: of all windows."""

    def __init__(self, places: Sequence[Patch]):
        self._places = places
        self._layers: Sequence[torch.nn.Module] = ()
        # By call within a step and number of the part: what was seen of the windows, in their order.
        self._before: dict[tuple[int, int], list[Seen]] = {}
        self._now: dict[tuple[int, int], list[Seen]] = {}
        self._level: float | None = None
        self._call = self._start = self._count = self._rows = 0
        self._rows_first = False

    @property
    def whole(self) -> bool:
        """Whether a window has the canvas's size: then it knows all of it."""
        return self._places[0].share.numel() > float(sum(place.share.sum() for place in self._places)) - 0.5

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """While inside, the network works so; afterwards as it did."""
        with ExitStack() as stack:
            for number, layer in enumerate(self._layers):
                stack.enter_context(in_place_of(layer, forward=self._over_canvas(number, layer)))
            yield

    def _over_canvas(self, number: int, layer: Any) -> Callable[..., torch.Tensor]:
        """What stands for the `forward` of the layer with this number."""
        raise NotImplementedError

    @contextmanager
    def asked(self, level: float, rows: int, *, rows_first: bool) -> Iterator[None]:
        """One call of the network for all of the canvas, group after group of windows.

        level: of noise, by which the calls of one step are known as such (a webui may ask for the answers with and
        without the prompt one after the other). rows: how many entries the canvas has; rows_first: whether all windows
        of one entry come before those of the next.
        """
        self._call = self._call + 1 if level == self._level else 0
        self._level, self._rows, self._rows_first = level, rows, rows_first
        self._now = {}
        try:
            yield
        finally:
            self._count = 0
        self._before |= {key: seen for key, seen in self._now.items() if len(seen) == len(self._places)}

    def sees(self, start: int, count: int) -> None:
        """The network will now see so many windows, from this one on."""
        self._start, self._count = start, count

    @property
    def _group(self) -> slice:
        """The windows that it sees."""
        return slice(self._start, self._start + self._count)

    def _by_window(self, features: torch.Tensor) -> torch.Tensor:
        """(n, ...) in the order in which the network has them as (windows, rows, ...)."""
        if self._rows_first:
            return features.unflatten(0, (self._rows, self._count)).transpose(0, 1)
        return features.unflatten(0, (self._count, self._rows))

    def _in_rows(self, features: torch.Tensor) -> torch.Tensor:
        """The reverse."""
        return (features.transpose(0, 1) if self._rows_first else features).flatten(0, 1)


class Together(OfCanvas[None]):
    """Several of them."""

    def __init__(self, *parts: OfCanvas):
        super().__init__(parts[0]._places)
        self._parts = parts

    @contextmanager
    def put_in(self) -> Iterator[None]:
        with ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(part.put_in())
            yield

    @contextmanager
    def asked(self, level: float, rows: int, *, rows_first: bool) -> Iterator[None]:
        with ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(part.asked(level, rows, rows_first=rows_first))
            yield

    def sees(self, start: int, count: int) -> None:
        for part in self._parts:
            part.sees(start, count)
