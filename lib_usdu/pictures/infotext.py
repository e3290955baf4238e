"""Generation parameters in the webui's text form."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ..options import INFOTEXT_PREFIX, Options
from ..options.tile_numbers import ALL

if TYPE_CHECKING:
    from ..plan import Plan

STRENGTH = "Denoising strength"
TILE_KEY = INFOTEXT_PREFIX + "tile"
"""Size of the tiles where the option leaves it open."""
MASK_KEY = INFOTEXT_PREFIX + "mask"
"""Which mask: `mask_name`."""
REDONE_KEY = INFOTEXT_PREFIX + "tiles redone"
"""Numbers of the only tiles that this run has drawn, over a finished picture."""
UPSCALER_KEY = INFOTEXT_PREFIX + "upscaler taken"
"""Which of the bundled upscalers, where the picture decided."""
TRIED_KEY = INFOTEXT_PREFIX + "tried tile"
"""Number of the only tile in a picture of a tile that was tried."""

_OF_THE_MODEL = (STRENGTH, "Steps", "Sampler", "Schedule type", "CFG scale", "Model hash", "Model", "VAE hash", "VAE")


def of_run(asked: Options, plan: Plan) -> dict[str, str]:
    """Generation parameters of a run: the picture's size, the strength, the options.

    asked: the options as the person gave them. An automatic tile stays automatic in the text, so that pasting does not
    pin it for another model; the size that was chosen stands beside it. Without STRENGTH no tile was redrawn: then no
    sampler, seed or model has a part in the picture. What is known only afterwards is added by `engine.upscale` (tiles
    left out), `Guard.parameters` (tiles that failed) and the host (model, sampler, prompt).
    """
    options = plan.options.with_(tile_width=asked.tile_width, tile_height=asked.tile_height)
    if options.redo_tiles != ALL:  # seams are not fixed once more
        options = options.with_(seams_fix_type="none")
    parameters = {"Size": f"{plan.canvas.width}x{plan.canvas.height}"}
    if plan.passes:
        parameters[STRENGTH] = f"{options.denoise:.10g}"
    parameters |= options.to_infotext()
    if not asked.tile_width and plan.passes:
        parameters[TILE_KEY] = f"{plan.options.tile_width}x{plan.options.tile_height}"
    if plan.mask is not None and plan.numbered:
        parameters[MASK_KEY] = mask_name(plan.mask)
    if options.redo_tiles != ALL:
        parameters[REDONE_KEY] = options.redo_tiles
    return parameters


def mask_name(mask: np.ndarray) -> str:
    """Eight hexadecimal digits of a mask, uint8 (h, w) at the result's size: equal for equal masks."""
    return hashlib.blake2b(np.ascontiguousarray(mask).data, digest_size=4).hexdigest()


def of_model(parameters: Mapping[str, str], model: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, and in front those of the model (Steps, Sampler, Seed ...) where it had a part in the picture."""
    if STRENGTH not in parameters:
        return dict(parameters)
    return {**model, **parameters}


def in_webui(parameters: Mapping[str, str]) -> dict[str, Any]:
    """The parameters as additions to those that a webui writes by itself. Its Size is the tab's. None takes one of its
    own out again: where no tile was redrawn, the model had no part in the picture."""
    without = dict.fromkeys(_OF_THE_MODEL) if STRENGTH not in parameters else {}
    return {**without, **{name: value for name, value in parameters.items() if name != "Size"}}


def write(parameters: Mapping[str, Any], prompt: str = "", negative_prompt: str = "") -> str:
    """Prompt, negative prompt and "name: value" pairs, as the webui's paste button reads them."""
    lines = [prompt]
    if negative_prompt:
        lines.append(f"Negative prompt: {negative_prompt}")
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in parameters.items()))
    return "\n".join(lines)


def _quoted(value: Any) -> str:
    """In quotes where it holds what would end the pair."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text


def pairs_of(text: str) -> dict[str, str]:
    """The "name: value" pairs of generation parameters, quotes taken off; of a name that comes twice the last."""
    pairs = {}
    for name, value in re.findall(r'\s*(\w[\w \-/+]*):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', text.rsplit("\n", 1)[-1]):
        pairs[name] = value
        if value[:1] == '"':
            with suppress(ValueError):
                pairs[name] = json.loads(value)
    return pairs
