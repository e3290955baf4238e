"""Overlapping tiles are joined along the path where they differ least.

Efros and Freeman, "Image Quilting for Texture Synthesis and Transfer", SIGGRAPH 2001.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..geometry import Canvas, Region, Tile
from ..pictures.canvas import copy_canvas
from ..schedule import INDEPENDENT, PARALLEL, Context, ordered
from .weights import Reach, to_uint8

CUT_FADE = 4
"""A cut is softened over this many pixels to each side."""


class Cut:
    """Composes a grid of tiles along minimum-error cuts: tiles into rows, then rows into the picture.

    A row is composed when its last tile has come in; until then `view` shows the tiles' bare cores. `base` and `out`
    are uint8 (h, w, 3), equal at the start; `out` is changed in place. The tiles must be one whole plan.

    Where tiles come one after another (contexts linear and chess) a cut stays out of the core of the one refined
    first: others have gone by it. On a canvas that wraps the last row and column are joined with the first too, by
    closed cuts.
    """

    def __init__(
        self,
        canvas: Canvas,
        base: np.ndarray,
        out: np.ndarray,
        tiles: Sequence[Tile],
        reach: Reach,
        *,
        context: Context = PARALLEL,
    ):
        self.canvas, self.out, self.reach, self._wraps = canvas, out, reach, canvas.wraps
        # A row's cuts come with its last tile, at a moment that depends on batching: later tiles must not read them.
        self.view = out if context in INDEPENDENT else copy_canvas(base)
        # When a tile was refined; all at once where none sees another's result.
        self._turn = {tile.index: 0 if context in INDEPENDENT else n for n, tile in enumerate(ordered(tiles, context))}
        self._columns = 1 + max(tile.column for tile in tiles)
        self._count = 1 + max(tile.row for tile in tiles)
        self._tiles = {(tile.row, tile.column): tile for tile in tiles}
        self._rows: dict[int, dict[int, tuple[Tile, np.ndarray]]] = {}
        # The overlaps of a finished row with the rows above and below, until the other side is there too.
        self._tops: dict[int, tuple[int, np.ndarray]] = {}
        self._bottoms: dict[int, tuple[int, np.ndarray]] = {}

    def add(self, tile: Tile, result: np.ndarray) -> None:
        """Takes in a tile: (window height, window width, 3), levels 0-255, float or uint8."""
        self.view[tile.core.slices] = to_uint8(result[tile.core.relative_to(tile.window).slices])
        row = self._rows.setdefault(tile.row, {})
        row[tile.column] = (tile, result)
        if len(row) == self._columns:
            strip, joined = self._join_columns([row[column] for column in range(self._columns)])
            del self._rows[tile.row]
            self._write(tile.row, strip, joined)

    def close(self) -> None:
        """What was not completed (a pass that was stopped) stays as the view shows it."""
        if self.view is not self.out:
            for row in self._rows.values():
                for tile, _ in row.values():
                    self.out[tile.core.slices] = self.view[tile.core.slices]
            for y, overlap in [*self._tops.values(), *self._bottoms.values()]:
                rows = np.arange(y, y + len(overlap)) % self.canvas.height
                self.out[rows] = self.view[rows]
        self._rows.clear()
        self._tops.clear()
        self._bottoms.clear()

    def _join_columns(self, row: list[tuple[Tile, np.ndarray]]) -> tuple[Region, np.ndarray]:
        core, (reach_x, reach_y) = row[0][0].core, self.reach
        strip = Region(0, core.y, self.canvas.width, core.height)
        strip = self.canvas.seen(strip.grow(reach_x if self._wraps else 0, reach_y))
        joined = np.empty((strip.height, strip.width, 3), np.float32)
        shared = 2 * reach_x
        before = None
        for tile, result in row:
            part = Region(tile.core.x, strip.y, tile.core.width, strip.height).grow(reach_x, 0).intersect(strip)
            new = result[part.relative_to(tile.window).slices].astype(np.float32)
            here = part.relative_to(strip).slices
            if before is not None and shared > 0:
                overlap = new[:, :shared]
                overlap[:] = _join(joined[here][:, :shared], overlap, self._side(before, tile))
            joined[here] = new
            before = tile
        if not self._wraps or shared == 0:
            return strip, joined
        # What the first tile shows before the left edge is what the last one shows before the right edge.
        zone = _join(joined[:, -shared:], joined[:, :shared], self._side(row[-1][0], row[0][0]))
        joined[:, -shared:], joined[:, :shared] = zone, zone
        return strip.grow(-reach_x, 0), joined[:, reach_x:-reach_x]

    def _write(self, row: int, strip: Region, joined: np.ndarray) -> None:
        """Writes what is final now that this row's strip is there; keeps its overlaps with rows still to come."""
        shared = 2 * self.reach[1]
        top = shared if row > 0 or self._wraps else 0
        bottom = strip.height - (shared if row < self._count - 1 or self._wraps else 0)
        self.out[strip.y + top : strip.y + bottom] = to_uint8(joined[top:bottom])
        if shared == 0:
            return
        if top:
            self._tops[row] = strip.y, joined[:shared].copy()
        if bottom < strip.height:
            self._bottoms[row] = strip.bottom - shared, joined[-shared:].copy()
        for lower in {row, (row + 1) % self._count}:
            upper = (lower - 1) % self._count
            if lower in self._tops and upper in self._bottoms:
                y, below = self._tops.pop(lower)
                _, above = self._bottoms.pop(upper)
                zone = _join(
                    above.swapaxes(0, 1), below.swapaxes(0, 1), self._sides_along(upper, lower), closed=self._wraps
                )
                self.out[np.arange(y, y + shared) % self.canvas.height] = to_uint8(zone.swapaxes(0, 1))

    def _side(self, first: Tile, second: Tile) -> int:
        """Where the cut between two neighbours has to be: 1 in the second's core, -1 in the first's, 0 in either."""
        first_turn, second_turn = self._turn[first.index], self._turn[second.index]
        return (second_turn > first_turn) - (second_turn < first_turn)

    def _sides_along(self, upper: int, lower: int) -> np.ndarray:
        """`_side` for each column of the canvas."""
        sides = np.zeros(self.canvas.width, np.int8)
        for column in range(self._columns):
            above, below = self._tiles[upper, column], self._tiles[lower, column]
            sides[above.core.slices[1]] = self._side(above, below)
        return sides


_FORBIDDEN = 1e12
"""What a pixel costs that a cut should not touch: more than any path of pixels it may."""


def _join(first: np.ndarray, second: np.ndarray, side: int | np.ndarray = 0, *, closed: bool = False) -> np.ndarray:
    """Two versions of an overlap (length, across, channels), joined along the minimum-error cut down its length.

    side: -1 keeps the cut and its fade in the first half, 1 in the second; one number, or one for each of `length`,
    between which the cut changes halves as fast as it can. closed: the overlap's end meets its start.
    """
    error = np.square(first - second).sum(axis=2)
    length, across = error.shape
    side = np.broadcast_to(side, length)
    fade = min(CUT_FADE, across // 4 if side.any() else across // 2)
    # The path keeps the fade inside the overlap.
    error = error[:, fade : across - fade + 1] if across > 2 * fade else error[:, :1]
    if side.any():
        middle, position = across / 2, np.arange(error.shape[1]) + fade
        outside = np.where(side[:, None] > 0, middle + fade - position, position - middle + fade)
        # The further out, the dearer: a path on the wrong side is on its way back.
        error = error + _FORBIDDEN * np.maximum(outside, 0) * (side != 0)[:, None]
    path = (closed_minimum_cut if closed else minimum_cut)(error) + fade
    position = np.arange(across) + 0.5
    share = np.clip((position[None, :] - path[:, None]) / max(2 * fade, 1e-3) + 0.5, 0, 1)
    return first + share[:, :, None].astype(np.float32) * (second - first)


def minimum_cut(error: np.ndarray) -> np.ndarray:
    """The cheapest path down an error map (length, across): one position a row, neighbours differ by at most 1.

    Exact, by dynamic programming. Returns int (length,).
    """
    length, across = error.shape
    cost = np.empty((length, across), np.float64)
    cost[0] = error[0]
    padded = np.full(across + 2, np.inf)
    for row in range(1, length):
        padded[1:-1] = cost[row - 1]
        cost[row] = error[row] + np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    path = np.empty(length, np.intp)
    path[-1] = int(np.argmin(cost[-1]))
    for row in range(length - 2, -1, -1):
        low = max(path[row + 1] - 1, 0)
        path[row] = low + int(np.argmin(cost[row, low : path[row + 1] + 2]))
    return path


def closed_minimum_cut(error: np.ndarray) -> np.ndarray:
    """The cheapest path down an error map whose last row meets its first: `minimum_cut` of those that close.

    Exact: the cost of the best path from each start is carried along for all starts at once; the best of them is then
    walked. Returns int (length,), first and last differ by at most 1.
    """
    length, across = error.shape
    cost = np.where(np.eye(across, dtype=bool), error[0].astype(np.float64), np.inf)  # (start, position)
    padded = np.full((across, across + 2), np.inf)
    for row in range(1, length):
        padded[:, 1:-1] = cost
        cost = error[row] + np.minimum(np.minimum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    position = np.arange(across)
    cost[np.abs(position[:, None] - position[None, :]) > 1] = np.inf
    start, end = np.unravel_index(np.argmin(cost), cost.shape)
    closing = error.astype(np.float64)
    closing[0, position != start] = np.inf
    closing[-1, position != end] = np.inf
    return minimum_cut(closing)
