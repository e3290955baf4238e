"""The upscale stage: from the picture to the canvas, by plain resampling or by a spandrel model in windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from PIL import Image

from ..errors import Stopped
from ..geometry import Tile, crop, plan_tiles
from ..pictures.canvas import RELEASE_EVERY, copy_canvas, new_canvas, release
from .parts import Part, part_of
from .sparing import Pending, Sparing

RESAMPLERS = {
    "None": Image.Resampling.LANCZOS,
    "Lanczos": Image.Resampling.LANCZOS,
    "Nearest": Image.Resampling.NEAREST,
}
"""Built-in upscalers. None leaves the model out: the picture is resized with Lanczos."""

WINDOW = 256
"""Pixels of the small picture a model is given at once, without the overlap."""

OVERLAP = 16
"""Pixels around a window that the model sees and that are cut off again."""


def known_name(name: str, names: Iterable[str]) -> str:
    """The name as it is written among `names`: exactly, else whatever its case; as it is where it is not among them."""
    names = list(names)
    return name if name in names else next((known for known in names if known.casefold() == name.casefold()), name)


WHOLE_RESIZE = 2**24
"""Pixels of a picture, the larger of before and after, that is still resized at once; beyond, in bands of so many."""


WRITERS = 4
"""Threads that write into a new canvas: the system makes its pages when they are first written, 1.2 GB a second for
each thread, and a small network gives 2 GB a second."""


class Model(Protocol):
    """A network that enlarges by a whole factor.

    One with a device of its own may have `begin(windows, parts)`: it starts the work and returns a function that waits
    for it and returns the parts, uint8 (h, w, 3) each.
    """

    scale: int

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """uint8 (n, h, w, 3) to float or uint8 (n, h * scale, w * scale, 3), levels 0-255."""
        ...


def resize(rgb: np.ndarray, width: int, height: int, resampler: int = Image.Resampling.LANCZOS) -> np.ndarray:
    """uint8 (h, w, 3) or (h, w) to exactly this size.

    A large picture is resized band by band, since Pillow holds four bytes a pixel several times over.
    """
    if rgb.shape[1::-1] == (width, height):
        return copy_canvas(rgb)
    if max(width * height, rgb.shape[0] * rgb.shape[1]) <= WHOLE_RESIZE:
        return np.asarray(Image.fromarray(rgb).resize((width, height), resampler))
    return _resize_in_bands(rgb, width, height, resampler)


def _resize_in_bands(rgb: np.ndarray, width: int, height: int, resampler: int) -> np.ndarray:
    canvas = new_canvas((height, width, *rgb.shape[2:]))
    for rows, band in resized_bands(rgb, width, height, resampler):
        canvas[rows] = band
        release(rgb)
        release(canvas)
    return canvas


def resized_bands(
    rgb: np.ndarray, width: int, height: int, resampler: int = Image.Resampling.LANCZOS
) -> Iterator[tuple[slice, np.ndarray]]:
    """`resize`, band by band: the rows it goes to, and the band.

    Each from the rows it needs; within one level of the whole (Pillow rounds a box to 24 bits).
    """
    source_h, source_w = rgb.shape[:2]
    down = source_h / height
    margin = math.ceil(3 * max(1.0, down)) + 1  # Lanczos looks 3 px around
    columns = ((np.arange(width) + 0.5) * (source_w / width)).astype(np.intp)
    rows = max(1, min(WHOLE_RESIZE // width, int(WHOLE_RESIZE // source_w / down)))
    for y in range(0, height, rows):
        end = min(y + rows, height)
        first, last = max(0, int(y * down) - margin), min(source_h, math.ceil(end * down) + margin)
        if resampler == Image.Resampling.NEAREST:
            chosen = ((np.arange(y, end) + 0.5) * down).astype(np.intp)
            yield slice(y, end), rgb[chosen[:, None], columns]
        else:
            box = (0, y * down - first, source_w, min(end * down - first, last - first))
            band = Image.fromarray(rgb[first:last]).resize((width, end - y), resampler, box=box)
            yield slice(y, end), np.asarray(band)


def run_network(
    rgb: np.ndarray,
    model: Model,
    width: int,
    height: int,
    *,
    window: int = WINDOW,
    overlap: int = OVERLAP,
    batch: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> np.ndarray:
    """The picture at width x height: the model runs as often as the size needs, the rest is one Lanczos resize.

    rgb: uint8 (h, w, 3). A model of any factor serves any size; one of factor 1 runs once. The canvas is written
    window by window: the model's output is never held whole, unless it must run on it again. Raises Stopped when
    `stop` says so between windows. batch: windows given to the model at once; fewer and smaller ones where memory runs
    out.
    """
    sizes = [(rgb.shape[1], rgb.shape[0])]
    while model.scale > 1 and (sizes[-1][0] < width or sizes[-1][1] < height):
        sizes.append((sizes[-1][0] * model.scale, sizes[-1][1] * model.scale))
    if model.scale == 1:
        sizes.append(sizes[0])
    if len(sizes) == 1:
        return resize(rgb, width, height)
    sizes[-1] = (width, height)
    plans = [plan_tiles(w, h, window, window, overlap, align=8) for w, h in sizes[:-1]]
    total, done = sum(map(len, plans)), 0
    sparing = Sparing(model, batch, OVERLAP)
    for plan, size in zip(plans, sizes[1:]):
        larger = new_canvas((size[1], size[0], 3))
        for count in _run(rgb, plan, sparing, larger, batch, stop):
            done += count
            if done % RELEASE_EVERY < count:
                release(rgb)
                release(larger)
            progress(done, total)
        rgb = larger
    return rgb


def _run(
    rgb: np.ndarray, plan: Sequence[Tile], model: Sparing, canvas: np.ndarray, batch: int, stop: Callable[[], bool]
) -> Iterator[int]:
    """The model over one picture, into the canvas; the number of windows done, after each batch.

    While a device works on a batch, the one before is downloaded, and threads write the one before that.
    """
    source, size = rgb.shape[1::-1], canvas.shape[1::-1]

    def write(block: np.ndarray, part: Part) -> None:
        canvas[part.place.slices] = block

    running: tuple[Pending, list[Part | None]] | None = None
    written: list[Future] = []
    with ThreadPoolExecutor(WRITERS, "usdu-write") as writers:
        for start in [*range(0, len(plan), batch), None]:
            coming = None
            if start is not None:
                if stop():
                    raise Stopped("stopped while upscaling")
                tiles = plan[start : start + batch]
                parts = [part_of(tile, model.scale, source, size) for tile in tiles]
                coming = model.begin(np.stack([crop(rgb, tile.window) for tile in tiles]), parts), parts
            if running is not None:
                pending, parts = running
                blocks = pending()
                for one in written:  # no more than two batches are held
                    one.result()
                pairs = [(block, part) for block, part in zip(blocks, parts) if block is not None and part is not None]
                written = [writers.submit(write, block, part) for block, part in pairs]
                yield len(parts)
            running = coming
        for one in written:
            one.result()
