"""GroupNorm by the statistics of the canvas, for a network that sees it window by window.

A window alone normalises by its own mean and variance, a pass over the whole picture by those of all of it. Here, as in
DistriFusion (Li et al., CVPR 2024), each window normalises by the canvas's statistics of the step before, moved as its
own have since: between two steps features change little. No window waits for another, and what one becomes does not
depend on which are seen together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch

from ..speed.in_place import in_place_of

if TYPE_CHECKING:
    from .windows import Patch


Statistics = tuple[torch.Tensor, torch.Tensor]
"""Mean and variance."""


class CanvasNorms:
    """The GroupNorms of a network, over windows.

    places: of all windows. The statistics of a window count by its share of the canvas.
    """

    def __init__(self, network: torch.nn.Module, places: Sequence[Patch]):
        self._places = places
        sums = torch.stack([place.share.sum() for place in places])  # together as many as the canvas has latents
        self._weights = sums / sums.sum()
        norms = (part for part in network.modules() if isinstance(part, torch.nn.GroupNorm))
        # A window of the canvas's size has its statistics, and those of this step.
        self._norms = [] if places[0].share.numel() > float(sums.sum()) - 0.5 else list(norms)
        self._shares: dict[tuple[int, int], torch.Tensor] = {}
        # By call within a step and number of the norm: means and variances, (windows, rows, groups) each.
        self._before: dict[tuple[int, int], Statistics] = {}
        self._now: dict[tuple[int, int], list[Statistics]] = {}
        self._level: float | None = None
        self._call = self._start = self._count = self._rows = 0
        self._rows_first = False

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """While inside, the network normalises so; afterwards as it did."""
        with ExitStack() as stack:
            for number, norm in enumerate(self._norms):
                forward = self._over_canvas(number, norm, norm.forward)
                stack.enter_context(in_place_of(norm, forward=forward))
            yield

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
        for key, seen in self._now.items():
            means, variances = (torch.cat(part) for part in zip(*seen))
            if len(means) == len(self._places):
                self._before[key] = means, variances

    def sees(self, start: int, count: int) -> None:
        """The network will now see so many windows, from this one on."""
        self._start, self._count = start, count

    def _over_canvas(self, number: int, norm: torch.nn.GroupNorm, own: Callable[..., Any]) -> Callable[..., Any]:
        """`forward` of a GroupNorm."""

        def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            away = norm.weight is not None and norm.weight.is_meta  # kept elsewhere until it is asked
            if not self._count or x.ndim != 4 or len(x) != self._count * self._rows or away:
                return own(x, *args, **kwargs)
            key = self._call, number
            found = self._statistics(x, norm.num_groups)
            self._now.setdefault(key, []).append(found)
            before = self._before.get(key)
            if before is None or before[0].shape[1:] != found[0].shape[1:]:
                return own(x, *args, **kwargs)
            here = slice(self._start, self._start + self._count)
            moved = _moved(self._of_canvas(before), (before[0][here], before[1][here]), found, norm.eps)
            return _normalised(x, norm, *(self._in_rows(part) for part in moved))

        return forward

    def _statistics(self, x: torch.Tensor, groups: int) -> Statistics:
        """Mean and variance over each window's share: (windows, rows, groups) each. In two passes: a difference of mean
        squares has no digits left where a level is far above its changes."""
        outer = (self._rows, self._count) if self._rows_first else (self._count, self._rows)
        features = x.float().unflatten(1, (groups, -1)).unflatten(0, outer)
        features = features.transpose(0, 1) if self._rows_first else features
        shares = self._share_of(x.shape[-2:])[self._start : self._start + self._count].to(x.device)
        means = torch.einsum("wrghv,whv->wrg", features.mean(3), shares)
        squares = (features - means[..., None, None, None]).square().mean(3)
        return means, torch.einsum("wrghv,whv->wrg", squares, shares)

    def _of_canvas(self, windows: Statistics) -> Statistics:
        """Mean and variance of the canvas, (rows, groups) each, from those of the windows' shares."""
        means, variances = windows
        weights = self._weights.to(means)[:, None, None]
        mean = (weights * means).sum(0)
        return mean, (weights * (variances + (means - mean) ** 2)).sum(0)

    def _in_rows(self, statistics: torch.Tensor) -> torch.Tensor:
        """(windows, rows, ...) as (n, ...) in the order in which the network has them."""
        return (statistics.transpose(0, 1) if self._rows_first else statistics).flatten(0, 1)

    def _share_of(self, size: Sequence[int]) -> torch.Tensor:
        """The windows' shares at the size of some features, each of sum 1: float32 (windows, h, w)."""
        height, width = size
        if (height, width) not in self._shares:
            shares = torch.stack([place.share for place in self._places]).float()
            pooled = torch.nn.functional.adaptive_avg_pool2d(shares[:, None], (height, width))[:, 0]
            self._shares[height, width] = pooled / pooled.sum(dim=(1, 2), keepdim=True).clamp_min(1e-12)
        return self._shares[height, width]


def _moved(canvas: Statistics, then: Statistics, now: Statistics, eps: float) -> Statistics:
    """The canvas's of the step before, moved as the window's own have: as by one scale and one shift of all features.
    (DistriFusion adds the change of means and of mean squares. Where a level has moved or grown everywhere alike, that
    is wrong by the window's distance from the canvas, and a variance can become negative.)"""
    ratio = (now[1] + eps) / (then[1] + eps)
    return now[0] + ratio.sqrt() * (canvas[0] - then[0]), canvas[1] * ratio


def _normalised(
    x: torch.Tensor, norm: torch.nn.GroupNorm, mean: torch.Tensor, variance: torch.Tensor
) -> torch.Tensor:
    """x (n, channels, h, w) by these means and variances (n, groups), then the network's own scale and shift."""
    each = x.shape[1] // norm.num_groups
    scale = (variance + norm.eps).rsqrt().repeat_interleave(each, 1)
    shift = -mean.repeat_interleave(each, 1) * scale
    if norm.weight is not None:
        weight, bias = norm.weight.to(scale), norm.bias.to(scale)
        scale, shift = scale * weight, shift * weight + bias
    return (x * scale[..., None, None] + shift[..., None, None]).to(x.dtype)
