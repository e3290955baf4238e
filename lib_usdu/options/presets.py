"""Starting points: a preset sets how tiles are drawn, never which size, upscaler or pictures a person asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .options import OPTION_NAMES, Options

DECIDED = (
    "tile_width", "tile_height", "padding", "auto_padding", "mask_blur", "redraw_mode", "seams_fix_type", "noise",
    "blend", "tone_lock", "skip_flat", "resemblance", "creativity", "speed",
    "strength_map",
)  # fmt: skip
"""What every preset sets, so that none leaves anything of the one before."""

RESEMBLANCE = 0.35
"""Of every preset that does not say otherwise: tone within a level of the source, detail as without
(docs/sliders.md)."""


@dataclass(frozen=True)
class Preset:
    """creativity: the option, 0-1: the host's schedule says which denoising strength that is. denoise: the strength
    with a model of Stable Diffusion, Karras and 20 steps; the tab's where the host does not say. changes: of the other
    options in DECIDED, those not at default."""

    name: str
    about: str
    creativity: float
    denoise: float
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def values(self) -> dict[str, Any]:
        """Every option it sets, as far as it exists."""
        changes = {"resemblance": RESEMBLANCE, **self.changes, "creativity": self.creativity}
        return {name: changes.get(name, getattr(Options, name)) for name in DECIDED if name in OPTION_NAMES}


PRESETS = (
    Preset("Photo", "Keeps the picture, adds fine texture.", 0.2, 0.25),
    Preset(
        "Illustration", "Clean lines and flat areas: more padding, softer blending.", 0.35, 0.35,
        {"padding": 64, "mask_blur": 16},
    ),
    Preset(
        "Max detail", "Adds the most new detail. Large padding, slow.", 0.5, 0.45,
        {"padding": 128, "mask_blur": 24, "tone_lock": 0.7},
    ),
    Preset(
        "Fast", "Fastest: low strength, parts of the model rest, smooth places stay as upscaled.", 0.15, 0.2,
        {"padding": 16, "mask_blur": 4, "strength_map": "detail", "speed": "fast"},
    ),
)  # fmt: skip


def chosen(options: Options) -> Preset | None:
    """The preset whose values these options have; None where a person chose otherwise."""
    for preset in PRESETS:
        if all(getattr(options, name) == value for name, value in preset.values().items()):
            return preset
    return None
