"""A host without a webui: upscalers from files, tiles through a refiner of one's choice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..batch_size import BatchSize
from ..enlarge.precision import multiplies_bfloat16
from ..enlarge.spandrel_model import MODEL_FILES
from ..enlarge.upscalers import Source, Upscalers, model_path
from ..enlarge.windows import RESAMPLERS
from ..host import Batch, Fusion, Host, Progress, TileModel
from ..pictures import infotext
from ..resume.digest import digest
from ..session import Session


class Refiner(TileModel):
    """The part of a stand-alone host that a diffusion model is."""

    pictures_at_once: int = 1
    """How many pictures of a folder to work on at the same time."""

    def refine(self, batch: Batch, stop: Callable[[], bool]) -> np.ndarray:
        """As `Host.refine`; `stop` is asked between steps."""
        raise NotImplementedError

    def fuse(
        self, fusion: Fusion, step_done: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> Iterable[np.ndarray]:
        """As `Host.fuse`; asked only where `why_not_fused` says nothing."""
        raise NotImplementedError

    def infotext(self, parameters: dict[str, str]) -> str:
        """As `Host.infotext`."""
        return infotext.write(parameters)


class IdentityRefiner(Refiner):
    """Refines nothing: a dry run, and the yardstick of tests and benchmarks."""

    def why_not_fused(self) -> str:
        return ""

    def refine(self, batch: Batch, stop: Callable[[], bool]) -> np.ndarray:
        return batch.images

    def fuse(
        self, fusion: Fusion, step_done: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> Iterable[np.ndarray]:
        return (batch.images for batch in fusion.batches)

    def infotext(self, parameters: dict[str, str]) -> str:
        """Without the denoising strength: nothing was denoised."""
        return infotext.write({name: value for name, value in parameters.items() if name != infotext.STRENGTH})

    def identity(self) -> dict[str, str]:
        return {"engine": "identity"}


@dataclass
class LocalHost(Host):
    """on_progress is told every step; `stop` may be set from a signal handler or another thread."""

    refiner: Refiner
    upscaler_files: Mapping[str, Path] = field(default_factory=dict)
    device: Any = "cpu"
    on_progress: Callable[[Progress], None] = lambda progress: None
    stop: bool = False
    journal_folder: Path | None = None
    session: Session = field(default_factory=Session)

    def __post_init__(self):
        refiner = self.refiner
        self.alignment, self.latents = refiner.alignment, refiner.latents
        self.default_tile, self.works_apart = refiner.default_tile, refiner.works_apart
        self.batch_limits, self.infotext, self.identity = refiner.batch_limits, refiner.infotext, refiner.identity
        self.noise_share, self.looks_over = refiner.noise_share, refiner.looks_over
        self.save_memory, self.more_precise = refiner.save_memory, refiner.more_precise
        self.remarks = refiner.remarks
        self.pictures_at_once = refiner.pictures_at_once
        also = f", or the path of a {' '.join(MODEL_FILES)} file"
        self._upscalers = Upscalers(self.upscalers, self._source, self.session, also=also)

    @property
    def batch_sizes(self) -> dict[Hashable, BatchSize]:
        return self.session.batch_sizes(id(self.refiner))

    def with_progress(self, on_progress: Callable[[Progress], None]) -> LocalHost:
        """This host for one picture, which others may stand beside; it stops when this one does."""
        other = copy.copy(self)
        other.on_progress, other.stop_requested = on_progress, self.stop_requested
        return other

    upscaler_suffixes = tuple(MODEL_FILES)

    def upscalers(self) -> list[str]:
        return [*RESAMPLERS, *self.upscaler_files]

    def enlarge(self, rgb: np.ndarray, name: str, width: int, height: int) -> np.ndarray:
        return self._upscalers.enlarge(
            rgb, name, width, height, device=self.device, tile=self.default_tile,
            progress=lambda done, total: self.on_progress(Progress("upscale", done, total)), stop=self.stop_requested,
        )  # fmt: skip

    def upscaler_identity(self, name: str) -> str | None:
        """The content of the model's file; None for plain resampling, which is quickly done again."""
        path = self._upscalers.file(name)
        return digest(path.read_bytes(), str(self.device), multiplies_bfloat16(self.device)) if path else None

    def check_upscaler(self, name: str) -> None:
        """Raises OptionError when there is no such upscaler, ModelError when its file is none."""
        self._upscalers.check(name, self.device)

    def refine(self, batch: Batch) -> np.ndarray:
        return self.refiner.refine(batch, self.stop_requested)

    def why_not_fused(self) -> str:
        return self.refiner.why_not_fused()

    def fuse(self, fusion: Fusion, step_done: Callable[[int, int], None]) -> Iterable[np.ndarray]:
        return self.refiner.fuse(fusion, step_done, self.stop_requested)

    def progress(self, progress: Progress, canvas: np.ndarray | None) -> None:
        self.on_progress(progress)

    def stop_requested(self) -> bool:
        return self.stop

    def _source(self, name: str) -> Source | None:
        path = self.upscaler_files.get(name) or model_path(name)
        return None if path is None else Source(Path(path))
