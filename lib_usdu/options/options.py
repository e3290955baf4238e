"""What a person can choose: one frozen value whose every option is checked on the way in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..errors import OptionError, TooLarge
from ..geometry import check_wraps
from . import forms
from .padding import padding_for
from .rules import (
    BLENDS,
    FINISHES,
    INTERROGATORS,
    NOISE_MODES,
    REDRAW_MODES,
    SEAMS_FIX_TYPES,
    TARGET_SIZE_TYPES,
    Flag,
    Lines,
    Number,
    Text,
    TileNumbers,
    plain,
)
from .tile_numbers import ALL

MOST_TILES = 20_000
"""In one pass: 5 gigapixels in tiles of 512."""


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
        return cls(**forms.of_dict(values, upscalers))

    @classmethod
    def from_script_args(cls, args: Sequence[Any], *, upscalers: Sequence[str] = ()) -> Options:
        """Options from the webui's positional list, or from one dict in position 0.

        Positions 0-17 are the original extension's; 19 and on are `OWN_ARGUMENTS`, if position 18 is VERSION_MARKER.
        `args` is what the caller really sent: a shorter list leaves the rest at its defaults.
        """
        return cls(**forms.of_script_args(args, upscalers))

    def to_infotext(self) -> dict[str, str]:
        """Every option for the picture's generation parameters; the first five keys are the original's."""
        return forms.to_infotext(vars(self))

    @classmethod
    def from_infotext(cls, parameters: Mapping[str, Any]) -> Options:
        """The options in generation parameters (keys as `to_infotext` writes them; others are passed over)."""
        return cls(**forms.of_infotext(parameters))

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
            raise TooLarge("size", f"{size[0]}x{size[1]}", f"at most {plain(self.max_megapixels)} megapixels")
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
_FIELDS = {item.name: item for item in fields(Options)}


def rule_of(name: str) -> Any:
    """The rule (Number, Choice, Flag ...) of an option."""
    return _FIELDS[name].metadata["rule"]


def about(name: str) -> str:
    """What an option means, in half a line."""
    return _FIELDS[name].metadata["about"]
