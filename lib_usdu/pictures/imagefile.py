"""Picture files in and out: whatever a person has becomes 8-bit RGB, and a result is written whole or not at all."""

from __future__ import annotations

import os
import secrets
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from ..errors import InputError, OutputError
from . import deep, largetiff
from .modes import Pixels, pixels_of

OUTPUT_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
INPUT_EXTENSIONS = {*OUTPUT_FORMATS, ".jfif", ".bmp", ".gif", ".avif", ".jp2", ".ppm", ".pgm"}
# Named ones only: Pillow would hand an EPS to Ghostscript, and takes noise for a TGA.
_INPUT_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF", "JPEG2000", "PPM", "ICO")
_UPRIGHT = dict(enumerate(map(Image.Transpose, (0, 3, 1, 5, 4, 6, 2)), start=2))  # by EXIF orientation
_ORIENTATION, _DESCRIPTION, _EXIF, _USER_COMMENT, _BITS_PER_SAMPLE = 0x0112, 0x010E, 0x8769, 0x9286, 0x0102
LARGE_TIFF = 2**26
"""Pixels beyond which a TIFF is written tile by tile."""
_process_wide = threading.RLock()


@dataclass(frozen=True, eq=False)
class Picture:
    """What was read, upright. `pixels` as `modes` gives them; `notes` says each conversion that was made."""

    pixels: Pixels
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    rgb = property(lambda self: self.pixels.rgb)
    alpha = property(lambda self: self.pixels.alpha)
    icc = property(lambda self: self.pixels.icc)


def read(path: str | os.PathLike, *, max_pixels: int) -> Picture:
    """The picture in a file of any common kind; an `InputError` of one line for a file that gives none."""
    with _opened(path) as image:
        pixels = image.width * image.height
        if not 0 < pixels <= max_pixels:
            raise InputError(f"{path}: {image.width} x {image.height} = {pixels} pixels; the limit is {max_pixels}")
        # Pillow opens 16-bit colour as 8-bit, and forgets on loading how the file had it.
        deep_colour = deep.is_deep_colour(image)
        sixteen = deep_colour or image.mode[0] == "I" or ";16" in str(image.tile)
        bits = max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16 if sixteen else 8,)))
        found = pixels_of(_upright(image), bits=bits, deep=_deep(path, image) if deep_colour else None)
        notes = list(found.notes)
        dpi = tuple(map(float, image.info.get("dpi", (0, 0))))
        frames = getattr(image, "n_frames", 1)  # counting seeks through the file and so replaces the pixels: last
        if frames > 1:
            pages = image.format in ("TIFF", "MPO", "ICO")
            notes.append(f"first of {frames} pages used" if pages else f"animated: first of {frames} frames used")
        return Picture(found, dpi if all(1 <= v <= 65535 for v in dpi) else None, tuple(notes))


def _upright(image: Image.Image) -> Image.Image:
    """The image, loaded and turned as its EXIF orientation says."""
    image.load()
    if image.format != "TIFF":  # Pillow turns those while loading, and some versions leave the tag
        with suppress(Exception):  # a damaged EXIF block must not cost the picture
            return image.transpose(_UPRIGHT[image.getexif()[_ORIENTATION]])
    return image


def _deep(path: str | os.PathLike, image: Image.Image) -> np.ndarray | None:
    """uint16 (h, w, 3) of a 16-bit colour picture; None where Pillow gives 8 bits only."""
    with _opened(path) as again:
        if not deep.swap_bytes(again):
            return None
        low = np.array(_upright(again))[..., :3]
    return deep.joined(np.array(_upright(image))[..., :3], low)


def read_infotext(path: str | os.PathLike) -> str | None:
    """The generation parameters that `write` or the webui stored in a picture."""
    with _opened(path) as image:
        if image.format == "PNG":
            return image.info.get("parameters")
        if image.format == "TIFF":  # whose strings Pillow decodes as latin-1
            return image.tag_v2.get(_DESCRIPTION, "").encode("latin-1", "replace").decode("utf-8", "replace") or None
        comment = image.getexif().get_ifd(_EXIF).get(_USER_COMMENT) or b""
        return comment[8:].decode("utf-16-be", "replace") if comment[:8] == b"UNICODE\0" else None


def list_images(folder: str | os.PathLike) -> list[Path]:
    """The pictures of a folder by extension, sorted by name; hidden files and inner folders are left out."""
    try:
        named = [p for p in Path(folder).iterdir() if p.suffix.lower() in INPUT_EXTENSIONS and p.name[0] != "."]
        return sorted(p for p in named if p.is_file())
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({_reason(error)})") from error


def write(
    path: str | os.PathLike,
    rgb: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    infotext: str | None = None,
    overwrite: bool = False,
    quality: int = 95,
) -> tuple[str, ...]:
    """Write in the format of the extension; the notes returned say what that format could not hold."""
    path = Path(path)
    kind = OUTPUT_FORMATS.get(path.suffix.lower())
    if kind is None:
        raise OutputError(f"{path}: extension {path.suffix!r} is not allowed; allowed: {' '.join(OUTPUT_FORMATS)}")
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path} exists; use --overwrite")
    if kind == "WEBP" and max(rgb.shape) > 16383:
        raise OutputError(f"{path}: WebP holds at most 16383 px a side, this is {max(rgb.shape)}; use .png")
    notes: list[str] = []
    if kind == "TIFF" and rgb.shape[0] * rgb.shape[1] > LARGE_TIFF:
        _write_whole(path, lambda file: largetiff.write(file, rgb, alpha, icc=icc, dpi=dpi, description=infotext))
        return ()
    image = Image.fromarray(rgb)
    if alpha is not None and (kind != "JPEG" or alpha.min() < 255):
        image.putalpha(Image.fromarray(alpha))
    if kind == "JPEG" and image.mode == "RGBA":
        notes.append("JPEG holds no transparency: flattened on white")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    settings = _infotext_settings(infotext, kind, notes) if infotext else {}
    settings.update({"icc_profile": icc, "dpi": dpi} if dpi else {"icc_profile": icc})
    lossy = {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
    settings.update({"PNG": {}, "TIFF": {"compression": "tiff_adobe_deflate"}}.get(kind, lossy))
    _write_whole(path, lambda file: image.save(file, kind, **settings))
    return tuple(notes)


def _infotext_settings(infotext: str, kind: str, notes: list[str]) -> dict:
    """Where the webui keeps it, so that its PNG Info tab reads our files."""
    text = infotext.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate has no encoding
    chunks, exif = PngImagePlugin.PngInfo(), Image.Exif()
    chunks.add_text("parameters", text)
    exif[_EXIF] = {_USER_COMMENT: b"UNICODE\0" + text.encode("utf-16-be")}
    block = exif.tobytes()
    if kind == "JPEG" and len(block) > 65533:
        notes.append("the infotext is too long for JPEG and was left out")
        return {}
    fields = {"PNG": ("pnginfo", chunks), "JPEG": ("exif", block), "WEBP": ("exif", block.removeprefix(b"Exif\0\0"))}
    return dict([fields.get(kind, ("tiffinfo", {_DESCRIPTION: text.encode()}))])


def _write_whole(path: Path, save: Callable[[BinaryIO], None]) -> None:
    """Under a temporary name first: whatever fails, an older file stays as it was."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("x+b") as file:
            save(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except Exception as error:  # Pillow's encoders, like its decoders, raise all kinds
        raise OutputError(f"{path}: cannot be written ({_reason(error)})") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())[:160] or type(error).__name__


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Image.Image]:
    """An image with its header read; what goes wrong until the caller is done becomes a line about the file."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is {'a folder' if path.is_dir() else 'not a regular file'}, not a picture")
        if path.exists() and not path.stat().st_size:
            raise InputError(f"{path}: the file is empty")
        # Warning filters and Pillow's pixel limit belong to the whole process.
        with path.open("rb") as file, _process_wide, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.init()
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # for the header: pixels are read later
            try:
                image = Image.open(file, formats=[name for name in _INPUT_FORMATS if name in Image.OPEN])
            finally:
                Image.MAX_IMAGE_PIXELS = limit
            yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: is not a picture, or damaged, or of a kind that cannot be read") from error
    except Exception as error:  # from SyntaxError to struct.error
        verdict = "cannot be read" if getattr(error, "errno", None) else "is damaged or incomplete"
        raise InputError(f"{path}: {verdict} ({_reason(error)})") from error
