"""Picture files read: their size from the header first, then pixels of any kind as 8-bit RGB, upright."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError

from ..errors import InputError
from ..run.memory import free_bytes
from . import deep
from .described import look_for_cicp
from .formats import (
    BY_SUFFIX,
    INPUT_EXTENSIONS,
    OUTPUT_FORMATS,
    is_lossless_webp,
    is_read,
    register_plugins,
    why_not_read,
)  # fmt: skip
from .metadata import ORIENTATION, Metadata, read_metadata, read_parameters, tiff_tags
from .modes import Pixels, pixels_of
from .saving import reason, write

__all__ = [
    "INPUT_EXTENSIONS", "OUTPUT_FORMATS", "Header", "Picture", "list_images", "look", "read", "read_infotext", "write",
]  # fmt: skip

# Named ones only: Pillow would hand an EPS to Ghostscript, and takes noise for a TGA.
_INPUT_FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "TIFF", "GIF", "BMP", "DIB", "AVIF", "HEIF", "JXL", "JPEG2000", "PPM", "ICO", "PSD",
    "QOI", "PCX", "SGI", "DDS",
)  # fmt: skip
_UPRIGHT = dict(enumerate(map(Image.Transpose, (0, 3, 1, 5, 4, 6, 2)), start=2))  # by EXIF orientation
_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 0x0102, 0x0153
_BYTES_A_PIXEL = 8
"""Taken while a picture is decoded: Pillow's copy and ours."""
_MOST_TEXT = 2**26
"""Bytes of text or profile that one chunk of a PNG may unpack to; Pillow's own limit is 1 MB."""
_MOST_PAGES_COUNTED = 100
_process_wide = threading.RLock()


@dataclass(frozen=True)
class Header:
    """What a file's header says. width, height: px, upright."""

    width: int
    height: int

    size = property(lambda self: (self.width, self.height))


@dataclass(frozen=True, eq=False)
class Picture:
    """What was read, upright. pixels: as `modes` gives them. notes: one sentence for each conversion that was made.
    lossless: whether it is a WebP file of the lossless kind."""

    pixels: Pixels
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)
    lossless: bool = False

    rgb = property(lambda self: self.pixels.rgb)
    alpha = property(lambda self: self.pixels.alpha)
    icc = property(lambda self: self.pixels.icc)


def look(path: str | os.PathLike, *, max_pixels: int) -> Header:
    """The header of a picture file: nothing is decoded. Raises InputError for one that cannot be read, that has more
    than `max_pixels` or needs more memory than is free."""
    with _opened(path) as image:
        width, height = image.size
        if not 0 < width * height <= max_pixels:
            raise InputError(f"{path}: {width} x {height} = {width * height} pixels; the limit is {max_pixels}")
        need, free = width * height * _BYTES_A_PIXEL, free_bytes(None)
        if free is not None and need > free:
            lack = f"{width} x {height} px need {need / 1e9:.1f} GB to read; {free / 1e9:.1f} GB are free"
            raise InputError(f"{path}: {lack}")
        with suppress(Exception):
            # Pillow decodes a PNG without EXIF to see whether some follows the pixels.
            looked_for = image.format != "PNG" or _EXIF_OF_PNG & {*image.info} or _exif_behind(path)
            if looked_for and image.getexif().get(ORIENTATION) in (5, 6, 7, 8):
                width, height = height, width
        return Header(width, height)


_EXIF_OF_PNG = {"exif", "Raw profile type exif"}
"""Under one of these keys Pillow has what stands before the pixels."""


def _exif_behind(path: str | os.PathLike) -> bool:
    """Whether EXIF may follow the pixels of a PNG: as a chunk of its own, or as text."""
    with Path(path).open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = int.from_bytes(head[:4], "big"), head[4:]
            start = file.read(min(length, 24))
            if name == b"eXIf" or (name in (b"tEXt", b"zTXt", b"iTXt") and b"exif" in start):
                return True
            file.seek(length - len(start) + 4, os.SEEK_CUR)
    return False


def read(path: str | os.PathLike, *, max_pixels: int) -> Picture:
    """The picture in a file of any common kind; an InputError of one line for a file that gives none."""
    look(path, max_pixels=max_pixels)
    with _opened(path) as image, Path(path).open("rb") as file:
        look_for_cicp(image, file)
        deep.mend_planes(image)
        # Pillow opens 16-bit colour as 8-bit, and forgets on loading how the file had it.
        deep_colour = deep.is_deep_colour(image)
        sixteen = deep_colour or image.mode[0] == "I" or deep.has_16_bits(image)
        bits = max(tiff_tags(image).get(_BITS_PER_SAMPLE, (16 if sixteen else deep.bits_beside(image, file),)))
        signed = tiff_tags(image).get(_SAMPLE_FORMAT, (1,))[0] != 1
        of_ppm = deep.of_ppm(image, file)
        upright = _upright(image)
        pixels = pixels_of(
            upright, bits=bits, deep=_deep(path, upright) if deep_colour else of_ppm, signed=signed or bits != 32
        )  # fmt: skip
        notes = list(pixels.notes)
        dpi = tuple(map(float, image.info.get("dpi", (0, 0))))
        dpi = dpi if len(dpi) == 2 and all(1 <= v <= 65535 for v in dpi) else None
        metadata = read_metadata(image)
        notes += _other_frames(image)  # seeks through the file and so replaces the pixels: last
        return Picture(pixels, dpi, tuple(notes), metadata, image.format == "WEBP" and is_lossless_webp(file))


def read_infotext(path: str | os.PathLike) -> str | None:
    """The generation parameters that `write` or the webui stored in a picture."""
    with _opened(path) as image:
        return read_parameters(image)


def list_images(folder: str | os.PathLike, *, recursive: bool = False) -> tuple[list[Path], list[str]]:
    """The pictures of a folder by extension, sorted by name, and notes on those that are left out.

    Hidden files are passed over, and inner folders unless `recursive`.
    """
    pictures, left_out = [], []
    try:
        for place, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = sorted(name for name in folders if recursive and name[0] != ".")
            paths = [Path(place) / name for name in sorted(names) if name[0] != "."]
            pictures += [path for path in paths if is_read(path) and path.is_file()]
            left_out += [f"{path.name}: left out, {why}" for path in paths if (why := why_not_read(path))]
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({reason(error)})") from error
    return pictures, left_out


def _raise(error: OSError) -> None:
    raise error


def _upright(image: Image.Image) -> Image.Image:
    """The image, loaded and turned as its EXIF orientation says."""
    image.load()
    if image.format != "TIFF":  # Pillow turns those while loading, and some versions leave the tag
        with suppress(Exception):  # a damaged EXIF block must not cost the picture
            return image.transpose(_UPRIGHT[image.getexif()[ORIENTATION]])
    return image


def _deep(path: str | os.PathLike, upright: Image.Image) -> np.ndarray | None:
    """uint16 (h, w, 3) of a 16-bit colour picture; None where Pillow gives 8 bits only."""
    with _opened(path) as again:
        if not deep.swap_bytes(again):
            return None
        low = np.array(_upright(again))[..., :3]
    return deep.joined(np.array(upright)[..., :3], low)


def _other_frames(image: Image.Image) -> list[str]:
    """A note where only the first of several frames or pages is used."""
    if image.format == "TIFF":  # counting walks through the whole file
        frames = 1
        with suppress(EOFError):
            while frames <= _MOST_PAGES_COUNTED:
                image.seek(frames)
                frames += 1
    else:
        frames = getattr(image, "n_frames", 1)
    if frames <= 1:
        return []
    many = image.format == "TIFF" and frames > _MOST_PAGES_COUNTED
    count = f"more than {_MOST_PAGES_COUNTED}" if many else str(frames)
    pages = image.format in ("TIFF", "MPO", "ICO", "PSD")
    return [f"first of {count} pages used" if pages else f"animated: first of {count} frames used"]


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[ImageFile.ImageFile]:
    """An image with its header read; what goes wrong until the caller is done becomes a line about the file."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is {'a folder' if path.is_dir() else 'not a regular file'}, not a picture")
        if path.exists() and not path.stat().st_size:
            raise InputError(f"{path}: the file is empty")
        with path.open("rb") as file, _limits_of_our_own():
            register_plugins()
            Image.init()
            formats = [name for name in _INPUT_FORMATS if name in Image.OPEN]
            formats += [BY_SUFFIX[path.suffix.lower()]] if path.suffix.lower() in BY_SUFFIX else []
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # for the header: pixels are read later
            try:
                image = Image.open(file, formats=formats)
            finally:
                Image.MAX_IMAGE_PIXELS = limit
            yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: is not a picture, or damaged, or of a kind that cannot be read") from error
    except Exception as error:  # from SyntaxError to struct.error
        verdict = "cannot be read" if getattr(error, "errno", None) else "is damaged or incomplete"
        raise InputError(f"{path}: {verdict} ({reason(error)})") from error


@contextmanager
def _limits_of_our_own() -> Iterator[None]:
    """Warning filters and Pillow's limits belong to the whole process: changed for one reader at a time."""
    with _process_wide, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limits = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
        PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = _MOST_TEXT, 4 * _MOST_TEXT
        try:
            yield
        finally:
            PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = limits
