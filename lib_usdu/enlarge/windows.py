"""The upscale stage: from the picture to the canvas, by plain resampling or by a spandrel model in windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from ..compose.weights import to_uint8
from ..errors import Stopped
from ..geometry import Region, Tile, crop, plan_tiles
from ..pictures.canvas import RELEASE_EVERY, copy_canvas, new_canvas, release
from ..run.memory import give_back, out_of_memory

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

SMALLEST_WINDOW = 64
"""Where memory runs out, windows are divided until they are no larger than this, without the overlap."""


def known_name(name: str, names: Iterable[str]) -> str:
    """The name as it is written among `names`: exactly, else whatever its case; as it is where it is not among them."""
    names = list(names)
    return name if name in names else next((known for known in names if known.casefold() == name.casefold()), name)


WHOLE_RESIZE = 2**24
"""Pixels of a picture, the larger of before and after, that is still resized at once; beyond, in bands of so many."""


class Model(Protocol):
    """A network that enlarges by a whole factor."""

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
    """Each band from the rows it needs; within one level of the whole (Pillow rounds a box to 24 bits)."""
    source_h, source_w = rgb.shape[:2]
    down = source_h / height
    margin = math.ceil(3 * max(1.0, down)) + 1  # Lanczos looks 3 px around
    canvas = new_canvas((height, width, *rgb.shape[2:]))
    columns = ((np.arange(width) + 0.5) * (source_w / width)).astype(np.intp)
    rows = max(1, min(WHOLE_RESIZE // width, int(WHOLE_RESIZE // source_w / down)))
    for y in range(0, height, rows):
        end = min(y + rows, height)
        first, last = max(0, int(y * down) - margin), min(source_h, math.ceil(end * down) + margin)
        if resampler == Image.Resampling.NEAREST:
            chosen = ((np.arange(y, end) + 0.5) * down).astype(np.intp)
            canvas[y:end] = rgb[chosen[:, None], columns]
        else:
            box = (0, y * down - first, source_w, min(end * down - first, last - first))
            band = Image.fromarray(rgb[first:last]).resize((width, end - y), resampler, box=box)
            canvas[y:end] = np.asarray(band)
        release(rgb)
        release(canvas)
    return canvas


def upscale(
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
    model = _Sparing(model, batch)
    for plan, size in zip(plans, sizes[1:]):
        larger = new_canvas((size[1], size[0], 3))
        for start in range(0, len(plan), batch):
            if stop():
                raise Stopped("stopped while upscaling")
            tiles = plan[start : start + batch]
            outputs = model(np.stack([crop(rgb, tile.window) for tile in tiles]))
            for tile, output in zip(tiles, outputs):
                _place(to_uint8(output), tile, model.scale, rgb.shape[1::-1], larger)
            done += len(tiles)
            if done % RELEASE_EVERY < len(tiles):
                release(rgb)
                release(larger)
            progress(done, total)
        rgb = larger
    return rgb


@dataclass
class _Sparing:
    """A model that goes on with fewer windows at once, then with pieces of a window, when memory runs out."""

    model: Model
    most: int
    pieces: _Sparing | None = None
    """What pieces of a window go through, where a whole one was too large."""

    @property
    def scale(self) -> int:
        return self.model.scale

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        if self.pieces is not None:
            return np.stack([self._in_pieces(window, self.pieces) for window in windows])
        try:
            return np.concatenate([self.model(windows[i : i + self.most]) for i in range(0, len(windows), self.most)])
        except Exception as error:
            smallest = max(windows.shape[1:3]) <= SMALLEST_WINDOW + 2 * OVERLAP
            if not out_of_memory(error) or (self.most == 1 and smallest):
                raise
        give_back()  # not before the error has let go of what the call held
        if self.most > 1:
            self.most = max(1, min(self.most, len(windows)) // 2)
        else:
            self.pieces = _Sparing(self.model, 1)
        return self(windows)

    def _in_pieces(self, window: np.ndarray, model: Model) -> np.ndarray:
        height, width = window.shape[:2]
        whole = np.empty((height * self.scale, width * self.scale, 3), np.uint8)
        side = max(SMALLEST_WINDOW, -(-max(height, width) // 2))
        for tile in plan_tiles(width, height, side, side, OVERLAP, align=8):
            output = model(crop(window, tile.window)[None])[0]
            _place(to_uint8(output), tile, self.scale, (width, height), whole)
        return whole


def _place(output: np.ndarray, tile: Tile, scale: int, source: tuple[int, int], canvas: np.ndarray) -> None:
    """Writes the core of a window's output into the canvas, resized as a resize of the whole would have it."""
    height, width = canvas.shape[:2]
    across, down = width / source[0], height / source[1]  # canvas pixels per source pixel
    block = Region.between(
        round(tile.core.x * across),
        round(tile.core.y * down),
        round(tile.core.right * across),
        round(tile.core.bottom * down),
    )
    if block.area == 0:
        return
    inside = tile.window.intersect(Region(0, 0, *source))  # a window may reach past the picture
    output = output[: inside.height * scale, : inside.width * scale]
    if (width, height) == (source[0] * scale, source[1] * scale):
        place = block.shift(-tile.window.x * scale, -tile.window.y * scale)
        canvas[block.slices] = output[place.slices]
        return
    box = (
        max(0.0, (block.x / across - tile.window.x) * scale),
        max(0.0, (block.y / down - tile.window.y) * scale),
        min(float(output.shape[1]), (block.right / across - tile.window.x) * scale),
        min(float(output.shape[0]), (block.bottom / down - tile.window.y) * scale),
    )
    resized = Image.fromarray(output).resize((block.width, block.height), Image.Resampling.LANCZOS, box=box)
    canvas[block.slices] = np.asarray(resized)
