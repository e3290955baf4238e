"""The command line's flags. Those of options are made from what the options declare."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from ..errors import UsduError
from ..options import OPTION_NAMES, Choice, Flag, Number, Options, declared, names_of_group
from ..options.declaration import GROUPS
from ..standalone.versions import needed
from .file_flags import EPILOG, add_files, add_run, add_size

FLAGS: dict[str, str] = {name: flag.name for name in OPTION_NAMES if (flag := declared(name).flag)} | {
    name: f"--{name}" for name in ("checkpoint", "lora", "sampler", "steps", "cfg", "mask", "prompt")
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
        usage="usdu [options] INPUT ... [-o OUTPUT]",
        description="Makes a small picture large and sharp: upscales it, then redraws it tile by tile by diffusion.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    add_files(made.add_argument_group("Files"))
    for group, title in GROUPS.items():
        made_group = made.add_argument_group(title)
        _add_options(made_group, group)
        if group == "size":
            add_size(made_group)
    _add_model(made.add_argument_group("Model"))
    add_run(made.add_argument_group("Run"))
    return made


def _add_options(group: Any, name: str) -> None:
    """The flags of the options of a group; two options of one flag make one."""
    for option in names_of_group(name):
        flag = declared(option).flag
        if flag and option not in PAIRS.values() and option != "custom_width":  # its flag is a size's, see `add_size`
            group.add_argument(*filter(None, (flag.short, flag.name)), dest=option, **_argument(option))


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
    add("-c", "--checkpoint", default="embedded", metavar="FILE|FOLDER|HUB_ID", help="diffusion model (embedded)")
    add("--checkpoint-config", metavar="FOLDER|HUB_ID", help="diffusers configuration for a checkpoint file, offline")
    add(
        "-l", "--lora", action="append", default=[], metavar="FILE[:STRENGTH]",
        help="LoRA file; may be given several times; or <lora:name:strength> in the prompt",
    )  # fmt: skip
    add("--lora-folder", type=Path, metavar="FOLDER", help="where <lora:name> is looked for (beside the checkpoint)")
    add("-p", "--prompt", default="", help="what the picture shows; (word:1.3) counts more; may be empty")
    add("-n", "--negative-prompt", default="", help="what it should not show")
    add("--sampler", default="DPM++ 2M", help="sampler, by its name in the webui (DPM++ 2M)")
    add("--steps", type=int, default=20, help="steps of a full denoise; a denoise of 0.3 runs 0.3 of them (20)")
    add("--cfg", type=float, default=7.0, help="CFG scale (7)")
    add(
        "--engine", choices=("diffusers", "identity"), default="diffusers",
        help=f"diffusers: needs {needed()} or later; identity: redraw nothing, a dry run",
    )  # fmt: skip
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (auto)")
    add(
        "--low-memory", choices=("auto", "off", "model", "sequential"), default="auto",
        help="what lies on a small card: auto; off: the whole model; model: one network; sequential: one layer",
    )  # fmt: skip
    add(
        "--ray", nargs="?", const="local", metavar="ADDRESS",
        help="redraw tiles on several GPUs or machines through Ray; no address: on this machine; after INPUT",
    )  # fmt: skip
    add("--ray-workers", type=int, default=0, metavar="N", help="how many; 0: one for each GPU, or CPU (0)")
