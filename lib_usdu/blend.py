"""Puts refined tiles together: overlaps are mixed in float and rounded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .geometry import Region, Tile

Blend = Literal["feather", "cut"]
"""feather: overlapping tiles fade linearly into each other; cut: each seam follows the path along which the two
tiles differ least (Efros and Freeman, "Image Quilting", SIGGRAPH 2001)."""

CUT_FADE = 4
"""A cut is softened over this many pixels to each side."""


Reach = tuple[int, int]
"""How far past its core a tile is seen, in px along x and y."""


def reach_of(tiles: Sequence[Tile], canvas: Region, wanted: Reach) -> Reach:
    """The reach wanted, less where a window or core of this pass is too small for it.

    Two ramps of one core must not meet, so no more than half of the smallest core; the window must hold it.
    """
    x, y = wanted
    for tile in tiles:
        core, window = tile.core, tile.window
        if core.x > canvas.x:
            x = min(x, core.x - window.x, core.width // 2)
        if core.right < canvas.right:
            x = min(x, window.right - core.right, core.width // 2)
        if core.y > canvas.y:
            y = min(y, core.y - window.y, core.height // 2)
        if core.bottom < canvas.bottom:
            y = min(y, window.bottom - core.bottom, core.height // 2)
    return x, y


def axis_weight(start: int, end: int, length: int, reach: int) -> np.ndarray:
    """Weight of a core [start, end) along one axis, for the pixels from max(start - reach, 0) on.

    It rises linearly over 2 * reach px centred on each end that is not an edge of the canvas (0 or length), so the
    weights of cores that share an end sum to 1 there. float32, between 0 and 1.
    """
    low, high = max(start - reach, 0), min(end + reach, length)
    weight = np.ones(high - low, np.float32)
    if reach == 0:
        return weight
    ramp = ((np.arange(2 * reach) + 0.5) / (2 * reach)).astype(np.float32)
    if start > 0:
        weight[: 2 * reach] = ramp
    if end < length:
        weight[-2 * reach :] = np.minimum(weight[-2 * reach :], 1 - ramp)
    return weight


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Rounded to the nearest level and clipped to 0-255."""
    if values.dtype == np.uint8:
        return values
    rounded = np.rint(values)
    return np.clip(rounded, 0, 255, out=rounded).astype(np.uint8)


@dataclass
class _Cell:
    """A piece of the canvas under the same tiles everywhere; `parts` holds what has come in so far."""

    awaited: int
    parts: list[tuple[int, np.ndarray, np.ndarray]]


class Feather:
    """Composes a pass on `out` with linear ramps.

    A pixel is base * (1 - sum w) + sum w * tile over the tiles that have come in, so the picture is whole at any time,
    and what it is at the end does not depend on their order. Only overlaps still waiting for a tile are kept in
    float. `base` and `out` are uint8 (h, w, 3), equal at the start; `out` is changed in place.
    """

    def __init__(self, base: np.ndarray, out: np.ndarray, tiles: Sequence[Tile], reach: Reach):
        self.base, self.out, self.reach = base, out, reach
        self.canvas = Region(0, 0, base.shape[1], base.shape[0])
        supports = [self._support(tile) for tile in tiles]
        cores = [tile.core for tile in tiles]
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
        support = self._support(tile)
        weight_x = axis_weight(tile.core.x, tile.core.right, self.canvas.width, self.reach[0])
        weight_y = axis_weight(tile.core.y, tile.core.bottom, self.canvas.height, self.reach[1])
        rows, columns = self._cells(support)
        for row in range(rows.start, rows.stop):
            for column in range(columns.start, columns.stop):
                region = Region.between(self._xs[column], self._ys[row], self._xs[column + 1], self._ys[row + 1])
                part = result[region.relative_to(tile.window).slices]
                place = region.relative_to(support)
                along_y, along_x = weight_y[place.slices[0]], weight_x[place.slices[1]]
                if self._awaited[row, column] == 1 and along_x.min() == 1 and along_y.min() == 1:
                    self.out[region.slices] = to_uint8(part)
                else:
                    self._mix((row, column), region, tile.index, along_y[:, None, None] * along_x[None, :, None], part)

    def finish(self) -> None:
        """Drops what is still waiting (a pass that was stopped): the picture stays as it is."""
        self._open.clear()

    def _mix(self, key: tuple[int, int], region: Region, index: int, weight: np.ndarray, part: np.ndarray) -> None:
        cell = self._open.setdefault(key, _Cell(int(self._awaited[key]), []))
        cell.parts.append((index, weight, part.astype(np.float32)))
        # Summed in the tiles' order, whatever order they came in: the same picture to the last bit.
        cell.parts.sort(key=lambda entry: entry[0])
        base = self.base[region.slices].astype(np.float32)
        total = base.copy()
        for _, share, pixels in cell.parts:
            total += share * (pixels - base)
        self.out[region.slices] = to_uint8(total)
        if len(cell.parts) == cell.awaited:
            del self._open[key]

    def _support(self, tile: Tile) -> Region:
        return tile.core.grow(*self.reach).intersect(self.canvas)

    def _cells(self, support: Region) -> tuple[slice, slice]:
        return (
            slice(self._row[support.y], self._row[support.bottom]),
            slice(self._column[support.x], self._column[support.right]),
        )


def _breaks(cores: list[tuple[int, int]], length: int, reach: int) -> list[int]:
    """Where along an axis the weight of any of these cores changes its course."""
    return sorted({min(max(end + step, 0), length) for core in cores for end in core for step in (-reach, reach)})


class Cut:
    """Composes a grid of tiles along minimum-error cuts: tiles into rows, then rows into the picture.

    A row is composed when its last tile has come in; until then `view` shows the tiles' bare cores. `base` and `out`
    are uint8 (h, w, 3), equal at the start; `out` is changed in place. The tiles must be one whole plan.
    """

    def __init__(self, base: np.ndarray, out: np.ndarray, tiles: Sequence[Tile], reach: Reach, *, separate_view: bool):
        self.out, self.reach = out, reach
        self.canvas = Region(0, 0, base.shape[1], base.shape[0])
        # A row's cuts come with its last tile, at a moment that depends on batching: later tiles must not read them.
        self.view = base.copy() if separate_view else out
        self._columns = 1 + max(tile.column for tile in tiles)
        self._last_row = max(tile.row for tile in tiles)
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

    def finish(self) -> None:
        """What was not completed (a pass that was stopped) stays as the view shows it."""
        if self.view is not self.out:
            for row in self._rows.values():
                for tile, _ in row.values():
                    self.out[tile.core.slices] = self.view[tile.core.slices]
            for y, overlap in [*self._tops.values(), *self._bottoms.values()]:
                self.out[y : y + len(overlap)] = self.view[y : y + len(overlap)]
        self._rows.clear()
        self._tops.clear()
        self._bottoms.clear()

    def _join_columns(self, row: list[tuple[Tile, np.ndarray]]) -> tuple[Region, np.ndarray]:
        core = row[0][0].core
        strip = Region(0, core.y, self.canvas.width, core.height).grow(0, self.reach[1]).intersect(self.canvas)
        joined = np.empty((strip.height, strip.width, 3), np.float32)
        for tile, result in row:
            part = Region(tile.core.x, strip.y, tile.core.width, strip.height).grow(self.reach[0], 0).intersect(strip)
            new = result[part.relative_to(tile.window).slices].astype(np.float32)
            here = part.relative_to(strip).slices
            shared = 2 * self.reach[0]
            if tile.core.x > 0 and shared > 0:
                overlap = new[:, :shared]
                before = joined[here][:, :shared]
                overlap[:] = _join(before, overlap)
            joined[here] = new
        return strip, joined

    def _write(self, row: int, strip: Region, joined: np.ndarray) -> None:
        """Writes what is final now that this row's strip is there; keeps its overlaps with rows still to come."""
        shared = 2 * self.reach[1]
        top = 0 if row == 0 else shared
        bottom = strip.height if row == self._last_row else strip.height - shared
        self.out[strip.y + top : strip.y + bottom] = to_uint8(joined[top:bottom])
        if shared == 0:
            return
        if row > 0:
            self._tops[row] = strip.y, joined[:shared].copy()
        if row < self._last_row:
            self._bottoms[row] = strip.bottom - shared, joined[-shared:].copy()
        for lower in (row, row + 1):
            if lower in self._tops and lower - 1 in self._bottoms:
                y, below = self._tops.pop(lower)
                _, above = self._bottoms.pop(lower - 1)
                zone = _join(above.swapaxes(0, 1), below.swapaxes(0, 1)).swapaxes(0, 1)
                self.out[y : y + shared] = to_uint8(zone)


def _join(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two versions of an overlap (length, across, channels), joined along the minimum-error cut down its length."""
    error = np.square(first - second).sum(axis=2)
    across = error.shape[1]
    fade = min(CUT_FADE, across // 2)
    # The path keeps the fade inside the overlap.
    path = minimum_cut(error[:, fade : across - fade + 1] if across > 2 * fade else error[:, :1]) + fade
    position = np.arange(across) + 0.5
    share = np.clip((position[None, :] - path[:, None]) / (2 * fade) + 0.5, 0, 1)
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
