"""LoRA files by the names that a prompt calls them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import OptionError
from .prompts import lora_tags


def tagged_loras(prompt: str, folders: Sequence[Path]) -> list[str]:
    """The files that `<lora:name:strength>` in a prompt asks for, each as PATH:STRENGTH.

    Raises OptionError for a name that no folder has, and for a strength that is no number.
    """
    found = []
    for name, strength in lora_tags(prompt):
        try:
            float(strength)
        except ValueError:
            raise OptionError("prompt", f"<lora:{name}:{strength}>", "<lora:name:strength>, such as 0.8") from None
        path = next((path for folder in folders if (path := _named(folder, name)) is not None), None)
        if path is None:
            places = ", ".join(map(str, dict.fromkeys(folders)))
            raise OptionError("prompt", f"<lora:{name}>", f"the name of a file in {places} (--lora-folder)")
        found.append(f"{path}:{strength}")
    return found


def lora_folders(given: Path | None, checkpoint: str) -> list[Path]:
    """Where LoRA files are looked for: the folder given; else beside the checkpoint, and as a webui has them."""
    if given is not None:
        return [given.expanduser()]
    path = Path(checkpoint).expanduser()
    beside = [path.parent.parent / "Lora", path.parent] if path.exists() else []
    return [*beside, Path(".")]


def _named(folder: Path, name: str) -> Path | None:
    """A file of this name, with or without its suffix, in a folder or, where the folder is one of LoRAs, deeper.

    The exact name comes first, then one that differs in case.
    """
    deep = folder.name not in ("", ".") and folder.is_dir()
    files = sorted(folder.rglob("*.safetensors") if deep else folder.glob("*.safetensors"))
    for equal in (lambda a, b: a == b, lambda a, b: a.casefold() == b.casefold()):
        for path in files:
            if equal(path.stem, name) or equal(path.name, name):
                return path
    return None
