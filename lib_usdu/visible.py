"""Where the seams of a pass show: its change to the picture, measured along the lines between its tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from .blend import Reach
from .geometry import Region, crop, shifts_onto
from .passes import Pass

VISIBLE = 1.5
"""From this visibility on a seam counts as one that shows."""

_SURROUNDINGS = 64
"""Pixels beyond a seam's transition, to each side, that it is compared with."""
_FLOOR = 0.25
"""Change from pixel to pixel, in levels, that surroundings are taken to have at least: below it nothing is seen."""


@dataclass(frozen=True)
class Seam:
    """A piece of the line between two neighbouring cores: `line` has no width where it runs down, no height where it
    runs across, and starts with the second of the two."""

    line: Region

    @property
    def upright(self) -> bool:
        return self.line.width == 0

    def crosses(self, region: Region) -> bool:
        """Whether some of it lies inside a region, not on its edge."""
        line = self.line
        if self.upright:
            return region.x < line.x < region.right and region.y < line.bottom and line.y < region.bottom
        return region.y < line.y < region.bottom and region.x < line.right and line.x < region.right


def seams_of(work: Pass) -> list[Seam]:
    """The seams between the tiles of a whole pass; the canvas's edges are seams where it wraps."""
    seams = []
    for core in (tile.core for tile in work.tiles):
        if work.wrap or core.x > 0:
            seams.append(Seam(Region(core.x, core.y, 0, core.height)))
        if work.wrap or core.y > 0:
            seams.append(Seam(Region(core.x, core.y, core.width, 0)))
    return seams


def visibility(seam: Seam, before: np.ndarray, after: np.ndarray, reach: Reach, *, wrap: bool = False) -> float:
    """How much a seam stands out of its surroundings: 1 for not at all.

    before, after: uint8 (h, w, 3), the picture without and with the pass. Along the seam, the change |after - before|
    makes from one pixel line to the next is averaged for each line that runs beside it; the result is the largest
    within the transition (`reach` to each side) over the median outside it.
    """
    line, (reach_x, reach_y) = seam.line, reach
    half = (reach_x if seam.upright else reach_y) + 1
    span = half + _SURROUNDINGS
    region = line.grow(span, 0) if seam.upright else line.grow(0, span)
    if not wrap:
        region = region.intersect(Region(0, 0, before.shape[1], before.shape[0]))
    change = crop(after, region, wrap=wrap).astype(np.float32) - crop(before, region, wrap=wrap)
    if not seam.upright:
        change = change.swapaxes(0, 1)
    steps = np.abs(np.diff(change, axis=1)).mean(axis=(0, 2))
    middle = (line.x - region.x if seam.upright else line.y - region.y) - 1  # the step over the seam itself
    low, high = max(middle - half, 0), middle + half + 1
    outside = np.concatenate([steps[:low], steps[high:]])
    if outside.size == 0:
        return 1.0
    return float(steps[low:high].max() / max(np.median(outside), _FLOOR))


def visible_seams(work: Pass, before: np.ndarray, after: np.ndarray, threshold: float = VISIBLE) -> list[Seam]:
    """Those seams of a finished pass that show."""
    return [seam for seam in seams_of(work) if visibility(seam, before, after, work.reach, wrap=work.wrap) >= threshold]


def only_along(work: Pass, seams: Iterable[Seam]) -> Pass:
    """The pass with those of its tiles whose cores one of the seams crosses."""
    seams = list(seams)

    def wanted(core: Region) -> bool:
        places = [core]
        if work.around is not None:
            places = [core.shift(*by) for by in shifts_onto(work.around, core.grow(1))]
        return any(seam.crosses(place) for seam in seams for place in places)

    return replace(work, tiles=tuple(tile for tile in work.tiles if wanted(tile.core)))
