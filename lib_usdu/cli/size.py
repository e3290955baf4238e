"""How large the result of each picture is to be: by a factor, by one side or both, by the longest or shortest side."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..options import Options

if TYPE_CHECKING:
    import numpy as np

RESIZE_MODES = {
    "fit": "keep the shape, inside --size",
    "crop": "cut off what is too much",
    "fill": "add borders of the outermost pixels",
    "stretch": "distort",
}
LARGEST = 65536
"""Px a side."""


@dataclass(frozen=True)
class Frame:
    """What is cut off a picture before it is enlarged, px a side; negative: added, as copies of the outermost
    pixels."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The size (width, height) of a picture of this size after it."""
        return width - self.left - self.right, height - self.top - self.bottom

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """An array (h, w, ...) after it."""
        import numpy as np

        if self == Frame():
            return pixels
        height, width = pixels.shape[:2]
        cut = pixels[max(self.top, 0) : height - max(self.bottom, 0), max(self.left, 0) : width - max(self.right, 0)]
        pad = [(max(-self.top, 0), max(-self.bottom, 0)), (max(-self.left, 0), max(-self.right, 0))]
        return np.ascontiguousarray(np.pad(cut, pad + [(0, 0)] * (pixels.ndim - 2), mode="edge"))


@dataclass(frozen=True)
class Size:
    """What was asked for. width, height: px, None where it follows from the other. longest, shortest: of the sides.
    All None: the options' own scale. mode: one of RESIZE_MODES, None for none."""

    width: int | None = None
    height: int | None = None
    longest: int | None = None
    shortest: int | None = None
    mode: str | None = None

    @classmethod
    def of(cls, args: argparse.Namespace) -> Size:
        """Raises OptionError for a size that is none, and for two sizes."""
        sizes = {
            "--scale": args.custom_scale, "--size": args.size, "--longest": args.longest, "--shortest": args.shortest,
        }  # fmt: skip
        named = [flag for flag, value in sizes.items() if value is not None]
        if len(named) > 1:
            raise OptionError(named[1], sizes[named[1]], f"one of {', '.join(sizes)}, here also {named[0]}")
        if args.resize_mode is not None:
            if args.resize_mode not in RESIZE_MODES:
                raise OptionError("--resize-mode", args.resize_mode, ", ".join(RESIZE_MODES))
            if args.size is None:
                raise OptionError("--resize-mode", args.resize_mode, "with --size WxH")
        width, height = _sides(args.size) if args.size is not None else (None, None)
        longest, shortest = (_side(sizes[flag], flag) for flag in ("--longest", "--shortest"))
        return cls(width, height, longest, shortest, args.resize_mode)

    def label(self, options: Options) -> str:
        """For names of files: 2x, 800x600, 800x, x600, longest800."""
        if self.width or self.height:
            return f"{self.width or ''}x{self.height or ''}"
        if self.longest or self.shortest:
            return f"longest{self.longest}" if self.longest else f"shortest{self.shortest}"
        return f"{options.custom_scale:g}x"

    def for_picture(self, options: Options, width: int, height: int) -> tuple[Options, Frame]:
        """The options for a picture of this size, px, and what is cut off it first.

        Raises OptionError for a width and height of another shape, unless the mode says what to do.
        """
        if self == Size():
            return options, Frame()
        frame, (w, h) = Frame(), self._target(width, height)
        if self.width and self.height:
            if _same_shape((width, height), (w, h)) or self.mode == "stretch":
                pass
            elif self.mode == "fit":
                w, h = _inside(width, height, w, h)
            elif self.mode in ("crop", "fill"):
                frame = _framed(width, height, w, h, crop=self.mode == "crop")
            else:
                fitting = "x".join(map(str, _inside(width, height, w, h)))
                shape = f"the shape of the picture, {width}x{height}: for example {fitting}, {w}x or x{h}"
                raise OptionError("--size", f"{w}x{h}", f"{shape}; or --resize-mode {', '.join(RESIZE_MODES)}")
        if max(w, h) > LARGEST:
            raise OptionError("--size", f"{w}x{h}", f"at most {LARGEST} px a side")
        return options.with_(target_size_type="custom", custom_width=w, custom_height=h), frame

    def _target(self, width: int, height: int) -> tuple[int, int]:
        if self.width and self.height:
            return self.width, self.height
        wide = width >= height
        if by_width := self.width or (self.longest if wide else self.shortest):
            return by_width, max(1, round(height * by_width / width))
        if by_height := self.height or (self.shortest if wide else self.longest):
            return max(1, round(width * by_height / height)), by_height
        return width, height


def _sides(text: str) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"(\d{1,9})?[xX×](\d{1,9})?", text.strip())
    width, height = (int(side) if side else None for side in match.groups()) if match else (None, None)
    sides = [side for side in (width, height) if side is not None]
    if not sides or not all(1 <= side <= LARGEST for side in sides):
        raise OptionError("--size", text, "WIDTHxHEIGHT, WIDTHx or xHEIGHT in px, such as 1920x1080, 1920x, x1080")
    return width, height


def _side(text: str | None, flag: str) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}", text.strip()) or not 1 <= int(text) <= LARGEST:
        raise OptionError(flag, text, f"a whole number from 1 to {LARGEST} px")
    return int(text)


def _same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """To a pixel."""
    return abs(a[0] * b[1] - a[1] * b[0]) <= max(sum(a), sum(b))


def _inside(width: int, height: int, most_w: int, most_h: int) -> tuple[int, int]:
    """The largest size of a picture's shape that fits into another."""
    scale = min(most_w / width, most_h / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _framed(width: int, height: int, w: int, h: int, *, crop: bool) -> Frame:
    """What makes a picture the shape of w x h: its middle, or with borders."""
    wider = width * h > height * w
    if wider == crop:  # the width changes
        more = width - max(1, round(height * w / h))
        return Frame(left=more // 2, right=more - more // 2)
    more = height - max(1, round(width * h / w))
    return Frame(top=more // 2, bottom=more - more // 2)
