"""Lets a torchvision whose compiled operators are missing be imported.

The spandrel and transformers packages import torchvision. Where its build does not fit torch's (a CUDA build beside a
CPU torch, as plain pip installs it), that fails with "operator torchvision::nms does not exist". No upscaler and no
pipeline here calls those operators: declaring their names is enough.
"""

from __future__ import annotations

import importlib
import sys
import threading

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_lock = threading.Lock()
_kept: list = []  # torch forgets the declarations with the object that made them


def declare_missing_operators() -> None:
    """Declares `nms` and `qnms` if torchvision cannot be imported for want of them; does nothing otherwise."""
    with _lock:
        if _kept or "torchvision.ops" in sys.modules:
            return
        try:
            importlib.import_module("torchvision")
        except ImportError:
            return
        except RuntimeError as error:
            if "operator torchvision::" not in str(error):
                raise
            import torch

            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
            library = torch.library.Library("torchvision", "FRAGMENT")
            for name, schema in _SCHEMAS.items():
                if not hasattr(torch.ops.torchvision, name):
                    library.define(schema)
            _kept.append(library)
            importlib.import_module("torchvision")
