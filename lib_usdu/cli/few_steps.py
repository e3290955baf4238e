"""Flags that a model of few steps wants otherwise than others do."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ..errors import OptionError
from ..speed.few_steps import FewSteps, among, named, names_in, of_folder, of_loras, of_metadata
from ..standalone.called_files import lora_file, lora_folders
from ..standalone.loading.headers import metadata
from ..standalone.sources import kind_of, split_strength
from .flags import Given


def settle(args: argparse.Namespace) -> str:
    """Steps, CFG scale and sampler as the model wants them, where the person gave none: `args` is changed. Returns what
    there is to say of it, "" for a model like others. Loads nothing."""
    found = _found(args)
    if found is None or args.engine != "diffusers":
        return ""
    kind = kind_of(args.checkpoint)
    if not isinstance(args.steps, Given):
        args.steps = found.steps
    if kind is None or not kind.flow:
        args.cfg = found.cfg if args.cfg is None else args.cfg
        args.sampler = args.sampler or found.sampler
    return f"a {found.name} {found.file} draws in {found}: what --steps, --cfg and --sampler do not say is so here"


def _found(args: argparse.Namespace) -> FewSteps | None:
    """Of a LoRA, which is put over the checkpoint; else of the checkpoint."""
    folders = lora_folders(args.lora_folder, args.checkpoint)

    def others(name: str) -> list[str]:
        file = lora_file(name, folders)
        return [] if file is None else [file.stem, *names_in(metadata(file))]

    for file, strength in map(_parted, args.lora):
        found = among([file.stem, *names_in(metadata(file))]) if strength else None
        if found is not None:
            return replace(found, file="LoRA")
    checkpoint = Path(args.checkpoint).expanduser()
    called = named(checkpoint.stem if checkpoint.suffix else checkpoint.name)
    of_file = of_metadata(metadata(checkpoint)) if checkpoint.suffix == ".safetensors" else of_folder(checkpoint)
    return of_loras(args.prompt, others) or called or of_file


def _parted(entry: str) -> tuple[Path, float]:
    """File and strength of PATH or PATH:STRENGTH; that there is none is said later."""
    try:
        return split_strength(entry)
    except OptionError:
        return Path(entry.partition(".safetensors")[0] + ".safetensors"), 1.0
