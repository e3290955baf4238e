"""A CUDA card that is not there: what stands in for torch.cuda, as torch 2.1 has it and as torch 2.5 and later have it.

Only its arithmetic is pretended: tensors meant for the card stay on the CPU. What torch.cuda has and this has not still
is torch's own, which fails for want of a driver. `tests/test_card.py` holds it against the torch that is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

GIB = 2**30
NAMES = (
    "is_available", "device_count", "current_device", "set_device", "mem_get_info",
    "memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved", "reset_peak_memory_stats",
    "set_per_process_memory_fraction", "empty_cache", "synchronize", "get_device_properties", "get_device_name",
    "get_rng_state", "set_rng_state", "current_stream", "Event",
)  # fmt: skip


@dataclass
class _Memory:
    """Of one card, in bytes. reserved: what torch has taken from the driver; allocated: the part of it in use."""

    total: int
    others: int = 0
    reserved: int = 0
    allocated: int = 0
    most_reserved: int = 0
    most_allocated: int = 0
    fraction: float = 1.0

    @property
    def free(self) -> int:
        """What the driver would still give."""
        return self.total - self.others - self.reserved


class FakeCards:
    """torch.cuda's functions as methods. version: that of torch, (2, 1) for example; gib: memory of each card."""

    def __init__(self, version: tuple[int, int], count: int = 1, gib: float = 8.0):
        self.version = version
        self.current = 0
        self.capability = 8, 6
        self.memory = [_Memory(int(gib * GIB)) for _ in range(count)]
        self.cache_emptied = 0
        self._states = [torch.zeros(16, dtype=torch.uint8) for _ in range(count)]

    # what a test does to the card

    def allocate(self, size: int, index: int = 0) -> None:
        """Bytes for a tensor, as torch's caching allocator takes them. Raises torch.cuda.OutOfMemoryError."""
        memory = self.memory[index]
        grow = max(0, memory.allocated + size - memory.reserved)
        if grow > memory.free or memory.reserved + grow > memory.fraction * memory.total:
            capacity = "capacty" if self.version < (2, 2) else "capacity"
            raise torch.cuda.OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate {size / GIB:.2f} GiB. GPU {index} has a total {capacity} of "
                f"{memory.total / GIB:.2f} GiB of which {memory.free / GIB:.2f} GiB is free."
            )
        memory.reserved += grow
        memory.allocated += size
        memory.most_reserved = max(memory.most_reserved, memory.reserved)
        memory.most_allocated = max(memory.most_allocated, memory.allocated)

    def release(self, size: int, index: int = 0) -> None:
        """The tensor is gone; torch keeps its memory in reserve."""
        self.memory[index].allocated -= size

    # torch.cuda

    def is_available(self) -> bool:
        return bool(self.memory)

    def device_count(self) -> int:
        return len(self.memory)

    def current_device(self) -> int:
        return self.current

    def set_device(self, device: Any) -> None:
        self.current = self._index(device)

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        if device is None:
            device = self.current
        memory = self.memory[self._index(device, optional=self.version >= (2, 5))]
        return memory.free, memory.total

    def memory_allocated(self, device: Any = None) -> int:
        return self.memory[self._index(device, optional=True)].allocated

    def memory_reserved(self, device: Any = None) -> int:
        return self.memory[self._index(device, optional=True)].reserved

    def max_memory_allocated(self, device: Any = None) -> int:
        return self.memory[self._index(device, optional=True)].most_allocated

    def max_memory_reserved(self, device: Any = None) -> int:
        return self.memory[self._index(device, optional=True)].most_reserved

    def reset_peak_memory_stats(self, device: Any = None) -> None:
        memory = self.memory[self._index(device, optional=True)]
        memory.most_allocated, memory.most_reserved = memory.allocated, memory.reserved

    def set_per_process_memory_fraction(self, fraction: float, device: Any = None) -> None:
        """In torch 2.11, too, a device must have its index here."""
        if device is None:
            device = self.current
        device = self._index(device)
        if not isinstance(fraction, float):
            raise TypeError("Invalid type for fraction argument, must be `float`")
        if not 0 <= fraction <= 1:
            raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
        self.memory[device].fraction = fraction

    def empty_cache(self) -> None:
        self.cache_emptied += 1
        for memory in self.memory:
            memory.reserved = memory.allocated

    def synchronize(self, device: Any = None) -> None:
        self._index(device, optional=True)

    def get_device_properties(self, device: Any = None) -> Any:
        index = self._index(device, optional=True)
        total, (major, minor) = self.memory[index].total, self.capability
        return SimpleNamespace(name=self.get_device_name(index), total_memory=total, major=major, minor=minor)

    def get_device_name(self, device: Any = None) -> str:
        return f"Pretended card {self._index(device, optional=True)}"

    def get_rng_state(self, device: Any = "cuda") -> torch.Tensor:
        return self._states[self._index(device, optional=True)].clone()

    def set_rng_state(self, new_state: torch.Tensor, device: Any = "cuda") -> None:
        self._states[self._index(device, optional=True)] = new_state.clone()

    def current_stream(self, device: Any = None) -> Any:
        return SimpleNamespace(index=self._index(device, optional=True))

    class Event:
        """Work on the CPU is done when it is asked for; waiting for what was not recorded is a fault."""

        def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False):
            self.stream: Any = None

        def record(self, stream: Any = None) -> None:
            self.stream = stream

        def synchronize(self) -> None:
            assert self.stream is not None

    def _index(self, device: Any, optional: bool = False) -> int:
        """As torch.cuda._utils._get_device_index; a card that is not there is the driver's error."""
        if isinstance(device, str):
            device = torch.device(device)
        if isinstance(device, torch.device):
            if device.type != "cuda":
                raise ValueError(f"Expected a cuda device, but got: {device}")
            index = device.index
        else:
            index = device
        if index is None:
            if not optional:
                raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")
            index = self.current
        if not 0 <= index < len(self.memory):
            raise RuntimeError("CUDA error: invalid device ordinal")
        return index


class TensorsStayOnTheCpu(TorchFunctionMode):
    """While it is on, what is asked for on a CUDA device is made on the CPU; pinned memory, which needs a driver, is
    plain memory, and half precision, which torch 2.1 lacks on a CPU, is single. `asked` has the devices by name,
    `pinned` and `halved` count."""

    def __init__(self, cards: FakeCards):
        super().__init__()
        self.cards = cards
        self.asked: list[str] = []
        self.pinned = self.halved = 0

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.device:  # only its name is made
            return func(*args, **kwargs)
        kwargs = {name: self._here(value) for name, value in kwargs.items()}
        if func is torch.Tensor.pin_memory or kwargs.get("pin_memory"):
            self.pinned += 1
            if func is torch.Tensor.pin_memory:
                return args[0]
            kwargs["pin_memory"] = False
        args = tuple(self._here(value) for value in args)
        if func is torch.Tensor.to and torch.float16 in (*args[1:], kwargs.get("dtype")):
            self.halved += 1
            args = tuple(torch.float32 if value is torch.float16 else value for value in args)
            kwargs = {name: torch.float32 if value is torch.float16 else value for name, value in kwargs.items()}
        return func(*args, **kwargs)

    def _here(self, value: Any) -> Any:
        if isinstance(value, str) and value.partition(":")[0] == "cuda":
            value = torch.device(value)
        if isinstance(value, torch.device) and value.type == "cuda":
            self.cards._index(value, optional=True)
            self.asked.append(str(value))
            return torch.device("cpu")
        return value
