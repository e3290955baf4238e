"""What the engine asks of the place it runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np

from .batch_size import BatchLimits, BatchSize
from .geometry import Region, Tile
from .noise import TileNoise


@dataclass(frozen=True)
class Batch:
    """Tiles to refine together.

    images: uint8 (n, window height, window width, 3), the pixels of each tile's window, 1:1.
    noises: the noise of each. denoise: denoising strength, 0-1. canvas: the whole picture's region.
    prompts: what each tile adds to the prompt, "" for nothing; empty where no tile has a prompt of its own.

    Fields that are tuples or arrays hold one entry a tile.
    """

    tiles: tuple[Tile, ...]
    images: np.ndarray
    noises: tuple[TileNoise, ...]
    denoise: float
    canvas: Region
    prompts: tuple[str, ...] = ()

    def part(self, indices: Sequence[int]) -> Batch:
        """Some of the tiles, as a batch of their own."""
        chosen = list(indices)
        return replace(self, **{item.name: _pick(getattr(self, item.name), chosen) for item in fields(self)})


def _pick(value: Any, indices: list[int]) -> Any:
    if isinstance(value, np.ndarray):
        return value[indices]
    return tuple(value[i] for i in indices) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class Fusion:
    """All windows of a pass, to take each sampler step together.

    batches: the windows in the groups that the model can hold, each with one noise, the whole canvas's. reach: px
    (x, y) past its core over which a window's opinion fades out. wrap: the canvas goes on at its other side.
    """

    batches: tuple[Batch, ...]
    reach: tuple[int, int]
    wrap: bool = False

    @property
    def tiles(self) -> list[Tile]:
        return [tile for batch in self.batches for tile in batch.tiles]

    @property
    def images(self) -> Iterator[np.ndarray]:
        """The pixels of one window after the other: uint8 (h, w, 3)."""
        return (image for batch in self.batches for image in batch.images)

    @property
    def noise(self) -> TileNoise:
        """Of the whole canvas."""
        return self.batches[0].noises[0]

    @property
    def limit(self) -> int:
        """How many windows the model can hold at once."""
        return max(len(batch.tiles) for batch in self.batches)


@dataclass(frozen=True)
class Progress:
    """How far a stage ("upscale", "redraw", "seams fix") is; seconds_left is None until it can be told.

    For the stages that refine tiles, done and total count the tiles of the whole run.
    """

    stage: str
    done: int
    total: int
    seconds_left: float | None = None


class Host(Protocol):
    """A place that refines tiles: a webui, diffusers, or nothing at all.

    A host may also have, and the engine looks for:
    journal_folder: Path | None, where finished tiles are kept so that a run can be resumed;
    identity() -> Mapping | None: what `refine` depends on besides the batch, None where it cannot be told;
    upscaler_identity(name) -> Any: the same of `upscale`, None where keeping its result is not worth it;
    upscale_skipped: bool, True once the person has skipped the upscaling;
    save_memory() -> bool: takes a slower way that needs less memory, False where there is none (left);
    more_precise(): a context in which `refine` calculates more precisely.
    """

    alignment: int
    """Window sizes are multiples of this, in pixels."""
    latent_scale: int
    """Pixels per latent along each axis."""
    default_tile: int
    """Side of a tile, in pixels, that the model likes best."""

    batch_cap: int | None
    """The most windows one call may hold, whatever the person asked for; None: no such limit."""

    interrogators: Sequence[str]
    """Values of the option `interrogator` that work here; "none" always."""
    finishes: Sequence[str]
    """The same of the option `finish`."""

    batch_sizes: dict[Any, BatchSize]
    """What was learned of batches; kept from picture to picture, as long as the model is the same."""

    works_apart: bool
    """Whether the model has a device of its own, so that the processor has time while `refine` waits for it."""

    def announce(self, parameters: dict[str, str], tiles: int) -> None:
        """Told before the first tile: the run's generation parameters and how many tiles there are."""
        ...

    def leave_out(self, tiles: int) -> None:
        """Told during a run: so many of the tiles announced will not be refined after all."""
        ...

    def upscalers(self) -> list[str]:
        """Names `upscale` takes, in the order of their index."""
        ...

    def upscale(self, rgb: np.ndarray, name: str, width: int, height: int) -> np.ndarray:
        """The picture, uint8 (h, w, 3), at exactly this size. Raises OptionError for an unknown name, Stopped."""
        ...

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        """How many windows of this size to refine together when the person leaves it open."""
        ...

    def refine(self, batch: Batch) -> np.ndarray:
        """Each window after the model: (n, window height, window width, 3), levels 0-255, float or uint8.

        Raises Stopped when the person asked to stop before it was complete, Skipped when these tiles should be left,
        NotANumber when the numbers broke down.
        """
        ...

    fuses: bool
    """Whether `fuse` is there; a host without this attribute has it not."""

    def fuse(self, fusion: Fusion, step_done: Callable[[int, int], None]) -> Iterable[np.ndarray]:
        """As `refine` for each batch, but all windows take each sampler step together and agree on it.

        step_done is told (steps done, steps). Raises Stopped before anything was given back.
        """
        ...

    def interrogate(self, window: np.ndarray, name: str) -> str:
        """What a tile's window shows, in words for a prompt; asked only for a name in `interrogators`."""
        ...

    def finish(self, picture: np.ndarray, name: str) -> np.ndarray:
        """The final picture, uint8 (h, w, 3), after a pass over the whole; asked only for a name in `finishes`."""
        ...

    def progress(self, progress: Progress, canvas: np.ndarray | None) -> None:
        """Told after each step; canvas is the picture so far (not to be kept or changed)."""
        ...

    def stop_requested(self) -> bool: ...

    def infotext(self, parameters: dict[str, str]) -> str:
        """Generation parameters in the webui's form, these among them."""
        ...
