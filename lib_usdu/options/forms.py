"""The forms in which options come and go: the webui's list of arguments, a dict by name, generation parameters.

Each function turns one form into option values by name, or back; `Options` checks the values. Errors name what is wrong
with the form itself: OptionError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import __version__
from ..errors import OptionError, UnknownOption
from .rules import is_integer, listed, plain

VERSION_MARKER = "usdu:2"
"""Stands in position 18 of `script_args`: what follows are this extension's own options, in the order of
OWN_ARGUMENTS."""
LEGACY_ARGUMENTS: tuple[str, ...] = (
    "tile_width", "tile_height", "mask_blur", "padding", "seams_fix_width", "seams_fix_denoise", "seams_fix_padding",
    "upscaler_index", "save_upscaled_image", "redraw_mode", "save_seams_fix_image", "seams_fix_mask_blur",
    "seams_fix_type", "target_size_type", "custom_width", "custom_height", "custom_scale",
)  # fmt: skip
"""Positions 1-17 of `script_args`; position 0 is the panel's text."""
OWN_ARGUMENTS: tuple[str, ...] = (
    "tile_batch", "noise", "blend", "tone_lock", "seamless",
    "auto_padding", "resume", "redo_tiles", "number_tiles", "tile_prompts", "interrogator",
    "finish", "compare", "skip_flat", "resemblance", "try_tile", "creativity", "speed",
    "strength_map", "overviews",
)  # fmt: skip
"""Positions 19 and on. Only ever appended to; where one goes, the marker gets another number and the old order stands
below."""
_MARKERS = "usdu:"
_GONE = ("seams_fix_only_visible",)
"""Options of older orders. It left some tiles of a seams fix out; now all of them are redrawn."""
_ORDERS: dict[str, tuple[str, ...]] = {
    VERSION_MARKER: OWN_ARGUMENTS,
    "usdu:1": (*OWN_ARGUMENTS[:5], "seams_fix_only_visible", *OWN_ARGUMENTS[5:14]),
}
"""By marker: lists that were made for an older version are still read."""
SCRIPT_OPTIONS: tuple[str, ...] = tuple(
    "upscaler" if name == "upscaler_index" else name for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)
)
"""What the script itself decides, in the order of its positions; the rest (denoise, seed ...) is the host's."""

INFOTEXT_PREFIX = "Ultimate SD upscale "
"""ControlNet recognises an upscale script by the word "upscale" in these keys; the spelling is the original's."""
VERSION_KEY = INFOTEXT_PREFIX + "version"
"""Of this extension. The original writes no such key: where it stands, options that are left out had their defaults."""
FIRST_KEYS = ("upscaler", "tile_width", "tile_height", "mask_blur", "padding")
"""What the original writes, in its order."""
_EMPTY = '""'  # a text of no letters


def of_dict(values: Mapping[str, Any], upscalers: Sequence[str]) -> dict[str, Any]:
    """The script's options by name. `upscaler_index`, a number that counts in `upscalers`, becomes `upscaler`.

    Raises OptionError for a name that is no option.
    """
    if len(values) > 100:
        raise OptionError("options", f"{len(values)} of them", f"at most {len(SCRIPT_OPTIONS)}")
    options = dict(values)
    if "upscaler_index" in options:
        options["upscaler"] = _upscaler_name(options.pop("upscaler_index"), upscalers)
    unknown = [name for name in options if name not in SCRIPT_OPTIONS]
    if unknown:
        raise UnknownOption(unknown, SCRIPT_OPTIONS)
    return options


def of_script_args(args: Sequence[Any], upscalers: Sequence[str]) -> dict[str, Any]:
    """The script's options by name from the webui's positional list, or from one dict in position 0.

    Raises OptionError for a dict that is followed by more or written as text, a list that is too long, a marker of a
    version that is not known, and for what `of_dict` does.
    """
    by_name: Any = args[0] if args else None
    if isinstance(by_name, Mapping):
        if any(value is not None for value in args[1:]):
            raise OptionError("script_args", f"a dict and {len(args) - 1} more", "one dict, or a list of values")
        return of_dict({**by_name}, upscalers)
    if isinstance(by_name, str) and by_name.lstrip().startswith("{"):  # the original has its panel's HTML there
        raise OptionError("script_args", "a text with a dict in it", "one dict, or a list of values")
    options = dict(zip(LEGACY_ARGUMENTS, args[1:18]))
    marker = args[18] if len(args) > 18 and is_marker(args[18]) else ""
    if marker and marker not in _ORDERS:
        raise OptionError("script_args", marker, f"{', '.join(_ORDERS)} in position 18")
    order = _ORDERS.get(marker, ())
    most = 19 + len(order or OWN_ARGUMENTS)
    if len(args) > most:
        raise OptionError("script_args", f"a list of {len(args)}", f"at most {most} values")
    options.update((name, value) for name, value in zip(order, args[19:]) if name not in _GONE)
    return of_dict(options, upscalers)


def is_marker(value: Any) -> bool:
    """Whether this is the marker of some version."""
    return isinstance(value, str) and value.startswith(_MARKERS)


def to_infotext(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, str]:
    """Generation parameters for these options: what the original writes, and what is not at its default.

    VERSION_KEY is among them, so that a reader knows that what is left out has its default.
    """
    names = dict.fromkeys([*FIRST_KEYS, *(name for name, value in values.items() if value != defaults[name])])
    return {INFOTEXT_PREFIX + name: _written(values[name]) for name in names} | {VERSION_KEY: __version__}


def of_infotext(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The options in generation parameters; other keys are passed over."""
    values = {name: value_in(parameters, name) for name in SCRIPT_OPTIONS}
    return {name: value for name, value in values.items() if value is not None}


def value_in(parameters: Mapping[str, Any], name: str) -> Any:
    """What generation parameters say of an option; None where they say nothing."""
    value = parameters.get(INFOTEXT_PREFIX + name)
    return "" if value == _EMPTY else value


def _upscaler_name(value: Any, upscalers: Sequence[str]) -> Any:
    if not is_integer(value):
        return value
    if not 0 <= int(value) < len(upscalers):
        raise OptionError("upscaler_index", value, listed(f"{i}: {name}" for i, name in enumerate(upscalers)))
    return upscalers[int(value)]


def _written(value: Any) -> str:
    """An empty text in quotes: webuis cannot read back a name without a value."""
    return plain(value) if isinstance(value, float) else str(value) or _EMPTY
