"""Where models come from, by name: told apart and checked without loading anything."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import OptionError

EMBEDDED = "embedded"
SINGLE_FILES = (".safetensors", ".ckpt")
_SDXL = "conditioner.embedders."
"""Where XL's checkpoint files keep their two text encoders."""
_LONGEST_HEADER = 100 * 2**20
ALLOWED = (
    f"{EMBEDDED}, a diffusers folder, a hub id such as owner/name, or a Stable Diffusion 1, 2 or XL file "
    f"({' or '.join(SINGLE_FILES)})"
)


def check_checkpoint(source: str) -> None:
    """Raises OptionError where there is nothing of this name. Whether a hub knows an id is not asked."""
    path = Path(source).expanduser()
    if source == EMBEDDED or path.is_dir() or is_hub_id(source):
        return
    if not path.is_file():
        missing = "no such file; " if path.suffix.lower() in SINGLE_FILES or "/" in source else ""
        raise OptionError("checkpoint", source, missing + ALLOWED)
    if path.suffix.lower() not in SINGLE_FILES:
        raise OptionError("checkpoint", source, ALLOWED)


def is_hub_id(source: str) -> bool:
    """Whether this looks like owner/name."""
    parts = source.split("/")
    return len(parts) == 2 and all(parts) and not source.startswith((".", "~")) and not source.endswith(SINGLE_FILES)


def split_strength(entry: str) -> tuple[Path, float]:
    """The file and the strength of "PATH" or "PATH:STRENGTH". Raises OptionError for anything else."""
    path = Path(entry).expanduser()
    strength = 1.0
    if not path.is_file() and ":" in entry:
        before, after = entry.rsplit(":", 1)
        path = Path(before).expanduser()
        try:
            strength = float(after)
        except ValueError:
            raise OptionError("lora", entry, "PATH or PATH:STRENGTH, such as detail.safetensors:0.6") from None
    if not path.is_file() or not abs(strength) <= 100:
        raise OptionError("lora", entry, "an existing .safetensors file, PATH or PATH:STRENGTH")
    return path, strength


def default_tile(source: str) -> int:
    """Side in px of an automatic tile for this checkpoint, without loading it: 1024 for Stable Diffusion XL, else 512.

    A diffusers folder names its parts in model_index.json, a .safetensors file its tensors in its header. Where that
    cannot be read (a hub id, a .ckpt) it is 512 until the model is loaded.
    """
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            parts = json.loads((path / "model_index.json").read_bytes())
            return 1024 if parts.get("text_encoder_2", [None])[0] else 512
        if path.suffix.lower() == ".safetensors":
            return 1024 if any(name.startswith(_SDXL) for name in _tensors(path)) else 512
    except (OSError, ValueError, AttributeError, TypeError, IndexError):  # whatever the file is, loading it says so
        pass
    return 512


def _tensors(path: Path) -> list[str]:
    """Names in the header of a .safetensors file: 8 bytes with its length, then JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError("no header")
        return list(json.loads(file.read(length)))
