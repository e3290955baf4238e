"""Generation parameters in the webui's text form."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
