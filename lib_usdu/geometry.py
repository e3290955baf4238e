"""Where tiles lie: regions of the canvas and the plan that divides it. All units are canvas pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .errors import OptionError

ORIGIN = 8
"""Windows start at multiples of this at least: one latent of every model whose autoencoder shrinks by 8."""


Size = tuple[int, int]
"""(width, height), px."""


@dataclass(frozen=True)
class Region:
    """A rectangle: pixels x <= column < right, y <= row < bottom."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self):
        if self.width < 0 or self.height < 0:
            raise ValueError(f"a region cannot have a negative size: {self}")

    @classmethod
    def between(cls, x: int, y: int, right: int, bottom: int) -> Region:
        """The region of these edges; empty where they cross."""
        return cls(x, y, max(0, right - x), max(0, bottom - y))

    @property
    def right(self) -> int:
        """The first column past it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row past it."""
        return self.y + self.height

    @property
    def size(self) -> Size:
        """(width, height), px."""
        return self.width, self.height

    @property
    def area(self) -> int:
        """In px."""
        return self.width * self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of an array (height, width, ...)."""
        return slice(self.y, self.bottom), slice(self.x, self.right)

    def intersect(self, other: Region) -> Region:
        """What both share; empty where that is nothing."""
        return Region.between(
            max(self.x, other.x), max(self.y, other.y), min(self.right, other.right), min(self.bottom, other.bottom)
        )

    def overlaps(self, other: Region) -> bool:
        """Whether they share a pixel."""
        return self.intersect(other).area > 0

    def contains(self, other: Region) -> bool:
        """Whether all of the other lies in this one."""
        return self.x <= other.x and self.y <= other.y and other.right <= self.right and other.bottom <= self.bottom

    def grow(self, dx: int, dy: int | None = None) -> Region:
        """Moved outward by dx on the left and right, dy (dx when not given) on top and bottom; inward if negative."""
        dy = dx if dy is None else dy
        return Region.between(self.x - dx, self.y - dy, self.right + dx, self.bottom + dy)

    def shift(self, dx: int, dy: int) -> Region:
        """Moved to the right and down by so many px."""
        return Region(self.x + dx, self.y + dy, self.width, self.height)

    def relative_to(self, other: Region) -> Region:
        """The same pixels, counted from the other region's corner."""
        return self.shift(-other.x, -other.y)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}+{self.x}+{self.y}"


@dataclass(frozen=True)
class Tile:
    """One piece of work: what it is responsible for (`core`) and what goes through the model (`window`).

    The window holds the core and its padding. It may reach past the canvas on the right and at the bottom, by less
    than a latent or patch, where `crop` fills it with reflected pixels. On a canvas that wraps, both may lie across any
    edge.
    """

    core: Region
    window: Region
    index: int
    row: int
    column: int


@dataclass(frozen=True)
class Canvas:
    """A whole picture by its size: where regions may lie, and what lies beyond its edges. The corner is at (0, 0).

    wraps: it goes on at its other side, as a texture does; a region may then lie across any edge.
    """

    width: int
    height: int
    wraps: bool = False

    @classmethod
    def of(cls, picture: np.ndarray, *, wraps: bool = False) -> Canvas:
        """The canvas of a picture (h, w, ...)."""
        return cls(picture.shape[1], picture.shape[0], wraps)

    @property
    def size(self) -> Size:
        """(width, height), px."""
        return self.width, self.height

    @property
    def region(self) -> Region:
        """All of its pixels."""
        return Region(0, 0, self.width, self.height)

    def check(self, grain: int = ORIGIN) -> None:
        """Raises OptionError for a canvas whose noise and windows cannot wrap: its sides must be whole latents and
        patches, multiples of `grain` px."""
        if self.wraps and (self.width % grain or self.height % grain):
            nearest = "x".join(str(max(grain, round(length / grain) * grain)) for length in self.size)
            allowed = f"results of whole multiples of {grain} px, as {nearest}"
            raise OptionError("seamless", f"{self.width}x{self.height}", allowed)

    def seen(self, region: Region) -> Region:
        """What of a region is on the canvas: all of it where the canvas wraps."""
        return region if self.wraps else region.intersect(self.region)

    def shifts_onto(self, region: Region) -> list[tuple[int, int]]:
        """The shifts by whole canvases, (x, y) in px, that bring some of a region onto the canvas: only (0, 0) where it
        does not wrap. One for a region inside, more for one that reaches around an edge."""
        if not self.wraps:
            return [(0, 0)]
        across = _shifts(region.x, region.right, self.width)
        return [(x, y) for y in _shifts(region.y, region.bottom, self.height) for x in across]

    def places(self, region: Region) -> list[Region]:
        """Where a region's pixels lie on the canvas: several pieces where it reaches around an edge."""
        return [region.shift(*shift).intersect(self.region) for shift in self.shifts_onto(region)]

    def crop(self, picture: np.ndarray, region: Region) -> np.ndarray:
        """A copy of the region of this canvas's picture (h, w, ...): see `crop`."""
        return crop(picture, region, wraps=self.wraps)

    def divide(
        self, tile_width: int, tile_height: int, padding: int, *, align: int = 64, grain: int = ORIGIN
    ) -> tuple[Tile, ...]:
        """Divides the canvas into tiles, row by row.

        Cores partition the canvas evenly: ceil(width / tile_width) columns of about equal width, likewise rows. All
        windows have one size, a multiple of `align` or else the whole canvas rounded up to `grain`; they start at
        multiples of `grain`, of which `align` is one, hold their core and `padding` px around it as far as the canvas
        goes, and shift inward at its edges. On a canvas that wraps they reach around its edges, and past a small canvas
        as often as they need to.

        Raises OptionError for sizes below 1 and a negative padding.
        """
        return grid(*self._divided(tile_width, tile_height, padding, align, grain))

    def window(self, tile_width: int, tile_height: int, padding: int, *, align: int = 64, grain: int = ORIGIN) -> Size:
        """The size of the windows that `divide` makes of the same, without making them. Raises what it raises."""
        columns, rows = self._divided(tile_width, tile_height, padding, align, grain)
        return columns[0][3], rows[0][3]

    def _divided(
        self, tile_width: int, tile_height: int, padding: int, align: int, grain: int
    ) -> tuple[list[Span], list[Span]]:
        """Columns and rows."""
        sizes = ("width", self.width), ("height", self.height), ("tile_width", tile_width), ("tile_height", tile_height)
        for name, value in sizes:
            if value < 1:
                raise OptionError(name, value, "1 px or more")
        if padding < 0:
            raise OptionError("padding", padding, "0 px or more")
        return (
            _divide(self.width, tile_width, padding, align, grain, self.wraps),
            _divide(self.height, tile_height, padding, align, grain, self.wraps),
        )


def plan_tiles(
    width: int, height: int, tile_width: int, tile_height: int, padding: int, *, align: int = 64
) -> tuple[Tile, ...]:
    """The tiles of a canvas that does not wrap: see `Canvas.divide`. All in px."""
    return Canvas(width, height).divide(tile_width, tile_height, padding, align=align)


Span = tuple[int, int, int, int]
"""Along one axis: core start, core size, window start, window size."""


def grid(columns: Sequence[Span], rows: Sequence[Span]) -> tuple[Tile, ...]:
    """A tile for each column and row, row by row."""
    return tuple(
        Tile(
            Region(core_x, core_y, core_w, core_h), Region(window_x, window_y, window_w, window_h),
            row * len(columns) + column, row, column,
        )
        for row, (core_y, core_h, window_y, window_h) in enumerate(rows)
        for column, (core_x, core_w, window_x, window_w) in enumerate(columns)
    )  # fmt: skip


def _divide(length: int, tile: int, padding: int, align: int, grain: int, wraps: bool) -> list[Span]:
    """One axis of a canvas's tiles."""
    count = -(-length // tile)
    # Cuts at multiples of 8 let core and padding fill a window without waste. They are the same for every model.
    inner = [round(i * length / count / ORIGIN) * ORIGIN for i in range(1, count)]
    cuts = [0, *inner, length]
    if any(a >= b for a, b in pairwise(cuts)):  # tiles narrower than 8 px
        cuts = [i * length // count for i in range(count + 1)]
    return place_windows(list(pairwise(cuts)), length, padding, align, grain=grain, wraps=wraps)


def place_windows(
    cores: list[tuple[int, int]], length: int, padding: int, align: int, *, grain: int = ORIGIN, wraps: bool = False
) -> list[Span]:
    """One axis: a window for each core (start, end) as `Canvas.divide` says; windows share one size."""
    if not cores:
        return []
    # What each window must hold, its start rounded down to a multiple of the grain.
    needs = [((start - padding) // grain * grain, end + padding) for start, end in cores]
    limit = -(-length // grain) * grain
    size = -(-max(high - low for low, high in needs) // align) * align
    if not wraps:
        size = min(size, limit)
    placed: list[Span] = []
    for (start, end), (low, high) in zip(cores, needs):
        centred = (start + end - size) // (2 * grain) * grain
        lowest = -(-(high - size) // grain) * grain
        origin = min(max(centred, lowest), low)
        if not wraps:
            origin = min(max(origin, 0), limit - size)
        placed.append((start, end - start, origin, size))
    return placed


def crop(picture: np.ndarray, region: Region, *, wraps: bool = False) -> np.ndarray:
    """A copy of the region of a picture (h, w, ...); beyond the picture's edges its pixels are reflected.

    A picture of a single row or column is repeated. wraps: beyond an edge it starts again from the other side.
    """
    height, width = picture.shape[:2]
    inside = region.intersect(Region(0, 0, width, height))
    if inside == region:
        return np.array(picture[inside.slices], order="C")
    beyond = np.remainder if wraps else _reflect
    rows = beyond(np.arange(region.y, region.bottom), height)
    columns = beyond(np.arange(region.x, region.right), width)
    return picture[rows[:, None], columns[None, :]]


def _reflect(index: np.ndarray, length: int) -> np.ndarray:
    """Indexes mirrored about the first and last pixel, which are not repeated (numpy's mode "reflect")."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    index = np.abs(index) % period
    return np.where(index < length, index, period - index)


def _shifts(start: int, end: int, length: int) -> range:
    return range(-((end - 1) // length) * length, (length - 1 - start) // length * length + 1, length)
