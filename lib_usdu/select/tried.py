"""One tile before all others, to see what the settings do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import OptionError
from ..geometry import Canvas, Tile
from ..options.tile_numbers import AUTO, NONE
from ..passes import Pass
from ..schedule import FUSED, PARALLEL, Context


def tried_passes(passes: Sequence[Pass], which: str) -> tuple[Pass, ...]:
    """All passes; or the redraw's tile of this number alone; or, for AUTO, all of the redraw's, one of which
    `most_detailed` chooses once there is something to see.

    Raises OptionError for a number that no tile of the redraw has.
    """
    if which == NONE:
        return tuple(passes)
    redraw = next((work for work in passes if work.name == "redraw"), None)
    if redraw is None:
        raise OptionError("try_tile", which, "none, where no tile is redrawn")
    tiles = tuple(tile for tile in redraw.tiles if which in (AUTO, str(tile.index + 1)))
    if not tiles:
        numbers = [tile.index + 1 for tile in redraw.tiles]
        raise OptionError("try_tile", which, f"auto, or a tile that is redrawn, {numbers[0]} to {numbers[-1]}")
    # Feathered: a minimum-error cut needs the whole grid. Alone it has no neighbours to agree with.
    return (replace(redraw, tiles=tiles, blend="feather", context=_alone(redraw)),)


def _alone(work: Pass) -> Context:
    return PARALLEL if work.context == FUSED else work.context


def most_detailed(work: Pass, picture: np.ndarray) -> Pass:
    """The pass with that of its tiles alone whose core has the most detail. picture: uint8 (h, w, 3), as upscaled."""
    return replace(work, tiles=(max(work.tiles, key=lambda tile: _detail(work.canvas, tile, picture)),))


def _detail(canvas: Canvas, tile: Tile, picture: np.ndarray) -> float:
    """Mean of the root of the steps from pixel to pixel: the root keeps one hard edge from outweighing a texture."""
    core = canvas.crop(picture, canvas.seen(tile.core))[..., 1].astype(np.int16)
    steps = [np.sqrt(np.abs(np.diff(core, axis=axis))) for axis in (0, 1) if core.shape[axis] > 1]
    return float(sum(step.mean() for step in steps))
