"""What stands between a run and its host: faults are handled, finished work is kept until the picture is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from ..batch_size import BatchSize
from ..errors import ModelError, UsduError, plural
from ..host import Batch, Fusion, Host
from ..options import INFOTEXT_PREFIX
from ..passes import Pass
from ..plan import Plan, batch_limits
from ..resume.journal import open_journal
from ..schedule import INDEPENDENT
from .broken import is_blank
from .memory import out_of_memory
from .retry import Faults, one_line


class Guard:
    """Stands between one run and its host: tiles are refined, and the picture is enlarged, through it.

    host: the run's. plan: what the run does. source: the picture, uint8 (h, w, 3). `faults` names the tiles that could
    not be refined.
    """

    def __init__(self, host: Host, plan: Plan, source: np.ndarray):
        self.host, self._options, self._abilities = host, plan.options, host.abilities()
        resumable = plan.options.resume and host.journal_folder is not None
        self.journal, self._note = open_journal(
            host.journal_folder, host.identity() if resumable else None, source, plan.canvas.size,
            plan.options, plan.tiles,
        )  # fmt: skip
        kept = self.journal is not None and plan.keeps_tiles
        refine = self.journal.remembering(self._measured) if self.journal and kept else self._measured
        self.faults = Faults(refine, host, plan.tiles, self._ran_out)
        self._sizes: dict[tuple[int, int], BatchSize] = {}
        self._said = set(host.remarks())  # of an earlier picture

    def refine(self, batch: Batch) -> np.ndarray:
        """As `Host.refine`, but of the size asked for, whatever the host does; a tile that fails is as it was."""
        return self.faults.refine(batch)

    def batch_size(self, work: Pass) -> BatchSize:
        """How many windows of this pass to refine together. The host keeps what was learned for its next picture."""
        window = work.tiles[0].window
        limits = batch_limits(self._options, self._abilities, work)
        key = window.width, window.height, self._options.tile_batch, self._abilities.batch_cap
        size = self.host.batch_sizes.setdefault(key, BatchSize(limits))
        size.keep_within(limits.most)
        self._sizes[window.height, window.width] = size
        return size

    def tiles_a_call(self, work: Pass, size: BatchSize) -> Callable[[], int]:
        """How many tiles of this pass to give the next call; to be asked before each. size: the pass's. A number that
        the person gave is that of a call, too."""
        window = work.tiles[0].window
        limits = None
        if work.context in INDEPENDENT and self._abilities.batch_cap != 1 and not self._options.tile_batch:
            limits = self.host.call_limits(window.width, window.height)
        return partial(size.in_a_call, limits, self.host.pace(work.denoise))

    def _measured(self, batch: Batch) -> np.ndarray:
        started = time.perf_counter()
        refined = self.host.refine(batch)
        size = self._sizes.get(batch.images.shape[1:3])
        if size is not None:
            seconds, pace = time.perf_counter() - started, self.host.pace(batch.denoise)
            size.measured(len(batch.tiles), seconds, at_once=batch.together, pace=pace)
        return refined

    def _ran_out(self, shape: tuple[int, int], left: int) -> None:
        if shape in self._sizes:
            self._sizes[shape].ran_out(left)

    def enlarge(self, rgb: np.ndarray, name: str, width: int, height: int) -> np.ndarray:
        """The host's; ModelError for whatever its upscaler raises, and for a blank picture."""

        def enlarged() -> np.ndarray:
            try:
                canvas = self.host.enlarge(rgb, name, width, height)
                if is_blank(canvas, rgb):
                    raise ModelError(f"upscaler {name}: the enlarged picture is of one colour; its file may be damaged")
                return canvas
            except UsduError:
                raise
            except Exception as error:
                if out_of_memory(error):
                    raise ModelError(f"upscaler {name}: not enough memory; choose another one") from error
                raise ModelError(f"upscaler {name}: {one_line(error)}") from error

        journal = self.journal
        identity = None if journal is None else self.host.upscaler_identity(name)
        if journal is None or identity is None:
            return enlarged()
        return journal.canvas(
            (identity, rgb), (height, width, 3), enlarged, lambda: not self.host.upscaler_skipped
        )

    def fuse(self, fusion: Fusion, step_done: Callable[[int, int], None]) -> Iterator[np.ndarray]:
        """The host's: there all windows are one piece of work, so nothing of it is kept or tried again."""
        try:
            yield from self.host.fuse(fusion, step_done)
        except UsduError:
            raise
        except Exception as error:
            if out_of_memory(error):
                advice = "choose fewer at once (tile_batch) or Parallel"
                raise ModelError(f"not enough memory for all windows together; {advice}") from error
            raise ModelError(f"the model fails: {one_line(error)}") from error

    def close(self) -> None:
        """Everything worth keeping is on disk."""
        if self.journal is not None:
            self.journal.close()

    def forget(self) -> None:
        """The picture is written: what was kept to make it again is removed. Tiles that failed may be tried again."""
        if self.journal is not None and not self.faults.left:
            self.journal.forget()

    def keep_awhile(self) -> None:
        """The picture is made, but may not have reached anybody: the same request is answered from what is kept."""
        if self.journal is not None and not self.faults.left:
            self.journal.keep_awhile()

    @property
    def seconds(self) -> float:
        """What keeping tiles has cost."""
        return 0.0 if self.journal is None else self.journal.seconds

    @property
    def found(self) -> int:
        """Pieces of work that were there from an earlier run."""
        return 0 if self.journal is None else self.journal.found

    @property
    def parameters(self) -> dict[str, str]:
        """For the infotext: which tiles stay as upscaled."""
        if not self.faults.left:
            return {}
        numbers = (f"{stage} {' '.join(map(str, sorted(tiles)))}" for stage, tiles in self.faults.left.items())
        return {INFOTEXT_PREFIX + "tiles left as upscaled": "; ".join(numbers)}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the person should know of this run, a line each."""
        notes = [self._note] if self._note else []
        if self.journal is not None:
            if self.journal.resumed:
                count = self.journal.resumed
                were = "was" if count == 1 else "were"
                notes.append(f"resumed: {plural(count, 'tile')} {were} there from an earlier run")
            if self.journal.note:
                notes.append(self.journal.note)
        news = (remark for remark in self.host.remarks() if remark not in self._said)
        return (*notes, *self.faults.notes, *news)
