"""What was typed, as options and values."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError, OptionError
from ..options import Options

# Options and the flags that set them: errors name what was typed.
FLAGS = {
    "custom_scale": "--scale", "tile_width": "--tile", "tile_height": "--tile", "padding": "--padding",
    "mask_blur": "--mask-blur", "denoise": "--denoise", "seed": "--seed", "tile_batch": "--batch",
    "redraw_mode": "--redraw", "seams_fix_type": "--seams-fix", "seams_fix_denoise": "--seams-fix-denoise",
    "seams_fix_width": "--seams-fix-width", "seams_fix_padding": "--seams-fix-padding",
    "seams_fix_mask_blur": "--seams-fix-mask-blur", "upscaler": "--upscaler", "noise": "--noise", "blend": "--blend",
    "tone_lock": "--tone-lock", "seamless": "--seamless",
    "custom_width": "--size", "custom_height": "--size", "checkpoint": "--checkpoint",
    "auto_padding": "--auto-padding", "resume": "--no-resume", "redo_tiles": "--redo-tiles",
    "number_tiles": "--number-tiles", "tile_prompts": "--tile-prompts",
    "skip_flat": "--skip-flat", "lora": "--lora", "sampler": "--sampler", "steps": "--steps", "cfg": "--cfg",
}  # fmt: skip


def options_of(args: argparse.Namespace) -> Options:
    tile_width, tile_height = _pair(args.tile, "--tile")
    given = {
        "tile_width": tile_width, "tile_height": tile_height, "padding": args.padding, "mask_blur": args.mask_blur,
        "denoise": args.denoise, "seed": args.seed, "tile_batch": args.batch, "redraw_mode": args.redraw,
        "seams_fix_type": args.seams_fix, "seams_fix_denoise": args.seams_fix_denoise,
        "seams_fix_width": args.seams_fix_width, "seams_fix_padding": args.seams_fix_padding,
        "seams_fix_mask_blur": args.seams_fix_mask_blur, "upscaler": args.upscaler, "noise": args.noise,
        "blend": args.blend, "tone_lock": args.tone_lock, "custom_scale": args.scale,
        "seamless": args.seamless,
        "auto_padding": args.auto_padding, "resume": args.resume, "redo_tiles": args.redo_tiles,
        "number_tiles": args.number_tiles is not None,
        "tile_prompts": _text(args.tile_prompts), "skip_flat": args.skip_flat,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if args.size is not None:
        given["custom_width"], given["custom_height"] = _pair(args.size, "--size", both=True)
        given["target_size_type"] = "custom"
    if args.allow_huge:
        given["max_megapixels"] = 1e6
    return Options(**given)


def max_pixels(args: argparse.Namespace) -> int:
    return 10**12 if args.allow_huge else 10**9


def _text(given: str | None) -> str | None:
    """The text itself, or with an @ in front the file it is in."""
    if given is None or not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{given[1:]}: cannot be read as text ({error})") from None


def _pair(text: str, flag: str, *, both: bool = False) -> tuple[int, int]:
    """ "512" or "640x512"; a single number stands for both sides unless both must be given."""
    parts = text.lower().split("x")
    if len(parts) == (2 if both else len(parts)) and len(parts) <= 2 and all(part.isdecimal() for part in parts):
        return int(parts[0]), int(parts[-1])
    raise OptionError(flag, text, "WIDTHxHEIGHT" if both else "a number of pixels, or WIDTHxHEIGHT")
