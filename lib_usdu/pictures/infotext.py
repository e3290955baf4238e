"""Generation parameters in the webui's text form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


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
