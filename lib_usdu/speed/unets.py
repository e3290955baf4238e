"""Where a UNet's inner blocks are: of the original code (AUTOMATIC1111, the Forge family) and of diffusers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

MOST_OUTER = 3
"""Blocks at either end that can be kept running: those of a UNet's first level."""


def _plain(features: Any) -> Any:
    return features


def _in_tuple(features: Any) -> Any:
    return (features,)


@dataclass(frozen=True, eq=False)
class Part:
    """A module that is left out. answer: makes what it returns of the features that it hands on; features: the
    reverse."""

    module: Any
    answer: Callable[[Any], Any] = _plain
    features: Callable[[Any], Any] = _plain


@dataclass(frozen=True)
class Inner:
    """The parts between a UNet's outer blocks, in the order in which they run."""

    parts: tuple[Part, ...] = field(default=())


def inner_of(unet: Any, outer: int) -> Inner | None:
    """What lies within the first and last `outer` blocks, 1 to MOST_OUTER; None where this network is no UNet of those
    known, or too small."""
    if all(hasattr(unet, name) for name in ("input_blocks", "middle_block", "output_blocks")):
        return _of_ldm(unet, outer)
    if all(hasattr(unet, name) for name in ("conv_in", "down_blocks", "mid_block", "up_blocks")):
        return _of_diffusers(unet, outer)
    return None


def _of_ldm(unet: Any, outer: int) -> Inner | None:
    """Blocks in lists: as many come in as go out, each pair joined by a skip connection (openaimodel.py)."""
    entering, leaving = list(unet.input_blocks)[outer:], list(unet.output_blocks)[:-outer]
    if not entering or len(entering) != len(leaving):
        return None
    return Inner(tuple(Part(module) for module in (*entering, unet.middle_block, *leaving)))


def _of_diffusers(unet: Any, outer: int) -> Inner | None:
    """A block of diffusers has a level's layers: of the first level the inner ones are left out."""
    downs, ups = list(unet.down_blocks), list(unet.up_blocks)
    if len(downs) < 2 or len(downs) != len(ups) or not getattr(downs[0], "downsamplers", None):
        return None
    into, out = _layers(downs[0]), _layers(ups[-1])
    if len(out) != len(into) + 1:
        return None
    outer = min(outer, len(out))
    entering = [*chain(*into[outer - 1 :]), *(Part(one) for one in downs[0].downsamplers)]
    middle = [Part(unet.mid_block)] if unet.mid_block is not None else []
    parts = (
        *entering, *map(_down, downs[1:]), *middle, *(Part(up) for up in ups[:-1]), *chain(*out[: len(out) - outer]),
    )  # fmt: skip
    return Inner(parts)


def _layers(block: Any) -> list[list[Part]]:
    """Of a level: each a residual block, with its attention where there is one."""
    attentions = getattr(block, "attentions", None)
    if attentions is None:
        return [[Part(one)] for one in block.resnets]
    return [[Part(one), Part(other, _in_tuple, lambda a: a[0])] for one, other in zip(block.resnets, attentions)]


def _down(block: Any) -> Part:
    """It answers with its features and with those of each of its layers, for the other side of the UNet."""
    count = len(block.resnets) + (1 if block.downsamplers else 0)
    return Part(block, lambda features: (features, (features,) * count), lambda answer: answer[0])
