"""What outlives a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .batch_size import BatchSize
from .geometry import Tile


@dataclass
class Session:
    """What the next picture is spared: the hosts of one process share one. A new one knows nothing.

    Safe to use from several threads at once.
    """

    _sizes: dict[Hashable, dict[Hashable, BatchSize]] = field(default_factory=dict)
    _network: tuple[Hashable, Any] | None = None
    _tiles: tuple[tuple[Tile, ...], Mapping[int, float]] = ((), {})
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def batch_sizes(self, model: Hashable) -> dict[Hashable, BatchSize]:
        """What was learned of batches with this model, by kind of batch; to be added to."""
        return self._sizes.setdefault(model, {})

    def remember_tiles(self, tiles: tuple[Tile, ...], seconds: Mapping[int, float]) -> None:
        """What each of these tiles took in the run that is over, by index."""
        self._tiles = tiles, dict(seconds)

    def tile_seconds(self, tiles: tuple[Tile, ...]) -> Mapping[int, float]:
        """What these took in the last run, by index; empty where it had others."""
        last, seconds = self._tiles
        return seconds if last == tiles else {}

    def network(self, key: Hashable, load: Callable[[], Any]) -> Any:
        """The upscaler's network of this key: the one that was loaded last, or a new one in its place.

        Raises what `load` raises; nothing is kept then.
        """
        with self._lock:
            if self._network is None or self._network[0] != key:
                self._network = None  # before the next is loaded: both may not fit
                self._network = key, load()
            return self._network[1]

    def forget_network(self) -> None:
        """Its memory is needed."""
        with self._lock:
            self._network = None
