"""What was typed, as options and values."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError, OptionError
from ..options import OPTION_NAMES, Options
from .flags import FLAGS, PAIRS


def options_of(args: argparse.Namespace) -> Options:
    """The options that the flags ask for.

    Raises OptionError, and InputError for a file of prompts that cannot be read.
    """
    given = {name: value for name in OPTION_NAMES if (value := getattr(args, name, None)) is not None}
    for width, height in PAIRS.items():
        if width in given:
            sides = _pair(given[width], FLAGS[width], both=width == "custom_width")
            given[width], given[height] = sides
    if "custom_width" in given:
        given["target_size_type"] = "custom"
    if "tile_prompts" in given:
        given["tile_prompts"] = _text(given["tile_prompts"])
    # A file to write to means yes.
    given = {name: True if isinstance(value, Path) else value for name, value in given.items()}
    if args.allow_huge:
        given["max_megapixels"] = 1e6
    return Options(**given)


def max_pixels(args: argparse.Namespace) -> int:
    return 10**12 if args.allow_huge else 10**9


def _text(given: str) -> str:
    """The text itself, or with an @ in front the file it is in."""
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{given[1:]}: cannot be read as text ({error})") from None


def _pair(text: str, flag: str, *, both: bool = False) -> tuple[int, int]:
    """ "512" or "640x512"; a single number stands for both sides unless both must be given."""
    parts = text.lower().split("x")
    if len(parts) == (2 if both else len(parts)) and len(parts) <= 2 and all(part.isdecimal() for part in parts):
        return int(parts[0]), int(parts[-1])
    raise OptionError(flag, text, "WIDTHxHEIGHT" if both else "a number of pixels, or WIDTHxHEIGHT")
