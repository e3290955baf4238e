"""The rules of options: each reads a value in any of the forms it comes in, or says what is allowed.

`read(option, value)` returns the value as Options holds it. For any other it raises OptionError, which names the
option. `allowed` says in words what the rule takes.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import OptionError
from .tile_numbers import ALL, AUTO, NONE, span


@dataclass(frozen=True)
class Choice:
    """A closed set: names in the order of their index, each with the label the panel shows."""

    labels: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    """Other spellings, by name."""

    allowed = property(lambda self: ", ".join(f"{name} ({i})" for i, name in enumerate(self.labels)))

    def read(self, option: str, value: Any) -> str:
        """The name, from a name, a label or an alias in any case, or from an index."""
        names = list(self.labels)
        allowed = self.allowed
        if isinstance(value, str):
            allowed = ", ".join(names)
            folded = value.strip().casefold()
            for name, label in self.labels.items():
                if folded in (name.casefold(), label.casefold(), self.aliases.get(name, name).casefold()):
                    return name
        elif is_integer(value) and 0 <= int(value) < len(names):
            return names[int(value)]
        raise OptionError(option, value, allowed)


@dataclass(frozen=True)
class Number:
    """A range; `step` 1 means whole numbers."""

    low: float
    high: float
    step: float = 1
    unit: str = ""

    @property
    def allowed(self) -> str:
        """The range in words."""
        kind = "a whole number" if self.step == 1 else "a number"
        return f"{kind} from {plain(self.low)} to {plain(self.high)}{self.unit and ' ' + self.unit}"

    def read(self, option: str, value: Any) -> int | float:
        """An int where the step is 1, else a float; from a number, or from text that is one."""
        if isinstance(value, str):  # infotext, the command line
            value = self._number(option, value)
        whole = is_integer(value)
        if not whole and not (isinstance(value, float) and math.isfinite(value)):
            raise OptionError(option, value, self.allowed)
        if not self.low <= value <= self.high or (self.step == 1 and value != int(value)):
            raise OptionError(option, value, self.allowed)
        return int(value) if self.step == 1 else float(value)

    def _number(self, option: str, text: str) -> int | float:
        """Whole where the rule asks for whole numbers: a float would round a seed of 64 bits."""
        if len(text) < 40 and "_" not in text:
            for kind in (int, float) if self.step == 1 else (float,):
                with suppress(ValueError):
                    return kind(text)
        raise OptionError(option, text, self.allowed)


@dataclass(frozen=True)
class Flag:
    """Yes or no."""

    allowed = "true or false"

    def read(self, option: str, value: Any) -> bool:
        """A bool, from a bool, 0 or 1, or the words "true" and "false"."""
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value in ("True", "true", "False", "false"):  # infotext
            return value in ("True", "true")
        if is_integer(value) and value in (0, 1):
            return bool(value)
        raise OptionError(option, value, self.allowed)


@dataclass(frozen=True)
class Text:
    """A short text that is not empty, such as a name."""

    allowed = "a name of at most 300 characters"

    def read(self, option: str, value: Any) -> str:
        """The text as it is."""
        if isinstance(value, str) and 0 < len(value) <= 300 and value.isprintable():
            return value
        raise OptionError(option, value, self.allowed)


@dataclass(frozen=True)
class TileNumbers:
    """Which tiles: numbers and spans of numbers, or all."""

    allowed = "numbers of tiles such as 3, 7-9, or all"

    def read(self, option: str, value: Any) -> str:
        """Written with blanks ("3 7-9"): no infotext needs quotes around that."""
        if isinstance(value, str) and len(value) <= 1000:
            words = value.replace(",", " ").split()
            if not words or [word.casefold() for word in words] == [ALL]:
                return ALL
            if all(map(span, words)):
                return " ".join(words)
        raise OptionError(option, value, self.allowed)


@dataclass(frozen=True)
class OneTile:
    """Which one tile: its number, auto or none."""

    allowed = "none, auto, or the number of a tile, from 1"

    def read(self, option: str, value: Any) -> str:
        """As text: "none", "auto", "7"."""
        text = value.strip().casefold() if isinstance(value, str) else ""
        number = int(value) if is_integer(value) else 0
        if 0 < number < 10**9:  # Python refuses to write a number of thousands of digits
            text = str(number)
        limits = span(text) if len(text) < 20 else None
        if text in (NONE, AUTO) or (limits and "-" not in text and limits[0] > 0):
            return text if limits is None else str(limits[0])
        raise OptionError(option, value, self.allowed)


@dataclass(frozen=True)
class Lines:
    """Text of several lines, perhaps none."""

    most: int = 20_000

    @property
    def allowed(self) -> str:
        """The limit in words."""
        return f"lines of text, at most {self.most} characters"

    def read(self, option: str, value: Any) -> str:
        """The text with plain line ends, and nothing blank at its end."""
        if isinstance(value, str):
            text = "\n".join(value.splitlines()).rstrip()
            if len(text) <= self.most and all(line.isprintable() for line in text.replace("\t", " ").split("\n")):
                return text
        raise OptionError(option, value if not isinstance(value, str) else value[:60], self.allowed)


Rule = Choice | Number | Flag | Text | TileNumbers | OneTile | Lines


def is_integer(value: Any) -> bool:
    """Whether a value is a whole number of any type, numpy's among them; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, numbers.Integral)


def plain(value: float) -> str:
    """A number as people write it: 2 for 2.0, 0.000001 for 1e-06."""
    text = str(int(value)) if value == int(value) else str(value)
    return f"{value:.20f}".rstrip("0") if "e-" in text and float(f"{value:.20f}") == value else text


def listed(names: Iterable[str]) -> str:
    """Names for an error message, "none" when there are none."""
    return ", ".join(names) or "none"


REDRAW_MODES = Choice({"linear": "Linear", "chess": "Chess", "none": "None", "parallel": "Parallel", "fused": "Fused"})
SEAMS_FIX_TYPES = Choice(
    {
        "none": "None",
        "band": "Band pass",
        "half": "Half tile offset pass",
        "half+intersections": "Half tile offset pass + intersections",
    }
)
TARGET_SIZE_TYPES = Choice(
    {"img2img": "From img2img settings", "custom": "Custom size", "scale": "Scale from image size"},
    aliases={"img2img": "From img2img2 settings"},  # the original's spelling
)
NOISE_MODES = Choice(
    {"canvas": "Canvas: tiles share one noise", "tile": "Tile: each its own"}
)
SPEEDS = Choice(
    {"exact": "Exact", "fast": "Fast: about half the work", "fastest": "Fastest: about a third"}
)
STRENGTH_MAPS = Choice(
    {"none": "Everywhere the same", "detail": "Less where it is smooth", "mask": "By the greys of the mask"}
)
BLENDS = Choice({"feather": "Feather", "cut": "Minimum-error cut"})
INTERROGATORS = Choice({"none": "None", "clip": "CLIP", "deepbooru": "DeepBooru"})
FINISHES = Choice({"none": "None", "faces": "Restore faces", "adetailer": "ADetailer"})
