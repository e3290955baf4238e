"""What can rest of a network, whatever its kind."""

from __future__ import annotations

from typing import Any

from .features import DeepFeatures, RowsOf
from .residuals import DeepResiduals, rows_of_blocks
from .schedule import Pace
from .unets import inner_of


def deep_parts(network: Any, pace: Pace, rows_of: RowsOf) -> DeepFeatures | DeepResiduals | None:
    """What lies within the outer blocks of a UNet or a transformer at this pace; None where nothing known does."""
    inner = inner_of(network, pace.outer)
    if inner is not None:
        return DeepFeatures(inner, rows_of, goes_on=pace.goes_on)
    rows = rows_of_blocks(network, pace.outer)
    return DeepResiduals(rows, rows_of, goes_on=pace.goes_on) if rows else None
