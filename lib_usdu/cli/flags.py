"""The command line's flags."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from .. import __version__
from ..errors import UsduError
from ..options import BLENDS, NOISE_MODES, REDRAW_MODES, SEAMS_FIX_TYPES, about
from ..resume import journal


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsduError(f"{message} (see --help)")


def _names(names: Iterable[str]) -> str:
    return "|".join(names)


def parser() -> argparse.ArgumentParser:
    made = _Parser(
        prog="usdu",
        description="Makes a small picture large and sharp: upscales it, then redraws it tile by tile by diffusion.",
    )
    add = made.add_argument
    add("input", nargs="+", type=Path, metavar="INPUT", help="a picture or a folder of pictures")
    add("-o", "--output", type=Path, help="file or folder; default: NAME-upscaled.png, or FOLDER-upscaled/")
    add("--overwrite", action="store_true", help="replace existing files")
    add("--scale", type=float, help=f"{about('custom_scale')} (2)")
    add("--size", metavar="WxH", help="exact size of the result instead of --scale")
    add("--tile", default="0", metavar="N|WxH", help="size of a tile in px (512; 1024 for SDXL)")
    add("--padding", type=int, help=f"{about('padding')}, in px (32)")
    add("--auto-padding", action="store_true", default=None, help=f"{about('auto_padding')}, instead of --padding")
    add("--mask-blur", type=int, help=f"{about('mask_blur')} (8)")
    add("--denoise", type=float, help="denoising strength, 0-1: how much is drawn anew (0.25)")
    add("--seed", type=int, help="seed of the noise (1)")
    add("--batch", type=int, help=f"{about('tile_batch')} (0)")
    add("--redraw", metavar=_names(REDRAW_MODES.labels), help=f"{about('redraw_mode')} (parallel)")
    add("--seams-fix", metavar=_names(SEAMS_FIX_TYPES.labels), help=f"{about('seams_fix_type')} (none)")
    add("--seams-fix-denoise", type=float, help=f"{about('seams_fix_denoise')} (0.35)")
    add("--seams-fix-width", type=int, help=f"{about('seams_fix_width')} (64)")
    add("--seams-fix-padding", type=int, help=f"{about('seams_fix_padding')} (16)")
    add("--seams-fix-mask-blur", type=int, help=f"{about('seams_fix_mask_blur')} (4)")
    add("--noise", metavar=_names(NOISE_MODES.labels), help=f"{about('noise')} (canvas)")
    add("--blend", metavar=_names(BLENDS.labels), help=f"{about('blend')} (feather)")
    add("--seamless", action="store_true", default=None, help=about("seamless"))
    add("--skip-flat", type=float, metavar="LEVELS", help=f"{about('skip_flat')} (0)")
    add("--tone-lock", type=float, help=f"{about('tone_lock')}, 0-1 (1)")
    add(
        "--upscaler",
        default="SPAN x4",
        metavar="NAME|FILE",
        help="SPAN x4 (embedded), Lanczos, Nearest, None, or a model file",
    )
    add("--engine", choices=("diffusers", "identity"), default="diffusers", help="identity: refine nothing, a dry run")
    add("--checkpoint", default="embedded", metavar="FILE|FOLDER|HUB_ID", help="diffusion model (embedded)")
    add("--checkpoint-config", metavar="FOLDER|HUB_ID", help="diffusers configuration for a checkpoint file, offline")
    add("--lora", action="append", default=[], metavar="FILE[:STRENGTH]", help="LoRA file, may be given several times")
    add("--prompt", default="", help="what the picture shows; empty is fine")
    add("--tile-prompts", metavar="TEXT|@FILE", help=about("tile_prompts"))
    add("--mask", type=Path, metavar="FILE", help="redraw only where this picture is white")
    add("--negative-prompt", default="", help="what it should not show")
    add("--sampler", default="DPM++ 2M", help="as the webui names them (DPM++ 2M)")
    add("--steps", type=int, default=20, help="steps of a full denoise; a denoise of 0.3 runs 0.3 of them (20)")
    add("--cfg", type=float, default=7.0, help="CFG scale (7)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (auto)")
    add(
        "--ray", nargs="?", const="local", metavar="ADDRESS",
        help="refine tiles on several GPUs or machines through Ray; no address: on this machine's; after INPUT",
    )  # fmt: skip
    add("--ray-workers", type=int, default=0, metavar="N", help="how many; 0: one for each GPU, or CPU (0)")
    add("--compare", type=Path, metavar="FILE", help="also write before and after side by side, with 100 %% crops")
    add(
        "--redo-tiles", metavar="3,7-9",
        help="over a finished picture, with --scale 1 and the tile size it was made with: redraw only these tiles",
    )  # fmt: skip
    add("--number-tiles", type=Path, metavar="FILE", help="also write a picture that shows the numbers of the tiles")
    add("--no-resume", dest="resume", action="store_false", default=None, help="keep no finished tiles on disk")
    add(
        "--journal", type=Path, default=journal.default_folder(), metavar="FOLDER",
        help="where finished tiles are kept until the picture is written; usdu journal lists and clears them",
    )  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write sizes, tiles, times and memory as JSON")
    add("--allow-huge", action="store_true", help="allow results over 1 gigapixel")
    add("--quiet", action="store_true", help="no progress bar")
    add("--version", action="version", version=f"usdu {__version__}")
    return made
