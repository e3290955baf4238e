"""What goes wrong in a tile ends there: memory, broken numbers, a model that raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import numpy as np

from ..errors import ModelError, NotANumber, OptionError, Skipped, Stopped, plural
from ..geometry import Tile
from ..host import Batch, Host
from .broken import what_is_broken
from .memory import give_back, out_of_memory

FAILURES_AT_THE_START = 3
"""So many tiles failing before any has succeeded: the model does not work at all, and the run ends with the error."""

FAILURES_IN_A_ROW = 5
"""So many failing in a row later on: the run ends as if stopped, and what is done is kept."""


class Faults:
    """Calls `refine`, handles what it raises, and remembers what could not be helped.

    refine: tiles to windows, as `Host.refine`. host: asked for `save_memory` and `more_precise`.
    total: tiles of the whole run. ran_out: told (height, width) of the windows and how many are tried from then on
    whenever memory did not hold a batch. `stage` names the pass, for what is said of a tile.

    Out of memory: the batch is halved, for the rest of the run and this size of window; then the host saves memory
    where it can; then once more. Broken numbers: once more, more precisely where the host can. Anything else: each
    tile of the batch once more, alone. A tile that still fails stays as it was (`left`), unless none has succeeded:
    then ModelError.
    """

    def __init__(
        self,
        refine: Callable[[Batch], np.ndarray],
        host: Host,
        total: int,
        ran_out: Callable[[tuple[int, int], int], None] = lambda shape, left: None,
    ):
        self._refine, self._host, self._total, self._ran_out = refine, host, total, ran_out
        self._limits: dict[tuple[int, ...], int] = {}  # tiles at once; 0: and no more than one a call
        self._succeeded = self._in_a_row = 0
        self.stage = "redraw"
        self.alike: Mapping[Tile, Sequence[Tile]] = {}
        """Tiles that stand for others, too (`Plan.alike`)."""
        self.left: dict[str, list[int]] = {}
        """Numbers of the tiles that stay as upscaled, by stage."""
        self.notes: dict[str, None] = {}
        """What the person should know, a line each, in order."""

    def refine(self, batch: Batch) -> np.ndarray:
        """The windows after the model, or as they were where it failed: (n, h, w, 3). Raises Stopped, and
        ModelError."""
        limit = self._limits.get(batch.images.shape[1:3], len(batch.tiles))
        if batch.at_once and limit:
            return self._attempt(batch.seen(min(batch.at_once, limit)))
        batch, count, done, start = batch.seen(0), len(batch.tiles), [], 0
        while start < count:
            size = max(self._limits.get(batch.images.shape[1:3], count), 1)  # may have become less
            part = batch if size >= count else batch.part(range(start, min(start + size, count)))
            done.append(self._attempt(part))
            start += len(part.tiles)
        return done[0] if len(done) == 1 else np.concatenate(done)

    def _attempt(self, batch: Batch) -> np.ndarray:
        refined, problem = self._call(batch)
        if problem is None:
            return self._mended(batch, refined)
        if out_of_memory(problem):
            return self._with_less_memory(batch, problem)
        return np.concatenate([self._again(batch.part([i]), problem) for i in range(len(batch.tiles))])

    def _call(self, batch: Batch, *, precisely: bool = False) -> tuple[np.ndarray, BaseException | None]:
        """The windows, or what went wrong; by then what the failed call held is free. To become more precise takes
        memory too."""
        try:
            with self._host.more_precise() if precisely else nullcontext():
                refined = self._refine(batch)
            if refined.shape != batch.images.shape:
                raise ModelError(f"the model returned {refined.shape} for windows of {batch.images.shape}")
            return refined, None
        except (Stopped, OptionError):
            raise
        except Skipped as error:
            self._keep(batch, str(error))
            return batch.images, None
        except Exception as error:
            return batch.images, error.with_traceback(None)

    def _mended(self, batch: Batch, refined: np.ndarray) -> np.ndarray:
        """`refined` with every tile of broken numbers done again."""
        broken = {i: fault for i, window in enumerate(refined) if (fault := what_is_broken(window, batch.images[i]))}
        self._succeeded += len(refined) - len(broken)
        self._in_a_row = 0 if len(broken) < len(refined) else self._in_a_row
        if not broken:
            return refined
        again = {i: self._again(batch.part([i]), NotANumber(fault)) for i, fault in broken.items()}
        # Put together, since whole levels and fractions of them may come from one host.
        return np.concatenate([again.get(i, refined[i : i + 1]) for i in range(len(refined))])

    def _again(self, alone: Batch, problem: BaseException) -> np.ndarray:
        """One tile, once more."""
        precisely = isinstance(problem, NotANumber)
        refined, again = self._call(alone, precisely=precisely)
        fault = what_is_broken(refined[0], alone.images[0]) if again is None else ""
        if fault:
            again = NotANumber(fault)
        if again is None:
            self._succeeded += 1
            self._in_a_row = 0
            return refined
        if precisely and out_of_memory(again):
            give_back()
            if self._saved_memory():
                return self._again(alone, problem)
            return self._give_up(alone, NotANumber(f"{problem}, and single precision does not fit the memory"))
        if out_of_memory(again):
            return self._with_less_memory(alone, again)
        return self._give_up(alone, again)

    def _saved_memory(self) -> bool:
        if not self._host.save_memory():
            return False
        self.notes["out of memory: the model works in a way that takes less of it from here on"] = None
        return True

    def _with_less_memory(self, batch: Batch, problem: BaseException) -> np.ndarray:
        give_back()
        height, width = batch.images.shape[1:3]
        if batch.together == 1 < len(batch.tiles):  # what a call holds beside the model is too much
            self._limits[height, width] = 0
            self.notes[f"out of memory: one tile of {width}x{height} a call from here on"] = None
            return self.refine(batch)
        if batch.together > 1:
            half = batch.together // 2
            self._limits[height, width] = half
            self._ran_out((height, width), half)
            self.notes[f"out of memory: {plural(half, 'tile')} of {width}x{height} at once from here on"] = None
            return self.refine(batch)
        if self._saved_memory():
            return self._attempt(batch)
        refined, again = self._call(batch)  # something else may have had the memory
        if again is None:
            return self._mended(batch, refined)
        if not self._succeeded and out_of_memory(again):
            raise ModelError(
                f"not enough memory for a tile of {width}x{height} px (with its padding), one at a time; choose "
                "smaller tiles or less padding, or close what else uses the memory"
            ) from again
        return self._give_up(batch, again)

    def _give_up(self, alone: Batch, problem: BaseException) -> np.ndarray:
        """A tile that stays as it was."""
        self._in_a_row += 1
        said = one_line(problem)
        if not self._succeeded and self._in_a_row >= min(FAILURES_AT_THE_START, self._total):
            if isinstance(problem, ModelError):
                raise problem
            raise ModelError(f"the model fails: {said}") from problem
        self._keep(alone, said)
        if self._succeeded and self._in_a_row >= FAILURES_IN_A_ROW:
            self.notes[f"ended early: {FAILURES_IN_A_ROW} tiles in a row failed ({said})"] = None
            raise Stopped("the model fails")
        return alone.images

    def _keep(self, batch: Batch, reason: str) -> None:
        numbers = [same.index + 1 for tile in batch.tiles for same in self.alike.get(tile, [tile])]
        self.left.setdefault(self.stage, []).extend(numbers)
        for number in numbers:
            self.notes[f"tile {number} of the {self.stage} stays as upscaled: {reason}"] = None


def one_line(error: BaseException) -> str:
    """One line of an error of any kind."""
    lines = str(error).strip().splitlines()
    said = (lines[0] if lines else "")[:200]
    return said if isinstance(error, (ModelError, NotANumber)) and said else f"{type(error).__name__}: {said}"
