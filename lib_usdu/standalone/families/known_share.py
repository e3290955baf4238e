"""What denoising strengths mean with a checkpoint that is not loaded: by its scheduler's configuration where its folder
holds one, else by that of its kind. Neither torch nor diffusers is imported."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...geometry import Canvas
from ...noise_share import NoiseShare, of_diffusers, share_of
from ...spacing import WAYS, flow_levels, levels
from ..loading.headers import said_of_noise, tensor_names
from ..samplers import SPACINGS, split_name
from ..sources import EMBEDDED, kind_of
from .table import STABLE_DIFFUSION_XL, Family

_PLAIN = {"steps_offset": 1}
_PLAIN_XL = {"steps_offset": 1, "timestep_spacing": "leading"}
_PLAIN_FLOW = {"shift": 3.0}


def known_share(source: str, sampler: str | None, steps: int, canvas: Canvas) -> NoiseShare | None:
    """source: of the checkpoint. sampler: by its name; None: that of the kind. None where the kind cannot be seen."""
    return shares_of(source, sampler, steps)(canvas)


def shares_of(source: str, sampler: str | None, steps: int) -> Callable[[Canvas], NoiseShare | None]:
    """`known_share` by canvas: the checkpoint's files are read once, whatever the number of canvases."""
    kind = kind_of(source)
    if kind is None:
        return lambda canvas: None
    name, way = split_name(sampler or kind.sampler)
    known = _config(source)
    if kind.flow:
        config = {**_PLAIN_FLOW, **(known or {})}
        own = way if way in WAYS else ""
        return lambda canvas: _of_flow(kind, config, own, steps, canvas)
    plain = known if known is not None else _PLAIN_XL if kind is STABLE_DIFFUSION_XL else _PLAIN
    plain = {**plain, **_said(source)}
    if way in SPACINGS:
        plain = {**plain, "timestep_spacing": SPACINGS[way]}
    share = of_diffusers(
        lambda count: [share_of(level) for level in levels(name, way, count, plain)], steps, guessed=known is None
    )
    return lambda canvas: share


def _of_flow(kind: Family, config: Mapping[str, Any], way: str, steps: int, canvas: Canvas) -> NoiseShare:
    """About: which times a pipeline hands to its scheduler is known of this version of diffusers."""
    height, width = kind.latents.size(canvas)
    tokens = height * width // kind.latents.patch**2

    def shares(count: int) -> list[float]:
        shift = float(config.get("shift") or config.get("flow_shift") or 1.0)
        if config.get("use_dynamic_shifting"):
            mu = kind.shift(config, tokens, count)
            shift = mu if config.get("time_shift_type") == "linear" else math.exp(mu)
        sigmas = flow_levels(count, way, shift, config, even=kind.even_times)
        return [share_of(sigma, flow=True) for sigma in sigmas]

    return of_diffusers(shares, steps, rounds_up=True, guessed=True)


def _config(source: str) -> Mapping[str, Any] | None:
    """Of the scheduler; None where it cannot be read."""
    if source == EMBEDDED:
        return {"steps_offset": 1, "timestep_spacing": "linspace"}
    with suppress(OSError, ValueError):
        found = json.loads((Path(source).expanduser() / "scheduler" / "scheduler_config.json").read_bytes())
        return found if isinstance(found, dict) else None
    return None


def _said(source: str) -> Mapping[str, Any]:
    """What a checkpoint's file says of its noise."""
    path = Path(source).expanduser()
    if path.suffix.lower() != ".safetensors":
        return {}
    with suppress(OSError, ValueError, TypeError, AttributeError):
        return said_of_noise(path, tensor_names(path))
    return {}
