"""GroupNorm by the statistics of the canvas, for a network that sees it window by window.

A window alone normalises by its own mean and variance, a pass over the whole picture by those of all of it. Here, as in
DistriFusion (Li et al., CVPR 2024), each window normalises by the canvas's statistics of the step before, moved as its
own have since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .of_canvas import OfCanvas

if TYPE_CHECKING:
    from .windows import Patch


Statistics = tuple[torch.Tensor, torch.Tensor]
"""Mean and variance."""


class CanvasNorms(OfCanvas[Statistics]):
    """The GroupNorms of a network, over windows.

    What is kept of a window are means and variances, (rows, groups) each. They count by its share of the canvas.
    """

    def __init__(self, network: torch.nn.Module, places: Sequence[Patch]):
        super().__init__(places)
        sums = torch.stack([place.share.sum() for place in places])  # together as many as the canvas has latents
        self._weights = sums / sums.sum()
        norms = (part for part in network.modules() if isinstance(part, torch.nn.GroupNorm))
        # A window of the canvas's size has its statistics, and those of this step.
        self._layers = [] if self.whole else list(norms)
        self._shares: dict[tuple[int, int], torch.Tensor] = {}

    def _over_canvas(self, number: int, layer: torch.nn.GroupNorm) -> Callable[..., torch.Tensor]:
        """`forward` of a GroupNorm."""
        norm, own = layer, layer.forward

        def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            away = norm.weight is not None and norm.weight.is_meta  # kept elsewhere until it is asked
            if not self._count or x.ndim != 4 or len(x) != self._count * self._rows or away:
                return own(x, *args, **kwargs)
            key = self._call, number
            found = self._statistics(x, norm.num_groups)
            self._now.setdefault(key, []).extend(zip(*found))
            kept = self._before.get(key)
            if kept is None or kept[0][0].shape != found[0].shape[1:]:
                return own(x, *args, **kwargs)
            before = _stacked(kept)
            then = before[0][self._group], before[1][self._group]
            moved = _moved(self._of_canvas(before), then, found, norm.eps)
            return _normalised(x, norm, *(self._in_rows(part) for part in moved))

        return forward

    def _statistics(self, x: torch.Tensor, groups: int) -> Statistics:
        """Mean and variance over each window's share: (windows, rows, groups) each. In two passes: a difference of mean
        squares has no digits left where a level is far above its changes."""
        features = self._by_window(x.float().unflatten(1, (groups, -1)))
        shares = self._share_of(x.shape[-2:])[self._group].to(x.device)
        means = torch.einsum("wrghv,whv->wrg", features.mean(3), shares)
        squares = (features - means[..., None, None, None]).square().mean(3)
        return means, torch.einsum("wrghv,whv->wrg", squares, shares)

    def _of_canvas(self, windows: Statistics) -> Statistics:
        """Mean and variance of the canvas, (rows, groups) each, from those of the windows' shares."""
        means, variances = windows
        weights = self._weights.to(means)[:, None, None]
        mean = (weights * means).sum(0)
        return mean, (weights * (variances + (means - mean) ** 2)).sum(0)

    def _share_of(self, size: Sequence[int]) -> torch.Tensor:
        """The windows' shares at the size of some features, each of sum 1: float32 (windows, h, w)."""
        height, width = size
        if (height, width) not in self._shares:
            shares = torch.stack([place.share for place in self._places]).float()
            pooled = torch.nn.functional.adaptive_avg_pool2d(shares[:, None], (height, width))[:, 0]
            self._shares[height, width] = pooled / pooled.sum(dim=(1, 2), keepdim=True).clamp_min(1e-12)
        return self._shares[height, width]


def _stacked(kept: Sequence[Statistics]) -> Statistics:
    """(windows, rows, groups) each."""
    means, variances = (torch.stack(part) for part in zip(*kept))
    return means, variances


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
