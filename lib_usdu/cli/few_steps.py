"""Flags that a model of few steps wants otherwise than others do."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import OptionError
from ..speed.few_steps import FewSteps, among, of_folder, of_metadata
from ..standalone.loading.headers import metadata
from ..standalone.prompts import lora_tags
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
    return f"a {found.name} model draws in {found}: what --steps, --cfg and --sampler do not say is so here"


def _found(args: argparse.Namespace) -> FewSteps | None:
    """Of the checkpoint, or of a LoRA: that is put over it."""
    files = [_file(entry) for entry in args.lora]
    called = among([*(file.stem for file in files), *(name for name, _ in lora_tags(args.prompt))])
    checkpoint = Path(args.checkpoint).expanduser()
    found = called or among([checkpoint.stem if checkpoint.suffix else checkpoint.name])
    for file in [*files, checkpoint]:
        found = found or (of_metadata(metadata(file)) if file.suffix == ".safetensors" else of_folder(file))
    return found


def _file(entry: str) -> Path:
    """The file of PATH or PATH:STRENGTH; that there is none is said later."""
    try:
        return split_strength(entry)[0]
    except OptionError:
        return Path(entry.partition(".safetensors")[0] + ".safetensors")
