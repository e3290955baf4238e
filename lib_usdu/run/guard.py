"""A host made reliable: its faults are handled, and its work is kept until the picture is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..batch_size import BatchLimits, BatchSize
from ..errors import ModelError, UsduError
from ..host import Batch, Fusion
from ..options import INFOTEXT_PREFIX, Options
from ..resume import journal
from .memory import out_of_memory
from .retry import Faults, describe


class GuardedHost:
    """Stands for the host in one run; everything but `upscale` and `refine` is the host's own."""

    def __init__(self, host: Any, options: Options, source: np.ndarray, size: tuple[int, int], tiles: int):
        self._host = host
        identify = getattr(host, "identity", None)
        folder = getattr(host, "journal_folder", None)
        identity = identify() if identify is not None and folder is not None and options.resume else None
        self.journal, self._note = journal.open_job(folder, identity, source, size, options, tiles)
        refine = self._measured if self.journal is None else self.journal.remembering(self._measured)
        self.faults = Faults(refine, host, tiles, self._ran_out)
        self._asked = options.tile_batch
        self._sizes: dict[tuple[int, int], BatchSize] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def refine(self, batch: Batch) -> np.ndarray:
        return self.faults.refine(batch)

    def batch_size(self, width: int, height: int) -> BatchSize:
        """How many windows of this size to refine together. The host keeps what was learned for its next picture."""
        limits = BatchLimits(self._asked, self._asked) if self._asked else self._host.batch_limits(width, height)
        if self._host.batch_cap is not None:
            limits = limits.within(self._host.batch_cap)
        known = self._host.batch_sizes.setdefault((width, height, self._asked, self._host.batch_cap), BatchSize(limits))
        known.keep_within(limits.most)
        self._sizes[height, width] = known
        return known

    def _measured(self, batch: Batch) -> np.ndarray:
        started = time.perf_counter()
        refined = self._host.refine(batch)
        size = self._sizes.get(batch.images.shape[1:3])
        if size is not None:
            size.measured(len(batch.tiles), time.perf_counter() - started)
        return refined

    def _ran_out(self, shape: tuple[int, int], left: int) -> None:
        if shape in self._sizes:
            self._sizes[shape].ran_out(left)

    def upscale(self, rgb: np.ndarray, name: str, width: int, height: int) -> np.ndarray:
        """The host's; ModelError for whatever its upscaler raises."""

        def make() -> np.ndarray:
            try:
                return self._host.upscale(rgb, name, width, height)
            except UsduError:
                raise
            except Exception as error:
                if out_of_memory(error):
                    raise ModelError(f"upscaler {name}: not enough memory; choose another one") from error
                raise ModelError(f"upscaler {name}: {describe(error)}") from error

        identify = getattr(self._host, "upscaler_identity", None)
        identity = identify(name) if self.journal is not None and identify is not None else None
        if identity is None:
            return make()
        return self.journal.canvas(
            (identity, rgb), (height, width, 3), make, lambda: not getattr(self._host, "upscale_skipped", False)
        )

    def fuse(self, fusion: Fusion, step_done: Callable[[int, int], None]) -> Iterator[np.ndarray]:
        """The host's: there all windows are one piece of work, so nothing of it is kept or tried again."""
        try:
            yield from self._host.fuse(fusion, step_done)
        except UsduError:
            raise
        except Exception as error:
            if out_of_memory(error):
                said = "not enough memory for all windows together; choose fewer at once (tile_batch) or Parallel"
                raise ModelError(said) from error
            raise ModelError(f"the model fails: {describe(error)}") from error

    def close(self) -> None:
        """Everything worth keeping is on disk."""
        if self.journal is not None:
            self.journal.close()

    def forget(self) -> None:
        """The picture is written: what was kept to make it again is removed. Tiles that failed may be tried again."""
        if self.journal is not None and not self.faults.left:
            self.journal.forget()

    @property
    def seconds(self) -> float:
        """What keeping tiles has cost."""
        return 0.0 if self.journal is None else self.journal.seconds

    @property
    def parameters(self) -> dict[str, str]:
        """For the infotext: which tiles stay as upscaled."""
        if not self.faults.left:
            return {}
        numbers = (f"{stage} {' '.join(map(str, sorted(found)))}" for stage, found in self.faults.left.items())
        return {INFOTEXT_PREFIX + "tiles left as upscaled": "; ".join(numbers)}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the person should know of this run, a line each."""
        notes = [self._note] if self._note else []
        if self.journal is not None:
            if self.journal.found:
                notes.append(f"resumed: {self.journal.found} tiles were there from an earlier run")
            if self.journal.note:
                notes.append(self.journal.note)
        return (*notes, *self.faults.notes)
