"""Where models come from, by name: told apart and checked without loading anything."""

from __future__ import annotations

from pathlib import Path

from ..errors import OptionError

EMBEDDED = "embedded"
SINGLE_FILES = (".safetensors", ".ckpt")
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
