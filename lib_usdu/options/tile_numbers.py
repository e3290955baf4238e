"""Which tiles a person means: numbers and spans of numbers, from 1."""

from __future__ import annotations

ALL = "all"
NONE, AUTO = "none", "auto"
"""Of the option try_tile: no tile is tried; the one with the most detail."""


def spans(numbers: str) -> list[tuple[int, int]]:
    """[(3, 3), (7, 9)] for "3 7-9", as the rule TileNumbers has read it."""
    return [limits for limits in map(span, numbers.split()) if limits]


def span(word: str) -> tuple[int, int] | None:
    """(7, 9) for "7-9", (3, 3) for "3", None for any other word."""
    first, dash, last = word.partition("-")
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in (first, *([last] if dash else []))):
        return None
    return int(first), int(last or first)
