"""What in a prompt asks for a LoRA: `<lora:name:strength>`, as the webuis write it."""

from __future__ import annotations

import re

_LORA = re.compile(r"<lora:([^:<>]+)(?::([^<>]*))?>")


def lora_tags(prompt: str) -> list[tuple[str, str]]:
    """The LoRAs that a prompt asks for: (name, strength as written, "1" where none is)."""
    return [(name.strip(), (strength or "1").split(":")[0].strip()) for name, strength in _LORA.findall(prompt)]


def without_loras(prompt: str) -> str:
    """The prompt without what asks for LoRAs."""
    return _LORA.sub("", prompt)
