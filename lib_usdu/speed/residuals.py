"""Deep blocks of a transformer left out at most steps: what they add to what enters them is kept.

The blocks of Flux, SD 3, Qwen-Image and their kind stand in one or two rows, and each adds something to the tokens that
go through. From step to step the sum of what the inner blocks add hardly changes (as in First Block Cache of
ParaAttention and diffusers; there the change of the first block decides when, here the schedule). The outer blocks run
at each step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from .features import RowsOf
from .in_place import in_place_of
from .line import Line, Tensors

_ROWS = (
    ("transformer_blocks", "single_transformer_blocks"), ("layers",),  # diffusers; Neo's Qwen-Image and Z-Image
    ("double_blocks", "single_blocks"), ("joint_blocks",),  # Flux and Chroma of the Forge family; SD 3 of the webuis
)  # fmt: skip
"""Names of the rows of a transformer's blocks, in the order in which they run."""
_STREAMS = (("encoder_hidden_states", "hidden_states"), ("img", "txt"))
"""What goes through a block of two streams, in the order of its answer, by who wrote it."""


def rows_of_blocks(network: Any, outer: int) -> tuple[tuple[Any, ...], ...]:
    """The blocks within the first and the last `outer`, row by row; () where this network is no transformer of those
    known, or too small."""
    for names in _ROWS:
        rows = [list(row) for name in names if isinstance(row := getattr(network, name, None), torch.nn.ModuleList)]
        rows = [row for row in rows if row]
        if not rows or not hasattr(network, names[0]):
            continue
        rows[0] = rows[0][outer:]
        rows[-1] = rows[-1][: len(rows[-1]) - outer]
        return tuple(tuple(row) for row in rows if row)
    return ()


class DeepResiduals:
    """What the inner blocks of one transformer added last, for each row of a batch. As `features.DeepFeatures`: for one
    call's sampling, on the device that the transformer is on."""

    def __init__(self, rows: Sequence[Sequence[Any]], names_of: RowsOf, *, goes_on: bool = True):
        self._rows, self._names_of, self.goes_on = rows, names_of, goes_on
        self.whole = True
        """Whether the calls that follow run the whole transformer."""
        self.noise = 0.0
        """Over signal, in the calls that follow."""

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """While inside, inner blocks are left out where `whole` is False; afterwards the transformer is as it was."""
        with ExitStack() as stack:
            for blocks in self._rows:
                added = _Added(self)
                for block in blocks:
                    forward = added.forward(block, first=block is blocks[0], last=block is blocks[-1])
                    stack.enter_context(in_place_of(block, forward=forward))
            yield

    def names(self, entering: Tensors) -> Sequence[Hashable] | None:
        """Of the rows of this call's batch; None: it must run whole."""
        return self._names_of(entering[-1], ())


class _Added:
    """What one row of blocks added."""

    def __init__(self, of: DeepResiduals):
        self._of = of
        self._kept: defaultdict[Hashable, Line] = defaultdict(partial(Line, of.goes_on))
        self._names: Sequence[Hashable] = ()
        self._entering: Tensors = ()
        self._left_out = False

    def forward(self, block: Any, *, first: bool, last: bool) -> Callable[..., Any]:
        """A block's `forward`."""
        joint = hasattr(block, "context_block") and hasattr(block, "x_block")
        run = block.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            tokens = _tokens(args, kwargs, joint)
            if first:
                self._begin(tokens)
                if self._left_out:
                    return _answer(self._with_what_was_added(tokens))
            if self._left_out and not self._of.whole:  # the first may have been passed over by an extension
                return _answer(tokens)
            answer = run(*args, **kwargs)
            if last:
                self._keep(answer if isinstance(answer, tuple) else (answer,))
            return answer

        return forward

    def _begin(self, entering: Tensors) -> None:
        self._names = self._of.names(entering) or ()
        known = bool(self._names) and all(
            name in self._kept and _shapes(self._kept[name].last) == _shapes(entering) for name in self._names
        )
        self._left_out = known and not self._of.whole
        # Neo's blocks add to what they are given, in place.
        self._entering = () if self._left_out or not self._names else tuple(one.clone() for one in entering)

    def _with_what_was_added(self, entering: Tensors) -> Tensors:
        added = [torch.cat(streams) for streams in zip(*(self._kept[name].at(self._of.noise) for name in self._names))]
        return tuple(one + more for one, more in zip(entering, added))

    def _keep(self, leaving: Tensors) -> None:
        """Where a block of another kind answers with other tokens than entered, nothing is kept: it always runs."""
        entering, self._entering = self._entering, ()
        if entering and len(leaving) == len(entering) and all(a.shape == b.shape for a, b in zip(leaving, entering)):
            added = [(after - before).split(1) for after, before in zip(leaving, entering)]
            for name, one in zip(self._names, zip(*added)):
                self._kept[name].add(one, self._of.noise)


def _tokens(args: Sequence[Any], kwargs: dict[str, Any], joint: bool) -> Tensors:
    """What enters a block, in the order of its answer. joint: a block of SD 3's original code: words and picture."""
    if args:
        return tuple(args[:2]) if joint else (args[0],)
    return tuple(kwargs[name] for names in _STREAMS for name in names if kwargs.get(name) is not None)


def _answer(tokens: Tensors) -> Any:
    return tokens if len(tokens) > 1 else next(iter(tokens))


def _shapes(tokens: Tensors) -> list[torch.Size]:
    """Of one row of the batch."""
    return [one.shape[1:] for one in tokens]
