"""Overlapping tiles fade linearly into each other: they are mixed in float and rounded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import Canvas, Region, Tile
from .weights import Reach, axis_weight, to_uint8


@dataclass
class _Cell:
    """A piece of the canvas under the same tiles everywhere; `parts` holds what has come in so far."""

    awaited: int
    parts: list[tuple[tuple[int, int], np.ndarray, np.ndarray]]


class Feather:
    """Composes a pass on `out` with linear ramps.

    A pixel is base * (1 - sum w) + sum w * tile over the tiles that have come in, so the picture is whole at any time,
    and what it is at the end does not depend on their order. Only overlaps still waiting for a tile are kept in
    float. `base` and `out` are uint8 (h, w, 3), equal at the start; `out` is changed in place. On a canvas that
    wraps tiles fade into each other across its edges too.
    """

    def __init__(self, canvas: Canvas, base: np.ndarray, out: np.ndarray, tiles: Sequence[Tile], reach: Reach):
        self.canvas, self.base, self.out, self.reach = canvas, base, out, reach
        placed = [place for tile in tiles for place in self._placed(tile)]
        supports = [self._support(tile) for tile in placed]
        cores = [tile.core for tile in placed]
        self._xs = _breaks([(core.x, core.right) for core in cores], self.canvas.width, reach[0])
        self._ys = _breaks([(core.y, core.bottom) for core in cores], self.canvas.height, reach[1])
        self._column = {x: i for i, x in enumerate(self._xs)}
        self._row = {y: i for i, y in enumerate(self._ys)}
        self._awaited = np.zeros((len(self._ys), len(self._xs)), np.int32)
        for support in supports:
            self._awaited[self._cells(support)] += 1
        self._open: dict[tuple[int, int], _Cell] = {}

    @property
    def view(self) -> np.ndarray:
        """The picture so far: what later tiles of a linear or chess pass see."""
        return self.out

    def add(self, tile: Tile, result: np.ndarray) -> None:
        """Takes in a tile: (window height, window width, 3), levels 0-255, float or uint8."""
        for number, placed in enumerate(self._placed(tile)):
            self._add(placed, (tile.index, number), result)

    def _placed(self, tile: Tile) -> list[Tile]:
        """The tile, or where it reaches around the canvas's edges: one for each place it is seen in."""
        shifts = self.canvas.shifts_onto(tile.core.grow(*self.reach))
        return [replace(tile, core=tile.core.shift(*by), window=tile.window.shift(*by)) for by in shifts]

    def _add(self, tile: Tile, rank: tuple[int, int], result: np.ndarray) -> None:
        support = self._support(tile)
        canvas, core = self.canvas, tile.core
        weight_x = axis_weight(core.x, core.right, canvas.width, self.reach[0], wraps=canvas.wraps)
        weight_y = axis_weight(core.y, core.bottom, canvas.height, self.reach[1], wraps=canvas.wraps)
        rows, columns = self._cells(support)
        for row in range(rows.start, rows.stop):
            for column in range(columns.start, columns.stop):
                region = Region.between(self._xs[column], self._ys[row], self._xs[column + 1], self._ys[row + 1])
                part = result[region.relative_to(tile.window).slices]
                place = region.relative_to(support)
                along_y, along_x = weight_y[place.slices[0]], weight_x[place.slices[1]]
                if self._awaited[row, column] == 1 and along_x.min() == 1 and along_y.min() == 1:
                    self.out[region.slices] = to_uint8(part)
                else:  # a weight for each of three colours: numpy crawls where the innermost axis is 3 long
                    weight = along_y[:, None] * np.repeat(along_x, 3)[None, :]
                    self._mix((row, column), region, rank, weight, part)

    def close(self) -> None:
        """Drops what is still waiting (a pass that was stopped): the picture stays as it is."""
        self._open.clear()

    def _mix(
        self, key: tuple[int, int], region: Region, rank: tuple[int, int], weight: np.ndarray, part: np.ndarray
    ) -> None:
        """weight: float32 (h, w * 3)."""
        cell = self._open.setdefault(key, _Cell(int(self._awaited[key]), []))
        cell.parts.append((rank, weight, part.astype(np.float32, order="C").reshape(weight.shape)))
        # Summed in the tiles' order, whatever order they came in: the same picture to the last bit.
        cell.parts.sort(key=lambda entry: entry[0])
        base = self.base[region.slices].astype(np.float32, order="C").reshape(weight.shape)
        total = base.copy()
        for _, share, pixels in cell.parts:
            change = pixels - base
            change *= share
            total += change
        self.out[region.slices] = to_uint8(total).reshape(part.shape)
        if len(cell.parts) == cell.awaited:
            del self._open[key]

    def _support(self, tile: Tile) -> Region:
        return tile.core.grow(*self.reach).intersect(self.canvas.region)

    def _cells(self, support: Region) -> tuple[slice, slice]:
        return (
            slice(self._row[support.y], self._row[support.bottom]),
            slice(self._column[support.x], self._column[support.right]),
        )


def _breaks(cores: list[tuple[int, int]], length: int, reach: int) -> list[int]:
    """Where along an axis the weight of any of these cores changes its course."""
    return sorted({min(max(end + step, 0), length) for core in cores for end in core for step in (-reach, reach)})
