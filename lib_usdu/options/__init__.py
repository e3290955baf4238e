"""What a person can choose: the options (options.py), the rules of their values (rules.py), the forms they come in and
go out (forms.py), presets, automatic padding, tile numbers and tile prompts.

`Options` is one frozen value. Other packages import the names below from here.
"""

from .forms import INFOTEXT_PREFIX, LEGACY_ARGUMENTS, OWN_ARGUMENTS, SCRIPT_OPTIONS, VERSION_MARKER
from .options import MOST_TILES, OPTION_NAMES, Options, about, rule_of
from .rules import (
    BLENDS,
    FINISHES,
    INTERROGATORS,
    NOISE_MODES,
    REDRAW_MODES,
    SEAMS_FIX_TYPES,
    TARGET_SIZE_TYPES,
    Choice,
    Flag,
    Number,
    Text,
    listed,
)

__all__ = [
    "BLENDS",
    "FINISHES",
    "INFOTEXT_PREFIX",
    "INTERROGATORS",
    "LEGACY_ARGUMENTS",
    "MOST_TILES",
    "NOISE_MODES",
    "OPTION_NAMES",
    "OWN_ARGUMENTS",
    "REDRAW_MODES",
    "SCRIPT_OPTIONS",
    "SEAMS_FIX_TYPES",
    "TARGET_SIZE_TYPES",
    "VERSION_MARKER",
    "Choice",
    "Flag",
    "Number",
    "Options",
    "Text",
    "about",
    "listed",
    "rule_of",
]
