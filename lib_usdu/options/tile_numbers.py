"""Which tiles a person means: numbers and spans of numbers, from 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import OptionError

ALL = "all"


@dataclass(frozen=True)
class TileNumbers:
    """The rule of an option that names tiles."""

    allowed = "numbers of tiles such as 3, 7-9, or all"

    def read(self, option: str, value: Any) -> str:
        """Written with blanks ("3 7-9"): no infotext needs quotes around that."""
        if isinstance(value, str) and len(value) <= 1000:
            words = value.replace(",", " ").split()
            if not words or [word.casefold() for word in words] == [ALL]:
                return ALL
            if all(map(_span, words)):
                return " ".join(words)
        raise OptionError(option, value, self.allowed)


def spans(numbers: str) -> list[tuple[int, int]]:
    """[(3, 3), (7, 9)] for "3 7-9", as the rule has read it."""
    return [found for found in map(_span, numbers.split()) if found]


def _span(word: str) -> tuple[int, int] | None:
    first, dash, last = word.partition("-")
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in (first, *([last] if dash else []))):
        return None
    return int(first), int(last or first)
