"""What a person can choose: one frozen value whose every option is checked on the way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..errors import OptionError, TooLarge
from . import forms
from .declaration import Declaration
from .padding import padding_for
from .rules import Rule, plain
from .table import Table


@dataclass(frozen=True)
class Options(Table):
    """All options of one upscale: the fields of Table.

    Constructing one checks every value; OptionError names the option, the value and what is allowed.
    """

    @property
    def redraws(self) -> bool:
        """Whether anything of the picture is redrawn, if only its seams."""
        return (self.redraw_mode, self.seams_fix_type) != ("none", "none")

    def __post_init__(self):
        for item in fields(self):
            checked = item.metadata["declared"].rule.read(item.name, getattr(self, item.name))
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
        """Generation parameters: the original's five keys, every option of the picture that is not at its default, and
        the version. Settings of one run (OF_PICTURE has the others) are not the picture's."""
        values = {name: getattr(self, name) for name in OF_PICTURE}
        return forms.to_infotext(values, {name: getattr(Options, name) for name in OF_PICTURE})

    @classmethod
    def from_infotext(cls, parameters: Mapping[str, Any]) -> Options:
        """The options in generation parameters (keys as `to_infotext` writes them; others are passed over).

        What is left out, and every setting of the panel, has its default.
        """
        values = forms.of_infotext(parameters)
        return cls(**{name: value for name, value in values.items() if name in OF_PICTURE})

    def target_size(self, width: int, height: int, img2img: tuple[int, int] | None = None) -> tuple[int, int]:
        """Size of the result for a picture of this size; `img2img` is the size set in the webui's tab. All in px.

        Raises OptionError when there is no tab, TooLarge for more than max_megapixels.
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
        return size

    def with_(self, **changes: Any) -> Options:
        """These options with some changed. Raises OptionError as the constructor does."""
        return replace(self, **changes)

    def with_tile(self, default: int) -> Options:
        """With what is automatic decided: tiles of `default` px, the padding that `denoise` asks for."""
        sized = self if self.tile_width else replace(self, tile_width=default, tile_height=default)
        if not self.auto_padding:
            return sized
        return replace(sized, padding=padding_for(self.denoise, min(sized.tile_width, sized.tile_height)))


OPTION_NAMES: tuple[str, ...] = tuple(item.name for item in fields(Options))
_FIELDS = {item.name: item for item in fields(Options)}
OF_PICTURE: tuple[str, ...] = tuple(
    name for name in forms.SCRIPT_OPTIONS if _FIELDS[name].metadata["declared"].of_picture
)
"""Options of the script that decide the picture: infotext carries them, and pasting restores them."""


def declared(name: str) -> Declaration:
    """All that is declared of an option: rule, meaning, flag, control."""
    return _FIELDS[name].metadata["declared"]


def names_of_group(group: str) -> list[str]:
    """The options of a group (GROUPS), in the order in which they are shown; those without a control last."""
    names = [name for name in OPTION_NAMES if declared(name).group == group]
    last = (len(names), 0)
    return sorted(names, key=lambda name: control.place if (control := declared(name).control) else last)


def rule_of(name: str) -> Rule:
    """The rule (Number, Choice, Flag ...) of an option."""
    return declared(name).rule


def about(name: str) -> str:
    """What an option means, in half a line."""
    return declared(name).about
