"""The files of the webui's upscalers, and the model that was loaded last."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..embedded import DEFAULT_UPSCALER
from ..enlarge.resize_mode import Enlarge
from ..enlarge.spandrel_model import MODEL_FILES, SpandrelModel
from ..enlarge.windows import OVERLAP, RESAMPLERS, WINDOW, known_name, resize
from ..enlarge.windows import upscale as run_model
from ..errors import ModelError, OptionError, Stopped
from ..options import listed
from ..run.memory import upscaler_windows
from ..standalone.host import EMBEDDED_UPSCALER
from .environment import devices, shared

_last: tuple[tuple, SpandrelModel] | None = None  # for the next picture of a folder


def of_this_name(upscalers: Iterable[Any], name: str) -> Any:
    """The host's upscaler of this name; None for the one that comes with the extension."""
    return next((known for known in upscalers if known.name == name), None)


def model_file(upscaler: Any) -> Path:
    """Where the model of an upscaler of the host is; perhaps an address it would download it from. None: ours."""
    if upscaler is None:
        return DEFAULT_UPSCALER
    return Path(str(getattr(upscaler, "local_data_path", None) or upscaler.data_path or ""))


def loaded(path: Path, device: Any) -> SpandrelModel | None:
    """Our own loader's model, kept for the next picture; None for what it does not know (LDSR, a download)."""
    global _last  # noqa: PLW0603
    if path.suffix.lower() not in MODEL_FILES or not path.is_file():
        return None
    key = (str(path), path.stat().st_mtime_ns, str(device))
    if _last is None or _last[0] != key:
        try:
            _last = key, SpandrelModel.load(path, device)
        except ModelError:
            return None
    return _last[1]


def let_go() -> None:
    """The model's memory is needed."""
    global _last  # noqa: PLW0603
    _last = None


def upscaler_names() -> list[str]:
    """As the host lists them (`upscaler_index` counts in this list), then the one that comes with the extension."""
    return [*(known.name for known in shared.sd_upscalers), EMBEDDED_UPSCALER]


def ready_names() -> list[str]:
    """Those whose file is there: others would be downloaded first."""
    return [known.name for known in shared.sd_upscalers if model_file(known).is_file()] + [EMBEDDED_UPSCALER]


def file_of(name: str) -> Path:
    """Where the model of the upscaler of this name is."""
    return model_file(of_this_name(shared.sd_upscalers, name))


def upscaler(
    name: str, *, progress: Callable[[int, int], None], leave: Callable[[], bool], skipped: Callable[[], bool]
) -> Enlarge:
    """The upscaler of this name. Raises OptionError for an unknown one.

    progress: told (windows done, windows). leave: whether the person wants to leave the upscaling. skipped: whether
    only this stage, and not the whole run.
    """
    name = known_name(name, upscaler_names())
    if name in RESAMPLERS:
        return lambda rgb, width, height: resize(rgb, width, height, RESAMPLERS[name])
    found = of_this_name(shared.sd_upscalers, name)
    if found is None and name != EMBEDDED_UPSCALER:
        raise OptionError("upscaler", name, listed(upscaler_names()))
    model = loaded(model_file(found), getattr(devices, "device_esrgan", None) or devices.device)

    def enlarge(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
        try:
            if model is None:
                return _by_host(found, rgb, width, height, leave)
            windows = upscaler_windows(model.device, WINDOW + 2 * OVERLAP)
            return run_model(rgb, model, width, height, batch=windows, progress=progress, stop=leave)
        except Stopped:
            if skipped():
                return resize(rgb, width, height)
            raise

    return enlarge


def _by_host(upscaler: Any, rgb: np.ndarray, width: int, height: int, leave: Callable[[], bool]) -> np.ndarray:
    scale = max(width / rgb.shape[1], height / rgb.shape[0])
    enlarged = upscaler.scaler.upscale(Image.fromarray(rgb), scale, upscaler.data_path)
    if leave():  # the host then returns the picture as it was (upscaler_utils.py:72)
        raise Stopped("stopped while upscaling")
    return resize(np.asarray(enlarged.convert("RGB")), width, height)
