"""What a person can choose: the options, their rules, the forms they come in and go out, presets and tile prompts.

`Options` is one frozen value. Other packages import the names below from here.
"""

from .options import (
    BLENDS,
    FINISHES,
    INFOTEXT_PREFIX,
    INTERROGATORS,
    LEGACY_ARGUMENTS,
    MOST_TILES,
    NOISE_MODES,
    OPTION_NAMES,
    OWN_ARGUMENTS,
    REDRAW_MODES,
    SCRIPT_OPTIONS,
    SEAMS_FIX_TYPES,
    TARGET_SIZE_TYPES,
    VERSION_MARKER,
    Choice,
    Flag,
    Number,
    Options,
    Text,
    about,
    listed,
    rule_of,
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
