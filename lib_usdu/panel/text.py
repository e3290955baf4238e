"""What the panel says and where: labels and hints of the controls, headings, which controls stand together.

A name of an option that does not exist is passed over. These sentences are the keys of localizations/*.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PREFIX = "ultimateupscale_"
INTRODUCTION = (
    "Enlarges the picture, then redraws it tile by tile. "
    "A denoising strength of 0.2 to 0.4 and a short or empty prompt suit most photographs."
)
PRESETS_HINT = "A preset sets the controls below and the tab's denoising strength."
REFRESH = "Look for upscalers again"
NO_PICTURE = "Drop a picture to see the tiles."
NOTHING_REDRAWN = "enlarged, nothing redrawn"
DRIFT = "Denoising strength above 0.5: tiles drift apart without ControlNet."
SMALL_FOR_XL = "SDXL draws poorly in tiles below 768 px."

LOOKS: dict[str, dict[str, Any]] = {  # where a control differs from what its option's rule and `about` make it
    "target_size_type": dict(label="Target size"),
    "custom_width": dict(minimum=64, maximum=16384),
    "custom_height": dict(minimum=64, maximum=16384),
    "custom_scale": dict(label="Scale", info="Times the picture's size", minimum=1, maximum=16),
    "redraw_mode": dict(
        info="Parallel: best, fastest. Fused: all tiles step by step. Linear, Chess: tile after tile. None: enlarge"
    ),
    "tile_width": dict(info="0: automatic, 512 or 1024 for SDXL", maximum=2048, step=64, value=0),
    "tile_height": dict(info="0: as the width, automatic if that is 0", maximum=2048, step=64, value=0),
    "mask_blur": dict(info="Softness between tiles"),
    "auto_padding": dict(label="Automatic padding", info="Grows with the denoising strength"),
    "seams_fix_padding": dict(info="What a tile sees around itself"),
    "save_upscaled_image": dict(label="Save upscaled", info="The picture after the redraw"),
    "save_seams_fix_image": dict(label="Save seams fix", info="The picture after the second pass"),
    "tile_batch": dict(label="Tiles at once", info="More: faster, more memory. 0: automatic"),
    "seamless": dict(label="Seamless texture", info="The picture goes on at its other side"),
    "resume": dict(label="Continue an interrupted run", info="Finished tiles are kept for the next run"),
    "redo_tiles": dict(label="Redo these tiles", info="Numbers of tiles of a finished picture, such as 3, 7-9; or all"),
    "number_tiles": dict(label="Number the tiles", info="A picture that shows the number of each tile"),
    "skip_flat": dict(
        label="Skip flat tiles",
        info="Leaves tiles as enlarged that vary less than this, in levels. 0: none",
        maximum=8,
    ),
    "tile_prompts": dict(
        label="Prompts of tiles",
        info="Added to the prompt: one line a tile, or '3-7: text', 'row,column: text'",
        lines=3,
    ),
    "interrogator": dict(label="Describe each tile", info="A model of the webui adds words to the prompt of each tile"),
    "finish": dict(label="Finishing pass", info="Once, on the final picture, never in a tile"),
    "compare": dict(label="Show before and after"),
}

_FIXES = ("band", "half", "half+intersections")
SHOWN: dict[str, dict[str, tuple[str, ...]]] = {  # dropdown -> control that counts only for some values -> those
    "target_size_type": {"custom_width": ("custom",), "custom_height": ("custom",), "custom_scale": ("scale",)},
    "seams_fix_type": {"seams_fix_width": ("band",), "seams_fix_denoise": _FIXES, "seams_fix_padding": _FIXES,
                       "seams_fix_mask_blur": _FIXES,
                       "save_seams_fix_image": _FIXES},
}  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Controls that stand together, row by row; below a heading that opens, or always there when it has none."""

    name: str
    heading: str
    rows: tuple[tuple[str, ...], ...]


_GROUPS = (
    Group("size", "", (("target_size_type", "custom_scale"), ("custom_width", "custom_height"), ("upscaler",))),
    Group("redraw", "", (("redraw_mode",), ("tile_width", "tile_height"), ("padding", "mask_blur"), ("auto_padding",))),
    Group("seams_fix", "Seams fix", (("seams_fix_type", "seams_fix_denoise"),
                                     ("seams_fix_padding", "seams_fix_mask_blur"), ("seams_fix_width",))),
    Group("drawing", "Noise, blending and tone", (("noise", "blend"), ("tone_lock",), ("seamless",))),
    Group("tiles", "Tiles", (("tile_batch",), ("skip_flat", "resume"), ("redo_tiles",), ("number_tiles",))),
    Group("prompts", "Prompts per tile", (("tile_prompts",), ("interrogator",))),
    Group("results", "Results", (("finish",), ("compare",), ("save_upscaled_image", "save_seams_fix_image"))),
)  # fmt: skip


def groups(names: Sequence[str]) -> list[Group]:
    """The groups of these options, in order; those that have no place of their own stand in the last."""
    placed = {name for group in _GROUPS for row in group.rows for name in row}
    rest = [name for name in names if name not in placed]
    more = Group("more", "More", tuple(tuple(rest[at : at + 2]) for at in range(0, len(rest), 2)))
    found = []
    for group in (*_GROUPS, more):
        rows = (tuple(name for name in row if name in names) for row in group.rows)
        if kept := tuple(row for row in rows if row):
            found.append(Group(group.name, group.heading, kept))
    return found


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
.{PREFIX}box:not(.hidden):not(.hide) {{display: flex; flex-direction: column-reverse; gap: 4px}}
.{PREFIX}box > div {{margin: 0}}
#{PREFIX}panel input[type=checkbox]:not(:checked) {{border-color: #6b7280}}
.dark #{PREFIX}panel input[type=checkbox]:not(:checked) {{border-color: #9ca3af}}
{_FOCUSED} {{outline: 2px solid #2563eb !important; outline-offset: 2px}}
.dark {_FOCUSED} {{outline-color: #93c5fd !important}}
</style>"""
