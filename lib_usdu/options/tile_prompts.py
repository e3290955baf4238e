"""Prompts of single tiles, one line each."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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
        rows, columns = plan[-1].row + 1, plan[-1].column + 1
        texts: dict[int, list[str]] = {}
        for number, line in enumerate(option.split("\n") if option else [], 1):
            wanted, text = _read_line(number, line, rows, columns)
            if not text:
                continue
            chosen = range(max(wanted.start, 1), min(wanted.stop, len(plan) + 1))
            if not chosen:
                allowed = f"tiles 1 to {len(plan)} (rows 1-{rows}, columns 1-{columns})"
                raise OptionError("tile_prompts", line[:60], allowed)
            for one in chosen:
                texts.setdefault(one, []).append(text)
        if not texts:
            return cls((), ())
        return cls(tuple(plan), tuple(", ".join(texts.get(one, ())) for one in range(1, len(plan) + 1)))

    def of(self, tile: Tile) -> str:
        """The text for a tile of any pass: that of the redraw's tile its middle lies in."""
        x, y = tile.core.x + tile.core.width // 2, tile.core.y + tile.core.height // 2
        columns, rows = self._grid
        column, row = bisect_right(columns, x) - 1, bisect_right(rows, y) - 1
        at = row * (len(columns) - 1) + column
        return self.texts[at] if 0 <= column < len(columns) - 1 and 0 <= row < len(rows) - 1 else ""

    @cached_property
    def _grid(self) -> tuple[list[int], list[int]]:
        """Where columns and rows of cores begin, and where the last of them end."""
        columns = [tile.core.x for tile in self.plan if tile.row == 0]
        rows = [tile.core.y for tile in self.plan if tile.column == 0]
        last = [self.plan[-1].core] if self.plan else []
        return columns + [core.right for core in last], rows + [core.bottom for core in last]


def within(option: str, plan: Sequence[Tile]) -> str:
    """The option's text without the lines whose tile is not in this plan: in a folder a smaller picture has fewer."""
    lines = option.split("\n") if option else []
    return "\n".join(line if _is_there(number, line, plan) else "" for number, line in enumerate(lines, 1))


def _is_there(number: int, line: str, plan: Sequence[Tile]) -> bool:
    wanted, text = _read_line(number, line, plan[-1].row + 1, plan[-1].column + 1)
    return not text or max(wanted.start, 1) < min(wanted.stop, len(plan) + 1)


def joined(*parts: str) -> str:
    """Prompts in one, parted by commas."""
    return ", ".join(part for part in (part.strip().strip(",").strip() for part in parts) if part)


def _read_line(number: int, line: str, rows: int, columns: int) -> tuple[range, str]:
    """The numbers of the tiles that line `number` is for, from 1, and its text."""
    place = _PLACE.fullmatch(line)
    if not place:
        return range(number, number + 1), line.strip()
    first, mark, second, text = place.groups()
    a, b = int(first), int(second or first)
    if mark == ",":
        at = (a - 1) * columns + b if 1 <= a <= rows and 1 <= b <= columns else 0
        return range(at, at + 1), text.strip()
    return range(a, b + 1), text.strip()
