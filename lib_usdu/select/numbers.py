"""Tiles by number: which to do again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import OptionError
from ..options.tile_numbers import ALL, spans
from ..passes import Pass
from ..schedule import FUSED, PARALLEL


def chosen_passes(passes: Sequence[Pass], numbers: str) -> tuple[Pass, ...]:
    """All of them, or of the redraw the tiles with these numbers: 1 is the top left, and on row by row.

    The seams fix is left out then: the picture has had it. Raises OptionError for a number no tile has.
    """
    if numbers == ALL:
        return tuple(passes)
    redraw = next((work for work in passes if work.name == "redraw"), None)
    if redraw is None:
        raise OptionError("redo_tiles", numbers, "all, where nothing is redrawn")
    count = len(redraw.tiles)
    wanted = spans(numbers)
    if any(not 1 <= first <= last <= count for first, last in wanted):
        raise OptionError("redo_tiles", numbers, f"1 to {count}, the tiles of this picture, or all")
    tiles = tuple(tile for tile in redraw.tiles if any(a <= tile.index + 1 <= b for a, b in wanted))
    context = PARALLEL if redraw.context == FUSED else redraw.context  # alone they have nothing to agree with
    # Feathered even where it is all of them: what is not redone is already in the picture.
    return (replace(redraw, tiles=tiles, blend="feather", context=context),)
