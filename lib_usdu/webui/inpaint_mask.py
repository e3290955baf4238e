"""The Inpaint tab's mask."""

from __future__ import annotations

from functools import partial

import numpy as np
from PIL import Image

from ..compose.mask import painted, soften
from ..enlarge.resize_mode import fit_plane
from ..enlarge.windows import resize
from .protocols import Processing


def inpaint_mask(
    p: Processing, source: tuple[int, int], target: tuple[int, int], resize_mode: int
) -> np.ndarray | None:
    """The mask with its blur, which is in px of the source, at the result's size: uint8 (h, w). None without a mask.

    source, target: (width, height) of the picture and of the result.
    """
    if p.image_mask is None:
        return None
    mask = painted(p.image_mask, binary=getattr(p, "mask_round", True))
    mask = mask if mask.shape[::-1] == source else resize(mask, *source, Image.Resampling.BILINEAR)
    mask = soften(255 - mask if p.inpainting_mask_invert else mask, p.mask_blur_x, p.mask_blur_y)
    enlarge = partial(resize, resampler=Image.Resampling.BILINEAR)
    return fit_plane(mask, *target, resize_mode, enlarge)
