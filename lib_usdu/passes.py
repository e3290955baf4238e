"""The passes of a run: the redraw and the seam fixes are tile lists of one kind."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .compose.weights import Blend, Reach, reach_of
from .geometry import Region, Tile, place_windows, plan_tiles
from .options import Options
from .schedule import FUSED, PARALLEL, Context

BLUR_REACH = 2.5
"""How far a mask blur of 1 softens an edge, in px to each side: a Gaussian of that radius fades out there."""


@dataclass(frozen=True)
class Pass:
    """Tiles to refine one way. `reach` is how far past its core a tile is seen, (x, y) in px; around: the canvas, where
    its edges meet."""

    name: str
    tiles: tuple[Tile, ...]
    context: Context
    denoise: float
    blend: Blend
    reach: Reach
    around: Region | None = None

    @property
    def wrap(self) -> bool:
        return self.around is not None

    def only(self, tiles: tuple[Tile, ...]) -> Pass:
        """With some of its tiles. A minimum-error cut needs the whole grid: fewer tiles are feathered."""
        if len(tiles) == len(self.tiles):
            return self
        return replace(self, tiles=tiles, blend="feather")


def plan_passes(options: Options, width: int, height: int, align: int) -> tuple[Pass, ...]:
    """All passes over a canvas of this size, in order; none where nothing is redrawn."""
    passes = []
    if options.redraw_mode != "none":
        passes.append(_redraw(options, width, height, align))
    passes += _seams_fix(options, width, height, align)
    return tuple(found for found in passes if found.tiles)


def _redraw(options: Options, width: int, height: int, align: int) -> Pass:
    wrap, canvas = options.seamless, Region(0, 0, width, height)
    tiles = plan_tiles(width, height, options.tile_width, options.tile_height, options.padding, align=align, wrap=wrap)
    wanted = round(BLUR_REACH * options.mask_blur)
    reach = reach_of(tiles, canvas, (wanted, wanted), wrap=wrap)
    around = canvas if wrap else None
    return Pass("redraw", tiles, options.redraw_mode, options.denoise, options.blend, reach, around)


def _seams_fix(options: Options, width: int, height: int, align: int) -> list[Pass]:
    """Band: tiles along each seam, as wide as the band. Half tile: tiles centred on each seam, full weight on the seam
    and none half a tile away; intersections: the same around the crossings."""
    if options.seams_fix_type == "none":
        return []
    wrap, canvas = options.seamless, Region(0, 0, width, height)
    plan = plan_tiles(width, height, options.tile_width, options.tile_height, 0, align=align, wrap=wrap)
    columns = sorted({(tile.core.x, tile.core.right) for tile in plan})
    rows = sorted({(tile.core.y, tile.core.bottom) for tile in plan})
    blur = round(BLUR_REACH * options.seams_fix_mask_blur)
    if options.seams_fix_type == "band":
        half = max(options.seams_fix_width // 2, 1)
        across_x, across_y = _around(columns, half, wrap), _around(rows, half, wrap)
        fade_x = fade_y = min(blur, half)
    else:
        fade_x = min((end - start for start, end in columns), default=0) // 4
        fade_y = min((end - start for start, end in rows), default=0) // 4
        across_x, across_y = _around(columns, max(fade_x, 1), wrap), _around(rows, max(fade_y, 1), wrap)
    lists = [(across_x, rows, fade_x, blur), (columns, across_y, blur, fade_y)]
    if options.seams_fix_type == "half+intersections":
        lists.append((across_x, across_y, fade_x, fade_y))
    context = PARALLEL if options.redraw_mode in ("none", FUSED) else options.redraw_mode
    around = canvas if wrap else None
    passes = []
    for cores_x, cores_y, reach_x, reach_y in lists:
        # The window holds what is seen of a tile and the padding around it.
        padding = options.seams_fix_padding
        placed_x = place_windows(cores_x, width, padding + reach_x, align, wrap=wrap)
        placed_y = place_windows(cores_y, height, padding + reach_y, align, wrap=wrap)
        tiles = _grid(placed_x, placed_y)
        reach = reach_of(tiles, canvas, (reach_x, reach_y), wrap=wrap)
        passes.append(Pass("seams fix", tiles, context, options.seams_fix_denoise, "feather", reach, around))
    return passes


def _around(cores: list[tuple[int, int]], half: int, wrap: bool) -> list[tuple[int, int]]:
    """Bands of `half` px to each side of the seams between cores, less where two would meet. On a canvas that wraps
    its edge is one of the seams."""
    narrowest = min((end - start for start, end in cores), default=0)
    half = min(half, narrowest // 2)
    seams = [start for start, _ in cores if wrap or start > 0]
    return [(seam - half, seam + half) for seam in seams] if half else []


def _grid(placed_x: list[tuple[int, int, int, int]], placed_y: list[tuple[int, int, int, int]]) -> tuple[Tile, ...]:
    return tuple(
        Tile(Region(x, y, w, h), Region(wx, wy, ww, wh), row * len(placed_x) + column, row, column)
        for row, (y, h, wy, wh) in enumerate(placed_y)
        for column, (x, w, wx, ww) in enumerate(placed_x)
    )
