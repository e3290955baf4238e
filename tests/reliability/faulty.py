"""A model that fails on purpose, at a tile of one's choice."""

from __future__ import annotations

import time

import numpy as np
from hosts import NoisyRefiner

from lib_usdu.errors import Stopped

KINDS = ("raises", "nan", "infinite", "black", "wrong size", "too few images", "out of memory", "memory error")


class Killed(BaseException):
    """Ends a run as nothing in it may catch."""


class FaultyRefiner(NoisyRefiner):
    """Fails in the ways of KINDS in calls that hold the tile `at`, the first `times` of them; "killed" ends the run;
    "hangs" waits until it is stopped. `seen`: the tiles of each call."""

    def __init__(self, kind="raises", at=(), times=1, model="noisy"):
        super().__init__()
        self.kind, self.at, self.left, self.model = kind, at, times, model
        self.seen, self.hanging = [], False

    def identity(self):
        return {"model": self.model}

    def refine(self, batch, stop):
        self.seen.append([tile.index for tile in batch.tiles])
        found = super().refine(batch, stop)
        hit = [i for i, tile in enumerate(batch.tiles) if tile.index in self.at]
        if not hit or not self.left:
            return found
        self.left -= 1
        return self._fail(found, hit, stop)

    def _fail(self, found, hit, stop):  # noqa: PLR0911
        match self.kind:
            case "nan" | "infinite":
                found[hit, 3, 5, 1] = np.nan if self.kind == "nan" else np.inf
                return found
            case "black":
                found[hit] = 0
                return found
            case "wrong size":
                return found[:, :-8]
            case "too few images":
                return found[:-1]
            case "out of memory":
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            case "memory error":
                raise MemoryError
            case "killed":
                raise Killed
            case "hangs":
                self.hanging = True
                while not stop():
                    time.sleep(0.002)
                raise Stopped("stopped in a tile")
            case _:
                raise RuntimeError("this tile fails on purpose\nwith a second line")


def cores(result, tiles):
    """The pixels of these tiles' cores that no other tile reaches (blur 0), as a mask."""
    mask = np.zeros(result.image.shape[:2], bool)
    for tile in tiles:
        mask[tile.core.slices] = True
    return mask
