"""The plan on the picture: what tiles.js draws over the picture of the img2img tab, from the plan of the live line."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ..compose.mask import painted, soften
from ..enlarge.resize_mode import CROP, FILL
from ..enlarge.windows import resize
from ..errors import OptionError
from ..host import Abilities
from ..options.tile_numbers import ALL, spans
from ..plan import Plan, make_plan
from ..select.flat import worth_redrawing
from ..select.strength import DETAIL
from .live_line import of_panel, read_page
from .text import PREFIX

MOST_DRAWN = 1000
"""Tiles; more would be a grey veil, and slow."""
MOST_LOOKED_AT = 40_000_000
"""Pixels of a result that is looked through for flat tiles here: more would keep the person waiting."""
_MOST_SENT = 2**24
"""Pixels of a picture that the page sends."""
_MOST_BLUR = 64.0
"""px; the webui's slider has no more."""
_LEFT_OUT, _DRAWN = 0, 1


class TileSource(Protocol):
    """What the plan on the picture asks of the webui."""

    def abilities(self) -> Abilities:
        """What a plan must know of the webui. Loads no model."""
        ...

    def tile_seconds(self, plan: Plan) -> Mapping[int, float]:
        """What each tile of the redraw took in the last run, by its index; empty where that run had other tiles."""
        ...


def tiles_of_plan(host: TileSource, max_megapixels: float, page: str, *values: Any) -> str:
    """Hidden HTML with JSON: the tiles that these values of LEGACY_ARGUMENTS and OWN_ARGUMENTS make; "" where the page
    does not ask for them, or nothing is redrawn.

    page: as `read_page` takes it. The JSON: size, of the result, px; at, where the result lies on the picture (x, y,
    width, height, as parts of its sides); redo, whether tiles of this picture can be redone; tiles, each a list of
    its number, core (x, y, width, height), 1 or 0 where it is left out, window, and the seconds it took, 0 unknown.
    """
    shown, seen, mask = read_shown(page)
    picture, tab, _ = read_page(page)
    if not shown or not all(picture):
        return ""
    try:
        options = of_panel(page, values).with_(max_megapixels=max_megapixels)
        numbers, everything = options.redo_tiles, options.with_(redo_tiles=ALL)
        plan = make_plan(everything, picture, host.abilities(), img2img_size=tab, mask=mask)
    except OptionError:
        return ""  # the line says why
    drawn = _drawn(plan, numbers, seen)
    windows = {tile.index: tile.window for work in plan.passes if work.name == "redraw" for tile in work.tiles}
    seconds = host.tile_seconds(plan)
    tiles = []
    for tile in plan.numbered if len(plan.numbered) <= MOST_DRAWN else ():
        core, window = tile.core, windows.get(tile.index, tile.core)
        tiles.append([
            tile.index + 1, core.x, core.y, core.width, core.height, _DRAWN if tile.index in drawn else _LEFT_OUT,
            window.x, window.y, window.width, window.height, round(seconds.get(tile.index, 0.0), 2),
        ])  # fmt: skip
    told = {
        "size": plan.canvas.size, "at": _place(page, options.target_size_type, picture, plan.canvas.size),
        "redo": plan.canvas.size == picture, "count": len(plan.numbered), "tiles": tiles,
    }  # fmt: skip
    return f"<div class='{PREFIX}tiles_data' hidden>{html.escape(json.dumps(told, separators=(',', ':')))}</div>"


def read_shown(page: str) -> tuple[bool, np.ndarray | None, np.ndarray | None]:
    """What stands last in the page's list: whether it wants to see the tiles; the picture, uint8 (h, w, 3), and the
    Inpaint tabs' mask with its blur, uint8 (h, w), where it sent them."""
    with suppress(ValueError, TypeError, IndexError, KeyError):
        *_, asked, last = json.loads(page)
        sent = last if isinstance(last, dict) else {}
        picture, mask = _decoded(sent.get("picture")), _decoded(sent.get("mask"))
        rgb = None if picture is None else np.asarray(picture.convert("RGB"))
        return asked is True, rgb, None if mask is None else _mask(mask, sent)
    return False, None, None


def _mask(picture: Image.Image, sent: Mapping[str, Any]) -> np.ndarray:
    """What a run reads of a mask. Strokes count wherever something is drawn, a file as the webui reads one."""
    drawn = (np.asarray(picture.getchannel("A")) > 0).astype(np.uint8) * 255
    mask = painted(picture) if sent.get("uploaded") is True else drawn
    blur = sent.get("blur")
    blur = min(float(blur), _MOST_BLUR) if isinstance(blur, (int, float)) and blur > 0 else 0.0
    return soften(255 - mask if sent.get("invert") is True else mask, blur, blur)


def _decoded(address: Any) -> Image.Image | None:
    """A picture from a data address, with alpha; None for anything else."""
    with suppress(ValueError, OSError, TypeError, AttributeError, Image.DecompressionBombError):
        data = base64.b64decode(address.partition(";base64,")[2])
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height <= _MOST_SENT:
                return picture.convert("RGBA")
    return None


def _drawn(plan: Plan, numbers: str, picture: np.ndarray | None) -> set[int]:
    """Indices of the tiles that a run redraws. numbers: of the option redo_tiles. picture: for flat tiles, which are
    looked for in a plain enlargement of it: a run looks in that of its upscaler."""
    passes = tuple(work for work in plan.passes if work.name == "redraw")
    if numbers != ALL:
        wanted = spans(numbers)
        return {
            tile.index for work in passes for tile in work.tiles if any(a <= tile.index + 1 <= b for a, b in wanted)
        }
    width, height = plan.canvas.size
    leaves_out = plan.options.skip_flat or plan.options.strength_map == DETAIL
    if leaves_out and picture is not None and width * height <= MOST_LOOKED_AT:
        passes = worth_redrawing(passes, resize(picture, width, height), plan.options)
    return {tile.index for work in passes for tile in work.tiles}


def _place(page: str, size_type: str, picture: tuple[int, int], result: tuple[int, int]) -> list[float]:
    """Where the result lies on the picture, as parts of its sides: all of it, but for the tab's modes that crop or
    fill."""
    mode = None
    with suppress(ValueError, IndexError):
        mode = json.loads(page)[6] if size_type != "scale" else None
    if mode not in (CROP, FILL):
        return [0, 0, 1, 1]
    across, down = result[0] / picture[0], result[1] / picture[1]
    scale = max(across, down) if mode == CROP else min(across, down)
    width, height = across / scale, down / scale
    return [(1 - width) / 2, (1 - height) / 2, width, height]
