"""TIFF files of pictures too large to hold twice: written tile by tile, BigTIFF where 4 GB may not be enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from .canvas import release

TILE = 512


def write(
    file: BinaryIO,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    *,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    description: str | None = None,
) -> None:
    """Writes uint8 (h, w, 3), with alpha (h, w) if any, as tiles of 512 px, deflate-compressed.

    Raises OSError as the file does.
    """
    import tifffile

    channels = 3 if alpha is None else 4
    shape = (*rgb.shape[:2], channels)
    settings = {} if alpha is None else {"extrasamples": ["unassalpha"]}
    if dpi is not None:
        settings |= {"resolution": dpi, "resolutionunit": "INCH"}
    with tifffile.TiffWriter(file, bigtiff=rgb.shape[0] * rgb.shape[1] * channels > 2**31) as writer:
        writer.write(
            _tiles(rgb, alpha), shape=shape, dtype=np.uint8, tile=(TILE, TILE), photometric="rgb",
            compression="adobe_deflate", compressionargs={"level": 4}, iccprofile=icc, metadata=None, software=False,
            description=description and description.encode("utf-8", "replace"), **settings,
        )  # fmt: skip


def _tiles(rgb: np.ndarray, alpha: np.ndarray | None) -> Iterator[np.ndarray]:
    """Row by row, whole tiles; what lies past the picture is black."""
    height, width = rgb.shape[:2]
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            part = rgb[y : y + TILE, x : x + TILE]
            tile = np.zeros((TILE, TILE, 3 if alpha is None else 4), np.uint8)
            tile[: part.shape[0], : part.shape[1], :3] = part
            if alpha is not None:
                tile[: part.shape[0], : part.shape[1], 3] = alpha[y : y + TILE, x : x + TILE]
            yield tile
        release(rgb)
