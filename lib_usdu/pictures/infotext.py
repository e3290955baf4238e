"""Generation parameters in the webui's text form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..options import INFOTEXT_PREFIX, Options

if TYPE_CHECKING:
    from ..plan import Plan

STRENGTH = "Denoising strength"
TILE_KEY = INFOTEXT_PREFIX + "tile"
"""Size of the tiles where the option leaves it open."""

_OF_THE_MODEL = (STRENGTH, "Steps", "Sampler", "Schedule type", "CFG scale", "Model hash", "Model", "VAE hash", "VAE")


def of_run(asked: Options, plan: Plan) -> dict[str, str]:
    """Generation parameters of a run: the picture's size, the strength, the options.

    asked: the options as the person gave them. An automatic tile stays automatic in the text, so that pasting does not
    pin it for another model; the size that was chosen stands beside it. Without STRENGTH no tile was redrawn: then no
    sampler, seed or model has a part in the picture.
    """
    options = plan.options.with_(tile_width=asked.tile_width, tile_height=asked.tile_height)
    parameters = {"Size": f"{plan.canvas.width}x{plan.canvas.height}"}
    if plan.passes:
        parameters[STRENGTH] = f"{options.denoise:.10g}"
    parameters |= options.to_infotext()
    if not asked.tile_width and plan.passes:
        parameters[TILE_KEY] = f"{plan.options.tile_width}x{plan.options.tile_height}"
    return parameters


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
