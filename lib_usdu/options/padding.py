"""How much of its surroundings a tile has to see, when that is left to be chosen."""

from __future__ import annotations

STEPS = ((0.35, 32), (0.5, 64), (0.6, 96), (1.0, 128))
"""(denoise up to and with, padding in px), in steps of half a window's alignment: less would cost as much.

Measured with a small Stable Diffusion 1 model (its attention and norms reach across a window): what keeps a tile's
detail about as near to the un-tiled pass as 32 px do at a denoise of 0.35. Models that look less far need less.
"""


def padding_for(denoise: float, tile: int) -> int:
    """Padding in px for a denoising strength (0-1) and tiles of this smaller side; never more than the tile itself."""
    return min(next(padding for most, padding in STEPS if denoise <= most), tile)
