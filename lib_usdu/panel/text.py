"""What the panel says and which controls stand together. Labels and hints of controls are declared with the options.

These sentences, the labels and the hints are the keys of localizations/*.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import OptionError
from ..options import SCRIPT_OPTIONS, declared, names_of_group
from ..options.declaration import GROUPS
from ..options.presets import Preset
from ..pictures import slider

PREFIX = "usdu_"
INTRODUCTION = (
    "Enlarges the picture, then redraws it tile by tile. "
    "A denoising strength of 0.2 to 0.4 and a short or empty prompt suit most photographs."
)
PRESETS_HINT = "A preset sets Creativity, Resemblance and the controls below."
REFRESH = "Refresh the list"
SEND = "Upscale with Ultimate SD Upscale: sends picture, prompt and settings to img2img and selects the script."
"""Over the button under the galleries."""
COMPARE = {
    "button": "Before and after", "before": "Before upscaling", "after": "After upscaling", "help": slider.HELP,
}  # fmt: skip
"""On the gallery's slider."""
SHOW_TILES = "Show the tiles on the picture"
TRY = "Try one tile"
TRY_ABOUT = "Redraws the tile with the most detail, or the one you click, and shows it before and after."
TILES = {
    "redo": "Click a tile to redo it.", "choose": "Click a tile to try it first.",
    "prompt": "Shift and click: its prompt.", "window": "the model sees", "left": "left out",
    "many": "Too many tiles to show.", "try": TRY, "chosen": "Try tile",
}  # fmt: skip
"""On the picture, under its tiles, and on the button that tries one: before the number of the one that was clicked."""
NO_PICTURE = "Add a picture to see how it will be tiled."
NOTHING_REDRAWN = "enlarged, nothing redrawn"
DRIFT = "Denoising strength above 0.5: tiles may stop matching. Use ControlNet tile."
TAB_DENOISE = 0.75
"""What the webui's img2img tab starts with: too much for an upscale."""
TAB_DEFAULT = "Denoising strength 0.75 is the tab's default. 0.2 to 0.4 keeps the picture."
DISTORTED = "The shape changes. To keep it, choose Crop and resize, or a size by scale."
SMALLER = "The result is smaller than the picture."
EXTRA_NOISE = "the setting Extra noise"
FOLDER = "Each picture of the folder:"
SMALL_FOR_XL = "SDXL needs tiles of at least 768 px."


def _shown() -> dict[str, dict[str, tuple[str, ...]]]:
    shown: dict[str, dict[str, tuple[str, ...]]] = {}
    for name in SCRIPT_OPTIONS:
        control = declared(name).control
        for dropdown, values in control.counts.items() if control else ():
            shown.setdefault(dropdown, {})[name] = values
    return shown


SHOWN = _shown()
"""Dropdown -> control that counts only for some of its values -> those values."""


@dataclass(frozen=True)
class ControlGroup:
    """The controls of a group of options, row by row, under its title."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """Groups of controls under a heading that opens; without a heading they are always seen, and need no titles."""

    name: str
    heading: str
    groups: tuple[ControlGroup, ...]

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The rows of all groups, names of options."""
        return tuple(row for group in self.groups for row in group.rows)


def _controls_of(group: str) -> ControlGroup:
    rows: dict[int, tuple[str, ...]] = {}
    for name in names_of_group(group):
        if control := declared(name).control:
            rows[control.place[0]] = (*rows.get(control.place[0], ()), name)
    return ControlGroup(GROUPS[group], tuple(rows.values()))


STRENGTH = _controls_of("strength")
"""Above the presets."""
SECTIONS = (
    Section("main", "", (STRENGTH, _controls_of("size"), _controls_of("try"), _controls_of("redraw"))),
    Section("advanced", "Advanced", tuple(map(_controls_of, ("overlap", "drawing", "seams_fix", "speed", "prompts")))),
    Section("results", "Results and repair", (_controls_of("results"), _controls_of("repair"))),
)
"""The panel from top to bottom, by use: what most people set is seen at once."""


def message(error: OptionError) -> str:
    """The error's sentence with the label that the option has in the panel."""
    control = declared(error.option).control if error.option in SCRIPT_OPTIONS else None
    return error.named(control.label) if control else str(error)


def preset_hint(preset: Preset | None) -> str:
    """What stands below the presets, HTML. preset: the one that is chosen."""
    if preset is None:
        return _hint(PRESETS_HINT)
    resemblance = preset.values()["resemblance"]
    values = "Creativity", f"{preset.creativity:g}", "Resemblance", f"{resemblance:g}"
    return _hint(f"<b>{preset.name}</b>", preset.about, *values)


def _hint(*parts: str) -> str:
    spans = " ".join(f"<span>{part}</span>" for part in parts)
    return f"<div role='status' style='font-size:var(--block-info-text-size)'>{spans}</div>"


_TILES = Path(__file__).with_name("tiles.css").read_text(encoding="utf-8")
_FOCUSED = f"#{PREFIX}panel :is(button, input, textarea, .label-wrap):focus-visible"
STYLE = f"""<style>
#{PREFIX}panel {{--block-info-text-color: #4b5563; --block-title-text-color: #1f2937}}
.dark #{PREFIX}panel {{--block-info-text-color: #b6bdc8; --block-title-text-color: #e5e7eb}}
#{PREFIX}panel, #{PREFIX}panel .gap {{gap: 12px}}
#{PREFIX}refresh_upscalers {{align-self: flex-end; height: 42px}}
:not(.gradio-button)#{PREFIX}refresh_upscalers {{margin-bottom: 12px}}
#{PREFIX}panel div:has(> .form.hidden:only-child) {{display: none}}
#{PREFIX}panel #{PREFIX}presets {{gap: 8px}}
#{PREFIX}panel #{PREFIX}presets button {{min-width: 0; border-radius: 8px}}
#{PREFIX}panel #{PREFIX}tiles {{align-items: center}}
#{PREFIX}panel .{PREFIX}title {{font-weight: 600; margin-top: 4px}}
.{PREFIX}box:not(.hidden):not(.hide) {{display: flex; flex-direction: column-reverse; gap: 4px}}
.{PREFIX}box > div {{margin: 0}}
#{PREFIX}panel input[type=checkbox]:not(:checked) {{border-color: #6b7280}}
.dark #{PREFIX}panel input[type=checkbox]:not(:checked) {{border-color: #9ca3af}}
{_FOCUSED} {{outline: 2px solid #2563eb !important; outline-offset: 2px}}
.dark {_FOCUSED} {{outline-color: #93c5fd !important}}
{slider.STYLE}
{_TILES}
.usdu-compare {{position: absolute; inset: 0; z-index: 45}}
#img2img_gallery .usdu-compare-button {{position: absolute; top: 8px; left: 8px; z-index: 46; padding: 2px 10px;
    border-radius: 6px; background: rgba(0, 0, 0, .7); color: #fff; font-size: 14px; line-height: 1.5}}
#img2img_gallery .usdu-compare-button[aria-pressed=true] {{background: #fff; color: #181818;
    box-shadow: 0 0 0 1px #181818}}
.usdu-compare-button:focus-visible {{outline: 3px solid #93c5fd}}
</style>"""
