"""Upscalers by name, for every host: a plain resampler, a network in a file, or code that only the host has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, OptionError
from ..run.memory import give_back
from ..run.memory_needs import short, upscaler_windows
from ..session import Session
from .bundled import BUNDLED, EMBEDDED_UPSCALER, JPEG, RIM, THEN
from .jpeg_bounds import hold
from .resize_mode import STRETCH, Enlarge, fit
from .spandrel_model import MODEL_FILES, SpandrelModel, loads
from .windows import OVERLAP, RESAMPLERS, WINDOW, known_name, resize, run_network

ByHost = Callable[[np.ndarray, int, int, str], np.ndarray]
"""(rgb, width, height, reason) to the picture at this size, by the host's own code.

reason: why we could not load the upscaler, "" where we did not try. It goes into the ModelError that the call raises
when the host cannot run the upscaler either.
"""


@dataclass(frozen=True)
class Source:
    """Where an upscaler comes from.

    file: the network's; it may be missing where the host would download it. by_host: None where the host has no code
    of its own for it.
    """

    file: Path | None
    by_host: ByHost | None = None


class Upscalers:
    """All upscalers of a host.

    names: those the host offers, in the order of their index. find: the source for a name; None for an unknown one.
    session: keeps the network that was loaded last, for the next picture of a folder.
    """

    def __init__(
        self,
        names: Callable[[], Iterable[str]],
        find: Callable[[str], Source | None],
        session: Session,
        *,
        also: str = "",
    ):
        """also: what is allowed besides the names, for the message about an unknown one."""
        self._names, self._find, self._session, self._also = names, find, session, also

    def name(self, name: str) -> str:
        """The name as the host writes it; letters' case does not matter. Raises OptionError for an unknown upscaler."""
        known = known_name(name, [*self._names(), *RESAMPLERS])
        if known not in RESAMPLERS:
            self._source(known)
        return known

    def _source(self, name: str) -> Source:
        source = self._find(name)
        if source is None:
            raise OptionError("upscaler", name, ", ".join(self._names()) + self._also)
        return source

    def file(self, name: str) -> Path | None:
        """The network's file; None for plain resampling and where the file is not there yet."""
        known = self.name(name)
        file = None if known in RESAMPLERS else self._source(known).file
        return file if file is not None and file.is_file() else None

    def loads(self, name: str) -> bool:
        """Whether the network of this upscaler is in a file that we can load. Reads the file, and keeps nothing."""
        file = self.file(name)
        return file is not None and loads(file, file.stat().st_mtime_ns)

    def check(self, name: str, device: Any) -> None:
        """Raises OptionError for an unknown upscaler, ModelError for a file that is no model for RGB pictures."""
        known = self.name(name)
        if known not in RESAMPLERS:
            source = self._source(known)
            if source.by_host is None and source.file is not None:
                self._load(source.file, device)

    def enlarge(
        self,
        rgb: np.ndarray,
        name: str,
        width: int,
        height: int,
        *,
        device: Any,
        tile: int,
        half: bool = True,
        mode: int = STRETCH,
        progress: Callable[[int, int], None] = lambda done, total: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> np.ndarray:
        """The picture, uint8 (h, w, 3), at exactly width x height.

        device: where networks run. half: whether a card may run them in 16 bits. tile: side in px of the tiles that
        come next; the network is let go where its memory is needed for them. mode: what to do with another shape
        (resize_mode). progress: told (windows done, windows). stop: whether to leave. Raises OptionError, ModelError,
        and Stopped.
        """
        enlarged = fit(rgb, width, height, mode, self._enlarger(self.name(name), device, half, progress, stop))
        if short(device, tile, tile):
            self._session.forget_network()
            give_back()
        return enlarged

    def _enlarger(
        self, name: str, device: Any, half: bool, progress: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> Enlarge:
        if name in RESAMPLERS:
            return lambda rgb, width, height: resize(rgb, width, height, RESAMPLERS[name])
        source, reason = self._source(name), ""
        file, by_host = source.file, source.by_host
        if file is not None and (by_host is None or (file.suffix.lower() in MODEL_FILES and file.is_file())):
            try:
                model = self._load(file, device, half)
            except ModelError as error:
                if by_host is None:
                    raise
                reason = str(error)
            else:
                windows = upscaler_windows(model.device, WINDOW + 2 * OVERLAP)
                run = partial(run_network, batch=windows, progress=progress, stop=stop)
                if file not in THEN:
                    return lambda rgb, width, height: run(rgb, model, width, height)

                def first(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
                    made = run(rgb, model, width, height)
                    if file == BUNDLED[JPEG]:
                        hold(made, rgb)
                    return made

                def in_turn(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
                    most_high, most_wide = (length * model.scale for length in rgb.shape[:2])
                    if width <= most_wide and height <= most_high:
                        return first(rgb, width, height)
                    large = first(rgb, most_wide, most_high)
                    return run(large, self._load(THEN[file], device, half), width, height)

                return in_turn
        if by_host is None:
            raise ModelError(f"upscaler {name}: has no model file")
        return lambda rgb, width, height: by_host(rgb, width, height, reason)

    def _load(self, file: Path, device: Any, half: bool = True) -> SpandrelModel:
        key = str(file), file.stat().st_mtime_ns if file.is_file() else 0, str(device), half
        rim, ours = RIM if file in THEN else 0, file in BUNDLED.values()
        load = partial(SpandrelModel.load, file, device, half=half, rim=rim, keeps_flat=ours)
        return self._session.network(key, load)


def model_path(name: str) -> Path | None:
    """A path as the name of an upscaler: that of a model file which exists; None for anything else."""
    path = Path(name).expanduser()
    return path if path.suffix.lower() in MODEL_FILES and path.is_file() else None


_FOR_PHOTOGRAPHS = ("ultrasharp", "remacri", "nomos", "realwebphoto", "esrgan", "realesr")
_FOR_DRAWINGS = ("anime", "manga", "cartoon", "comic", "illustration", "lineart", "pixel")
"""In an upscaler's name, small letters."""


def for_photographs(names: Sequence[str], loads: Callable[[str], bool]) -> str:
    """The one to begin with: the first by name that a photograph gains most from and whose network can be loaded; else
    the one that comes with the extension; else any that loads, else "None".

    loads: asked as seldom as can be, since it reads the network's file.
    """
    names = [name for name in names if name == EMBEDDED_UPSCALER or name not in BUNDLED]
    photos = [name for name in names if not any(word in name.casefold() for word in _FOR_DRAWINGS)]
    wished = [name for word in _FOR_PHOTOGRAPHS for name in photos if word in name.casefold()]
    rest = [name for name in names if name not in RESAMPLERS]
    candidates = dict.fromkeys([*wished, *[name for name in rest if name == EMBEDDED_UPSCALER], *rest])
    return next((name for name in candidates if loads(name)), "None")
