"""The host that the flags describe: the diffusion model, the upscaler and the device."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

from ..enlarge.bundled import BUNDLED
from ..enlarge.spandrel_model import MODEL_FILES
from ..enlarge.windows import RESAMPLERS, known_name
from ..errors import OptionError
from ..host import Abilities
from ..options import OPTION_NAMES, Options, names_of_group
from ..options.lora_tags import lora_tags, without_loras
from ..pictures import imagefile
from ..run.memory import keep_freed
from ..standalone import versions
from ..standalone.called_files import called_embeddings, embedding_folders, lora_folders, tagged_loras
from ..standalone.control.asked import THE_TILE, asked_controls
from ..standalone.families.flow import check_flow_sampler
from ..standalone.families.table import STABLE_DIFFUSION, Family
from ..standalone.prompts import not_here
from ..standalone.samplers import split_name
from ..standalone.sampling import Sampling
from ..standalone.sources import EMBEDDED, check_checkpoint, kind_of, split_strength
from .flags import journal_folder, max_pixels
from .say import say

EMBEDDED_HINT = (
    "The embedded model is small and takes no prompt. For a full one: --checkpoint FILE|FOLDER|HUB_ID (Stable "
    "Diffusion 1, 2, XL, 3, Flux, Chroma, Qwen-Image, Z-Image); upscalers: --upscaler FILE (any .pth/.safetensors "
    "spandrel reads, such as 4x-UltraSharp)."
)

ALONE = (
    "The upscaler alone, which keeps a picture better than the small embedded model. With --checkpoint FILE your model "
    "redraws it tile by tile; with --checkpoint embedded, or any flag about redrawing, the small one does."
)
STEPWISE = "one prompt for all steps: [from:to:when], [a|b] and AND work in the webui only; \\[ is a plain bracket"


def upscaler_names() -> list[str]:
    """The upscalers that need no file."""
    return [*BUNDLED, *RESAMPLERS]


_OF_OTHER_THINGS = {*names_of_group("size"), *names_of_group("results"), "resume", "seamless"}
_DRAWING = (
    *(name for name in OPTION_NAMES if name not in _OF_OTHER_THINGS),
    *("prompt", "negative_prompt", "sampler", "steps", "cfg", "lora", "control", "ray", "mask", "engine"),
)
"""What is about redrawing, by name: an option is, unless it is of those above."""
UNDRAWN = {"redraw_mode": "none", "seams_fix_type": "none"}
"""What the options say where the upscaler works alone."""


def upscaler_alone(given: Collection[str]) -> bool:
    """Whether the upscaler works alone where these settings, by their names, are given: no checkpoint, nothing that
    is about redrawing. It measures better than the embedded diffusion model (docs/measurements.md)."""
    return not any(name in given for name in ("checkpoint", *_DRAWING))


def settle_model(args: argparse.Namespace, given: Collection[str]) -> str:
    """Without a checkpoint: the embedded one, or no redrawing where no flag is about it. `args` is changed. Returns
    what there is to say of it. given: as `flags.given_names` has it."""
    args.checkpoint = args.checkpoint or EMBEDDED
    if not upscaler_alone(given):
        return ""
    for name, value in UNDRAWN.items():
        setattr(args, name, value)
    return ALONE


def redraws(args: argparse.Namespace, options: Options) -> bool:
    """Whether a diffusion model takes part."""
    return options.redraws and args.engine == "diffusers"


def abilities(args: argparse.Namespace) -> Abilities:
    """What the host will be able to do, known before a model is loaded."""
    kind = STABLE_DIFFUSION if args.engine == "identity" else kind_of(args.checkpoint) or STABLE_DIFFUSION
    return Abilities(
        alignment=kind.latents.aligned(Abilities.alignment), grain=kind.latents.grain, default_tile=kind.tile,
        upscalers=(*RESAMPLERS, *BUNDLED), upscaler_suffixes=MODEL_FILES,
        why_not_fused=lambda: "with --ray there is no fused" if args.ray else "",
    )  # fmt: skip


def check_model(args: argparse.Namespace, options: Options) -> None:
    """Raises OptionError for a model or a setting of it that cannot be; nothing is loaded."""
    if not redraws(args, options):
        return
    Sampling(args.prompt, args.negative_prompt, args.sampler, args.steps, args.cfg)
    check_checkpoint(args.checkpoint, args.checkpoint_config)
    kind = kind_of(args.checkpoint)
    if kind is not None and kind.flow and args.sampler is not None:
        check_flow_sampler(args.sampler, split_name(args.sampler)[0])
    for entry in args.lora:
        split_strength(entry)
    if asked_controls(args.control, args.control_picture):
        _check_steered(args, kind)
    if lora_tags(options.tile_prompts):
        raise OptionError("tile_prompts", options.tile_prompts, "no <lora:...>: a LoRA changes the model for all tiles")
    if args.checkpoint != EMBEDDED:
        for name, text in _texts(args, options).items():
            piece = not_here(text, negative=name == "negative_prompt")
            if piece:
                raise OptionError(name, piece, STEPWISE)
        _tagged(args)
        embedding_folders(args.embedding_folder, args.checkpoint)


_STEERED = "a checkpoint of Stable Diffusion 1, 2 or XL"


def _check_steered(args: argparse.Namespace, kind: Family | None) -> None:
    """Raises OptionError where no ControlNet can steer the model, and for a picture that cannot be read."""
    if args.checkpoint == EMBEDDED or (kind is not None and kind.flow):
        name = "the embedded model" if args.checkpoint == EMBEDDED else kind and kind.name
        raise OptionError("control", args.control[0], f"{_STEERED}, not {name}")
    for picture in args.control_picture:
        if picture != THE_TILE:
            imagefile.look(Path(picture).expanduser(), max_pixels=max_pixels(args))


def host_of(args: argparse.Namespace, options: Options) -> Any:
    """The host, its models loaded: the upscaler first, which takes a second, then the diffusion model."""
    from ..standalone.host import IdentityRefiner, LocalHost

    plain = known_name(options.upscaler, RESAMPLERS) in RESAMPLERS
    drawn = redraws(args, options)
    if drawn:
        versions.check()
    device = "cpu" if plain and not drawn and args.device == "auto" else device_of(args.device)
    LocalHost(IdentityRefiner(), BUNDLED, device).check_upscaler(options.upscaler)
    load = partial(_refiner, _of_a_worker(args) if args.ray else args, options) if drawn else IdentityRefiner
    if args.ray:
        from ..standalone.ray import RayRefiner

        refiner = RayRefiner(load, args.ray, args.ray_workers)
    else:
        refiner = load()
    return LocalHost(refiner, BUNDLED, device, journal_folder=journal_folder(args))


def _of_a_worker(args: argparse.Namespace) -> argparse.Namespace:
    """Ray shows each worker one card only, which is the first there whatever its number is here."""
    return argparse.Namespace(**{**vars(args), "device": args.device.partition(":")[0]})


def _refiner(args: argparse.Namespace, options: Options) -> Any:
    """The diffusion model, on this machine's device."""
    from ..standalone.checkpoints import add_embeddings, add_loras, load_checkpoint
    from ..standalone.refiner import DiffusersRefiner

    told = without_loras(args.prompt).strip()
    sampling = Sampling(told, args.negative_prompt, args.sampler, args.steps, args.cfg, options.seed)
    if args.checkpoint == EMBEDDED:
        say(EMBEDDED_HINT)
        if args.prompt or args.negative_prompt or args.lora or args.tile_prompts or args.cfg is not None:
            say("The embedded model has no text input: prompts, CFG scale and LoRA files are left out.")
    keep_freed()
    device = device_of(args.device)
    pipeline, model_name = load_checkpoint(args.checkpoint, device, config=args.checkpoint_config, placed=False)
    loras, embeddings = [], []
    if args.checkpoint != EMBEDDED:
        loras = add_loras(pipeline, [*args.lora, *_tagged(args)])
        folders = embedding_folders(args.embedding_folder, args.checkpoint)
        embeddings = add_embeddings(pipeline, called_embeddings(folders, *_texts(args, options).values()))
    return DiffusersRefiner(
        pipeline, sampling, model_name, loras, device=device, low_memory=args.low_memory, embeddings=embeddings,
        controls=_controls(args, pipeline, device),
    )  # fmt: skip


def _controls(args: argparse.Namespace, pipeline: Any, device: Any) -> Any:
    """The ControlNets, loaded."""
    from ..standalone.control.controls import Control, Controls
    from ..standalone.control.loading import load_controlnet

    asked = asked_controls(args.control, args.control_picture)
    if asked and getattr(pipeline, "unet", None) is None:  # of a hub id, whose kind is not seen before
        raise OptionError("control", args.control[0], f"{_STEERED}, not {type(pipeline).__name__}")
    most = max_pixels(args)
    return Controls([
        Control(
            one, load_controlnet(one.source, pipeline.unet, pipeline.unet.dtype, device),
            None if one.picture is None else imagefile.read(one.picture, max_pixels=most).rgb,
        )
        for one in asked
    ])  # fmt: skip


def _texts(args: argparse.Namespace, options: Options) -> dict[str, str]:
    """What the model is told, by the option that says it."""
    return {
        "prompt": args.prompt, "negative_prompt": args.negative_prompt, "tile_prompts": options.tile_prompts,
    }  # fmt: skip


def _tagged(args: argparse.Namespace) -> list[str]:
    """The LoRA files that the prompt names."""
    return tagged_loras(args.prompt, lora_folders(args.lora_folder, args.checkpoint))


def device_of(name: str) -> Any:
    """The torch device of this name. Raises OptionError for one that this machine has not."""
    import torch

    from ..standalone.checkpoints import best_device

    if name == "auto":
        return best_device()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).tolist()  # "meta" has no numbers
    except (RuntimeError, AssertionError, NotImplementedError):
        raise OptionError("--device", name, "auto, cpu, cuda, cuda:1, mps: what this torch and machine have") from None
    return device
