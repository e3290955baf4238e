"""What the command line prints, and the words of its errors."""

from __future__ import annotations

import sys

from ..errors import OptionError, TooLarge
from .flags import FLAGS


def say(text: str) -> None:
    print(text, file=sys.stderr)


def message(error: BaseException) -> str:
    if isinstance(error, OptionError) and error.option in FLAGS:
        return error.named(FLAGS[error.option])
    if isinstance(error, TooLarge):
        return f"{error} (--allow-huge lifts it)"
    if isinstance(error, MemoryError):
        return "not enough memory; try a smaller --scale"
    return str(error)
