"""How much of its surroundings a tile has to see, when that is left to be chosen."""

from __future__ import annotations

STEPS = ((0.3, 32), (0.5, 64), (1.0, 96))
"""(denoise up to and with, padding in px)."""


def padding_for(denoise: float, tile: int) -> int:
    """Padding in px for a denoising strength (0-1) and tiles of this smaller side; never more than the tile itself."""
    return min(next(padding for most, padding in STEPS if denoise <= most), tile)
