"""Files that a prompt calls by name: LoRAs, and textual inversions (embeddings)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import OptionError
from ..options.lora_tags import lora_tags
from .prompts import name_in


def tagged_loras(prompt: str, folders: Sequence[Path]) -> list[str]:
    """The files that `<lora:name:strength>` in a prompt asks for, each as PATH:STRENGTH.

    Raises OptionError for a name that no folder has, and for a strength that is no number.
    """
    files = []
    for name, strength in lora_tags(prompt):
        try:
            float(strength)
        except ValueError:
            raise OptionError("prompt", f"<lora:{name}:{strength}>", "<lora:name:strength>, such as 0.8") from None
        path = lora_file(name, folders)
        if path is None:
            places = ", ".join(map(str, dict.fromkeys(folders)))
            raise OptionError("prompt", f"<lora:{name}>", f"the name of a file in {places} (--lora-folder)")
        files.append(f"{path}:{strength}")
    return files


def lora_file(name: str, folders: Sequence[Path]) -> Path | None:
    """The file of a LoRA that a prompt calls by this name; None where no folder has it."""
    return next((path for folder in folders if (path := _named(folder, name)) is not None), None)


def lora_folders(given: Path | None, checkpoint: str) -> list[Path]:
    """Where LoRA files are looked for: the folder given; else beside the checkpoint, and as a webui has them."""
    if given is not None:
        return [Path(given).expanduser()]
    path = Path(checkpoint).expanduser()
    beside = [path.parent.parent / "Lora", path.parent] if path.exists() else []
    return [*beside, Path(".")]


EMBEDDING_FILES = (".safetensors", ".pt", ".bin")


def called_embeddings(folders: Sequence[Path], *texts: str) -> list[Path]:
    """The textual inversions that prompts call by the names of their files, each once."""
    files = {path.stem.casefold(): path for folder in reversed(folders) for path in _embeddings(folder)}
    return sorted(path for path in files.values() if any(name_in(path.stem, text) for text in texts))


def embedding_folders(given: Path | None, checkpoint: str) -> list[Path]:
    """Where textual inversions are looked for: the folder given; else `embeddings` as a webui has it, above a
    checkpoint's folder, and beside the checkpoint. Raises OptionError for a folder that is not there."""
    if given is not None:
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise OptionError("--embedding-folder", str(given), "a folder that is there")
        return [folder]
    path = Path(checkpoint).expanduser().absolute()
    return [above / "embeddings" for above in list(path.parents)[:3]] if path.exists() else []


def _embeddings(folder: Path) -> list[Path]:
    paths = folder.rglob("*") if folder.is_dir() else ()
    return sorted(path for path in paths if path.suffix.lower() in EMBEDDING_FILES and path.is_file())


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
