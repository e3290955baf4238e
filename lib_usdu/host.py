"""What the engine asks of the place it runs in."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .batch_size import BatchLimits, BatchSize
from .geometry import ORIGIN, Canvas, Size, Tile
from .latents import Latents
from .noise import TileNoise
from .noise_share import NoiseShare

if TYPE_CHECKING:
    from .plan import Plan
    from .run.overview import Overview


@dataclass(frozen=True)
class Batch:
    """Tiles to refine together.

    images: uint8 (n, window height, window width, 3), the pixels of each tile's window, 1:1.
    noises: the noise of each. denoise: denoising strength, 0-1. canvas: the whole picture.
    prompts: what each tile adds to the prompt, "" for nothing; empty where no tile has a prompt of its own.
    at_once: how many of them the model sees at a time; 0: all. resemblance: how far each step is held to the images,
    0 (not) to 1. speed: the option's value. strengths: uint8 (n, h, w), how much each latent
    of each window is redrawn (select/strength.py); None: all as much as `denoise` says. drawn: float32 (n, channels,
    h, w), the first draw of each noise, where it was made beforehand. overviews: what each window is shown of its
    surroundings; empty: nothing. Fields that are tuples or arrays hold one entry a tile.
    """

    tiles: tuple[Tile, ...]
    images: np.ndarray
    noises: tuple[TileNoise, ...]
    denoise: float
    canvas: Canvas
    prompts: tuple[str, ...] = ()
    at_once: int = 0
    resemblance: float = 0.0
    speed: str = "exact"
    strengths: np.ndarray | None = None
    drawn: np.ndarray | None = None
    overviews: tuple[Overview, ...] = ()

    @property
    def together(self) -> int:
        """How many tiles the model sees at a time."""
        return self.at_once or len(self.tiles)

    def part(self, indices: Sequence[int]) -> Batch:
        """Some of the tiles, as a batch of their own."""
        chosen = list(indices)
        picked = {item.name: _pick(getattr(self, item.name), chosen) for item in fields(self)}
        return replace(self, **picked).seen(self.at_once)

    def seen(self, at_once: int) -> Batch:
        """The same tiles, of which the model sees so many at a time."""
        return replace(self, at_once=at_once if at_once < len(self.tiles) else 0)


def _pick(value: Any, indices: list[int]) -> Any:
    if isinstance(value, np.ndarray):
        return value[indices]
    return tuple(value[i] for i in indices) if isinstance(value, tuple) and value else value


@dataclass(frozen=True)
class Fusion:
    """All windows of a pass, to take each sampler step together.

    batches: the windows in the groups that the model can hold, each with one noise, the whole canvas's. reach: px
    (x, y) past its core over which a window's opinion fades out. strengths: uint8 (1, h, w), how much each latent
    of the canvas is redrawn; None: all as much as they can be.
    """

    batches: tuple[Batch, ...]
    reach: tuple[int, int]
    strengths: np.ndarray | None = None

    @property
    def canvas(self) -> Canvas:
        """The whole picture."""
        return self.batches[0].canvas

    @property
    def tiles(self) -> list[Tile]:
        """All of the pass."""
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
    """How far a stage ("upscale", "redraw", "seams fix") is. For the stages that refine tiles, done and total count the
    tiles of the whole run.
    """

    stage: str
    done: int
    total: int


def no_fused() -> str:
    """Why a host without `fuse` does not fuse."""
    return "this host has no fused"


def one_at_a_time(width: int, height: int) -> BatchLimits:
    """The batch limits of a host that knows nothing of its memory."""
    return BatchLimits(1, 1)


@dataclass(frozen=True)
class Abilities:
    """What a plan must know of a host. A model need not be loaded for it.

    alignment: window sizes are multiples of this, px. default_tile: side of an automatic tile, px. upscalers: the
    names it knows; upscaler_suffixes: the path of a file with one of these is an upscaler too. interrogators,
    finishes: values of these options that work here. batch_cap: the most windows in one call, whatever the person asks
    for; None: no such limit. Two are functions, since they look at the model or the device, and are called only where
    the answer counts: why_not_fused says why the redraw mode "fused" does not work here, "" where it does;
    batch_limits makes of a window's width and height, px, the number of windows to begin with and the most to try.
    grain: windows start at multiples of this, px.
    """

    alignment: int = 64
    default_tile: int = 512
    upscalers: tuple[str, ...] = ("None", "Lanczos", "Nearest")
    upscaler_suffixes: tuple[str, ...] = ()
    interrogators: tuple[str, ...] = ("none",)
    finishes: tuple[str, ...] = ("none",)
    batch_cap: int | None = None
    why_not_fused: Callable[[], str] = no_fused
    batch_limits: Callable[[int, int], BatchLimits] = one_at_a_time
    tile_is_guessed: bool = False
    """Whether no model is loaded that default_tile could be told from."""
    grain: int = ORIGIN


class TileModel:
    """The model that tiles go through, as a `Host` and a stand-alone `Refiner` speak of it.
    What is here is the truth of a model that can do nothing but refine a batch.
    """

    alignment: int = 64
    """Window sizes are multiples of this, in pixels."""
    latents: Latents = Latents()
    """What the model works in: canvas noise is made in its space, windows start at multiples of its grain."""
    default_tile: int = 512
    """Side of a tile, in pixels, that the model likes best."""
    works_apart: bool = False
    """Whether the model has a device of its own, so that the processor has time while `refine` waits for it."""

    def looks_over(self) -> bool:
        """Whether `refine` makes use of a batch's overviews."""
        return False

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        """How many windows of this size, px, to refine together when the person leaves it open."""
        return one_at_a_time(width, height)

    def why_not_fused(self) -> str:
        """Why `fuse` does not work here and now; "" where it does."""
        return no_fused()

    def noise_share(self, canvas: Canvas, window: Size | None = None) -> NoiseShare | None:
        """What denoising strengths mean over a canvas, in windows of this size; None where nothing is denoised."""
        return None

    def identity(self) -> Mapping[str, Any] | None:
        """What `refine` depends on besides the batch: a tile is taken from the journal only where this is equal. None
        where it cannot be told."""
        return None

    def save_memory(self) -> bool:
        """Takes a slower way that needs less memory from here on; False where there is none (left)."""
        return False

    def remarks(self) -> Sequence[str]:
        """What was changed here to be able to go on, a line each, for the person to know."""
        return ()

    def more_precise(self) -> AbstractContextManager[None]:
        """A context in which `refine` calculates more precisely, where it can."""
        return nullcontext()


class Host(TileModel):
    """A place that refines tiles: a webui, diffusers, or nothing at all.

    A host overrides what it can do better. What is here is the truth of a host that can do nothing but `refine`.
    """

    batch_cap: int | None = None
    """The most windows one call may hold, whatever the person asked for; None: no such limit."""
    interrogators: Sequence[str] = ("none",)
    """Values of the option `interrogator` that work here; "none" always."""
    finishes: Sequence[str] = ("none",)
    """The same of the option `finish`."""
    upscaler_suffixes: Sequence[str] = ()
    """The path of a file with one of these suffixes is an upscaler too."""
    journal_folder: Path | None = None
    """Where finished tiles are kept, so that a run can be resumed; None: nowhere."""
    upscaler_skipped: bool = False
    """True once the person has skipped the upscaling."""

    @property
    def batch_sizes(self) -> dict[Hashable, BatchSize]:
        """What was learned of batches with the model in use: a host with a `Session` keeps it there."""
        return {}

    def abilities(self) -> Abilities:
        """What a plan must know."""
        return Abilities(
            self.latents.aligned(self.alignment), self.default_tile, tuple(self.upscalers()),
            tuple(self.upscaler_suffixes), tuple(self.interrogators), tuple(self.finishes), self.batch_cap,
            self.why_not_fused, self.batch_limits, grain=self.latents.grain,
        )  # fmt: skip

    def announce(self, parameters: dict[str, str], plan: Plan) -> None:
        """Told before the first tile: the run's generation parameters and what there is to do."""

    def leave_out(self, tiles: int) -> None:
        """Told during a run that so many of the tiles announced will not be refined after all."""

    def upscalers(self) -> list[str]:
        """Names `enlarge` takes, in the order of their index."""
        raise NotImplementedError

    def enlarge(self, rgb: np.ndarray, name: str, width: int, height: int) -> np.ndarray:
        """The picture, uint8 (h, w, 3), at exactly this size. Raises OptionError for an unknown name, Stopped."""
        raise NotImplementedError

    def upscaler_identity(self, name: str) -> Any:
        """What `enlarge` depends on besides the picture and the size; None where its result is not worth keeping."""
        return None

    def call_limits(self, width: int, height: int) -> BatchLimits | None:
        """The fewest and the most windows of this size, px, that one call of `refine` may hold where no tile waits for
        another: it encodes all, then samples all, `Batch.at_once` at a time, then decodes all. None: this host works on
        all windows of a call together."""
        return None

    def pace(self, denoise: float) -> float:
        """What the time of a tile is proportional to, beside its size: how often the model is asked."""
        return 1.0

    def refine(self, batch: Batch) -> np.ndarray:
        """Each window after the model: (n, window height, window width, 3), levels 0-255, float or uint8.

        Raises Stopped when the person asked to stop before it was complete, Skipped when these tiles should be left,
        NotANumber when the numbers broke down.
        """
        raise NotImplementedError

    def fuse(self, fusion: Fusion, step_done: Callable[[int, int], None]) -> Iterable[np.ndarray]:
        """As `refine` for each batch, but all windows take each sampler step together and agree on it.

        step_done is told (steps done, steps). Raises Stopped before anything was given back.
        """
        raise NotImplementedError

    def interrogate(self, window: np.ndarray, name: str) -> str:
        """What a tile's window, uint8 (h, w, 3), shows, in words for a prompt; asked for names in `interrogators`."""
        raise NotImplementedError

    def finish(self, picture: np.ndarray, name: str) -> np.ndarray:
        """The final picture, uint8 (h, w, 3), after a pass over the whole; asked only for a name in `finishes`."""
        raise NotImplementedError

    def progress(self, progress: Progress, canvas: np.ndarray | None) -> None:
        """Told after each step; canvas is the picture so far (not to be kept or changed)."""

    def stop_requested(self) -> bool:
        """Whether the person asked to stop."""
        return False

    def infotext(self, parameters: dict[str, str]) -> str:
        """Generation parameters in the webui's form, these among them."""
        raise NotImplementedError
