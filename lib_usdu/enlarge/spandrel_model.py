"""Upscaler files of any architecture spandrel knows."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..embedded import HERE, span
from ..errors import ModelError
from ..geometry import Region
from ..run.transfer import on_host, to_device
from .parts import Part
from .precision import end_in_float32, upscaler_dtype
from .prepared import prepared, purely_convolutional

_NO_UPSCALERS = {
    "FaceSR": "restores cut-out faces", "Restoration": "restores pictures", "Inpainting": "fills holes in pictures",
}  # fmt: skip
MODEL_FILES = (".safetensors", ".pth", ".pt", ".ckpt")
_AROUND = 8
"""Where a pixel's neighbours up to here, px, all have its colour, a network that keeps flat areas gives this colour."""


class SpandrelModel:
    """A super-resolution network on a device, in the number format that is fastest there (`dtype`)."""

    def __init__(
        self, name: str, descriptor: Any, device: Any, *, half: bool = True, rim: int = 0, keeps_flat: bool = False
    ):
        """descriptor: spandrel's, in float32; it is moved and changed in place. half: whether a card may run it in 16
        bits. rim: px of the border's own colour that are put around each window and cut off again, for networks that
        take what is outside a picture for black. keeps_flat: whether flat areas come out as they are, to the bit."""
        import torch

        self.name, self.scale, self.descriptor, self._rim = name, descriptor.scale, descriptor, rim
        self._keeps_flat = keeps_flat
        self.device = torch.device(device)
        convolutional = purely_convolutional(descriptor.model)
        self.dtype = upscaler_dtype(descriptor, self.device, convolutional=convolutional, half=half)
        descriptor.to(device=self.device).eval()
        prepared(descriptor.model, self.device)  # kernels are fused in float32
        self._autocast = self.dtype == torch.bfloat16
        if self._autocast:  # the picture itself is not rounded
            end_in_float32(descriptor, self.device)
        else:
            descriptor.to(dtype=self.dtype)

    @classmethod
    def load(
        cls, path: str | Path, device: Any = "cpu", *, half: bool = True, rim: int = 0, keeps_flat: bool = False
    ) -> SpandrelModel:
        """Raises ModelError when the file is missing, no known model, or not one for RGB pictures."""
        path = Path(path)
        return cls(path.stem, _upscaler(path), device, half=half, rim=rim, keeps_flat=keeps_flat)

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """uint8 (n, h, w, 3) to uint8 (n, h * scale, w * scale, 3)."""
        height, width = windows.shape[1] * self.scale, windows.shape[2] * self.scale
        whole = Part(Region(0, 0, width, height), (width, height), (0, 0, width, height))
        outputs = self.begin(windows, [whole] * len(windows))()
        return np.stack([output for output in outputs if output is not None])

    def begin(self, windows: np.ndarray, parts: Sequence[Part | None]) -> Callable[[], list[np.ndarray | None]]:
        """Starts the network on windows, uint8 (n, h, w, 3). The function that comes back waits for it and returns the
        parts of its outputs, uint8 (h, w, 3).

        Half precision can overflow, which would be seen as black or white windows: from then on the model runs in
        float32. The function raises ModelError where its numbers break down there, too: the picture would be black.
        """
        import torch

        dtype, downloads = self.dtype, _Downloads(parts, self.device)
        with torch.inference_mode():
            output, finite = self._run(windows)
            levels = output.float().mul_(255).round_().clamp_(0, 255).to(torch.uint8)
            for number, part in enumerate(parts):
                if part is not None:
                    downloads.start(number, self._part(part, levels[number]))
            downloads.ends_with(finite)

        def wait() -> list[np.ndarray | None]:
            if downloads.wait():
                return downloads.blocks
            if dtype == torch.float32:
                raise ModelError(f"upscaler {self.name}: gives NaN or infinite values; its file may be damaged")
            self._in_float32()
            return self.begin(windows, parts)()

        return wait

    def _part(self, part: Part, levels: Any) -> Any:
        """levels: uint8 (3, h, w)."""
        import torch

        if self.device.type == "cpu":  # where Pillow is faster
            return torch.from_numpy(np.array(part.of(levels.permute(1, 2, 0).contiguous().numpy())))
        return part.on_device(levels)

    def _in_float32(self) -> None:
        import torch

        self.dtype, self._autocast = torch.float32, False
        self.descriptor.to(dtype=torch.float32)

    def _run(self, windows: np.ndarray) -> tuple[Any, Any]:
        """(n, 3, h * scale, w * scale), 0 to 1; and whether all that the network gave is finite."""
        import torch

        dtype = torch.float32 if self._autocast else self.dtype
        # A picture's own order of bytes is what torch calls channels-last.
        levels = to_device(windows, self.device)
        pixels = plain = levels.permute(0, 3, 1, 2).to(dtype) / 255
        if self._rim:
            pixels = torch.nn.functional.pad(pixels, (self._rim,) * 4, mode="replicate")
        finite: list[Any] = []

        def look(network: Any, inputs: Any, output: Any) -> None:
            """Spandrel makes 1 of infinity: this is what the network itself gave."""
            raw = output if isinstance(output, torch.Tensor) else output[0]
            finite.append(torch.isfinite(raw).all())

        watched = self.descriptor.model.register_forward_hook(look)
        try:
            with torch.autocast(self.device.type, torch.bfloat16) if self._autocast else nullcontext():
                if self.descriptor.input_channels == 1:
                    output = torch.cat([self.descriptor(pixels[:, i : i + 1]) for i in range(3)], dim=1)
                else:
                    output = self.descriptor(pixels)
        finally:
            watched.remove()
        output = output.expand(-1, 3, -1, -1) if output.shape[1] == 1 else output[:, :3]
        if cut := self._rim * self.scale:
            output = output[..., cut:-cut, cut:-cut]
        if self._keeps_flat:
            flat, plain = (one.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
                           for one in (_flat(levels), plain))  # fmt: skip
            output = torch.where(flat, plain.to(output), output)
        return output, torch.stack([*finite, torch.isfinite(output).all()]).all()


def _flat(levels: Any) -> Any:
    """Of uint8 (n, h, w, 3): bool (n, 1, h, w), whether all neighbours of a pixel, _AROUND far, are of its colour."""
    import torch.nn.functional as F

    changes = levels.new_zeros(levels.shape[:3])
    changes[:, 1:] |= (levels[:, 1:] != levels[:, :-1]).any(3)
    changes[:, :, 1:] |= (levels[:, :, 1:] != levels[:, :, :-1]).any(3)
    near, side = changes[:, None].float(), 2 * _AROUND + 1
    near = F.max_pool2d(F.max_pool2d(near, (side, 1), 1, (_AROUND, 0)), (1, side), 1, (0, _AROUND))
    return near == 0


class _Downloads:
    """Parts of a batch on their way from the device, into one piece of the processor's memory."""

    def __init__(self, parts: Sequence[Part | None], device: Any):
        import torch

        self._device = device
        sizes = [0 if part is None else part.place.area * 3 for part in parts]
        ends = list(itertools.accumulate(sizes))
        self._memory = on_host((ends[-1] + 1,), torch.uint8, device)  # the last byte says whether all went well
        self._pieces = [
            None if part is None else self._memory[end - size : end].view(part.shape)
            for part, size, end in zip(parts, sizes, ends)
        ]
        self._done: Any = None

    def start(self, number: int, block: Any) -> None:
        piece: Any = self._pieces[number]
        piece.copy_(block, non_blocking=self._device.type == "cuda")

    def ends_with(self, good: Any) -> None:
        """good: a tensor of one truth value, on the device."""
        import torch

        self._memory[-1:].copy_(good.view(1), non_blocking=self._device.type == "cuda")
        if self._device.type == "cuda":
            self._done = torch.cuda.Event()
            self._done.record(torch.cuda.current_stream(self._device))

    def wait(self) -> bool:
        if self._done is not None:
            self._done.synchronize()
        return bool(self._memory[-1])

    @property
    def blocks(self) -> list[np.ndarray | None]:
        return [None if piece is None else piece.numpy() for piece in self._pieces]


@lru_cache(maxsize=256)
def loads(path: Path, changed_ns: int) -> bool:
    """Whether `SpandrelModel.load` would take this file. Reads it once, and keeps only the answer.

    changed_ns: when the file was changed last; another answer is looked for when it is changed again.
    """
    import torch

    with torch.random.fork_rng(devices=[]):  # networks begin with random weights
        try:
            return _upscaler(path) is not None
        except ModelError:
            return False


def _upscaler(path: Path) -> Any:
    """spandrel's descriptor of the network in a file. Raises ModelError as `SpandrelModel.load` does."""
    from .torchvision_operators import declare_missing_operators

    declare_missing_operators()
    import spandrel

    if not path.is_file():
        raise ModelError(f"upscaler: {path}: no such file")
    try:
        descriptor = _descriptor(path)
    except Exception as error:  # spandrel passes on whatever torch, safetensors and zipfile raise
        reason = next(iter(str(error).strip().splitlines()), "its architecture is unknown")
        raise ModelError(f"upscaler: {path}: not a model that spandrel knows ({reason})") from error
    if descriptor.purpose in _NO_UPSCALERS:
        does = _NO_UPSCALERS[descriptor.purpose]
        raise ModelError(f"upscaler: {path}: {descriptor.architecture.name} {does}, it does not enlarge")
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or descriptor.input_channels not in (1, 3):
        raise ModelError(f"upscaler: {path}: {descriptor.architecture.name} does not enlarge RGB pictures")
    return descriptor


def _descriptor(path: Path) -> Any:
    """spandrel's descriptor of the network in a file.

    A webui puts a stricter function in the place of `torch.load`. It refuses files that a recent torch has written (a
    zip with a record `.format_version`) and returns None. Those are read with torch's own function, weights only.
    """
    import spandrel
    import torch

    if path.parent == HERE:
        return spandrel.ModelLoader().load_from_state_dict(span.read(path))
    own = torch.serialization.load
    if torch.load is own or path.suffix.lower() == ".safetensors" or not zipfile.is_zipfile(path):
        return spandrel.ModelLoader().load_from_file(path)
    weights = own(path, map_location="cpu", weights_only=True)
    return spandrel.ModelLoader().load_from_state_dict(spandrel.canonicalize_state_dict(weights))
