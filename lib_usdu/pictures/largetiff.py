"""TIFF files of pictures too large to hold twice: written tile by tile, BigTIFF where 4 GB may not be enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from .canvas import release

TILE = 512
MOST_OF_CLASSIC = 2**31
"""Bytes of pixels: a classic TIFF ends at 4 GB, and pictures that hardly compress need their tables as well."""


def write(
    file: BinaryIO,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    *,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    description: str | None = None,
) -> None:
    """Writes uint8 or uint16 (h, w, 1 or 3), with alpha uint8 (h, w) if any, as tiles of 512 px, deflate-compressed.

    Raises OSError as the file does, and where the package tifffile is missing.
    """
    try:
        import tifffile
    except ImportError:
        raise OSError(0, "large and 16-bit TIFFs need: pip install tifffile") from None

    channels = rgb.shape[2] + (alpha is not None)
    shape = rgb.shape[:2] if channels == 1 else (*rgb.shape[:2], channels)
    settings = {} if alpha is None else {"extrasamples": ["unassalpha"]}
    if dpi is not None:
        settings |= {"resolution": dpi, "resolutionunit": "INCH"}
    photometric = "rgb" if rgb.shape[2] == 3 else "minisblack"
    large = rgb.shape[0] * rgb.shape[1] * channels * rgb.itemsize > MOST_OF_CLASSIC
    with tifffile.TiffWriter(file, bigtiff=large) as writer:
        writer.write(
            _tiles(rgb, alpha), shape=shape, dtype=rgb.dtype, tile=(TILE, TILE), photometric=photometric,
            compression="adobe_deflate", compressionargs={"level": 4}, iccprofile=icc, metadata=None, software=False,
            description=description and description.encode("utf-8", "replace"), **settings,
        )  # fmt: skip


def _tiles(rgb: np.ndarray, alpha: np.ndarray | None) -> Iterator[np.ndarray]:
    """Row by row, whole tiles; what lies past the picture is black."""
    height, width = rgb.shape[:2]
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            part = rgb[y : y + TILE, x : x + TILE]
            tile = np.zeros((TILE, TILE, rgb.shape[2] + (alpha is not None)), rgb.dtype)
            tile[: part.shape[0], : part.shape[1], : rgb.shape[2]] = part
            if alpha is not None:
                shown = alpha[y : y + TILE, x : x + TILE]
                tile[: part.shape[0], : part.shape[1], -1] = shown * rgb.dtype.type(257 if rgb.itemsize == 2 else 1)
            yield tile[..., 0] if tile.shape[2] == 1 else tile
        release(rgb)
