"""The command line's flags, and what was typed as options. The flags of options are made from what those declare."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..errors import InputError, OptionError, UsduError
from ..options import OPTION_NAMES, Choice, Flag, Number, Options, declared, names_of_group
from ..options.declaration import GROUPS, CommandFlag
from ..standalone.versions import needed

EPILOG = """\
examples:
  usdu photo.jpg                                   photo-2x.jpg, with the embedded upscaler
  usdu photos/ -o large/ --scale 4                 a folder; run it again and it goes on where it was
  usdu photo.png --longest 3840 -c model.safetensors -p "a harbour at dusk" -d 0.3
  usdu photo.png --size 1920x1080 --resize-mode crop --format webp --quality 90
  usdu photo.png --dry-run                         sizes, tiles and time only
  cat photo.png | usdu - > large.png

exit codes:
  0 done; 1 some pictures failed; 2 refused before any work; 130 stopped (143 by kill, 129 by a closed terminal)

usdu journal lists and clears what stopped runs have kept. A file of that name: usdu ./journal"""


DEFAULT_QUALITY = 95


def add_files(group: Any) -> None:
    """The flags that name pictures, results and their format."""
    add = group.add_argument
    add("input", nargs="*", metavar="INPUT", help="a picture, a folder of pictures, or - for standard input")
    add(
        "-o", "--output", metavar="FILE|FOLDER",
        help="default: NAME-2x beside the picture, or the folder FOLDER-2x; - for standard output",
    )  # fmt: skip
    add("--overwrite", action="store_true", help="replace existing files")
    add("--skip-existing", action="store_true", help="leave existing files, whoever made them")
    add("-f", "--format", metavar="png|jpg|webp|tif|avif", help="format of the result (the picture's own, else png)")
    add(
        "--quality", type=Given, default=DEFAULT_QUALITY, metavar="1-100",
        help=f"of jpg, webp and avif ({DEFAULT_QUALITY}; a lossless webp stays lossless)",
    )  # fmt: skip
    add("-r", "--recursive", action="store_true", help="inner folders too; the result has the same tree")
    add("--strip", action="store_true", help="write no camera data, XMP or parameters; the colour profile stays")
    add("--mask", type=Path, metavar="FILE", help="redraw only where this picture is white")


def add_size(group: Any) -> None:
    """The flags of a size other than by a factor: --size, --longest, --shortest, --resize-mode."""
    add = group.add_argument
    add("--size", metavar="WxH|Wx|xH", help="exact size of the result in px, or of one side, instead of --scale")
    add("--longest", metavar="PX", help="size by the longest side")
    add("--shortest", metavar="PX", help="size by the shortest side")
    add(
        "--resize-mode", metavar="fit|crop|fill|stretch",
        help="where --size has another shape than the picture; without it that is refused",
    )  # fmt: skip


def add_run(group: Any) -> None:
    """The flags of the run itself: what is printed, what is kept, what is allowed."""
    add = group.add_argument
    add("--dry-run", action="store_true", help="print sizes, tiles, time and names; make nothing")
    add(
        "--journal", type=Path, metavar="FOLDER",
        help="where finished tiles are kept until the picture is written",
    )  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write sizes, tiles, times and memory as JSON; - for standard output")
    add("--allow-huge", action="store_true", help="allow results over 1 gigapixel")
    add("-q", "--quiet", action="store_true", help="print errors only")
    add("-v", "--verbose", action="count", default=0, help="print plans and times too")
    add("--list", choices=("upscalers", "samplers"), help="print names and end")
    add("--print-completion", choices=("bash", "zsh", "fish"), help="print a completion script and end")
    add("--version", action="version", version=f"usdu {__version__}", help="print the version and end")
    add("-h", "--help", action="help", help="print this and end")


FLAGS: dict[str, str] = {name: flag.name for name in OPTION_NAMES if (flag := declared(name).flag)} | {
    name: f"--{name}" for name in ("checkpoint", "lora", "sampler", "steps", "cfg", "mask", "prompt")
} | {name: "--" + name.replace("_", "-") for name in (
    "negative_prompt", "control", "control_picture", "checkpoint_config",
)}  # fmt: skip
"""Options, and the model's settings, by the flag that sets them: errors name what was typed."""
PAIRS = {"tile_width": "tile_height", "custom_width": "custom_height"}
"""Two options that one flag sets: WIDTHxHEIGHT."""


class Given(int):
    """A number that stands on the command line: a default is a plain int."""


_KINDS = {int: "a whole number", Given: "a whole number", float: "a number"}


class _Parser(argparse.ArgumentParser):
    """Says of a bad value what the rules of options say: the flag, the value, what is allowed."""

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            raise OptionError(action.option_strings[-1], arg_string, _KINDS[action.type]) from None

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise OptionError(action.option_strings[-1], value, ", ".join(map(str, action.choices)))

    def error(self, message: str) -> NoReturn:
        raise UsduError(f"{message} (see --help)")


def parser() -> argparse.ArgumentParser:
    """The command's parser. A flag of an option that is not given is None."""
    command = _Parser(
        prog="usdu",
        usage="usdu [options] INPUT ... [-o OUTPUT]",
        description="Makes a small picture large and sharp: upscales it, then redraws it tile by tile by diffusion.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    add_files(command.add_argument_group("Files"))
    for group, title in GROUPS.items():
        of_options = command.add_argument_group(title)
        _add_options(of_options, group)
        if group == "size":
            add_size(of_options)
    _add_model(command.add_argument_group("Model"))
    add_run(command.add_argument_group("Run"))
    return command


def _add_options(group: Any, name: str) -> None:
    """The flags of the options of a group; two options of one flag make one."""
    for option in names_of_group(name):
        flag = declared(option).flag
        if flag and option not in PAIRS.values() and option != "custom_width":  # its flag is a size's, see `add_size`
            group.add_argument(*filter(None, (flag.short, flag.name)), dest=option, **_argument(option, flag))


def _argument(option: str, flag: CommandFlag) -> dict[str, Any]:
    """What argparse is told of an option. Numbers stay text: the rule reads them, and its errors are better."""
    rule, default = declared(option).rule, getattr(Options, option)
    help_text = flag.help or declared(option).about
    if isinstance(rule, Flag):
        if flag.form:
            return {"type": Path, "metavar": flag.form, "help": help_text}
        return {"action": "store_false" if default else "store_true", "default": None, "help": help_text}
    shown = flag.default or default
    form = flag.form or ("|".join(rule.labels) if isinstance(rule, Choice) else "N")
    unit = ""
    if isinstance(rule, Number):
        unit = rule.unit and f" {rule.unit}"
        help_text += f", {rule.low:g}-{rule.high:g}" if rule.high <= 1 else ""
    if shown not in ("", "all", 0) and option not in PAIRS and str(shown) not in help_text:
        help_text += f" ({shown:g}{unit})" if isinstance(shown, float) else f" ({shown}{unit})"
    return {"metavar": form, "help": help_text, "default": flag.default}


def _add_model(group: Any) -> None:
    add = group.add_argument
    add(
        "-c", "--checkpoint", metavar="FILE|FOLDER|HUB_ID",
        help="diffusion model; without it the upscaler works alone, or with flags about redrawing the embedded model",
    )  # fmt: skip
    add("--checkpoint-config", metavar="FOLDER|HUB_ID", help="diffusers configuration for a checkpoint file, offline")
    add(
        "-l", "--lora", action="append", default=[], metavar="FILE[:STRENGTH]",
        help="LoRA file; may be given several times; or <lora:name:strength> in the prompt",
    )  # fmt: skip
    add("--lora-folder", type=Path, metavar="FOLDER", help="where <lora:name> is looked for (beside the checkpoint)")
    add(
        "--embedding-folder", type=Path, metavar="FOLDER",
        help="textual inversions, called by name in a prompt (embeddings, above the checkpoint)",
    )  # fmt: skip
    add(
        "--control", action="append", default=[], metavar="MODEL[:STRENGTH]",
        help="a ControlNet that steers the redrawing (SD 1, 2, XL), such as tile; may be given several times",
    )  # fmt: skip
    add(
        "--control-picture", action="append", default=[], metavar="PICTURE",
        help="what steers, over the whole picture; tile: each tile is its own (tile); one for each --control, in order",
    )  # fmt: skip
    add("-p", "--prompt", default="", help="what the picture shows; (word:1.3) counts more; may be empty")
    add("-n", "--negative-prompt", default="", help="what it should not show")
    add("--sampler", help="sampler, by its name in the webui (DPM++ 2M; Euler for flow models)")
    add(
        "--steps", type=Given, default=20,
        help="steps of a full denoise; a denoise of 0.3 runs 0.3 of them (20; LCM, Turbo, Lightning, Hyper: 4 to 8)",
    )
    add("--cfg", type=float, help="CFG scale (7; flow models: SD 3 4.5, Chroma 3, Qwen-Image 4, Flux and Z-Image 1)")
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


STREAM = "-"
"""Stands for standard input as INPUT, and for standard output as -o."""


def given_names(args: argparse.Namespace) -> list[str]:
    """What the person typed, by the names in `args` as the parser made them."""
    plain = parser()
    return [name for name, value in vars(args).items() if isinstance(value, Given) or value != plain.get_default(name)]


def options_of(args: argparse.Namespace) -> Options:
    """The options that the flags ask for, but the size: that is each picture's own, see `size`.

    Raises OptionError, and InputError for a file of prompts that cannot be read.
    """
    values: dict[str, Any] = {
        name: value for name in OPTION_NAMES if (value := getattr(args, name, None)) is not None
    }  # fmt: skip
    if "tile_width" in values:
        values["tile_width"], values["tile_height"] = _pair(values["tile_width"], FLAGS["tile_width"])
    if "tile_prompts" in values:
        values["tile_prompts"] = _text(values["tile_prompts"])
    # A file to write to means yes.
    values = {name: True if isinstance(value, Path) else value for name, value in values.items()}
    if args.allow_huge:
        values["max_megapixels"] = 1e6
    return Options(**values)


def journal_folder(args: argparse.Namespace) -> Path:
    """Where finished tiles are kept."""
    from ..resume import journal

    return args.journal or journal.default_folder()


def max_pixels(args: argparse.Namespace) -> int:
    """The most pixels of a result: a gigapixel, a thousand of them with --allow-huge."""
    return 10**12 if args.allow_huge else 10**9


def _text(typed: str) -> str:
    """The text itself, or with an @ in front the file it is in."""
    if not typed.startswith("@"):
        return typed
    try:
        return Path(typed[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{typed[1:]}: cannot be read as text ({error})") from None


def take_input(args: argparse.Namespace, left: ExitStack) -> None:
    """Puts a picture from standard input into a file, `args.input_file`, that goes when `left` is closed.

    Raises OptionError where it is given twice, InputError where nothing comes.
    """
    args.input_file = None
    count = args.input.count(STREAM)
    if count > 1:
        raise OptionError("INPUT", STREAM, "once")
    if count:
        folder = left.enter_context(tempfile.TemporaryDirectory(prefix="usdu-"))
        args.input_file = Path(folder) / "standard input"
        content = sys.stdin.buffer.read()
        if not content:
            raise InputError("standard input: nothing came")
        args.input_file.write_bytes(content)
        if args.output is None:
            args.output = STREAM


def _pair(text: str, flag: str) -> tuple[int, int]:
    """ "512" or "640x512"; a single number stands for both sides."""
    parts = text.lower().split("x")
    if len(parts) <= 2 and all(part.isdecimal() and len(part) < 10 for part in parts):
        return int(parts[0]), int(parts[-1])
    raise OptionError(flag, text, "a number of pixels, or WIDTHxHEIGHT")
