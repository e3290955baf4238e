"""What a run cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Stats:
    """What a run cost. `stages` maps a stage's name to its seconds; of the tile loop, `refine_seconds` went by in the
    host's refine call; `outside_per_tile` holds the seconds a tile cost outside of it, one entry for each batch.
    `tiles_flat`, those with nothing to redraw, are not in `tiles`. `resumed`: pieces of work, tiles or the upscaled
    picture, that were there from an earlier run. `noise_share`: of noise in what the sampler of the redraw began with,
    0-1; None where nobody says it. `tile_seconds`: by its index, what a tile of the redraw took, of its batch an equal
    share; not of tiles that take each step together."""

    tiles: int = 0
    tiles_done: int = 0
    tiles_flat: int = 0
    resumed: int = 0
    batches: int = 0
    noise_share: float | None = None
    seconds: float = 0.0
    refine_seconds: float = 0.0
    outside_seconds: float = 0.0
    outside_per_tile: list[float] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    tile_seconds: dict[int, float] = field(default_factory=dict)

    @property
    def outside_ms_per_tile(self) -> float:
        """Milliseconds a tile cost outside of the host's refine call."""
        return 1000 * self.outside_seconds / max(self.tiles_done, 1)

    def count(self, stage: str, tiles: Sequence[int], refine_seconds: float, outside_seconds: float) -> None:
        """Adds a batch: its tiles by their indices."""
        number = len(tiles)
        self.batches += 1
        self.tiles_done += number
        self.refine_seconds += refine_seconds
        self.outside_seconds += outside_seconds
        self.outside_per_tile.append(outside_seconds / number)
        if stage == "redraw":
            self.tile_seconds.update(dict.fromkeys(tiles, (refine_seconds + outside_seconds) / number))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A context whose seconds count for this stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - start
