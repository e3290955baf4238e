"""The files of the webui's upscalers, and the model that was loaded last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..embedded import DEFAULT_UPSCALER
from ..enlarge.spandrel_model import MODEL_FILES, SpandrelModel
from ..errors import ModelError

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
