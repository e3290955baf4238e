"""The passes of a run: the redraw and the seam fixes are tile lists of one kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .compose.weights import Blend, Reach, reach_of
from .geometry import ORIGIN, Canvas, Region, Size, Tile, grid, place_windows
from .options import Options
from .schedule import FUSED, PARALLEL, Context

BLUR_REACH = 2.5
"""How far a mask blur of 1 softens an edge, in px to each side: a Gaussian of that radius fades out there."""


@dataclass(frozen=True)
class Pass:
    """Tiles to refine one way, all windows of one size. reach: how far past its core a tile is seen, (x, y) in px.
    number: of the pass in its run, whatever passes are left out; its noise goes by it, so that a second pass does not
    add the same noise again."""

    name: str
    tiles: tuple[Tile, ...]
    context: Context
    denoise: float
    blend: Blend
    reach: Reach
    canvas: Canvas
    number: int = 0

    def only(self, tiles: tuple[Tile, ...]) -> Pass:
        """With some of its tiles. A minimum-error cut needs the whole grid: fewer tiles are feathered."""
        if len(tiles) == len(self.tiles):
            return self
        return replace(self, tiles=tiles, blend="feather")

    def only_where(self, lively: Callable[[Region], bool]) -> Pass:
        """With those tiles that have something to draw. lively: whether a region of the canvas, px, has. A tile counts
        wherever it is seen. Fused windows need each other: they all stay."""
        if self.context == FUSED:
            return self
        seen = ((tile, self.canvas.seen(tile.core.grow(*self.reach))) for tile in self.tiles)
        return self.only(tuple(tile for tile, region in seen if lively(region)))


def plan_passes(options: Options, canvas: Canvas, align: int, grain: int = ORIGIN) -> tuple[Pass, ...]:
    """All passes over a canvas, in order; none where nothing is redrawn. align: windows are multiples of it,
    and they start at multiples of `grain`, px."""
    passes: list[Pass] = []
    if options.redraw_mode != "none":
        passes.append(_redraw(options, options.redraw_mode, canvas, align, grain))
    passes += _seams_fix(options, canvas, align, grain)
    return tuple(replace(work, number=number) for number, work in enumerate(work for work in passes if work.tiles))


def redraw_grid(options: Options, canvas: Canvas, align: int, grain: int) -> tuple[Tile, ...]:
    """All tiles that a canvas is redrawn in, whichever of them a run refines; lengths as in `plan_passes`."""
    return canvas.divide(options.tile_width, options.tile_height, options.padding, align=align, grain=grain)


def redraw_window(options: Options, canvas: Canvas, align: int, grain: int) -> Size:
    """The size of the windows that a canvas is redrawn in."""
    return canvas.window(options.tile_width, options.tile_height, options.padding, align=align, grain=grain)


def _redraw(options: Options, context: Context, canvas: Canvas, align: int, grain: int) -> Pass:
    tiles = redraw_grid(options, canvas, align, grain)
    wanted = round(BLUR_REACH * options.mask_blur)
    reach = reach_of(tiles, canvas, (wanted, wanted))
    return Pass("redraw", tiles, context, options.denoise, options.blend, reach, canvas)


def _seams_fix(options: Options, canvas: Canvas, align: int, grain: int) -> list[Pass]:
    """Band: tiles along each seam, as wide as the band. Half tile: tiles centred on each seam, full weight on the seam
    and none half a tile away; intersections: the same around the crossings."""
    if options.seams_fix_type == "none":
        return []
    wraps = canvas.wraps
    cores = [tile.core for tile in canvas.divide(options.tile_width, options.tile_height, 0, align=align)]
    columns = sorted({(core.x, core.right) for core in cores})
    rows = sorted({(core.y, core.bottom) for core in cores})
    blur = round(BLUR_REACH * options.seams_fix_mask_blur)
    if options.seams_fix_type == "band":
        half = max(options.seams_fix_width // 2, 1)
        across_x, across_y = _around(columns, half, wraps), _around(rows, half, wraps)
        fade_x = fade_y = min(blur, half)
    else:
        fade_x = min((end - start for start, end in columns), default=0) // 4
        fade_y = min((end - start for start, end in rows), default=0) // 4
        across_x, across_y = _around(columns, max(fade_x, 1), wraps), _around(rows, max(fade_y, 1), wraps)
    lists = [(across_x, rows, fade_x, blur), (columns, across_y, blur, fade_y)]
    if options.seams_fix_type == "half+intersections":
        lists.append((across_x, across_y, fade_x, fade_y))
    redraw = options.redraw_mode
    context: Context = PARALLEL if redraw in ("none", FUSED) else redraw
    passes: list[Pass] = []
    for cores_x, cores_y, reach_x, reach_y in lists:
        # The window holds what is seen of a tile and the padding around it.
        padding = options.seams_fix_padding
        placed_x = place_windows(cores_x, canvas.width, padding + reach_x, align, grain=grain, wraps=wraps)
        placed_y = place_windows(cores_y, canvas.height, padding + reach_y, align, grain=grain, wraps=wraps)
        tiles = grid(placed_x, placed_y)
        reach = reach_of(tiles, canvas, (reach_x, reach_y))
        passes.append(Pass("seams fix", tiles, context, options.seams_fix_denoise, "feather", reach, canvas))
    return passes


def _around(cores: list[tuple[int, int]], half: int, wraps: bool) -> list[tuple[int, int]]:
    """Bands of `half` px to each side of the seams between cores, less where two would meet. On a canvas that wraps
    its edge is one of the seams."""
    narrowest = min((end - start for start, end in cores), default=0)
    half = min(half, narrowest // 2)
    seams = [start for start, _ in cores if wraps or start > 0]
    return [(seam - half, seam + half) for seam in seams] if half else []
