"""What a run will do: decided once, from the options, the picture's size and the mask, before any model is loaded.

The engine, the command line and the panel's live line all use it; nothing else decides anything about tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .batch_size import BatchLimits
from .errors import OptionError
from .geometry import Canvas, Region, Tile
from .host import Abilities
from .noise_share import NoiseShare
from .options import Options, listed
from .options.tile_numbers import ALL, NONE
from .options.tile_prompts import TilePrompts
from .passes import Pass, plan_passes
from .schedule import FUSED, PARALLEL, batches, ordered
from .select.mask import over_canvas, touched
from .select.numbers import chosen_passes
from .select.strength import MASK
from .select.tried import tried_passes

MOST_TILES = 20_000
"""In one pass: 5 gigapixels in tiles of 512."""

_WITH_FUSED = {"noise": "canvas", "interrogator": "none", "tile_prompts": ""}
"""What these options must be where all tiles take each step together."""


@dataclass(frozen=True)
class Plan:
    """options: with everything automatic decided. canvas: the result's size. passes: the work in order, with
    only those tiles that are refined, none of them empty. numbered: the tiles whose numbers a person uses
    (redo_tiles, tile_prompts, the number sheet), none where nothing is redrawn. prompts: what each place adds to the
    prompt. mask: at the result's size, uint8 (h, w), None where everything is redrawn.
    """

    options: Options
    canvas: Canvas
    passes: tuple[Pass, ...]
    numbered: tuple[Tile, ...]
    prompts: TilePrompts
    mask: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def keeps_tiles(self) -> bool:
        """Whether a tile of this run is the same in a run of all: one that is tried alone is not, where tiles see their
        finished neighbours or take each step together."""
        return self.options.try_tile == NONE or self.options.redraw_mode == PARALLEL

    @property
    def tiles(self) -> int:
        """Tiles of all passes."""
        return sum(len(work.tiles) for work in self.passes)

    def alike(self, work: Pass) -> dict[Tile, list[Tile]]:
        """The tiles of a pass by the first one of the same window, noise and prompt: what the model makes of it is what
        it would make of them all. On a canvas hardly larger than a window all windows may be one.
        """
        if work.context != PARALLEL or self.options.noise != "canvas":
            return {tile: [tile] for tile in work.tiles}
        found: dict[tuple[Region, str], list[Tile]] = {}
        for tile in ordered(work.tiles, work.context):
            found.setdefault((tile.window, self.prompts.of(tile)), []).append(tile)
        return {same[0]: same for same in found.values()}

    def grouped(self, work: Pass, limits: BatchLimits) -> list[list[Tile]]:
        """The tiles of a pass in groups of at most `limits.most`, one group after another; any part of a group may be
        refined together. Of tiles that are alike only the first is there."""
        return batches(list(self.alike(work)), work.context, limits.most, reach=work.reach, canvas=work.canvas)


def make_plan(
    options: Options,
    picture: tuple[int, int],
    abilities: Abilities,
    *,
    img2img_size: tuple[int, int] | None = None,
    mask: np.ndarray | None = None,
) -> Plan:
    """Decides everything about a run that can be known before its picture is enlarged.

    picture: (width, height), px. img2img_size: (width, height) set in the webui's tab, for target_size_type
    "img2img". mask: what is redrawn, (h, w) of the shape of the picture or of the result, uint8 0-255, bool or float
    0-1.

    Raises OptionError for every option that this picture, this mask or this host does not allow. Reads no file but
    that it looks whether an upscaler given by its path is there.
    """
    options = options.with_tile(abilities.default_tile)
    canvas = Canvas(*options.target_size(*picture, img2img_size), wraps=options.seamless)
    check_options(options, abilities)
    _check_size(options, picture, canvas, abilities.grain)
    planned = plan_passes(options, canvas, abilities.alignment, abilities.grain)
    # The redraw's grid, also where only seams are redrawn.
    numbered = canvas.divide(options.tile_width, options.tile_height, options.padding) if planned else ()
    passes = chosen_passes(planned, options.redo_tiles)
    prompts = TilePrompts.read(options.tile_prompts, numbered) if numbered else TilePrompts((), ())
    if mask is not None:
        _check_shape(mask, picture, canvas.size)
        mask = over_canvas(mask, canvas)
        passes = touched(passes, mask)
    passes = tried_passes(passes, options.try_tile)
    return Plan(options, canvas, passes, numbered, prompts, mask)


def check_options(options: Options, abilities: Abilities) -> None:
    """Raises OptionError for options that no picture can have here: they do not go together, or this host has not what
    they need."""
    if options.redraw_mode == FUSED:
        for name, allowed in _WITH_FUSED.items():
            if getattr(options, name) != allowed:
                raise OptionError(name, getattr(options, name), f"{allowed or 'none'}, with the redraw mode fused")
        reason = abilities.why_not_fused()
        if reason:
            raise OptionError("redraw_mode", "fused", f"linear, chess, none, parallel ({reason})")
    for name, allowed in (("interrogator", abilities.interrogators), ("finish", abilities.finishes)):
        if getattr(options, name) not in allowed:
            raise OptionError(name, getattr(options, name), f"{', '.join(allowed)}: what there is here")
    if options.redo_tiles == ALL:  # over a finished picture no upscaler runs
        _check_upscaler(options.upscaler, abilities)


def check_mask(options: Options, mask: np.ndarray | None) -> None:
    """Raises OptionError where strengths are to come from the greys of a mask that is not there."""
    if options.strength_map == MASK and mask is None:
        raise OptionError("strength_map", MASK, "none or detail, without a mask")


def settled(options: Options, known: NoiseShare | None) -> Options:
    """The options with the denoising strength that `creativity` asks for; as they are where none is asked for, or where
    it is not known what strengths mean. One that begins as near to it stays."""
    if not options.creativity or known is None:
        return options
    return options.with_(denoise=known.denoise(options.creativity, options.denoise))


def batch_limits(options: Options, abilities: Abilities, work: Pass) -> BatchLimits:
    """How many windows of a pass are refined together at first, and the most that may be tried."""
    window = work.tiles[0].window
    asked = options.tile_batch
    limits = BatchLimits(asked, asked) if asked else abilities.batch_limits(window.width, window.height)
    return limits if abilities.batch_cap is None else limits.within(abilities.batch_cap)


def count_batches(groups: Sequence[Sequence[Tile]], size: int) -> int:
    """How many batches of at most `size` tiles these groups make."""
    return sum(-(-len(group) // size) for group in groups)


def _check_upscaler(name: str, abilities: Abilities) -> None:
    known = {upscaler.casefold() for upscaler in abilities.upscalers}
    path, suffixes = Path(name).expanduser(), abilities.upscaler_suffixes
    if name.casefold() in known or (path.suffix.lower() in suffixes and path.is_file()):
        return
    files = f", or the path of a {' '.join(suffixes)} file" if suffixes else ""
    raise OptionError("upscaler", name, listed(abilities.upscalers) + files)


def _check_size(options: Options, picture: tuple[int, int], canvas: Canvas, grain: int) -> None:
    """Raises OptionError for what cannot be done over a canvas of this size, before a tile is planned."""
    canvas.check(grain)
    if options.redo_tiles != ALL and canvas.size != picture:
        change = f"{picture[0]}x{picture[1]} to {canvas.width}x{canvas.height}"
        allowed = f"all, unless the picture is a finished one and keeps its size (scale 1), here {change}"
        raise OptionError("redo_tiles", options.redo_tiles, allowed)
    width, height = options.tile_width, options.tile_height
    count = -(-canvas.width // width) * -(-canvas.height // height)
    if count > MOST_TILES and options.redraws:
        allowed = f"a size that makes at most {MOST_TILES} tiles, not {count}"
        raise OptionError("tile_width", f"{width}x{height}", allowed)


def _check_shape(mask: np.ndarray, *sizes: tuple[int, int]) -> None:
    """Raises OptionError for a mask that would have to be squashed: it must have the shape of one of these pictures,
    (width, height), to a pixel."""
    if mask.ndim != 2 or 0 in mask.shape:
        return  # said by `over_canvas`
    height, width = mask.shape
    if any(abs(width * h - height * w) <= max(width + height, w + h) for w, h in sizes):
        return
    allowed = " or ".join(f"{w}x{h}" for w, h in dict.fromkeys(sizes))
    raise OptionError("mask", f"{width}x{height}", f"a picture of the shape of {allowed}")
