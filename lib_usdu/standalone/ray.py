"""Tiles refined by workers on several GPUs or machines, through Ray: it finds them, moves the data and starts a lost
worker and its tiles again. Tiles are pure functions, so the picture is the same whoever refined which."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..batch_size import BatchLimits
from ..errors import OptionError, UsduError
from ..geometry import Canvas, Size
from ..host import Batch
from ..latents import Latents
from ..noise_share import NoiseShare, of_curve
from .host import Refiner

REACHED_WITHIN = 10
"""Seconds that a cluster's address has to answer in."""

ROUNDS = 2
"""Parts of a batch for each worker: a faster one takes what a slower one has not begun."""


class Worker:
    """Holds a refiner, loaded when first asked for: again after Ray has started a lost worker anew."""

    def __init__(self, load: Callable[[], Refiner]):
        self._load = load

    @cached_property
    def refiner(self) -> Refiner:
        """Loaded when first asked for. Raises what loading raises."""
        return self._load()

    def about(self) -> tuple[int, Latents, int]:
        """The refiner's alignment, px, its latents, and side of an automatic tile, px."""
        return self.refiner.alignment, self.refiner.latents, self.refiner.default_tile

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        """As `TileModel.batch_limits`."""
        return self.refiner.batch_limits(width, height)

    def infotext(self, parameters: dict[str, str]) -> str:
        """As `Host.infotext`."""
        return self.refiner.infotext(parameters)

    def noise_curve(self, canvas: Canvas) -> Sequence[float] | None:
        """The curve of `TileModel.noise_share`: a function does not travel."""
        share = self.refiner.noise_share(canvas)
        return None if share is None else share.curve

    def identity(self) -> Any:
        """As `TileModel.identity`."""
        return self.refiner.identity()

    def refine(self, batch: Batch, precisely: bool = False) -> np.ndarray:
        """As `Host.refine`. precisely: in the context of `more_precise`."""
        with self.refiner.more_precise() if precisely else nullcontext():
            return self.refiner.refine(batch, lambda: False)

    def save_memory(self) -> bool:
        """As `TileModel.save_memory`."""
        return self.refiner.save_memory()

    def remarks(self) -> tuple[str, ...]:
        """As `TileModel.remarks`."""
        return tuple(self.refiner.remarks())

    def process(self) -> int:
        """The number of the process it runs in."""
        return os.getpid()


class RayRefiner(Refiner):
    """A refiner whose work is spread over Ray actors, each with a refiner of its own from `load`.

    address: "local" starts Ray on this machine; others as `ray.init` takes them ("auto", "ray://HOST:10001"), where
    the package is sent along. workers: how many; 0: one for each GPU of the cluster, without GPUs one for each CPU.
    What `load` reads must lie at the same place on every machine. Raises OptionError when Ray is missing or not found.
    """

    def __init__(self, load: Callable[[], Refiner], address: str = "local", workers: int = 0):
        try:
            import ray
        except ImportError:
            raise OptionError("--ray", address, "with Ray installed: pip install ray") from None
        self._ray = ray
        if not ray.is_initialized():
            _connect(ray, address)
        have = ray.cluster_resources()
        gpus = int(have.get("GPU", 0))
        most = gpus or max(1, int(have.get("CPU", 1)))
        if not 0 <= workers <= most:
            raise OptionError("--ray-workers", workers, f"0 to {most}: what the cluster has")
        count = workers or most
        actor = ray.remote(Worker).options(num_cpus=1, num_gpus=1 if gpus else 0, max_restarts=-1, max_task_retries=-1)
        self._turns = itertools.count()
        self._precisely = False
        self.workers = [actor.remote(load) for _ in range(count)]
        # Small pictures, of fewer tiles than there are workers, keep all of them busy.
        self.pictures_at_once = count
        self.alignment, self.latents, self.default_tile = self._ask("about")

    works_apart = True

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        """The smallest worker's, for all of them; it does not grow, since a larger batch here means more rounds.

        A worker counts what others have of its card, the upscaler of this process among them.
        """
        least = min(limits.first for limits in self._ask_all("batch_limits", width, height))
        count = least * len(self.workers) * ROUNDS
        return BatchLimits(count, count)

    def save_memory(self) -> bool:
        """Every worker's; False where none has anything left to save."""
        return any(self._ask_all("save_memory"))

    def remarks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(said for found in self._ask_all("remarks") for said in found))

    @contextmanager
    def more_precise(self) -> Iterator[None]:
        self._precisely = True
        try:
            yield
        finally:
            self._precisely = False

    def refine(self, batch: Batch, stop: Callable[[], bool]) -> np.ndarray:
        """The windows after the model, refined in parts, in their order. A stop waits for the whole batch."""
        from ray.util import ActorPool

        batch = replace(batch, drawn=None)  # each worker draws its own: nothing to send
        size = max(1, -(-len(batch.tiles) // (len(self.workers) * ROUNDS)))
        count = len(batch.tiles)
        parts = [batch.part(range(start, min(start + size, count))) for start in range(0, count, size)]
        turn = next(self._turns) % len(self.workers)  # a batch for few of them goes to others than the one before
        workers = self.workers[turn:] + self.workers[:turn]
        with _plain_errors(self._ray):
            return np.concatenate(list(ActorPool(workers).map(self._part, parts)))

    def _part(self, worker: Any, part: Batch) -> Any:
        return worker.refine.remote(part, self._precisely)

    def infotext(self, parameters: dict[str, str]) -> str:
        return self._ask("infotext", parameters)

    def identity(self) -> Any:
        """The workers', so that a run can be resumed, by one machine or many."""
        return self._ask("identity")

    def noise_share(self, canvas: Canvas, window: Size | None = None) -> NoiseShare | None:
        """The workers'; of a strength between two of its curve's the lower one's."""
        curve = self._ask("noise_curve", canvas)
        return None if curve is None else of_curve(curve)

    def _ask_all(self, method: str, *arguments: Any) -> list[Any]:
        """Every worker, at once."""
        with _plain_errors(self._ray):
            return self._ray.get([getattr(worker, method).remote(*arguments) for worker in self.workers])

    def _ask(self, method: str, *arguments: Any) -> Any:
        with _plain_errors(self._ray):
            return self._ray.get(getattr(self.workers[0], method).remote(*arguments))


class _plain_errors:
    """A worker's own error instead of Ray's account of it."""

    def __init__(self, ray: Any):
        self._ray = ray

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, self._ray.exceptions.RayTaskError) and isinstance(error.cause, Exception):
            raise error.cause from None
        if isinstance(error, self._ray.exceptions.RayError):
            raise UsduError(f"--ray: {next(iter(str(error).splitlines()), repr(error))}") from None


def _check_reachable(address: str) -> None:
    """Raises OptionError where nobody answers at HOST:PORT within a few seconds: Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_WITHIN).close()
    except (OSError, OverflowError) as error:
        reason = f"nobody answers: {error}"
        raise OptionError("--ray", address, f"local, auto, ray://HOST:PORT ({reason})") from None


def _connect(ray: Any, address: str) -> None:
    _check_reachable(address)
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        settings["include_dashboard"] = False
    else:
        settings["runtime_env"] = {"py_modules": [str(Path(__file__).parents[1])]}
    try:
        ray.init(address=address, **settings)
    except ImportError:  # the client is a package of its own
        allowed = 'local, auto; ray://HOST:PORT needs: pip install "ray[client]"'
        raise OptionError("--ray", address, allowed) from None
    except (ConnectionError, ValueError, RuntimeError, OSError, AssertionError) as error:
        reason = next(iter(str(error).splitlines()), repr(error))
        raise OptionError("--ray", address, f"local, auto, ray://HOST:PORT ({reason})") from None
