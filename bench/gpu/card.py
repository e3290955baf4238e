"""The device that is measured: its clock, its memory, and a smaller card made of it."""

from __future__ import annotations

import gc
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

GIB = 2**30


@dataclass
class Peak:
    """Bytes of torch's on the device: before, at most while inside, and reserved at most."""

    before: int = 0
    most: int = 0
    reserved: int = 0

    @property
    def over_before(self) -> float:
        """GiB."""
        return (self.most - self.before) / GIB


class Card:
    """A torch device. Off CUDA every number of bytes is 0."""

    def __init__(self, device: str, *, tiny: bool):
        self.device, self.tiny = torch.device(device), tiny
        self.is_cuda = self.device.type == "cuda"
        # torch's own functions want an index before 2.5, some of them still.
        self.index = (self.device.index or 0) if self.is_cuda else None

    def wait(self) -> None:
        if self.is_cuda:
            torch.cuda.synchronize(self.index)

    def clean(self) -> None:
        gc.collect()
        if self.is_cuda:
            torch.cuda.empty_cache()

    @property
    def allocated(self) -> int:
        return torch.cuda.memory_allocated(self.index) if self.is_cuda else 0

    @contextmanager
    def peak(self) -> Iterator[Peak]:
        self.clean()
        found = Peak(self.allocated)
        if self.is_cuda:
            torch.cuda.reset_peak_memory_stats(self.index)
        yield found
        if self.is_cuda:
            found.most = torch.cuda.max_memory_allocated(self.index)
            found.reserved = torch.cuda.max_memory_reserved(self.index)

    def seconds(self, call: Callable[[], Any], repeats: int = 3, warm: int = 1) -> float:
        """The median of so many calls, each waited for."""
        if self.tiny:
            repeats, warm = 1, 0
        for _ in range(warm):
            call()
        times = []
        for _ in range(repeats):
            self.wait()
            start = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - start)
        return sorted(times)[len(times) // 2]

    @contextmanager
    def of_size(self, gib: float) -> Iterator[None]:
        """A card of so many GiB: torch's allocator ends there, and the driver seems to say so too."""
        if not self.is_cuda:
            yield
            return
        self.clean()
        size, real = int(gib * GIB), torch.cuda.mem_get_info
        total = real(self.index)[1]
        torch.cuda.set_per_process_memory_fraction(min(1.0, size / total), self.index)
        torch.cuda.mem_get_info = lambda device=None: (max(0, size - torch.cuda.memory_reserved(self.index)), size)
        try:
            yield
        finally:
            torch.cuda.mem_get_info = real
            torch.cuda.set_per_process_memory_fraction(1.0, self.index)
            self.clean()

    def waits(self, call: Callable[[], Any]) -> dict[str, int]:
        """How often `call` waited for the device, by the line of Python that made it wait."""
        if not self.is_cuda:
            call()
            return {}
        places: Counter[str] = Counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                call()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        for one in caught:
            if "synchroniz" in str(one.message):
                places[f"{'/'.join(Path(one.filename).parts[-2:])}:{one.lineno}"] += 1
        return dict(places.most_common(25))
