"""What a tile's result in a webui depends on besides the tile: the person's settings and the files of the models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .other_extensions import alwayson

# What of p reaches a tile (hosts/tile_processing.py resets the rest); a fork may lack some and have others.
_FIELDS = (
    "sampler_name", "scheduler", "steps", "cfg_scale", "image_cfg_scale", "distilled_cfg_scale", "rescale_cfg",
    "eta", "ddim_discretize", "s_churn", "s_tmin", "s_tmax", "s_noise", "s_min_uncond", "subseed", "subseed_strength",
    "initial_noise_multiplier", "disable_extra_networks", "token_merging_ratio", "inpainting_fill",
)  # fmt: skip
_NETWORK = re.compile(r"<[^:<>]+:([^:<>]+)[:>]")


def webui_identity(
    p: Any, prompts: tuple[str, str], settings: Mapping[str, Any], files: Mapping[str, Any], networks: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that would make the same tile come out another way.

    prompts: prompt and negative prompt with the styles in them. settings: the host's own. files: names of the
    checkpoint, the VAE and so on, by what they are. networks: LoRA and the like by name, each with its `filename`.
    """
    named = _NETWORK.findall(prompts[0] + prompts[1])
    return {
        "p": {name: getattr(p, name, None) for name in _FIELDS},
        "prompts": prompts,
        "settings": dict(settings),
        "files": {kind: stamp(name) for kind, name in files.items()},
        "networks": {name: stamp(getattr(networks.get(name), "filename", None)) for name in named},
        "scripts": _scripts(p),
    }


def stamp(name: Any) -> tuple[Any, ...]:
    """Path, size and time of a file: hashing gigabytes would take longer than a tile."""
    path = Path(str(name))
    if name is None or not path.is_file():
        return (str(name),)
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def _scripts(p: Any) -> list[tuple[str, Any]]:
    """The values of the scripts that act on every call, ControlNet's units among them."""
    return [(type(script).__qualname__, [p.script_args[at] for at in places]) for script, places in alwayson(p)]
