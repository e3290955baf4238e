"""The pipeline that draws with a kind of model: diffusers', or our own where it has none from pictures."""

from __future__ import annotations

from typing import Any

from ..families.table import Family


def class_of(family: Family) -> Any:
    """Raises ImportError where this version of diffusers does not know the kind."""
    import diffusers

    found = getattr(diffusers, family.pipeline, None)
    if found is None:
        from ..families import flux_2

        found = getattr(flux_2, family.pipeline)
    return found
