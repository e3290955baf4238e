"""The host that the flags describe: the diffusion model, the upscaler and the device."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from ..enlarge.spandrel_model import MODEL_FILES
from ..enlarge.upscalers import EMBEDDED_UPSCALER
from ..enlarge.windows import RESAMPLERS
from ..errors import OptionError
from ..host import Abilities
from ..options import Options
from .say import say

EMBEDDED_HINT = (
    "The embedded model is small and takes no prompt. For a real one: --checkpoint FILE|FOLDER|HUB_ID (Stable "
    "Diffusion 1, 2, XL); upscalers: --upscaler FILE (any .pth/.safetensors spandrel reads, such as 4x-UltraSharp)."
)


def abilities(args: argparse.Namespace) -> Abilities:
    """What the host will be able to do, known before a model is loaded."""
    return Abilities(
        upscalers=(*RESAMPLERS, EMBEDDED_UPSCALER), upscaler_suffixes=MODEL_FILES,
        why_not_fused=lambda: "with --ray there is no fused" if args.ray else "",
    )  # fmt: skip


def host_of(args: argparse.Namespace, options: Options) -> Any:
    from ..embedded import DEFAULT_UPSCALER
    from ..standalone.checkpoints import best_device
    from ..standalone.host import LocalHost

    device = _device(args.device, best_device)
    load = partial(_refiner, args, options.seed)
    if args.ray:
        from ..standalone.ray import RayRefiner

        refiner = RayRefiner(load, args.ray, args.ray_workers)
    else:
        refiner = load()
    host = LocalHost(refiner, {EMBEDDED_UPSCALER: DEFAULT_UPSCALER}, device, journal_folder=args.journal)
    host.check_upscaler(options.upscaler)
    return host


def _refiner(args: argparse.Namespace, seed: int) -> Any:
    """The engine, on this machine's device."""
    if args.engine == "identity":
        from ..standalone.host import IdentityRefiner

        return IdentityRefiner()
    from ..standalone import versions
    from ..standalone.checkpoints import EMBEDDED, add_loras, best_device, load_checkpoint
    from ..standalone.refiner import DiffusersRefiner, Sampling

    sampling = Sampling(args.prompt, args.negative_prompt, args.sampler, args.steps, args.cfg, seed)
    if args.checkpoint == EMBEDDED:
        say(EMBEDDED_HINT)
        if args.prompt or args.negative_prompt or args.lora or args.tile_prompts:
            say("The embedded model has no text input: prompts and LoRA files are left out.")
    device = _device(args.device, best_device)
    versions.check()
    pipeline, model_name = load_checkpoint(args.checkpoint, device, config=args.checkpoint_config)
    if args.checkpoint != EMBEDDED:
        add_loras(pipeline, args.lora)
    return DiffusersRefiner(pipeline, sampling, model_name)


def _device(name: str, best: Callable[[], Any]) -> Any:
    import torch

    if name == "auto":
        return best()
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise OptionError("--device", name, "auto, cpu, cuda, cuda:1, mps: what this torch and machine have") from None
    return device
