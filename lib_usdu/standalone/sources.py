"""Where models come from, by name: told apart and checked without loading anything."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import OptionError
from .families.table import NAMES, STABLE_DIFFUSION, STABLE_DIFFUSION_XL, Family, of_any_task
from .loading.headers import kind_of_names, tensor_names
from .loading.refused import check_config, check_file, check_folder

EMBEDDED = "embedded"
GGUF = ".gguf"
SINGLE_FILES = (".safetensors", ".ckpt", GGUF)
ALLOWED = (
    f"{EMBEDDED}, a diffusers folder, a hub id such as owner/name, or a file ({', '.join(SINGLE_FILES)}) of one of "
    f"{NAMES}"
)


def check_checkpoint(source: str, config: str | None = None) -> None:
    """Raises OptionError where there is nothing of this name, ModelError where it is no model that can be drawn with.
    Whether a hub knows an id is not asked. config: of `--checkpoint-config`."""
    path, family = Path(source).expanduser(), None
    if path.is_dir():
        if (path / "model_index.json").is_file():  # else loading it says so
            check_folder(path)
    elif path.is_file():
        if path.suffix.lower() not in SINGLE_FILES:
            raise OptionError("checkpoint", source, ALLOWED)
        family = check_file(path)
    elif source != EMBEDDED and not is_hub_id(source):
        said = None
        if path.suffix.lower() in SINGLE_FILES or "/" in source:
            said = f"{source!r}: no such file; allowed: {ALLOWED}"
        raise OptionError("checkpoint", source, ALLOWED, said)
    if config is not None:
        check_config(config, family)


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


def kind_of(source: str) -> Family | None:
    """The kind of model, without loading it; None where that cannot be seen (a hub id, a .ckpt).

    A diffusers folder names its pipeline in model_index.json, a .safetensors or .gguf file its tensors in its header.
    """
    if source == EMBEDDED:
        return STABLE_DIFFUSION
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            parts = json.loads((path / "model_index.json").read_bytes())
            named = of_any_task(str(parts.get("_class_name")))
            return named or (STABLE_DIFFUSION_XL if parts.get("text_encoder_2", [None])[0] else STABLE_DIFFUSION)
        if path.suffix.lower() in (".safetensors", GGUF):
            return kind_of_names(tensor_names(path))
    except (OSError, ValueError, AttributeError, TypeError, IndexError):  # whatever the file is, loading it says so
        pass
    return None
