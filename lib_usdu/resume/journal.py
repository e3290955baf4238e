"""Finished tiles on disk, so that a run that was killed, stopped or failed goes on where it was.

A tile is found again by all that its batch says of it (the tile, its pixels, noise, denoising strength, the canvas, its
prompt) and by the host's account of its model and settings. A run with other values never finds an old tile. Each run
has a folder, which is removed once its picture is written.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..host import Batch
from ..options import Options
from ..options.tile_numbers import NONE
from ..run.broken import what_is_broken
from . import entries
from .digest import Unhashable, digest

MOST_BYTES = 8 * 2**30
MOST_DAYS = 14
FREE_BYTES = 2**29
"""What the journal leaves free on its disk."""
KEPT_FINISHED = 3600
"""Seconds a finished run is kept for a caller who did not wait for its picture."""
_JOB, _SUFFIX = "job.json", ".usdu"
_MOST_WAITING = 8


def default_folder() -> Path:
    """The person's cache folder, as the system has it; where they have no home, a folder for temporary files."""
    try:
        return _cache_folder() / "ultimate-sd-upscale"
    except RuntimeError:
        person = os.getuid() if hasattr(os, "getuid") else "person"
        return Path(tempfile.gettempdir()) / f"ultimate-sd-upscale-{person}"


def _cache_folder() -> Path:
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root)


class Journal:
    """The entries of one run. `resumed` counts the tiles that were there, `found` all pieces of work; `seconds` is what
    keeping them has cost.

    `note` says, once, why nothing is kept any more. Entries are written by a thread of their own.
    """

    def __init__(self, folder: Path, identity: str):
        self.folder, self._identity = folder, identity
        self.resumed, self.found, self.seconds, self.note = 0, 0, 0.0, ""
        self._bytes = 0
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="usdu-journal")
        self._waiting: deque[Future] = deque()

    def remembering(self, refine: Callable[[Batch], np.ndarray]) -> Callable[[Batch], np.ndarray]:
        """`refine` for tiles that are not here yet."""

        def remembered(batch: Batch) -> np.ndarray:
            started = time.perf_counter()
            try:
                keys = [digest("tile", self._identity, batch.part([i])) for i in range(len(batch.tiles))]
            except Unhashable as error:
                self.note = f"this run cannot be resumed: a tile holds what cannot be compared ({error})"
                return refine(batch)
            results = [self._read(key, batch.images.shape[1:]) for key in keys]
            missing = [i for i, result in enumerate(results) if result is None]
            self.resumed += len(results) - len(missing)
            self.seconds += time.perf_counter() - started
            if not missing:
                return _stacked(results)
            new = refine(batch if len(missing) == len(results) else batch.part(missing))
            if new.shape != (len(missing), *batch.images.shape[1:]):
                return new  # the caller refuses it
            started = time.perf_counter()
            for i, result in zip(missing, new):
                results[i] = result
                if not what_is_broken(result, batch.images[i]):
                    self._keep(keys[i], result)
            self.seconds += time.perf_counter() - started
            return new if len(missing) == len(results) else _stacked(results)

        return remembered

    def canvas(self, key: Any, shape: tuple[int, ...], make: Callable[[], np.ndarray], keep: Callable[[], bool]) -> Any:
        """The upscaled canvas of this key, made where it is not here yet, and kept if `keep` says so afterwards."""
        name = digest("canvas", key, shape)
        canvas = self._read(name, shape)
        if canvas is None:
            canvas = make()
            if keep() and canvas.shape == shape:
                self._keep(name, canvas)
        return canvas

    def close(self) -> None:
        """Waits until everything is on disk."""
        started = time.perf_counter()
        while self._waiting:
            self._waiting.popleft().result()
        self._writer.shutdown()
        self.seconds += time.perf_counter() - started

    def keep_awhile(self) -> None:
        """The picture is made, but nobody is known to have it yet: what is kept answers the same request for
        KEPT_FINISHED seconds more."""
        self.close()
        with suppress(OSError):
            about = {**KeptRun.at(self.folder).about, "finished": time.time()}
            entries.replace(self.folder / _JOB, json.dumps(about).encode())

    def forget(self) -> None:
        """Removes what was kept: the picture is safe."""
        self.close()
        KeptRun.at(self.folder).remove()

    def _read(self, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
        entry = entries.read(self.folder / (key + _SUFFIX), key, shape)
        self.found += entry is not None
        return entry

    def _keep(self, key: str, array: np.ndarray) -> None:
        if self.note:
            return
        array = array.copy()  # the caller may go on working in it
        self._waiting.append(self._writer.submit(self._write, key, array))
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft().result()

    def _write(self, key: str, array: np.ndarray) -> None:
        if self.note:
            return
        try:
            if self._bytes > MOST_BYTES:
                raise OSError(f"the journal has reached {MOST_BYTES // 2**30} GiB")
            if shutil.disk_usage(self.folder).free < FREE_BYTES + array.nbytes:
                raise OSError("the disk is full")
            self._bytes += entries.write(self.folder / (key + _SUFFIX), key, array)
        except OSError as error:
            self.note = f"from here on this run cannot be resumed: {error.strerror or error}"


def _stacked(tiles: Sequence[np.ndarray | None]) -> np.ndarray:
    """(n, h, w, 3) of tiles that are all there."""
    return np.stack([tile for tile in tiles if tile is not None])


def open_journal(
    folder: Path | None, identity: Any, source: np.ndarray, size: tuple[int, int], options: Options, tiles: int
) -> tuple[Journal | None, str]:
    """The journal of this run, and a note: (None, why) where it cannot be kept, (None, "") where nobody wants one."""
    if folder is None or identity is None or not options.resume:
        return None, ""
    try:
        known = digest(identity, __version__)
        name = digest("job", known, source, size, options.upscaler, options.seed)
    except Unhashable as error:
        return None, f"this run cannot be resumed: the settings hold what cannot be compared ({error})"
    place = folder / name
    about = {
        "version": __version__, "made": time.strftime("%Y-%m-%d %H:%M:%S"), "seed": options.seed, "tiles": tiles,
        "source": f"{source.shape[1]}x{source.shape[0]}", "result": f"{size[0]}x{size[1]}",
        "likeness": _likeness(known, source, size, options),
    }  # fmt: skip
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        entries.replace(place / _JOB, json.dumps(about).encode())
        prune(folder, spare=place)
    except OSError as error:
        return None, f"this run cannot be resumed: {place}: {error.strerror or error}"
    return Journal(place, known), ""


def unfinished(
    folder: Path | None, identity: Any, source: np.ndarray, size: tuple[int, int], options: Options
) -> KeptRun | None:
    """The run of this picture with these options that was ended last, whatever its seed; None where there is none.

    As for `open_journal`. Its `about["seed"]` is the seed with which it can be gone on with.
    """
    if folder is None or identity is None or not options.resume:
        return None
    try:
        likeness = _likeness(digest(identity, __version__), source, size, options)
    except Unhashable:
        return None
    alike = (
        run
        for run in kept_runs(folder)
        if run.about.get("likeness") == likeness and "finished" not in run.about and run.entries
    )
    return next((run for run in alike if isinstance(run.about.get("seed"), int)), None)


def _likeness(known: str, source: np.ndarray, size: tuple[int, int], options: Options) -> str:
    """Equal for runs that differ in nothing but the seed, and in what is only shown or saved."""
    shown = {
        "save_upscaled_image": True, "save_seams_fix_image": False, "compare": False, "number_tiles": False,
        "try_tile": NONE,
    }  # fmt: skip
    return digest("likeness", known, source, size, options.with_(seed=1, **shown))


@dataclass(frozen=True)
class KeptRun:
    """A run that may be gone on with: what its folder holds. `used`: seconds since the epoch."""

    folder: Path
    about: dict[str, Any]
    entries: int
    bytes: int
    used: float

    @classmethod
    def at(cls, folder: Path) -> KeptRun:
        """What is in this folder now; empty where it cannot be read."""
        files = [path for path in _listed(folder) if _ours(path)]
        sizes, times = [0], [0.0]
        for path in files:
            with suppress(OSError):
                status = path.stat()
                sizes.append(status.st_size)
                times.append(status.st_mtime)
        about = {}
        with suppress(OSError, ValueError):
            about = json.loads((folder / _JOB).read_bytes()[:10_000])
        return cls(
            folder, about if isinstance(about, dict) else {}, sum(path.suffix == _SUFFIX for path in files), sum(sizes),
            max(times),
        )  # fmt: skip

    def remove(self) -> None:
        """Only files of ours; a folder that holds anything else stays."""
        for path in _listed(self.folder):
            if _ours(path):
                with suppress(OSError):
                    path.unlink()
        with suppress(OSError):
            self.folder.rmdir()


def kept_runs(folder: Path) -> list[KeptRun]:
    """Those in a journal folder, the one used last first."""
    named = [path for path in _listed(folder) if len(path.name) == 40 and path.is_dir() and not path.is_symlink()]
    return sorted(map(KeptRun.at, named), key=lambda run: -run.used)


def prune(folder: Path, *, spare: Path) -> None:
    """Removes runs that nobody has come back to, the oldest first, until the rest fits; not the one to spare."""
    left = MOST_BYTES
    for run in kept_runs(folder):
        left -= run.bytes
        finished = run.about.get("finished")
        seen = isinstance(finished, (int, float)) and finished < time.time() - KEPT_FINISHED
        old = seen or run.used < time.time() - MOST_DAYS * 86400
        if run.folder != spare and (old or left < 0):
            run.remove()


def _listed(folder: Path) -> Iterator[Path]:
    try:
        return iter(list(folder.iterdir()))
    except OSError:
        return iter(())


def _ours(path: Path) -> bool:
    return path.suffix == _SUFFIX or path.name == _JOB or (path.name.startswith(".") and path.suffix == ".tmp")
