"""The names of a model file's tensors, from its header alone, and which kind of model they are of. Needs no torch."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from ..families.table import FAMILIES, STABLE_DIFFUSION, STABLE_DIFFUSION_XL, Family

_LONGEST = 100 * 2**20
"""Bytes of a header, and the most tensors or values that one is believed to name."""
_GGUF_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value by its type; 8 is a text, 9 a list."""
_TEXT, _LIST = 8, 9

_BY_NAME = {family.name: family for family in FAMILIES}
_SIGNS: tuple[tuple[str, Family | None], ...] = (
    ("single_stream_modulation.", None),  # Flux 2
    ("early_stream_modulations.", None),  # Flux 3
    ("conditioner.embedders.", STABLE_DIFFUSION_XL),
    ("distilled_guidance_layer.", _BY_NAME["Chroma"]),
    ("cap_pad_token", _BY_NAME["Z-Image"]),
    ("single_blocks.", _BY_NAME["Flux"]),
    ("single_transformer_blocks.", _BY_NAME["Flux"]),
    ("joint_blocks.", _BY_NAME["Stable Diffusion 3"]),
    ("txt_norm.", _BY_NAME["Qwen-Image"]),
    ("pos_embed.proj.", _BY_NAME["Stable Diffusion 3"]),
    ("input_blocks.", STABLE_DIFFUSION),
)
"""What names begin with, by kind, None for one that is not drawn with; the first that is found counts."""
PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.")
"""Of a network's tensors in a file that others than diffusers wrote; some have none."""


def kind_of_names(names: Iterable[str]) -> Family | None:
    """The kind of model whose tensors are named like this; None for another one."""
    found = tuple(names)
    for sign, family in _SIGNS:
        begins = tuple(prefix + sign for prefix in ("", *PREFIXES))
        if any(name.startswith(begins) for name in found):
            return family
    return None


def tensor_names(path: Path) -> list[str]:
    """Of a .safetensors or .gguf file. Raises OSError and ValueError where it cannot be read."""
    with path.open("rb") as file:
        return _gguf(file) if path.suffix.lower() == ".gguf" else _safetensors(file)


def metadata(path: Path) -> dict[str, str]:
    """What a .safetensors file says of itself; empty for one that cannot be read."""
    try:
        with path.open("rb") as file:
            said = _header(file).get("__metadata__", {})
        return {str(name): str(value) for name, value in said.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def said_of_noise(path: Path, names: Iterable[str]) -> dict[str, Any]:
    """What a file of Stable Diffusion says of its noise, by two tensors or in its header, as settings of diffusers'
    schedulers: that its model predicts velocities, and that its noise ends in pure noise."""
    found, said, changes = set(names), metadata(path), {}
    if "v_pred" in found or said.get("modelspec.prediction_type") == "v":
        changes["prediction_type"] = "v_prediction"
    if "ztsnr" in found or said.get("ss_zero_terminal_snr") == "True":
        changes |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return changes


def _header(file: BinaryIO) -> dict:
    """8 bytes with its length, then JSON."""
    length = int.from_bytes(file.read(8), "little")
    if length > _LONGEST:
        raise ValueError("no header")
    return json.loads(file.read(length))


def _safetensors(file: BinaryIO) -> list[str]:
    return [name for name in _header(file) if name != "__metadata__"]


def _gguf(file: BinaryIO) -> list[str]:
    """The format of llama.cpp: counts, values by name, then a line for each tensor."""
    if file.read(4) != b"GGUF":
        raise ValueError("no GGUF file")
    version, tensors, values = _number(file, "<I"), _number(file, "<Q"), _number(file, "<Q")
    if not 2 <= version <= 3 or max(tensors, values) > _LONGEST:
        raise ValueError("an unknown version of GGUF")
    for _ in range(values):
        _text(file)
        _pass_value(file, _number(file, "<I"))
    names = []
    for _ in range(tensors):
        names.append(_text(file))
        file.seek(8 * _number(file, "<I") + 4 + 8, 1)
    return names


def _pass_value(file: BinaryIO, kind: int) -> None:
    if kind == _TEXT:
        _text(file)
    elif kind == _LIST:
        inner, count = _number(file, "<I"), _number(file, "<Q")
        if inner in _GGUF_SIZES:
            file.seek(_GGUF_SIZES[inner] * count, 1)
        else:
            for _ in range(min(count, _LONGEST)):
                _pass_value(file, inner)
    elif kind in _GGUF_SIZES:
        file.seek(_GGUF_SIZES[kind], 1)
    else:
        raise ValueError("an unknown value in GGUF")


def _text(file: BinaryIO) -> str:
    length = _number(file, "<Q")
    if length > _LONGEST:
        raise ValueError("no text")
    return file.read(length).decode("utf-8", "replace")


def _number(file: BinaryIO, form: str) -> int:
    data = file.read(struct.calcsize(form))
    if len(data) < struct.calcsize(form):
        raise ValueError("the file ends early")
    return struct.unpack(form, data)[0]
