"""Results of earlier runs: which are finished and need not be made again, and which may be replaced."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..errors import OutputError, UsduError
from ..options import INFOTEXT_PREFIX, OF_PICTURE, Options
from ..pictures import imagefile
from ..pictures.infotext import pairs_of
from ..standalone.prompts import lora_tags, without_loras
from ..standalone.sources import EMBEDDED, split_strength
from .given import STREAM
from .jobs import Job
from .models import redraws


def with_earlier(args: argparse.Namespace, jobs: Sequence[Job]) -> list[Job]:
    """The jobs, those marked as done whose result is there: made by us, with these settings, after the source.

    Raises OutputError for a result that is there and was made otherwise, unless --overwrite or --skip-existing say what
    to do with it.
    """
    return [_looked_up(args, job) for job in jobs]


def _looked_up(args: argparse.Namespace, job: Job) -> Job:
    target = job.target
    if job.refusal or target == Path(STREAM) or not os.path.lexists(target):
        return job
    if args.overwrite:
        return replace(job, replaces=True)
    if args.skip_existing:
        return replace(job, done="exists")
    found = our_parameters(target)
    if found is None:
        raise OutputError(f"{target} exists and is not a result of usdu; use --overwrite or --skip-existing")
    different = _difference(args, job, found)
    if different:
        other = f"made with other settings ({different})"
        raise OutputError(f"{target} exists, {other}; use --overwrite or --skip-existing")
    with suppress(OSError):
        if target.stat().st_mtime < job.source.stat().st_mtime:
            return replace(job, replaces=True)
    return replace(job, done="finished earlier")


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


def _difference(args: argparse.Namespace, job: Job, found: Mapping[str, str]) -> str:
    """The first setting in which an earlier result differs from what is asked for now, "" for none."""
    try:
        earlier = Options.from_infotext(found)
    except UsduError:
        return "by another version"
    now = job.options
    automatic = {"tile_width", "tile_height"} if not now.tile_width else set()
    automatic |= {"padding"} if now.auto_padding else set()
    size = {"scale": ("custom_scale",), "custom": ("custom_width", "custom_height")}[now.target_size_type]
    automatic |= {"custom_scale", "custom_width", "custom_height"} - set(size)
    for name in OF_PICTURE:
        if name in automatic or name == "redo_tiles":
            continue
        before, asked = getattr(earlier, name), getattr(now, name)
        if str(before).casefold() != str(asked).casefold():
            return f"{name} {before}, now {asked}"
    if args.mask is not None:
        return "a mask now"  # parameters do not tell which
    return _difference_of_model(args, now, found) if redraws(args, now) else ""


def _difference_of_model(args: argparse.Namespace, now: Options, found: Mapping[str, str]) -> str:
    path = Path(args.checkpoint)
    model = {
        "Seed": now.seed, "Denoising strength": now.denoise, "Steps": args.steps, "Sampler": args.sampler,
        "CFG scale": args.cfg, "Model": path.stem if path.is_file() else path.name,
    }  # fmt: skip
    for name, asked in model.items():
        before = found.get(name)
        if before is not None and _plain(before) != _plain(asked):
            return f"{name} {before}, now {asked}"
    if args.checkpoint == EMBEDDED:  # which takes no prompt
        return ""
    *told, _ = found[""].rsplit("\n", 1)
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
