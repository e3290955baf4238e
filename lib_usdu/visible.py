"""Where seams show: what a pass changed, measured along the seams between its tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .geometry import Region, Tile, crop, shifts_onto
from .passes import Pass

VISIBLE = 1.5
"""A seam at least this visible is redrawn."""

SURROUNDINGS = 64
"""Pixels to each side of a seam that it is compared with."""


@dataclass(frozen=True)
class Seam:
    """A piece of the line between two neighbouring cores. `line` has no width (or no height): x or y is where the
    second core starts."""

    line: Region

    @property
    def upright(self) -> bool:
        return self.line.width == 0


def seams_of(work: Pass, width: int, height: int) -> list[Seam]:
    """The seams between the cores of a pass over a canvas of this size; its edges are seams where it wraps."""
    seams = []
    for core in (tile.core for tile in work.tiles):
        if work.wrap or core.x > 0:
            seams.append(Seam(Region(core.x, core.y, 0, core.height)))
        if work.wrap or core.y > 0:
            seams.append(Seam(Region(core.x, core.y, core.width, 0)))
    return seams
