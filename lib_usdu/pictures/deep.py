"""16 bits a sample: read whole, although Pillow reduces colours to 8, and given back to a result made in 8 bits."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile

from .formats import head_of

_OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B"}
"""Pillow's names of the byte order: decoding 16-bit colour in the wrong one gives the low byte of each sample."""


_BITS_A_SAMPLE, _PLANES = 0x0102, 0x011C


def mend_planes(image: Any) -> None:
    """For 16-bit TIFFs with a plane for each colour, not loaded yet: Pillow would take each byte for a sample."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(_PLANES) != 2 or max(tags.get(_BITS_A_SAMPLE, (8,))) != 16 or image.mode not in ("RGB", "RGBA"):
        return
    if all(part[0] == "raw" and ";" not in part[3][0] for part in image.tile):
        order = ";16L" if image.tag_v2.prefix == b"II" else ";16B"
        image.tile = [_with_arguments(part, (part[3][0] + order, *part[3][1:])) for part in image.tile]


def bits_beside(image: Any, file: BinaryIO) -> int:
    """Bits a sample of a format whose pixels Pillow reduces to 8 without a word; 8 where there are no more. The file
    stays where it is."""
    head = head_of(file)
    with suppress(ValueError, IndexError):
        if image.format == "JPEG2000" and image.mode in ("RGB", "RGBA", "LA"):
            return (head[head.index(b"\xff\x4f\xff\x51") + 42] & 0x7F) + 1
        if image.format == "AVIF":
            flags = head[head.index(b"av1C") + 6]
            return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
        if image.format == "PPM" and image.tile[0][0] == "ppm":
            return max(8, int(image.tile[0][3][1]).bit_length())
    return int(image.info.get("bit_depth", 8))  # pillow-heif's


def of_ppm(image: Any, file: BinaryIO) -> np.ndarray | None:
    """uint16 (h, w, 3) of a binary PPM with more than 8 bits, not loaded yet; None for any other picture. The file
    stays where it is."""
    if image.format != "PPM" or image.mode != "RGB" or image.tile[0][0] != "ppm" or image.tile[0][3][1] < 256:
        return None
    part = image.tile[0]
    place, (width, height) = file.tell(), image.size
    file.seek(part[2])
    values = np.frombuffer(file.read(width * height * 6), ">u2").astype(np.uint32)
    file.seek(place)
    if values.size != width * height * 3:
        return None  # Pillow says what is missing
    most = part[3][1]
    return ((values * 65535 + most // 2) // most).clip(0, 65535).astype(np.uint16).reshape(height, width, 3)


def has_16_bits(image: Image.Image) -> bool:
    """Whether a picture from a file, not loaded yet, has 16 bits a sample in some part of it."""
    return any(";16" in str(part[3]) for part in getattr(image, "tile", ()))


def is_deep_colour(image: Image.Image) -> bool:
    """Whether the pixels, not loaded yet, are 16-bit RGB or RGBA that Pillow would reduce to 8 bits."""
    return image.mode in ("RGB", "RGBA") and has_16_bits(image)


def swap_bytes(image: ImageFile.ImageFile) -> bool:
    """Lets a 16-bit RGB or RGBA picture, not loaded yet, load the low byte of each sample instead of the high one.

    False where Pillow has no way to them.
    """
    if getattr(image, "tag_v2", {}).get(_PLANES) == 2 and image.tile[0][0] == "libtiff":
        return False
    mend_planes(image)
    with suppress(KeyError, TypeError, ValueError, IndexError):
        image.tile = [_with_arguments(part, _swapped(part[3])) for part in image.tile]
        return True
    return False


def joined(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """uint16 of the two bytes of each sample."""
    return (high.astype(np.uint16) << 8) | low


def _with_arguments(part: Any, arguments: Any) -> Any:
    """A piece of a file as Pillow lists it: a plain tuple before Pillow 11."""
    return part._replace(args=arguments) if hasattr(part, "_replace") else (*part[:3], arguments)


def _swapped(arguments: Any) -> str | tuple:
    """A decoder's arguments with the other byte order in the raw mode."""
    raw_mode, *rest = (arguments,) if isinstance(arguments, str) else arguments
    mode, order = raw_mode.split(";")
    if mode not in ("RGB", "RGBA", "RGBX", "R", "G", "B", "A"):  # grey with alpha, which Pillow hands over as RGBA
        raise ValueError(raw_mode)
    swapped = f"{mode};{_OTHER_BYTE[order]}"
    return swapped if isinstance(arguments, str) else (swapped, *rest)


def enlarged(deep: np.ndarray, canvas: np.ndarray, result: np.ndarray, rows: int = 512) -> np.ndarray:
    """A result made in 8 bits, with the 16-bit precision of its source: uint16 (h, w, 3).

    deep: uint16 (h, w) or (h, w, 3), the source. canvas: uint8 (h, w, 3), the enlarged picture before any tile was
    redrawn. result: uint8, the final picture. Each value is moved by what the canvas lacks of the source enlarged by
    Lanczos in 16 bits, at most one 8-bit level: smooth areas have no steps, and what a model drew stays.
    """
    height, width = canvas.shape[:2]
    whole = np.empty((height, width, 3), np.uint16)
    channels = [deep] if deep.ndim == 2 else [deep[..., i] for i in range(3)]
    down = deep.shape[0] / height
    margin = int(np.ceil(3 * max(1.0, down))) + 1  # Lanczos looks 3 px around
    for top in range(0, height, rows):
        end = min(top + rows, height)
        first, last = max(0, int(top * down) - margin), min(deep.shape[0], int(np.ceil(end * down)) + margin)
        box = (0, top * down - first, deep.shape[1], min(end * down - first, last - first))
        parts = [Image.fromarray(np.ascontiguousarray(one[first:last], dtype=np.float32)) for one in channels]
        enlarged = [
            np.asarray(part.resize((width, end - top), Image.Resampling.LANCZOS, box=box)) for part in parts
        ]  # fmt: skip
        for i in range(3):
            exact = enlarged[i] if len(enlarged) == 3 else enlarged[0]
            eight = canvas[top:end, :, i].astype(np.float32) * 257
            moved = result[top:end, :, i].astype(np.float32) * 257 + np.clip(exact - eight, -257, 257)
            whole[top:end, :, i] = np.clip(moved + 0.5, 0, 65535).astype(np.uint16)
    return whole


def write_png(
    file: BinaryIO,
    pixels: np.ndarray,
    alpha: np.ndarray | None = None,
    *,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    chunks: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """Writes a PNG of 16 bits a sample, which Pillow does for grey only.

    pixels: uint16 (h, w, 1) or (h, w, 3). alpha: uint8 (h, w). chunks: further ones, before the pixels. Raises OSError
    as the file does.
    """
    height, width, channels = pixels.shape
    colour_type = {1: 0, 3: 2}[channels] + (0 if alpha is None else 4)
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    if icc:
        _chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc))
    if dpi:
        _chunk(file, b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in dpi), 1))
    for kind, data in chunks:
        _chunk(file, kind, data)
    packer = zlib.compressobj(6)
    before = np.zeros((width, channels + (alpha is not None), 2), np.uint8)
    for y in range(height):
        row = pixels[y]
        if alpha is not None:
            row = np.concatenate([row, alpha[y, :, None].astype(np.uint16) * 257], axis=1)
        row = row.astype(">u2").view(np.uint8).reshape(before.shape)
        data = packer.compress(b"\2" + (row - before).tobytes())  # the filter "up": less the row above
        before = row
        if data:
            _chunk(file, b"IDAT", data)
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
