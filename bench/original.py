"""The geometry of the "Ultimate SD upscale" script this extension replaces: the baseline of the quality table.

From scripts/ultimate-upscale.py of Coyote-A/ultimate-upscale-for-automatic1111, and modules/processing.py and
masking.py of AUTOMATIC1111 v1.10.1. Tile after tile in reading order: a white rectangle as mask, blurred; its bounding
box grown by the padding and to the aspect of the processing size; cropped from the picture so far, resized to that
size, refined with the same noise every time, resized back and pasted through the blurred mask. Left out: the latent
mask, which holds the surroundings in place while the tile is drawn, and the webui's truncation to bytes.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from lib_usdu.geometry import Canvas, Region, Tile
from lib_usdu.host import Batch, Host
from lib_usdu.noise import TileNoise
from lib_usdu.options import Options


def redraw(canvas: np.ndarray, options: Options, host: Host) -> np.ndarray:
    """The canvas, uint8 (h, w, 3), after the script's Linear redraw with these sizes, seed and denoise."""
    height, width = canvas.shape[:2]
    whole = Region(0, 0, width, height)
    size = [-(-(side + options.padding) // 64) * 64 for side in (options.tile_width, options.tile_height)]
    latents = Region(0, 0, *(side // host.latents.scale for side in size))
    picture = canvas.copy()
    columns, rows = -(-width // options.tile_width), -(-height // options.tile_height)
    for index in range(rows * columns):
        row, column = divmod(index, columns)
        rectangle = Region(
            column * options.tile_width, row * options.tile_height, options.tile_width, options.tile_height
        )
        mask, touched = _blurred(rectangle.intersect(whole), whole, options.mask_blur)
        crop = _to_aspect(touched.grow(options.padding).intersect(whole), size[0] / size[1], whole)
        window = np.asarray(Image.fromarray(picture[crop.slices]).resize(size, Image.Resampling.LANCZOS))
        tile = Tile(Region(0, 0, *size), Region(0, 0, *size), index, row, column)
        noise = TileNoise(options.seed, latents.height, latents.width, latents)
        refined = host.refine(Batch((tile,), window[None], (noise,), options.denoise, Canvas(*size)))[0]
        back = Image.fromarray(np.clip(np.rint(refined), 0, 255).astype(np.uint8))
        pasted = np.asarray(back.resize((crop.width, crop.height), Image.Resampling.LANCZOS), np.float32)
        share = mask[crop.slices][:, :, None]
        picture[crop.slices] = np.rint(picture[crop.slices] * (1 - share) + pasted * share).astype(np.uint8)
    return picture


def _blurred(rectangle: Region, whole: Region, blur: int) -> tuple[np.ndarray, Region]:
    """The mask, float32 (h, w) from 0 to 1 in steps of a byte, and the box of what is not 0 in it."""
    mask = np.zeros((whole.height, whole.width), np.float32)
    mask[rectangle.slices] = 255
    if blur:
        # processing.py:1622: cv2.GaussianBlur with a kernel of 2 * int(2.5 * blur + 0.5) + 1
        mask = ndimage.gaussian_filter(mask, blur, radius=int(2.5 * blur + 0.5), mode="mirror")
    mask = np.rint(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = Region.between(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return mask / 255, box


def _to_aspect(crop: Region, aspect: float, whole: Region) -> Region:
    """masking.py:34-77: the crop made wider or higher until it has the aspect, moved inward where it would leave."""
    width, height = crop.width, crop.height
    if width / height > aspect:
        height = min(int(width / aspect), whole.height)
    else:
        width = min(int(height * aspect), whole.width)
    x = min(max(crop.x - (width - crop.width) // 2, 0), whole.width - width)
    y = min(max(crop.y - (height - crop.height) // 2, 0), whole.height - height)
    return Region(x, y, width, height)
