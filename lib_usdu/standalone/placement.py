"""Where a pipeline's networks lie: all on the card, or some in the processor's memory until they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from ..errors import ModelError, OptionError
from ..run.memory import free_bytes, give_back, out_of_memory
from ..run.memory_needs import SD, Needs
from ..speed.in_place import answering, in_place_of
from .families.table import network
from .latents import dtype_of

LOW_MEMORY = ("auto", "off", "model", "sequential")
"""Values of --low-memory."""
WAYS = ("off", "prompts", "model", "sequential")
"""From fast to small. off: all on the card; prompts: text encoders only while prompts are encoded; model: one network
at a time; sequential: one layer at a time."""
_GB = 1e9


def _nothing() -> None:
    pass


class Placement:
    """Puts a pipeline, which is in the processor's memory, on a device, and takes less of its memory later if need be.

    way: one of WAYS. tile: side in px of the tiles to come. needs: of a window of this kind of model. Raises ModelError
    where the model fits in no way allowed.
    """

    def __init__(self, pipeline: Any, device: torch.device, low_memory: str, tile: int, needs: Needs = SD):
        if device.type == "cpu" and low_memory in ("model", "sequential"):
            raise OptionError("low_memory", low_memory, "auto or off where the model runs on a CPU")
        self.pipeline, self.device = pipeline, device
        self.way = "off"
        if device.type != "cpu":
            window = needs.of(1, tile + 64, tile + 64)
            self.way = fitting(pipeline, device, window) if low_memory == "auto" else low_memory
        self._strict = low_memory != "auto"
        self._formats: dict[torch.dtype, torch.dtype] = {}
        """What diffusers says of the network, by the number format that it calculates in."""

    @property
    def encoders_leave(self) -> bool:
        """Whether text encoders are off the device while tiles are drawn."""
        return self.way != "off"

    def before_prompts(self) -> None:
        """Before prompts are encoded: what stays on the card goes there."""
        self._try(self._resident)

    def after_prompts(self) -> None:
        """After prompts were encoded, and the text encoders are gone."""
        self._try(self._hooks)

    def less(self) -> bool:
        """The next smaller way, in a run; False where there is none. The caller sends the text encoders away."""
        if self.device.type == "cpu" or self.way == WAYS[-1]:
            return False
        self.way = WAYS[WAYS.index(self.way) + 1]
        if self.way == "prompts":
            return True
        try:
            self._hooks()
        except ImportError:  # no accelerate
            self.way = "prompts"
            return False
        give_back()
        return True

    def rest(self) -> None:
        """Between two networks: the last one leaves the card, where only one is to be there."""
        if self.way == "model":
            self.pipeline.maybe_free_model_hooks()

    @contextmanager
    def told(self) -> Iterator[None]:
        """While inside, the pipeline has its device for an answer, and its network its number format. diffusers' own
        ways look through every module of the networks, several times a call. At the end of a call it does so once more,
        for what a user's cache has kept: where there is none, it does not."""
        drawing = network(self.pipeline)
        format = dtype_of(drawing)
        if format not in self._formats:
            self._formats[format] = drawing.dtype
        keeps = self.way in ("model", "sequential") or getattr(drawing, "is_cache_enabled", False)
        ends = nullcontext() if keeps else in_place_of(self.pipeline, maybe_free_model_hooks=_nothing)
        with (
            answering(self.pipeline, _execution_device=self.device), answering(drawing, dtype=self._formats[format]),
            ends,
        ):  # fmt: skip
            yield

    def _resident(self) -> None:
        if self.way == "off":
            self.pipeline.to(self.device)
        elif self.way == "prompts":
            network(self.pipeline).to(self.device)
            self.pipeline.vae.to(self.device)

    def _hooks(self) -> None:
        if self.way == "model":
            self.pipeline.enable_model_cpu_offload(device=self.device)
        elif self.way == "sequential":
            self.pipeline.enable_sequential_cpu_offload(device=self.device)

    def _try(self, step: Any) -> None:
        """The step, in the next smaller way as often as memory does not hold it."""
        while True:
            try:
                return step()
            except Exception as error:
                if not out_of_memory(error):
                    raise
                if self._strict or self.way == WAYS[-1]:
                    raise ModelError(self._too_large()) from error
            self.pipeline.to("cpu")
            give_back()
            self.way = WAYS[WAYS.index(self.way) + 1]

    def _too_large(self) -> str:
        free = free_bytes(self.device)
        has = "" if free is None else f" ({free / _GB:.1f} GB are free)"
        advice = {"off": "--low-memory model", "model": "--low-memory sequential"}.get(self.way, "a smaller model")
        size = sum(map(weight_bytes, networks(self.pipeline))) / _GB
        return f"checkpoint: the model's {size:.1f} GB do not fit {self.device}{has}; choose {advice}, or --device cpu"


def fitting(pipeline: Any, device: torch.device, window: int) -> str:
    """The fastest way in which weights and a window of so many bytes fit the device's free memory; "off" where that is
    not known."""
    free = free_bytes(device)
    if free is None:
        return "off"
    drawing = [weight_bytes(network(pipeline)), weight_bytes(pipeline.vae)]
    sizes = list(map(weight_bytes, networks(pipeline)))
    needed = {"off": sum(sizes), "prompts": sum(drawing), "model": max(sizes)}
    return next((way for way, weights in needed.items() if weights + window <= free), "sequential")


def networks(pipeline: Any) -> list[torch.nn.Module]:
    """The networks of a pipeline."""
    return [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]


def weight_bytes(network: torch.nn.Module) -> int:
    """Bytes of its weights."""
    return sum(weight.numel() * weight.element_size() for weight in network.parameters())
