"""The command line's flags. Those of options are made from what the options declare."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..errors import UsduError
from ..options import OPTION_NAMES, Choice, Flag, Number, Options, declared, names_of_group
from ..options.declaration import GROUPS
from ..resume import journal
from ..standalone.versions import needed

FLAGS: dict[str, str] = {name: flag.name for name in OPTION_NAMES if (flag := declared(name).flag)} | {
    name: f"--{name}" for name in ("checkpoint", "lora", "sampler", "steps", "cfg")
}
"""Options, and the model's settings, by the flag that sets them: errors name what was typed."""
PAIRS = {"tile_width": "tile_height", "custom_width": "custom_height"}
"""Two options that one flag sets: WIDTHxHEIGHT."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsduError(f"{message} (see --help)")


def parser() -> argparse.ArgumentParser:
    """The command's parser. A flag of an option that is not given is None."""
    made = _Parser(
        prog="usdu",
        description="Makes a small picture large and sharp: upscales it, then redraws it tile by tile by diffusion.",
    )
    add = made.add_argument
    add("input", nargs="+", type=Path, metavar="INPUT", help="a picture or a folder of pictures")
    add("-o", "--output", type=Path, help="file or folder; default: NAME-upscaled.png, or FOLDER-upscaled/")
    add("--overwrite", action="store_true", help="replace existing files")
    for group, title in GROUPS.items():
        _add_options(made.add_argument_group(title), group)
    _add_model(made.add_argument_group("Model"))
    _add_run(made.add_argument_group("Run"))
    return made


def _add_options(group: Any, name: str) -> None:
    """The flags of the options of a group; two options of one flag make one."""
    for option in names_of_group(name):
        flag = declared(option).flag
        if flag and option not in PAIRS.values():
            group.add_argument(flag.name, dest=option, **_argument(option))


def _argument(option: str) -> dict[str, Any]:
    """What argparse is told of an option. Numbers stay text: the rule reads them, and its errors are better."""
    rule, flag, default = declared(option).rule, declared(option).flag, getattr(Options, option)
    told = flag.help or declared(option).about
    if isinstance(rule, Flag):
        if flag.form:
            return {"type": Path, "metavar": flag.form, "help": told}
        return {"action": "store_false" if default else "store_true", "default": None, "help": told}
    shown = flag.default or default
    form = flag.form or ("|".join(rule.labels) if isinstance(rule, Choice) else "N")
    unit = ""
    if isinstance(rule, Number):
        unit = rule.unit and f" {rule.unit}"
        told += f", {rule.low:g}-{rule.high:g}" if rule.high <= 1 else ""
    if shown not in ("", "all", 0) and option not in PAIRS and str(shown) not in told:
        told += f" ({shown:g}{unit})" if isinstance(shown, float) else f" ({shown}{unit})"
    return {"metavar": form, "help": told, "default": flag.default}


def _add_model(group: Any) -> None:
    add = group.add_argument
    add("--checkpoint", default="embedded", metavar="FILE|FOLDER|HUB_ID", help="diffusion model (embedded)")
    add("--checkpoint-config", metavar="FOLDER|HUB_ID", help="diffusers configuration for a checkpoint file, offline")
    add("--lora", action="append", default=[], metavar="FILE[:STRENGTH]", help="LoRA file; may be given several times")
    add("--prompt", default="", help="what the picture shows; may be empty")
    add("--negative-prompt", default="", help="what it should not show")
    add("--sampler", default="DPM++ 2M", help="sampler, by its name in the webui (DPM++ 2M)")
    add("--steps", type=int, default=20, help="steps of a full denoise; a denoise of 0.3 runs 0.3 of them (20)")
    add("--cfg", type=float, default=7.0, help="CFG scale (7)")
    add(
        "--engine", choices=("diffusers", "identity"), default="diffusers",
        help=f"diffusers: needs {needed()} or later; identity: redraw nothing, a dry run",
    )  # fmt: skip
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (auto)")
    add(
        "--ray", nargs="?", const="local", metavar="ADDRESS",
        help="redraw tiles on several GPUs or machines through Ray; no address: on this machine; after INPUT",
    )  # fmt: skip
    add("--ray-workers", type=int, default=0, metavar="N", help="how many; 0: one for each GPU, or CPU (0)")


def _add_run(group: Any) -> None:
    add = group.add_argument
    add("--mask", type=Path, metavar="FILE", help="redraw only where this picture is white")
    add(
        "--journal", type=Path, default=journal.default_folder(), metavar="FOLDER",
        help="where finished tiles are kept until the picture is written; usdu journal lists and clears them",
    )  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write sizes, tiles, times and memory as JSON")
    add("--allow-huge", action="store_true", help="allow results over 1 gigapixel")
    add("--quiet", action="store_true", help="no progress bar")
    add("--version", action="version", version=f"usdu {__version__}")
