"""Where the seams of a pass show: its change to the picture, measured along the lines between its tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..compose.weights import Reach
from ..geometry import Region, crop, shifts_onto
from ..passes import Pass

VISIBLE = 1.5
"""From this visibility on a seam counts as one that shows. Lines through the middle of tiles of photos stay below it
(1.3 and 1.45 at most on two); a straight step of 3 levels over a cat's fur is above it, one of 4 over a busy city."""

_GRID = 8
"""An autoencoder leaves a grid of this many pixels in what it decodes; lines are compared at equal places in it."""
_COMPARED = 4
"""With how many such lines to each side a line is compared."""
_FLOOR = 0.5
"""Added to a change from pixel to pixel, in levels: less than that is not seen."""


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

    before, after: uint8 (h, w, 3), the picture without and with the pass. Along each line beside the seam, the step
    that the change (after - before) makes over it is compared, pixel by pixel, with the same pixel's steps over the
    lines 8, 16, 24 and 32 px away on both sides; the result is the mean ratio of the worst line of the transition.
    """
    line, (reach_x, reach_y) = seam.line, reach
    half = (reach_x if seam.upright else reach_y) + 1
    far = _GRID * _COMPARED
    span = half + far + 1
    # Beyond the edges of a canvas the reflection has steps of the same size.
    region = line.grow(span, 0) if seam.upright else line.grow(0, span)
    change = crop(after, region, wrap=wrap).astype(np.float32) - crop(before, region, wrap=wrap)
    if not seam.upright:
        change = change.swapaxes(0, 1)
    steps = np.abs(np.diff(change, axis=1)).mean(axis=2)  # the one over the seam itself is in the middle
    lines = np.arange(far, steps.shape[1] - far)
    around = [steps[:, lines + side * _GRID * n] for n in range(1, _COMPARED + 1) for side in (-1, 1)]
    return float((steps[:, lines] / (np.mean(around, axis=0) + _FLOOR)).mean(axis=0).max())


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

    return work.only(tuple(tile for tile in work.tiles if wanted(tile.core)))
