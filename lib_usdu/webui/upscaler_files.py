"""The webui's upscalers: their names and files, and its own code for those that we cannot load.

File:line references are to AUTOMATIC1111 v1.10.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..enlarge.bundled import BUNDLED, EMBEDDED_UPSCALER
from ..enlarge.upscalers import Source, Upscalers, for_photographs
from ..enlarge.windows import RESAMPLERS, resize
from ..errors import ModelError, Stopped
from ..session import Session
from .environment import journal_folder, reports_heard, shared
from .progress_bar import leaves_upscaling
from .protocols import HostUpscaler


def upscaler_names() -> list[str]:
    """As the host lists them (`upscaler_index` counts in this list), then the one that comes with the extension, plain
    resampling where the host does not list it, and the bundled ones by themselves."""
    names = [known.name for known in shared.sd_upscalers]
    return list(dict.fromkeys([*names, EMBEDDED_UPSCALER, *RESAMPLERS, *BUNDLED]))


def ready_names() -> list[str]:
    """Those whose file is there: others would be downloaded first."""
    return [known.name for known in shared.sd_upscalers if _file(known).is_file()] + [*BUNDLED]


def _source(name: str) -> Source | None:
    upscaler = next((known for known in shared.sd_upscalers if known.name == name), None)
    if upscaler is not None:
        return Source(_file(upscaler), partial(_by_host, upscaler))
    return Source(BUNDLED[name]) if name in BUNDLED else None


def _file(upscaler: HostUpscaler) -> Path:
    """Where the network of an upscaler of the host is; perhaps an address the host would download it from."""
    return Path(str(getattr(upscaler, "local_data_path", None) or upscaler.data_path or ""))


SESSION = Session()
"""What the webui's process keeps between runs: the webui makes a `p` anew for each request."""
UPSCALERS = Upscalers(upscaler_names, _source, SESSION)


def remember(name: str) -> None:
    """Keeps what a person chose at the page, for the next start of the webui. Failing that is no harm."""
    file = _choice_file()
    if file is not None and name != _remembered():
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"upscaler": name}), encoding="utf-8")


def preselected() -> str:
    """The upscaler the panel begins with: what the person chose last, where it is still there, else one that loads."""
    last = _remembered()
    if last in RESAMPLERS or last in ready_names():
        return last
    return for_photographs(ready_names(), UPSCALERS.loads)


def _remembered() -> str | None:
    file = _choice_file()
    with suppress(OSError, ValueError, TypeError, AttributeError):
        return json.loads(file.read_bytes()[:10_000]).get("upscaler") if file is not None else None
    return None


def _choice_file() -> Path | None:
    """Beside the journal's folder."""
    folder = journal_folder()
    return None if folder is None else folder.with_suffix(".json")


def _by_host(upscaler: HostUpscaler, rgb: np.ndarray, width: int, height: int, reason: str) -> np.ndarray:
    """The host's `scaler.upscale`. Raises ModelError, with file and reason, where the host cannot run the network
    either: it then reports the error on its console and returns the picture unchanged (esrgan_model.py:31)."""
    scale = max(width / rgb.shape[1], height / rgb.shape[0])
    picture = Image.fromarray(rgb)
    with reports_heard() as reports, _unchanged(upscaler.scaler, reports) as unchanged:
        try:
            enlarged = upscaler.scaler.upscale(picture, scale, upscaler.data_path)
        except Exception as error:
            raise _fails(upscaler, reason, f"{type(error).__name__}: {error}") from error
    if leaves_upscaling(shared.state):  # the host then returns the picture as it was (upscaler_utils.py:72)
        raise Stopped("stopped while upscaling")
    if unchanged or (enlarged is picture and scale > 1):
        raise _fails(upscaler, reason, "; ".join(reports) or "the webui returned the picture unchanged")
    return resize(np.asarray(enlarged.convert("RGB")), width, height)


def _fails(upscaler: HostUpscaler, *reasons: str) -> ModelError:
    lines = (line for reason in reasons if reason for line in [" ".join(reason.split())[:300]])
    return ModelError(f"upscaler {upscaler.name} ({_file(upscaler)}) cannot be used: {'; '.join(lines)}")


@contextmanager
def _unchanged(scaler: Any, reports: list[str]) -> Iterator[list[bool]]:
    """A list that is empty as long as every call of the scaler's network has made a new picture.

    The host resizes whatever comes back with Lanczos (upscaler.py:73), so its result does not show it.
    """
    original, unchanged = getattr(scaler, "do_upscale", None), []
    if original is None or "do_upscale" in vars(scaler):
        yield unchanged
        return

    def watched(picture: Image.Image, *args: Any, **kwargs: Any) -> Image.Image:
        result = original(picture, *args, **kwargs)
        if result is picture or (reports and np.array_equal(np.asarray(result), np.asarray(picture))):
            unchanged.append(True)
        return result

    scaler.do_upscale = watched
    try:
        yield unchanged
    finally:
        del scaler.do_upscale
