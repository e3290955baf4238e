"""A run that makes one tile only, to be looked at before the rest is made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..host import Host
from ..pictures.compare import side_by_side
from ..plan import Plan
from ..select.tried import most_detailed
from .guard import Guard
from .stats import Stats


def with_one_tile(plan: Plan, upscaled: np.ndarray, host: Host, stats: Stats) -> Plan:
    """The plan with one tile only: where it still has several to try, the one with the most detail."""
    (work,) = plan.passes
    if len(work.tiles) > 1:
        work = most_detailed(work, upscaled)
        host.leave_out(plan.tiles - 1)
        stats.tiles = 1
    return replace(plan, passes=(work,))


def number_of(plan: Plan) -> int:
    """Of the only tile, from 1."""
    return plan.passes[0].tiles[0].index + 1


def pair(plan: Plan, upscaled: np.ndarray, canvas: np.ndarray) -> np.ndarray:
    """The core of the only tile before and after, side by side; uint8 (h, w, 3)."""
    region = plan.canvas.seen(plan.passes[0].tiles[0].core)
    return side_by_side(plan.canvas.crop(upscaled, region), plan.canvas.crop(canvas, region))


def note(plan: Plan, guard: Guard, *, finished: bool) -> str:
    """Whether the run will have to make the tile again."""
    which = f"tile {number_of(plan)} of {len(plan.numbered)}"
    if not finished:
        return f"stopped before {which} was done"
    if not plan.keeps_tiles:
        mode = plan.options.redraw_mode
        return f"{which} was drawn alone: the redraw mode {mode} draws it again, together with its neighbours"
    if guard.journal is None or guard.journal.note:
        return f"{which} is not kept: the run draws it again"
    return f"{which} is kept: the run with the same settings takes it as it is"
