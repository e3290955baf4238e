"""What stands where results are to go: results of earlier runs, files that must not be replaced, places that cannot be
written."""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..errors import OptionError, OutputError, UsduError
from ..geometry import Canvas
from ..options import INFOTEXT_PREFIX, OF_PICTURE, Options
from ..options.lora_tags import lora_tags, without_loras
from ..options.tile_numbers import ALL, NONE
from ..pictures import imagefile
from ..pictures.compare import check_comparison
from ..pictures.formats import INPUT_EXTENSIONS, LOSSY, check_size, output_kind
from ..pictures.infotext import MASK_KEY, REDONE_KEY, STRENGTH, mask_name, pairs_of
from ..pictures.saving import remove_left_over
from ..select.mask import over_canvas
from ..standalone.control.asked import asked_controls, in_infotext
from ..standalone.samplers import full_name
from ..standalone.sources import EMBEDDED, kind_of, split_strength
from .flags import DEFAULT_QUALITY, STREAM
from .jobs import Job, read_mask
from .models import redraws

SOURCE_KEY, RESIZE_KEY, QUALITY_KEY, ENGINE_KEY = (
    INFOTEXT_PREFIX + name for name in ("source", "resize mode", "quality", "engine")
)  # fmt: skip
_OF_FILE = (RESIZE_KEY, QUALITY_KEY, ENGINE_KEY)


def with_earlier(args: argparse.Namespace, jobs: Sequence[Job]) -> list[Job]:
    """The jobs, those marked as done whose result is there: made by us, with these settings, after the source.

    Raises OutputError for a result that is there and was made otherwise, unless --overwrite or --skip-existing say what
    to do with it.
    """
    return [_looked_up(args, job) for job in jobs]


def _looked_up(args: argparse.Namespace, job: Job) -> Job:
    target = job.target
    trying = job.options.try_tile != NONE  # then the result's place is left alone
    if job.refusal or trying or target == Path(STREAM) or not os.path.lexists(target):
        return job
    if args.overwrite:
        return replace(job, replaces=True)
    if args.skip_existing:
        return replace(job, done="exists")
    parameters = our_parameters(target)
    if parameters is None:
        raise OutputError(f"{target} exists and is not a result of usdu; use --overwrite or --skip-existing")
    different = _difference(args, job, parameters)
    if different:
        other = f"made with other settings ({different})"
        raise OutputError(f"{target} exists, {other}; use --overwrite or --skip-existing")
    with suppress(OSError):
        if target.stat().st_mtime < job.source.stat().st_mtime or _of_another(job.source, parameters):
            return replace(job, replaces=True)
    return replace(job, done="finished earlier")


def _of_another(source: Path, parameters: Mapping[str, str]) -> bool:
    """Whether a result was made from another file, which had this one's name. A file that was put in its place may be
    the older one."""
    told = parameters.get(SOURCE_KEY)
    return told is not None and told != _named(source)


def _named(source: Path) -> str:
    """Eight hexadecimal digits of a file's content."""
    hasher = hashlib.blake2b(digest_size=4)
    with source.open("rb") as file:
        while piece := file.read(2**20):
            hasher.update(piece)
    return hasher.hexdigest()


def of_file(args: argparse.Namespace, job: Job) -> dict[str, str]:
    """What only the command line knows of a result, for its generation parameters: a later run tells by it whether it
    would make the same."""
    source = args.input_file if job.source == Path(STREAM) else job.source
    return {SOURCE_KEY: _named(source), **_made_by(args, job)}


def _made_by(args: argparse.Namespace, job: Job) -> dict[str, str]:
    """The settings among them, where they are not at their default."""
    made = {RESIZE_KEY: args.resize_mode or ""}
    if job.target != Path(STREAM) and output_kind(job.target) in LOSSY and args.quality != DEFAULT_QUALITY:
        made[QUALITY_KEY] = str(args.quality)
    if args.engine != "diffusers" and job.options.redraws:
        made[ENGINE_KEY] = args.engine
    return {name: text for name, text in made.items() if text}


def our_parameters(path: Path, *, unfinished: bool = False) -> Mapping[str, str] | None:
    """The generation parameters of a finished (or unfinished) result of ours; None for any other file."""
    try:
        text = imagefile.read_infotext(path)
    except UsduError:
        return None
    if not text or INFOTEXT_PREFIX not in text:
        return None
    pairs = pairs_of(text)
    pairs[""] = text
    return pairs if (INFOTEXT_PREFIX + "unfinished" in pairs) == unfinished else None


def _difference(args: argparse.Namespace, job: Job, parameters: Mapping[str, str]) -> str:
    """The first setting in which an earlier result differs from what is asked for now, "" for none."""
    try:
        earlier = Options.from_infotext(parameters)
    except UsduError:
        return "by another version"
    return (
        _difference_of_options(earlier, job.options) or _difference_of_pictures(args, job, parameters)
        or (_difference_of_model(args, job.options, parameters) if redraws(args, job.options) else "")
    )  # fmt: skip


def _difference_of_options(earlier: Options, now: Options) -> str:
    automatic = {"tile_width", "tile_height"} if not now.tile_width else set()
    automatic |= {"padding"} if now.auto_padding else set()
    automatic |= {"seams_fix_type"} if now.redo_tiles != ALL else set()
    size = {"scale": ("custom_scale",), "custom": ("custom_width", "custom_height")}[now.target_size_type]
    automatic |= {"custom_scale", "custom_width", "custom_height"} - set(size)
    for name in OF_PICTURE:
        if name in automatic:
            continue
        before, asked = getattr(earlier, name), getattr(now, name)
        if str(before).casefold() != str(asked).casefold():
            return f"{name} {before}, now {asked}"
    return ""


def _difference_of_pictures(args: argparse.Namespace, job: Job, parameters: Mapping[str, str]) -> str:
    """Of those that take part, and of what is made of them."""
    controls = {name: text for name, text in parameters.items() if name.startswith("ControlNet ")}
    if controls != in_infotext(asked_controls(args.control, args.control_picture)):
        return "another ControlNet"
    redone = parameters.get(REDONE_KEY, ALL)
    if redone != job.options.redo_tiles:
        return f"redo_tiles {redone}, now {job.options.redo_tiles}"
    made = _made_by(args, job)
    for name in _OF_FILE:
        before, asked = parameters.get(name, ""), made.get(name, "")
        if before != asked:
            return f"{name.removeprefix(INFOTEXT_PREFIX)} {before or 'default'}, now {asked or 'default'}"
    mask = _mask_name(args, job)
    if parameters.get(MASK_KEY, "") != mask:
        return "another mask" if mask and MASK_KEY in parameters else "a mask now" if mask else "a mask then"
    return ""


def _mask_name(args: argparse.Namespace, job: Job) -> str:
    """As generation parameters name this run's mask, "" for none."""
    mask = read_mask(args, job) if job.options.redraws else None
    return "" if mask is None else mask_name(over_canvas(mask, Canvas(*job.result_size)))


def _difference_of_model(args: argparse.Namespace, now: Options, parameters: Mapping[str, str]) -> str:
    if STRENGTH not in parameters:  # no tile was redrawn: all were flat, or outside of the mask
        return ""
    path, kind = Path(args.checkpoint), kind_of(args.checkpoint)
    sampler = full_name(args.sampler) if args.sampler else kind.sampler if kind else None
    cfg = kind.cfg if args.cfg is None and kind else args.cfg
    model = {
        "Seed": now.seed, "Denoising strength": now.denoise, "Steps": args.steps, "Sampler": sampler,
        "CFG scale": cfg, "Model": path.stem if path.is_file() else path.name,
    }  # fmt: skip
    for name, asked in model.items():
        before = parameters.get(name)
        if None not in (before, asked) and _plain(before) != _plain(asked):
            return f"{name} {before}, now {asked}"
    if args.checkpoint == EMBEDDED:  # which takes no prompt
        return ""
    *told, _ = parameters[""].rsplit("\n", 1)
    prompt, _, negative = "\n".join(told).partition("\nNegative prompt: ")
    if without_loras(prompt).strip() != without_loras(args.prompt).strip() or negative != args.negative_prompt:
        return "another prompt"
    asked = [(path.stem, strength) for path, strength in map(split_strength, args.lora)] + lora_tags(args.prompt)
    return "" if _sorted(lora_tags(prompt)) == _sorted(asked) else "another LoRA"


def _sorted(loras: Sequence[tuple[str, object]]) -> list[tuple[str, str]]:
    return sorted((name.casefold(), _plain(strength)) for name, strength in loras)


def _plain(value: object) -> str:
    """Numbers as numbers: 7 is 7.0."""
    with suppress(ValueError):
        return f"{float(str(value)):g}"
    return str(value).casefold()


_LONGEST_NAME = 255
"""Bytes, on the file systems of today."""


def check_targets(args: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Raises OptionError and OutputError for targets that collide, are too large for their format, or cannot be
    written. Makes the folders, and removes what killed runs have left in them."""
    written = {"--json": args.json, "--compare": args.compare, "--number-tiles": args.number_tiles}
    written = {flag: Path(path) for flag, path in written.items() if path is not None and str(path) != STREAM}
    _check_collisions(args, jobs, written)
    if args.json is not None and Path(args.json).suffix.lower() in INPUT_EXTENSIONS:
        allowed = "a name that is not a picture's, such as report.json, or - for standard output"
        raise OptionError("--json", str(args.json), allowed)
    for flag, path in written.items():
        if flag == "--compare":
            check_comparison(path)
        elif flag != "--json":
            output_kind(path)
        if os.path.lexists(path) and not args.overwrite:
            raise OutputError(f"{path} exists; use --overwrite")
    wanted = [job for job in jobs if not job.done and not job.refusal]
    for job in wanted:
        if job.target != Path(STREAM):
            check_size(job.target, *job.result_size)
    targets = [*(job.target for job in wanted if job.target != Path(STREAM)), *written.values()]
    for target in targets:
        if len(os.fsencode(target.stem + "-unfinished" + target.suffix)) > _LONGEST_NAME:
            most = _LONGEST_NAME - len("-unfinished")
            raise OutputError(f"{target.parent / target.name[:20]}...: the name is longer than {most} bytes")
        if target.exists() and not target.is_file():
            raise OutputError(f"{target}: is {'a folder' if target.is_dir() else 'no regular file'}")
    for folder in dict.fromkeys(target.parent for target in targets):
        if not args.dry_run:
            _check_folder(folder)
            remove_left_over(folder)


def _check_collisions(args: argparse.Namespace, jobs: Sequence[Job], written: dict[str, Path]) -> None:
    seen: dict[str, str] = {}
    for job in jobs:
        if job.target == Path(STREAM):
            continue
        same = seen.get(key := _key(job.target))
        if same is not None:
            both = f"{same} and {job.source.name}"
            raise OutputError(f"{job.target}: {both} would both have this name; rename one of them")
        seen[key] = job.source.name
    read = {_key(job.source) for job in jobs if job.source != Path(STREAM)}
    if len(jobs) > 1:
        for job in jobs:
            if _key(job.target) in read:
                advice = "choose another folder with --output"
                raise OutputError(f"{job.target}: would replace a picture that is read; {advice}")
    if args.mask is not None:
        read.add(_key(Path(args.mask)))
    for flag, path in written.items():
        key = _key(path)
        if key in read:
            raise OptionError(flag, str(path), "a file that is not read")
        if key in seen:
            raise OptionError(flag, str(path), "a file of its own: the result would have this name too")
        seen[key] = flag


def _key(path: Path) -> str:
    """Equal for two names of one file."""
    key = os.path.normcase(os.path.realpath(path))
    return key.casefold() if os.name == "nt" or os.uname().sysname == "Darwin" else key


def _check_folder(folder: Path) -> None:
    """Raises OutputError for a folder that cannot be made or written to."""
    probe = folder / f".usdu-{time.time_ns()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
    except OSError as error:
        raise OutputError(f"{folder}: the folder cannot be written to ({error.strerror})") from None
    finally:
        with suppress(OSError):
            probe.unlink()
