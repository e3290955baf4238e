"""Upscaler files of any architecture spandrel knows."""

from __future__ import annotations

import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from .precision import end_in_float32, upscaler_dtype
from .prepared import prepared, purely_convolutional

MODEL_FILES = (".safetensors", ".pth", ".pt", ".ckpt")


class SpandrelModel:
    """A super-resolution network on a device, in the number format that is fastest there (`dtype`)."""

    def __init__(self, name: str, descriptor: Any, device: Any):
        """descriptor: spandrel's, in float32; it is moved and changed in place."""
        import torch

        self.name, self.scale, self.descriptor = name, descriptor.scale, descriptor
        self.device = torch.device(device)
        convolutional = purely_convolutional(descriptor.model)
        self.dtype = upscaler_dtype(descriptor, self.device, convolutional=convolutional)
        descriptor.to(device=self.device).eval()
        prepared(descriptor.model, self.device)  # kernels are fused in float32
        if self.dtype == torch.bfloat16:  # by autocast: the picture itself is not rounded
            end_in_float32(descriptor)
        else:
            descriptor.to(dtype=self.dtype)

    @classmethod
    def load(cls, path: str | Path, device: Any = "cpu") -> SpandrelModel:
        """Raises ModelError when the file is missing, no known model, or not one for RGB pictures."""
        from .torchvision_operators import declare_missing_operators

        declare_missing_operators()
        import spandrel

        path = Path(path)
        if not path.is_file():
            raise ModelError(f"upscaler: {path}: no such file")
        try:
            descriptor = _descriptor(path)
        except Exception as error:  # spandrel passes on whatever torch, safetensors and zipfile raise
            reason = next(iter(str(error).strip().splitlines()), repr(error))
            raise ModelError(f"upscaler: {path}: not a model that spandrel knows ({reason})") from error
        if not isinstance(descriptor, spandrel.ImageModelDescriptor) or descriptor.input_channels not in (1, 3):
            raise ModelError(f"upscaler: {path}: {descriptor.architecture.name} does not enlarge RGB pictures")
        return cls(path.stem, descriptor, device)

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """uint8 (n, h, w, 3) to uint8 (n, h * scale, w * scale, 3).

        Half precision can overflow, which would be seen as black windows: from then on the model runs in float32.
        """
        import torch

        with torch.inference_mode():
            output = self._run(windows)
            if self.dtype != torch.float32 and not torch.isfinite(output).all():
                self.dtype = torch.float32
                self.descriptor.to(dtype=self.dtype)
                output = self._run(windows)
            levels = output.float().mul(255).round_().clamp_(0, 255).to(torch.uint8)
            return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def _run(self, windows: np.ndarray) -> Any:
        """(n, 3, h * scale, w * scale), about 0 to 1."""
        import torch

        reduced = self.dtype == torch.bfloat16
        dtype = torch.float32 if reduced else self.dtype
        pixels = torch.from_numpy(np.array(windows)).to(self.device).permute(0, 3, 1, 2).to(dtype) / 255
        with torch.autocast(self.device.type, torch.bfloat16) if reduced else nullcontext():
            if self.descriptor.input_channels == 1:
                output = torch.cat([self.descriptor(pixels[:, i : i + 1]) for i in range(3)], dim=1)
            else:
                output = self.descriptor(pixels)
        return output.expand(-1, 3, -1, -1) if output.shape[1] == 1 else output[:, :3]


def _descriptor(path: Path) -> Any:
    """spandrel's descriptor of the network in a file.

    A webui puts a stricter function in the place of `torch.load`. It refuses files that a recent torch has written (a
    zip with a record `.format_version`) and returns None. Those are read with torch's own function, weights only.
    """
    import spandrel
    import torch

    own = torch.serialization.load
    if torch.load is own or path.suffix.lower() == ".safetensors" or not zipfile.is_zipfile(path):
        return spandrel.ModelLoader().load_from_file(path)
    weights = own(path, map_location="cpu", weights_only=True)
    return spandrel.ModelLoader().load_from_state_dict(spandrel.canonicalize_state_dict(weights))
