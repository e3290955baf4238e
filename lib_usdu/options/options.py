"""What a person can choose: one frozen value, checked on the way in, written to and read from infotext."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..errors import OptionError, TooLarge
from ..geometry import check_wraps
from .padding import padding_for
from .tile_numbers import ALL, TileNumbers
from .tile_prompts import Lines

VERSION_MARKER = "usdu:1"
"""Stands in position 18 of `script_args`: what follows are this extension's own options."""

MOST_TILES = 20_000
"""In one pass: 5 gigapixels in tiles of 512."""

INFOTEXT_PREFIX = "Ultimate SD upscale "
"""ControlNet recognises an upscale script by the word "upscale" in these keys; the spelling is the original's."""
_EMPTY = '""'  # a text of no letters


@dataclass(frozen=True)
class Choice:
    """A closed set: names in the order of their index, each with the label the panel shows."""

    labels: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other spellings, by name."""

    allowed = property(lambda self: ", ".join(f"{name} ({i})" for i, name in enumerate(self.labels)))

    def read(self, option: str, value: Any) -> str:
        names = list(self.labels)
        if isinstance(value, str):
            folded = value.strip().casefold()
            for name, label in self.labels.items():
                if folded in (name.casefold(), label.casefold(), self.aliases.get(name, name).casefold()):
                    return name
        elif _is_integer(value) and 0 <= int(value) < len(names):
            return names[int(value)]
        raise OptionError(option, value, self.allowed)


@dataclass(frozen=True)
class Number:
    """A range; `step` 1 means whole numbers."""

    low: float
    high: float
    step: float = 1
    unit: str = ""

    @property
    def allowed(self) -> str:
        kind = "a whole number" if self.step == 1 else "a number"
        return f"{kind} from {_plain(self.low)} to {_plain(self.high)}{self.unit and ' ' + self.unit}"

    def read(self, option: str, value: Any) -> int | float:
        if isinstance(value, str):  # infotext
            try:
                value = float(value) if len(value) < 40 else math.nan
            except ValueError:
                raise OptionError(option, value, self.allowed) from None
        whole = _is_integer(value)
        if not whole and not (isinstance(value, float) and math.isfinite(value)):
            raise OptionError(option, value, self.allowed)
        if not self.low <= value <= self.high or (self.step == 1 and value != int(value)):
            raise OptionError(option, value, self.allowed)
        return int(value) if self.step == 1 else float(value)


@dataclass(frozen=True)
class Flag:
    allowed = "true or false"

    def read(self, option: str, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value in ("True", "true", "False", "false"):  # infotext
            return value in ("True", "true")
        if _is_integer(value) and value in (0, 1):
            return bool(value)
        raise OptionError(option, value, self.allowed)


@dataclass(frozen=True)
class Text:
    allowed = "a name of at most 300 characters"

    def read(self, option: str, value: Any) -> str:
        if isinstance(value, str) and 0 < len(value) <= 300 and value.isprintable():
            return value
        raise OptionError(option, value, self.allowed)


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


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
    {"canvas": "Canvas: tiles share one noise", "tile": "Tile: each its own", "same": "Same in every tile"}
)
BLENDS = Choice({"feather": "Feather", "cut": "Minimum-error cut"})
INTERROGATORS = Choice({"none": "None", "clip": "CLIP", "deepbooru": "DeepBooru"})
FINISHES = Choice({"none": "None", "faces": "Restore faces", "adetailer": "ADetailer"})


def _option(default: Any, rule: Any, about: str) -> Any:
    return field(default=default, metadata={"rule": rule, "about": about})


@dataclass(frozen=True)
class Options:
    """All options of one upscale. Sizes in pixels of the result.

    Constructing one checks every value; OptionError names the option, the value and what is allowed.
    """

    tile_width: int = _option(0, Number(0, 8192, unit="px"), "width of a tile; 0: as its height, both 0: automatic")
    tile_height: int = _option(0, Number(0, 8192, unit="px"), "height of a tile; 0: as its width")
    mask_blur: int = _option(8, Number(0, 64, unit="px"), "softness of the transition between tiles")
    padding: int = _option(32, Number(0, 512, unit="px"), "what a tile sees around itself")
    seams_fix_width: int = _option(64, Number(0, 512, unit="px"), "width of the band a band pass redraws")
    seams_fix_denoise: float = _option(0.35, Number(0, 1, 0.01), "denoising strength of the seams fix")
    seams_fix_padding: int = _option(16, Number(0, 512, unit="px"), "what a tile of the seams fix sees around itself")
    upscaler: str = _option("None", Text(), "model that enlarges the picture before it is redrawn")
    save_upscaled_image: bool = _option(True, Flag(), "save the result of the redraw")
    redraw_mode: str = _option("parallel", REDRAW_MODES, "what a tile sees around itself: finished tiles or the canvas")
    save_seams_fix_image: bool = _option(False, Flag(), "save the result of the seams fix")
    seams_fix_mask_blur: int = _option(4, Number(0, 64, unit="px"), "softness of the seams fix's edges")
    seams_fix_type: str = _option("none", SEAMS_FIX_TYPES, "a second pass over the seams")
    target_size_type: str = _option("scale", TARGET_SIZE_TYPES, "where the size of the result comes from")
    custom_width: int = _option(2048, Number(1, 65536, unit="px"), "width of the result")
    custom_height: int = _option(2048, Number(1, 65536, unit="px"), "height of the result")
    custom_scale: float = _option(2.0, Number(0.01, 64, 0.01), "size of the result over the size of the image")

    tile_batch: int = _option(0, Number(0, 64), "tiles refined together; 0: chosen automatically")
    noise: str = _option("canvas", NOISE_MODES, "whether tiles share the canvas's noise")
    blend: str = _option("feather", BLENDS, "how overlapping tiles are put together")
    tone_lock: float = _option(1.0, Number(0, 1, 0.01), "how firmly the tone is held to the upscaled picture's")
    seamless: bool = _option(False, Flag(), "for textures: the result continues at its other side without a seam")
    seams_fix_only_visible: bool = _option(False, Flag(), "the seams fix redraws only where a seam can be seen")
    compare: bool = _option(False, Flag(), "a second picture: before and after side by side; it is not saved")
    auto_padding: bool = _option(False, Flag(), "choose the padding by the denoising strength")
    resume: bool = _option(True, Flag(), "keep finished tiles on disk: the same run goes on where it was ended")
    redo_tiles: str = _option("all", TileNumbers(), "tiles of a finished picture to redraw, such as 3, 7-9; or all")
    number_tiles: bool = _option(False, Flag(), "also make a picture that shows the number of each tile")
    tile_prompts: str = _option("", Lines(), "added to the prompt: one line a tile, or '3-7: text', 'row,column: text'")
    interrogator: str = _option("none", INTERROGATORS, "describes each tile; its words are added to the prompt")
    finish: str = _option("none", FINISHES, "what is done once with the final picture, never in a tile")
    skip_flat: float = _option(
        0.0, Number(0, 32, 0.1, "levels"), "tiles that vary less than this anywhere stay as upscaled; 0: redraw all"
    )

    denoise: float = _option(0.25, Number(0, 1, 0.01), "denoising strength")
    seed: int = _option(1, Number(0, 2**64 - 1), "seed of the noise")
    max_megapixels: float = _option(1000.0, Number(0.000001, 1e9, 0.01), "largest result")

    def __post_init__(self):
        for item in fields(self):
            checked = item.metadata["rule"].read(item.name, getattr(self, item.name))
            object.__setattr__(self, item.name, checked)
        for name, other in (("tile_width", "tile_height"), ("tile_height", "tile_width")):
            value = getattr(self, name)
            if value == 0:
                object.__setattr__(self, name, getattr(self, other))
            elif value < 64:
                raise OptionError(name, value, "64 px or more, or 0 for automatic")
        smallest = min(self.tile_width, self.tile_height)
        for name in ("padding", "seams_fix_padding"):
            if smallest and getattr(self, name) > smallest:
                raise OptionError(name, getattr(self, name), f"0 to the size of a tile, {smallest} px")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, upscalers: Sequence[str] = ()) -> Options:
        """The script's options by name; what is missing is default. `upscaler_index`, into `upscalers`, is accepted."""
        if len(values) > 100:
            raise OptionError("options", f"{len(values)} of them", f"at most {len(SCRIPT_OPTIONS)}")
        unknown = [name for name in values if not isinstance(name, str)]
        if unknown:
            raise OptionError("option", unknown[0], ", ".join(SCRIPT_OPTIONS))
        given = dict(values)
        if "upscaler_index" in given:
            given["upscaler"] = _upscaler_name(given.pop("upscaler_index"), upscalers)
        unknown = [name for name in given if name not in SCRIPT_OPTIONS]
        if unknown:
            raise OptionError("option", unknown[0], ", ".join(SCRIPT_OPTIONS))
        return cls(**given)

    @classmethod
    def from_script_args(cls, args: Sequence[Any], *, upscalers: Sequence[str] = ()) -> Options:
        """Options from the webui's positional list, or from one dict in position 0.

        Positions 0-17 are the original extension's; 19 and on are `OWN_ARGUMENTS`, if position 18 is VERSION_MARKER.
        `args` is what the caller really sent: a shorter list leaves the rest at its defaults.
        """
        if args and isinstance(args[0], Mapping):
            if any(value is not None for value in args[1:]):
                raise OptionError("script_args", f"a dict and {len(args) - 1} more", "one dict, or a list of values")
            return cls.from_dict(args[0], upscalers=upscalers)
        given = dict(zip(LEGACY_ARGUMENTS, args[1:18]))
        if len(args) > 18 and args[18] == VERSION_MARKER:
            given.update(zip(OWN_ARGUMENTS, args[19:]))
        return cls.from_dict(given, upscalers=upscalers)

    def to_infotext(self) -> dict[str, str]:
        """Every option for the picture's generation parameters; the first five keys are the original's."""
        names = ["upscaler", "tile_width", "tile_height", "mask_blur", "padding", *SCRIPT_OPTIONS]
        return {INFOTEXT_PREFIX + name: _written(getattr(self, name)) for name in dict.fromkeys(names)}

    @classmethod
    def from_infotext(cls, parameters: Mapping[str, Any]) -> Options:
        """The options in generation parameters (keys as `to_infotext` writes them; others are passed over)."""
        found = {
            name: parameters[INFOTEXT_PREFIX + name] for name in SCRIPT_OPTIONS if INFOTEXT_PREFIX + name in parameters
        }
        return cls.from_dict({name: "" if value == _EMPTY else value for name, value in found.items()})

    def target_size(self, width: int, height: int, img2img: tuple[int, int] | None = None) -> tuple[int, int]:
        """Size of the result for a picture of this size; `img2img` is the size set in the webui's tab.

        Raises OptionError when it has more than max_megapixels, or cannot be seamless.
        """
        if self.target_size_type == "img2img":
            if img2img is None:
                raise OptionError("target_size_type", "img2img", "custom, scale (there is no img2img tab here)")
            size = img2img
        elif self.target_size_type == "custom":
            size = self.custom_width, self.custom_height
        else:
            size = max(1, round(width * self.custom_scale)), max(1, round(height * self.custom_scale))
        megapixels = size[0] * size[1] / 1e6
        if megapixels > self.max_megapixels:
            raise TooLarge("size", f"{size[0]}x{size[1]}", f"at most {_plain(self.max_megapixels)} megapixels")
        if self.redo_tiles != ALL and size != (width, height):
            changed = f"{width}x{height} to {size[0]}x{size[1]}"
            allowed = f"all, unless the picture is a finished one and keeps its size (scale 1), here {changed}"
            raise OptionError("redo_tiles", self.redo_tiles, allowed)
        if self.seamless:
            check_wraps(*size)
        self._check_tiles(*size)
        return size

    def _check_tiles(self, width: int, height: int) -> None:
        """Raises OptionError for a plan of more than MOST_TILES tiles."""
        if self.tile_width and (self.redraw_mode, self.seams_fix_type) != ("none", "none"):
            count = math.ceil(width / self.tile_width) * math.ceil(height / self.tile_height)
            if count > MOST_TILES:
                shown = f"{self.tile_width}x{self.tile_height}"
                raise OptionError("tile_width", shown, f"a size that makes at most {MOST_TILES} tiles, not {count}")

    def with_(self, **changes: Any) -> Options:
        return replace(self, **changes)

    def with_tile(self, default: int) -> Options:
        """With what is automatic decided: tiles of `default` px, the padding that `denoise` asks for."""
        sized = self if self.tile_width else replace(self, tile_width=default, tile_height=default)
        if not self.auto_padding:
            return sized
        return replace(sized, padding=padding_for(self.denoise, min(sized.tile_width, sized.tile_height)))


OPTION_NAMES: tuple[str, ...] = tuple(item.name for item in fields(Options))
LEGACY_ARGUMENTS: tuple[str, ...] = (
    "tile_width", "tile_height", "mask_blur", "padding", "seams_fix_width", "seams_fix_denoise", "seams_fix_padding",
    "upscaler_index", "save_upscaled_image", "redraw_mode", "save_seams_fix_image", "seams_fix_mask_blur",
    "seams_fix_type", "target_size_type", "custom_width", "custom_height", "custom_scale",
)  # fmt: skip
"""Positions 1-17 of `script_args`; position 0 is the panel's text."""
OWN_ARGUMENTS: tuple[str, ...] = (
    "tile_batch", "noise", "blend", "tone_lock", "seamless", "seams_fix_only_visible",
    "auto_padding", "resume", "redo_tiles", "number_tiles", "tile_prompts", "interrogator",
    "finish", "compare", "skip_flat",
)  # fmt: skip
"""Positions 19 and on. Only ever appended to."""
SCRIPT_OPTIONS: tuple[str, ...] = tuple(
    name for name in OPTION_NAMES if name not in ("denoise", "seed", "max_megapixels")
)
"""What the script itself decides; the rest is the host's."""


def rule_of(name: str) -> Any:
    """The rule (Number, Choice, Flag or Text) of an option."""
    return _FIELDS[name].metadata["rule"]


def about(name: str) -> str:
    """What an option means, in half a line."""
    return _FIELDS[name].metadata["about"]


_FIELDS = {item.name: item for item in fields(Options)}


def _upscaler_name(value: Any, upscalers: Sequence[str]) -> Any:
    if not _is_integer(value):
        return value
    if not 0 <= int(value) < len(upscalers):
        raise OptionError("upscaler_index", value, listed(f"{i}: {name}" for i, name in enumerate(upscalers)))
    return upscalers[int(value)]


def listed(names: Iterable[str]) -> str:
    """Names for an error message, "none" when there are none."""
    return ", ".join(names) or "none"


def _written(value: Any) -> str:
    """An empty text in quotes: webuis cannot read back a name without a value."""
    return _plain(value) if isinstance(value, float) else str(value) or _EMPTY
