"""What a person can choose. table.py declares each option once (declaration.py says what that is), rules.py reads and
checks values, options.py is the frozen value, forms.py has the forms options come in and go out. Beside them: presets,
automatic padding, tile numbers, tile prompts and LoRA tags.

`Options` is one frozen value. Other packages import the names below from here.
"""

from .forms import INFOTEXT_PREFIX, LEGACY_ARGUMENTS, OWN_ARGUMENTS, SCRIPT_OPTIONS, VERSION_KEY, VERSION_MARKER
from .options import OF_PICTURE, OPTION_NAMES, Options, about, declared, names_of_group, rule_of
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
    "NOISE_MODES",
    "OF_PICTURE",
    "OPTION_NAMES",
    "OWN_ARGUMENTS",
    "REDRAW_MODES",
    "SCRIPT_OPTIONS",
    "SEAMS_FIX_TYPES",
    "TARGET_SIZE_TYPES",
    "VERSION_KEY",
    "VERSION_MARKER",
    "Choice",
    "Flag",
    "Number",
    "Options",
    "Text",
    "about",
    "declared",
    "listed",
    "names_of_group",
    "rule_of",
]
