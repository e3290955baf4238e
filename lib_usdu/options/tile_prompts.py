"""Prompts of single tiles, one line each."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import OptionError
from ..geometry import Tile

_PLACE = re.compile(r"\s*(\d{1,9})\s*(?:([,-])\s*(\d{1,9})\s*)?:(.*)", re.DOTALL)
_EXTRA_NETWORK = re.compile(r"<[^<>:\s]+:[^<>]*>")


def has_extra_networks(text: str) -> bool:
    """Whether there is a <lora:name:1> or the like in it."""
    return bool(_EXTRA_NETWORK.search(text))


@dataclass(frozen=True)
class TilePrompts:
    """What each place of the canvas adds to the prompt: texts[i] belongs to the tile plan[i] of the redraw."""

    plan: tuple[Tile, ...]
    texts: tuple[str, ...]

    @classmethod
    def read(cls, option: str, plan: Sequence[Tile]) -> TilePrompts:
        """From the option's text. Line n is for tile n (1 is the top left, then row by row); a line that begins with a
        place is for that place: "7: text", "3-7: text", or "2,4: text" for row 2, column 4. Lines for one tile are
        joined by commas.

        Raises OptionError for a line whose tile is not there.
        """
        found: list[list[str]] = [[] for _ in plan]
        rows, columns = plan[-1].row + 1, plan[-1].column + 1
        for number, line in enumerate(option.split("\n") if option else [], 1):
            wanted, text = _read_line(number, line)
            if not text:
                continue
            chosen = [at for at, tile in enumerate(plan) if wanted(tile)]
            if not chosen:
                raise OptionError(
                    "tile_prompts", line[:60], f"tiles 1 to {len(plan)} (rows 1-{rows}, columns 1-{columns})"
                )
            for at in chosen:
                found[at].append(text)
        return cls(tuple(plan), tuple(", ".join(texts) for texts in found))

    def of(self, tile: Tile) -> str:
        """The text for a tile of any pass: that of the redraw's tile its middle lies in."""
        if not any(self.texts):
            return ""
        x, y = tile.core.x + tile.core.width // 2, tile.core.y + tile.core.height // 2
        for planned, text in zip(self.plan, self.texts):
            if planned.core.x <= x < planned.core.right and planned.core.y <= y < planned.core.bottom:
                return text
        return ""


def joined(*parts: str) -> str:
    """Prompts in one, parted by commas."""
    return ", ".join(part for part in (part.strip().strip(",").strip() for part in parts) if part)


def _read_line(number: int, line: str) -> tuple[Callable[[Tile], bool], str]:
    found = _PLACE.fullmatch(line)
    if not found:
        return lambda tile: tile.index + 1 == number, line.strip()
    first, mark, second, text = found.groups()
    a, b = int(first), int(second or first)
    if mark == ",":
        return lambda tile: (tile.row + 1, tile.column + 1) == (a, b), text.strip()
    return lambda tile: a <= tile.index + 1 <= b, text.strip()
