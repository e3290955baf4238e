"""Checkpoints of years ago: a .ckpt that holds training objects beside its weights, or has torch's older format.

torch's safe loader turns them away. Here their weights are read, and nothing in them is run: a name that a pickle calls
and that is not needed for tensors becomes an object that does nothing.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import _utils

_REBUILD = {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"}


class _Nothing:
    """Stands for an object of a class that is not needed: it takes everything and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> _Nothing:
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in _REBUILD:
            return getattr(_utils, name)
        kind = getattr(torch, name, None) if module in ("torch", "torch.storage") else None
        storage = name.endswith("Storage") and isinstance(kind, type)
        return kind if storage or name == "Size" or isinstance(kind, torch.dtype) else _Nothing


def _load(file: Any, **settings: Any) -> Any:
    return _Unpickler(file, **settings).load()


_SAFE_PICKLE = SimpleNamespace(
    __name__="pickle", Unpickler=_Unpickler, load=_load, UnpicklingError=pickle.UnpicklingError, Pickler=pickle.Pickler
)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by their names. Raises whatever torch raises for a file that is none."""
    state = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_SAFE_PICKLE)
    state = state.get("state_dict", state)
    if not isinstance(state, Mapping):
        raise ValueError("it holds no weights")
    return {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, torch.Tensor)}


def as_safetensors(path: Path, folder: Path) -> Path:
    """A copy of a checkpoint's weights in this folder as .safetensors, which every loader reads."""
    from safetensors.torch import save_file

    copied = folder / (path.stem + ".safetensors")
    save_file({name: value.clone().contiguous() for name, value in read_weights(path).items()}, copied)
    return copied


def is_old(path: Path) -> bool:
    """Whether torch's safe loader turns this file away."""
    try:
        torch.load(path, map_location="meta", weights_only=True)
    except Exception:  # pickle's, torch's, zipfile's
        return True
    return False
