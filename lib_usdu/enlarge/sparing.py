"""A model that goes on with fewer windows at once, then with pieces of a window, when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compose.weights import to_uint8
from ..geometry import crop, plan_tiles
from ..run.memory import give_back, out_of_memory
from .parts import Part, part_of

SMALLEST_WINDOW = 64
"""Where memory runs out, windows are divided until they are no larger than this, without the overlap."""

Pending = Callable[[], list["np.ndarray | None"]]
"""Waits for what was begun, and gives it back."""


@dataclass
class Sparing:
    """model: a `windows.Model`. most: windows it is given at once. overlap: pixels around a piece that are cut off."""

    model: Any
    most: int
    overlap: int
    pieces: Sparing | None = None
    """What pieces of a window go through, where a whole one was too large."""

    @property
    def scale(self) -> int:
        """The model's factor."""
        return self.model.scale

    def begin(self, windows: np.ndarray, parts: Sequence[Part | None]) -> Pending:
        """Starts the model on windows, uint8 (n, h, w, 3); the parts of their outputs once they are finished."""
        if self.pieces is None and len(windows) <= self.most and hasattr(self.model, "begin"):
            try:
                return self.model.begin(windows, parts)
            except Exception as error:
                if not out_of_memory(error):
                    raise
            give_back()
        outputs = self(windows)
        blocks = [part and part.of(to_uint8(output)) for output, part in zip(outputs, parts)]
        return lambda: blocks

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        if self.pieces is not None:
            return np.stack([self._in_pieces(window, self.pieces) for window in windows])
        try:
            return np.concatenate([self.model(windows[i : i + self.most]) for i in range(0, len(windows), self.most)])
        except Exception as error:
            smallest = max(windows.shape[1:3]) <= SMALLEST_WINDOW + 2 * self.overlap
            if not out_of_memory(error) or (self.most == 1 and smallest):
                raise
        give_back()  # not before the error has let go of what the call held
        if self.most > 1:
            self.most = max(1, min(self.most, len(windows)) // 2)
        else:
            self.pieces = Sparing(self.model, 1, self.overlap)
        return self(windows)

    def _in_pieces(self, window: np.ndarray, model: Sparing) -> np.ndarray:
        height, width = window.shape[:2]
        size = width * self.scale, height * self.scale
        whole = np.empty((size[1], size[0], 3), np.uint8)
        side = max(SMALLEST_WINDOW, -(-max(height, width) // 2))
        for tile in plan_tiles(width, height, side, side, self.overlap, align=8):
            part = part_of(tile, self.scale, (width, height), size)
            if part is not None:
                output = model(crop(window, tile.window)[None])[0]
                whole[part.place.slices] = part.of(to_uint8(output))
        return whole
