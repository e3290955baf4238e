"""Tells a tile whose numbers broke down from a picture."""

from __future__ import annotations

import numpy as np

FLAT = 8
"""A window whose levels lie no further apart is flat itself: near-white paper may well become white."""


def what_is_broken(result: np.ndarray, window: np.ndarray) -> str:
    """Why a tile is no picture: not all of it is finite, or it is of one colour while its window is not; "" for one.

    result: (h, w, 3) of any number type. window: uint8 (h, w, 3), what the model was given.

    A webui turns NaN into black before we see it: AUTOMATIC1111's test fires only where all values are NaN and only
    without --disable-nan-check, and Forge has emptied it.
    """
    if result.dtype.kind not in "ui" and not _finite(result):
        return "the model's result holds NaN or infinite values"
    if not _of_one_colour(result):
        return ""
    if (np.ptp(window, axis=(0, 1)) <= FLAT).all():
        return ""
    return "the model's result is one flat colour, as where its values were NaN"


_FAR = 16
"""Levels, in the mean, between a picture and one colour that cannot be made of it: paper with a speck may become
white."""


def is_blank(enlarged: np.ndarray, picture: np.ndarray) -> bool:
    """Whether an enlarged picture is of one colour that the picture is far from, as where an upscaler's values were NaN
    and somebody has made black of them. Both uint8 (h, w, 3). A smaller result may be of one colour."""
    if min(enlarged.shape[0] - picture.shape[0], enlarged.shape[1] - picture.shape[1]) < 0:
        return False
    if not _of_one_colour(enlarged):
        return False
    return bool(np.abs(picture[::4, ::4].astype(np.int16) - enlarged[0, 0]).mean() > _FAR)


def _of_one_colour(values: np.ndarray) -> bool:
    """Whether all of (h, w, 3) is. A few of its pixels mostly tell that it is not."""
    colour = values[0, 0]
    return not ((values[::16, ::16] != colour).any() or (values != colour).any())


def _finite(values: np.ndarray) -> bool:
    """Whether all of them are. Their sum tells it where it is finite itself, without a mask of all of them."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())
