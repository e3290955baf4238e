"""What a tile of a Parallel pass is shown of its surroundings: an overview, four tiles and all that their windows see,
made as small as one window. The model looks at it once (fused/overviews.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from ..geometry import Canvas, Region, Tile
from ..latents import Latents
from ..noise import TileNoise, tile_noise
from ..resume.digest import digest

LEAST = 0.9
"""An overview is left out where it would not be smaller than this, against what it shows: a window sees it all."""


@dataclass(frozen=True)
class Overview:
    """picture: uint8 (h, w, 3), sides multiples of the model's alignment. region: what it shows of the canvas, px.
    windows: those of its tiles. noise: the canvas noise of a canvas of its size."""

    picture: np.ndarray
    region: Region
    windows: tuple[Region, ...]
    noise: TileNoise

    @cached_property
    def content(self) -> str:
        """Equal for equal overviews."""
        return digest(self.picture, self.region, self.windows, self.noise)

    @property
    def usdu_digest(self) -> str:
        """For resume/digest.py: reckoned once for all tiles that have this overview."""
        return self.content


OverviewOf = Callable[[Tile], "Overview | None"]


def overviews_of(
    tiles: Sequence[Tile], canvas: Canvas, base: np.ndarray, latents: Latents, *, seed: int, number: int, align: int
) -> OverviewOf:
    """The overview of each tile of a pass, made when it is asked for.

    tiles: the whole grid, whichever of them are refined: a tile's overview is the same in every run of this canvas.
    base: the canvas, uint8 (h, w, 3). number: of the pass. align: sides of windows are multiples of it, px.
    """
    first = tiles[0].window
    columns = [tile.window.x for tile in tiles if tile.row == 0]
    rows = [tile.window.y for tile in tiles if tile.column == 0]
    across, down = _pairs(columns, first.width, canvas.width), _pairs(rows, first.height, canvas.height)
    windows: dict[tuple[int, int], list[Region]] = {}
    for tile in tiles:
        windows.setdefault((tile.row // 2, tile.column // 2), []).append(tile.window)
    made: dict[tuple[int, int], Overview] = {}
    width, height = across[0][1] - across[0][0], down[0][1] - down[0][0]
    smaller = min(first.width / width, first.height / height)
    size = _aligned(width * smaller, align), _aligned(height * smaller, align)

    def of(tile: Tile) -> Overview | None:
        if smaller > LEAST:
            return None
        at = tile.row // 2, tile.column // 2
        if at not in made:
            if len(made) > len(across):  # tiles come row by row
                del made[next(iter(made))]
            region = Region.between(across[at[1]][0], down[at[0]][0], across[at[1]][1], down[at[0]][1])
            picture = Image.fromarray(canvas.crop(base, region)).resize(size, Image.Resampling.HAMMING)
            whole = Canvas(*size)
            noise = tile_noise(seed, "canvas", whole.region, 0, whole, latents, number)
            made[at] = Overview(np.asarray(picture), region, tuple(windows[at]), noise)
        return made[at]

    return of


def _aligned(length: float, align: int) -> int:
    return max(align, round(length / align) * align)


def _pairs(starts: list[int], length: int, canvas: int) -> list[tuple[int, int]]:
    """Along one axis: from where to where the windows of each two tiles that follow each other reach, all equally far.
    An odd last one is seen with the one before it."""
    count = len(starts)
    pairs = [(min(at, max(count - 2, 0)), min(at + 1, count - 1)) for at in range(0, count, 2)]
    spans = [(starts[one], min(starts[other] + length, canvas)) for one, other in pairs]
    size = max(end - start for start, end in spans)
    begins = [min(max((start + end - size) // 2, 0), max(canvas - size, 0)) for start, end in spans]
    return [(start, start + size) for start in begins]
