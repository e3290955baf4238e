"""A diffusers network at a pace: inner blocks and the answer without the prompt are left out at some steps."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from ...speed.in_place import in_place_of
from ...speed.resting import deep_parts
from ...speed.schedule import PACES, Levels, Step
from .asking import BOTH_AT_ONCE, Asks, Order, noise_over_signal

NOTHING_TO_SPARE = "nothing can be left out of this model: it is not guided here, and its inner blocks are not known"


class PacedNetwork:
    """One call's network.

    count: windows of the call. noise_at: noise over signal at a time that the network is told. asks: how its pipeline
    asks. guided: whether that is with and without the prompt. deep: whether inner blocks may be left out.
    redraws: whether the sampler draws noise in its steps.
    """

    def __init__(
        self, network: Any, speed: str, count: int, noise_at: Callable[[float], float], *, guided: bool, deep: bool,
        asks: Asks = BOTH_AT_ONCE, redraws: bool = False,
    ):  # fmt: skip
        self._network, self._count, self._noise_at, self._guided = network, count, noise_at, guided
        self._order = asks.order
        pace = PACES[speed].of(redraws)
        self._levels = Levels(pace)
        self._deep = deep_parts(network, pace, self._names) if deep else None
        self._rows: Sequence[Hashable] = ()
        self._difference: torch.Tensor | None = None
        self._turn, self._time = 0, -1.0
        self._with_prompt: torch.Tensor | None = None  # of this turn

    @property
    def spares(self) -> bool:
        """Whether anything can be left out at all."""
        return self._guided or self._deep is not None

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """While inside, the network is at this pace; afterwards it is as it was."""
        resting = self._deep.put_in() if self._deep is not None else nullcontext()
        with in_place_of(self._network, forward=self._paced(self._network.forward)), resting:
            yield

    def _paced(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        way = self._alone if not self._guided else self._in_turn if self._order is Order.IN_TURN else self._both

        def paced(*args: Any, **told: Any) -> Any:
            timestep = told["timestep"] if "timestep" in told else args[1]
            time = float(torch.as_tensor(timestep).flatten()[0])
            step = self._levels.at(noise := self._noise_at(time))
            if self._deep is not None:
                self._deep.whole, self._deep.noise = step.whole, noise
            if time != self._time:
                self._turn, self._time = 0, time
            return way(forward, step, args, told)

        return paced

    def _alone(self, forward: Callable[..., Any], step: Step, args: Any, told: dict[str, Any]) -> Any:
        self._rows = range(self._count)
        return forward(*args, **told)

    def _both(self, forward: Callable[..., Any], step: Step, args: Any, told: dict[str, Any]) -> Any:
        """Asked for both answers in one call."""
        count, first = self._count, self._order is Order.WITH_FIRST
        if step.guided or self._difference is None:
            with_it, without = list(range(count)), list(range(-count, 0))
            self._rows = [*with_it, *without] if first else [*without, *with_it]
            answer = forward(*args, **told)
            a, b = _tensor(answer).chunk(2)
            self._difference = a - b if first else b - a
            return answer
        self._rows = range(count)
        half = slice(count) if first else slice(count, None)
        answer = forward(*rows_of(args, half, 2 * count), **rows_of(told, half, 2 * count))
        with_prompt = _tensor(answer)
        without = with_prompt - self._difference
        return _as_answered(answer, torch.cat([with_prompt, without] if first else [without, with_prompt]))

    def _in_turn(self, forward: Callable[..., Any], step: Step, args: Any, told: dict[str, Any]) -> Any:
        """Asked for the answer with the prompt, then for that without, at the same time."""
        self._turn += 1
        if self._turn % 2:
            self._rows = range(self._count)
            answer = forward(*args, **told)
            self._with_prompt = _tensor(answer)
            return answer
        assert self._with_prompt is not None
        if step.guided or self._difference is None:
            self._rows = range(-self._count, 0)
            answer = forward(*args, **told)
            self._difference = self._with_prompt - _tensor(answer)
            return answer
        return (self._with_prompt - self._difference,)

    def _names(self, entering: torch.Tensor, others: Sequence[Any]) -> Sequence[Hashable] | None:
        return self._rows if len(self._rows) == len(entering) else None


def _tensor(answer: Any) -> torch.Tensor:
    """(n, ...); Z-Image answers with a list."""
    found = answer[0] if isinstance(answer, tuple) else answer.sample
    return torch.stack(list(found)) if isinstance(found, (list, tuple)) else found


def _as_answered(answer: Any, both: torch.Tensor) -> Any:
    """`both` in the form of a network's answer."""
    found = answer[0] if isinstance(answer, tuple) else answer.sample
    values: Any = list(both) if isinstance(found, (list, tuple)) else both
    return (values,) if isinstance(answer, tuple) else type(answer)(sample=values)


def rows_of(value: Any, rows: slice, count: int) -> Any:
    """Some rows of what a network is told for `count`, however it is packed; what has other rows stays."""
    if isinstance(value, dict):
        return {name: rows_of(one, rows, count) for name, one in value.items()}
    if isinstance(value, list) and len(value) == count and all(isinstance(one, torch.Tensor) for one in value):
        return value[rows]
    if isinstance(value, (list, tuple)):
        return type(value)(rows_of(one, rows, count) for one in value)
    if isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == count:
        return value[rows]
    return value


def noise_at(scheduler: Any, flow: bool, asks: Asks = BOTH_AT_ONCE) -> Callable[[float], float]:
    """Noise over signal by the time that a network is told."""
    if flow:
        return lambda time: (share := asks.noise(time)) / max(1 - share, 1e-6)
    return noise_over_signal(scheduler)
