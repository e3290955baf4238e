"""Which tiles may be refined together. Batching never changes the result, only how soon it is there."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Literal, get_args

from .errors import OptionError
from .geometry import Canvas, Region, Tile

Context = Literal["linear", "chess", "parallel", "fused"]
"""What a tile sees around its core.

linear: the finished tiles before it, row by row, and the upscaled canvas elsewhere.
chess: as linear, but the order is that of a chess board: first every tile of one colour, then the other.
parallel: the upscaled canvas only; no tile depends on another.
fused: the upscaled canvas, and all tiles take each sampler step together.
"""

PARALLEL: Literal["parallel"] = "parallel"
FUSED: Literal["fused"] = "fused"
INDEPENDENT: tuple[Context, ...] = (PARALLEL, FUSED)
"""Contexts in which no tile reads what another wrote."""


def ordered(tiles: Sequence[Tile], context: Context) -> list[Tile]:
    """The order in which tiles would be refined one at a time."""
    if context == "chess":
        return sorted(tiles, key=lambda tile: ((tile.row + tile.column) % 2, tile.index))
    return sorted(tiles, key=lambda tile: tile.index)


def write_region(tile: Tile, reach: tuple[int, int] | None) -> Region:
    """The pixels a tile may change: its core and `reach` px (x, y) around it; the window if None."""
    return tile.window if reach is None else tile.core.grow(*reach).intersect(tile.window)


def batches(
    tiles: Sequence[Tile],
    context: Context,
    limit: int,
    *,
    reach: tuple[int, int] | None = None,
    canvas: Canvas | None = None,
) -> list[list[Tile]]:
    """Groups of at most `limit` tiles, to be refined one group after another.

    Refining them so gives exactly what refining tile after tile in `ordered` gives: a tile comes after every earlier
    tile that writes what it reads, and not after a later tile that overwrites what it reads. Tiles on the longest
    chain of dependencies go first, so that groups are full as long as the order allows it. canvas: where it wraps,
    tiles also meet across its edges.

    Raises OptionError for an unknown context and a limit below 1.
    """
    if context not in get_args(Context):
        raise OptionError("redraw context", context, ", ".join(get_args(Context)))
    if limit < 1:
        raise OptionError("tile_batch", limit, "1 or more")
    order = ordered(tiles, context)
    if context in INDEPENDENT:
        return [order[start : start + limit] for start in range(0, len(order), limit)]

    count = len(order)
    reads = [_places(tile.window, canvas) for tile in order]
    writes = [_places(write_region(tile, reach), canvas) for tile in order]
    finished_first: list[list[int]] = [[] for _ in order]  # earlier tiles whose result this one reads
    read_first: list[list[int]] = [[] for _ in order]  # earlier tiles that must have read before this one writes
    for later, earlier in _touching(reads):
        if _meet(writes[earlier], reads[later]):
            finished_first[later].append(earlier)
        elif _meet(writes[later], reads[earlier]):
            read_first[later].append(earlier)

    urgency = [0] * count  # how many tiles wait in line behind this one
    for later in reversed(range(count)):
        for earlier in finished_first[later]:
            urgency[earlier] = max(urgency[earlier], urgency[later] + 1)

    positions = _groups(finished_first, read_first, [(-urgency[i], i) for i in range(count)], limit)
    return [[order[i] for i in group] for group in positions]


def _groups(
    finished_first: list[list[int]], read_first: list[list[int]], rank: list[tuple[int, int]], limit: int
) -> list[list[int]]:
    """Positions in groups of at most `limit`, lowest rank first.

    A position comes in a later group than all in its finished_first, and in the same or a later one than all in its
    read_first (within a group these must also have the lower rank). One heap operation for each position and edge.
    """
    missing = [len(before) for before in finished_first]
    behind: list[list[int]] = [[] for _ in rank]
    for later, before in enumerate(finished_first):
        for earlier in before:
            behind[earlier].append(later)
    held_up: dict[int, list[int]] = {}  # by the position whose reading they await
    taken = [False] * len(rank)
    ready = sorted(rank[i] for i in range(len(rank)) if not missing[i])
    groups: list[list[int]] = []
    while ready:
        group: list[int] = []
        next_time: list[tuple[int, int]] = []
        while ready and len(group) < limit:
            i = heappop(ready)[1]
            obstacle = next((before for before in read_first[i] if not taken[before]), None)
            if obstacle is not None:
                held_up.setdefault(obstacle, []).append(i)
                continue
            taken[i] = True
            group.append(i)
            for waiting in held_up.pop(i, ()):
                if rank[waiting] > rank[i]:
                    heappush(ready, rank[waiting])
                else:
                    next_time.append(rank[waiting])
        for i in group:
            for later in behind[i]:
                missing[later] -= 1
                if not missing[later]:
                    next_time.append(rank[later])
        for entry in next_time:
            heappush(ready, entry)
        groups.append(sorted(group))
    return groups


def _places(region: Region, canvas: Canvas | None) -> list[Region]:
    """Where a region lies: in one place, or in several where it reaches around the edges of a canvas that wraps."""
    return canvas.places(region) if canvas is not None and canvas.wraps else [region]


def _meet(some: list[Region], others: list[Region]) -> bool:
    return any(one.overlaps(other) for one in some for other in others)


def _touching(reads: list[list[Region]]) -> list[tuple[int, int]]:
    """Pairs (later, earlier) of positions whose windows overlap, found by a coarse grid of buckets."""
    if not reads:
        return []
    step_x = max(region.width for places in reads for region in places)
    step_y = max(region.height for places in reads for region in places)
    buckets: dict[tuple[int, int], list[int]] = {}
    pairs: set[tuple[int, int]] = set()
    for later, places in enumerate(reads):
        keys = {
            (x, y)
            for region in places
            for x in range(region.x // step_x, (region.right - 1) // step_x + 1)
            for y in range(region.y // step_y, (region.bottom - 1) // step_y + 1)
        }
        for key in keys:
            for earlier in buckets.get(key, ()):
                if _meet(reads[earlier], places):
                    pairs.add((later, earlier))
            buckets.setdefault(key, []).append(later)
    return sorted(pairs)
