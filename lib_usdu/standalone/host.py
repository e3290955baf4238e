"""A host without a webui: upscalers from files, tiles through a refiner of one's choice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..batch_size import BatchLimits, BatchSize
from ..enlarge.precision import multiplies_bfloat16
from ..enlarge.spandrel_model import MODEL_FILES, SpandrelModel
from ..enlarge.windows import OVERLAP, RESAMPLERS, WINDOW, known_name, resize, upscale
from ..errors import OptionError
from ..host import Batch, Fusion, Progress
from ..options import listed
from ..pictures import infotext
from ..resume.digest import digest
from ..run.memory import give_back, short, upscaler_windows

EMBEDDED_UPSCALER = "SPAN x4"


class Refiner(Protocol):
    """The part of a host that a diffusion model is."""

    alignment: int
    latent_scale: int
    default_tile: int

    def batch_limits(self, width: int, height: int) -> BatchLimits: ...

    def refine(self, batch: Batch, stop: Callable[[], bool]) -> np.ndarray: ...

    def infotext(self, parameters: dict[str, str]) -> str: ...


class IdentityRefiner:
    """Refines nothing: a dry run, and the yardstick of tests and benchmarks."""

    alignment = 64
    latent_scale = 8
    default_tile = 512

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        return BatchLimits(1, 1)

    def refine(self, batch: Batch, stop: Callable[[], bool]) -> np.ndarray:
        return batch.images

    def fuse(
        self, fusion: Fusion, step_done: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> Iterable[np.ndarray]:
        return (batch.images for batch in fusion.batches)

    def infotext(self, parameters: dict[str, str]) -> str:
        return infotext.write(parameters)

    def identity(self) -> dict[str, str]:
        return {"engine": "identity"}


@dataclass
class LocalHost:
    """on_progress is told every step; `stop` may be set from a signal handler or another thread. A refiner may have
    `identity`, `save_memory`, `more_precise` and `works_apart` as a host may."""

    refiner: Refiner
    upscaler_files: Mapping[str, Path] = field(default_factory=dict)
    device: Any = "cpu"
    on_progress: Callable[[Progress], None] = lambda progress: None
    stop: bool = False
    journal_folder: Path | None = None

    def __post_init__(self):
        self.alignment, self.latent_scale = self.refiner.alignment, self.refiner.latent_scale
        self.default_tile = self.refiner.default_tile
        self.batch_limits, self.infotext = self.refiner.batch_limits, self.refiner.infotext
        self.works_apart = getattr(self.refiner, "works_apart", False)
        self.batch_sizes: dict[Any, BatchSize] = {}
        self._models: dict[str, SpandrelModel] = {}  # kept for the next picture

        for hook in ("identity", "save_memory", "more_precise"):
            if hasattr(self.refiner, hook):
                setattr(self, hook, getattr(self.refiner, hook))

    @property
    def pictures_at_once(self) -> int:
        """How many pictures of a folder to work on at the same time."""
        return getattr(self.refiner, "pictures_at_once", 1)

    def with_progress(self, on_progress: Callable[[Progress], None]) -> LocalHost:
        """This host for one picture, which others may stand beside; it stops when this one does."""
        other = copy.copy(self)
        other.on_progress, other.stop_requested = on_progress, self.stop_requested
        return other

    batch_cap = None
    interrogators = finishes = ("none",)

    def announce(self, parameters: dict[str, str], tiles: int) -> None:
        pass

    def leave_out(self, tiles: int) -> None:
        pass

    def upscalers(self) -> list[str]:
        return [*RESAMPLERS, *self.upscaler_files]

    def upscale(self, rgb: np.ndarray, name: str, width: int, height: int) -> np.ndarray:
        name = known_name(name, self.upscalers())
        if name in RESAMPLERS:
            return resize(rgb, width, height, RESAMPLERS[name])
        enlarged = upscale(
            rgb,
            self._model(name),
            width,
            height,
            batch=upscaler_windows(self.device, WINDOW + 2 * OVERLAP),
            progress=lambda done, total: self.on_progress(Progress("upscale", done, total)),
            stop=self.stop_requested,
        )
        if short(self.device, self.default_tile, self.default_tile):
            self._models.clear()
            give_back()
        return enlarged

    def upscaler_identity(self, name: str) -> str | None:
        """The content of the model's file; None for plain resampling, which is quickly done again."""
        name = known_name(name, self.upscalers())
        path = None if name in RESAMPLERS else self.upscaler_files.get(name) or _model_path(name)
        return digest(Path(path).read_bytes(), str(self.device), multiplies_bfloat16(self.device)) if path else None

    def check_upscaler(self, name: str) -> None:
        """Raises OptionError when there is no such upscaler, ModelError when its file is none."""
        if known_name(name, RESAMPLERS) not in RESAMPLERS:
            self._model(name)

    def refine(self, batch: Batch) -> np.ndarray:
        return self.refiner.refine(batch, self.stop_requested)

    @property
    def fuses(self) -> bool:
        return hasattr(self.refiner, "fuse")

    def fuse(self, fusion: Fusion, step_done: Callable[[int, int], None]) -> Iterable[np.ndarray]:
        return self.refiner.fuse(fusion, step_done, self.stop_requested)

    def progress(self, progress: Progress, canvas: np.ndarray | None) -> None:
        self.on_progress(progress)

    def stop_requested(self) -> bool:
        return self.stop

    def _model(self, name: str) -> SpandrelModel:
        if name not in self._models:
            path = self.upscaler_files.get(name) or _model_path(name)
            if path is None:
                raise OptionError(
                    "upscaler", name, f"{listed(self.upscalers())}, or the path of a {' '.join(MODEL_FILES)} file"
                )
            self._models[name] = SpandrelModel.load(path, self.device)
        return self._models[name]


def _model_path(name: str) -> Path | None:
    path = Path(name).expanduser()
    return path if path.suffix.lower() in MODEL_FILES and path.is_file() else None
