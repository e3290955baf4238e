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
_library = None


def declare_missing_operators() -> None:
    """Declares `nms` and `qnms` if torchvision cannot be imported for want of them; does nothing otherwise."""
    global _library
    with _lock:
        if _library is not None or "torchvision.ops" in sys.modules:
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
            # Kept alive: torch forgets the declarations with the object.
            _library = torch.library.Library("torchvision", "FRAGMENT")
            for name, schema in _SCHEMAS.items():
                if not hasattr(torch.ops.torchvision, name):
                    _library.define(schema)
            importlib.import_module("torchvision")
