"""What was typed, as options and values."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ..errors import InputError, OptionError
from ..options import OPTION_NAMES, Options
from .flags import FLAGS

STREAM = "-"
"""Stands for standard input as INPUT, and for standard output as -o."""


def options_of(args: argparse.Namespace) -> Options:
    """The options that the flags ask for, but the size: that is each picture's own, see `size`.

    Raises OptionError, and InputError for a file of prompts that cannot be read.
    """
    given = {name: value for name in OPTION_NAMES if (value := getattr(args, name, None)) is not None}
    if "tile_width" in given:
        given["tile_width"], given["tile_height"] = _pair(given["tile_width"], FLAGS["tile_width"])
    if "tile_prompts" in given:
        given["tile_prompts"] = _text(given["tile_prompts"])
    # A file to write to means yes.
    given = {name: True if isinstance(value, Path) else value for name, value in given.items()}
    if args.allow_huge:
        given["max_megapixels"] = 1e6
    return Options(**given)


def journal_folder(args: argparse.Namespace) -> Path:
    """Where finished tiles are kept."""
    from ..resume import journal

    return args.journal or journal.default_folder()


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


def take_input(args: argparse.Namespace, left: ExitStack) -> None:
    """Puts a picture from standard input into a file, `args.input_file`, that goes when `left` is closed.

    Raises OptionError where it is given twice, InputError where nothing comes.
    """
    args.input_file = None
    count = args.input.count(STREAM)
    if count > 1:
        raise OptionError("INPUT", STREAM, "once")
    if count:
        folder = left.enter_context(tempfile.TemporaryDirectory(prefix="usdu-"))
        args.input_file = Path(folder) / "standard input"
        content = sys.stdin.buffer.read()
        if not content:
            raise InputError("standard input: nothing came")
        args.input_file.write_bytes(content)
        if args.output is None:
            args.output = STREAM


def _pair(text: str, flag: str) -> tuple[int, int]:
    """ "512" or "640x512"; a single number stands for both sides."""
    parts = text.lower().split("x")
    if len(parts) <= 2 and all(part.isdecimal() and len(part) < 10 for part in parts):
        return int(parts[0]), int(parts[-1])
    raise OptionError(flag, text, "a number of pixels, or WIDTHxHEIGHT")
