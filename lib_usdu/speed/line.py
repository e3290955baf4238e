"""What a network said at its last two whole steps, and the line through both."""

from __future__ import annotations

import torch

from ..noise_share import share_of

Tensors = tuple[torch.Tensor, ...]


class Line:
    """For one row of a batch. Steps are told apart by their noise over signal. The line goes over the share of noise,
    which changes more evenly between the steps of a sampler. goes_on: whether there is a line at all; else what was
    said stands still."""

    def __init__(self, goes_on: bool = True) -> None:
        self._goes_on = goes_on
        self._last: Tensors = ()
        self._before: Tensors = ()
        self._at = self._at_before = 0.0

    @property
    def last(self) -> Tensors:
        """What was said last; () before that."""
        return self._last

    def add(self, said: Tensors, noise: float) -> None:
        """At this noise. Samplers of second order ask twice at one: the second answer counts."""
        share = share_of(noise)
        if share != self._at and self._goes_on:
            self._before, self._at_before = self._last, self._at
        self._last, self._at = said, share

    def at(self, noise: float) -> Tensors:
        """Further along the line at less noise, at most as far again as its two ends lie apart. What was said last
        where there is more noise than then, or only one end."""
        span = self._at_before - self._at
        if span <= 0 or [one.shape for one in self._before] != [one.shape for one in self._last]:
            return self._last
        further = min((self._at - share_of(noise)) / span, 1.0)
        if further <= 0:
            return self._last
        return tuple(torch.lerp(before, last, 1 + further) for before, last in zip(self._before, self._last))
