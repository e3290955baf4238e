"""A name for content: equal for equal values, in this process and the next."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np

_DEEPEST = 60


class Unhashable(TypeError):
    """A value whose content cannot be told, such as an open file or a function."""


def digest(*values: Any) -> str:
    """40 hexadecimal digits of plain values, containers, dataclasses, arrays, tensors and pictures.

    Raises Unhashable for anything else: what cannot be told apart must not be taken for the same.
    """
    hasher = hashlib.blake2b(digest_size=20)
    _feed(hasher, values, 0)
    return hasher.hexdigest()


def _feed(hasher: Any, value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise Unhashable("nested too deep")
    if value is None or isinstance(value, (bool, int, float, str, bytes, PurePath, np.generic)) or value is ...:
        text = value if isinstance(value, bytes) else repr(value.item() if isinstance(value, np.generic) else value)
        _piece(hasher, type(value).__name__, text)
    elif isinstance(value, Enum):
        _piece(hasher, "enum", repr(value))
    elif isinstance(value, np.ndarray):
        _array(hasher, value)
    elif isinstance(value, Mapping):
        _piece(hasher, "mapping", str(len(value)))
        for key in sorted(value, key=repr):
            _feed(hasher, (key, value[key]), depth + 1)
    elif isinstance(value, (list, tuple)):
        _piece(hasher, "list", str(len(value)))
        for item in value:
            _feed(hasher, item, depth + 1)
    elif isinstance(value, (set, frozenset)):
        _feed(hasher, sorted(digest(item) for item in value), depth + 1)
    elif all(hasattr(value, name) for name in ("mode", "size", "tobytes")):  # a Pillow image
        _feed(hasher, ("image", value.mode, value.size, value.tobytes()), depth + 1)
    elif all(hasattr(value, name) for name in ("detach", "cpu", "shape")):  # a torch tensor
        _feed(hasher, value.detach().float().cpu().numpy(), depth + 1)
    else:
        _feed(hasher, (type(value).__qualname__, _fields(value)), depth + 1)


def _array(hasher: Any, values: np.ndarray) -> None:
    if values.dtype.hasobject:
        raise Unhashable("an array of objects")
    _piece(hasher, "array", f"{values.dtype.str} {values.shape}")
    hasher.update(np.ascontiguousarray(values).data)


def _fields(value: Any) -> Mapping[str, Any]:
    """What a plain object holds (ControlNet's units are dataclasses in some versions, plain objects in others)."""
    if isinstance(value, type) or callable(value):
        raise Unhashable(type(value).__name__)
    if isinstance(told := getattr(value, "usdu_digest", None), str):  # it was reckoned once, for many
        return {"digest": told}
    if dataclasses.is_dataclass(value):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if type(value).__module__ in ("builtins", "_io", "_thread") or not hasattr(value, "__dict__"):
        raise Unhashable(type(value).__name__)
    return vars(value)


def _piece(hasher: Any, kind: str, text: str | bytes) -> None:
    """With its kind and length, so that no two sequences of pieces look alike."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    hasher.update(f"{kind} {len(data)} ".encode())
    hasher.update(data)
