"""Results as files: written whole or not at all, in the format of the name, with what belongs to the picture."""

from __future__ import annotations

import os
import secrets
import socket
import stat
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..errors import OutputError
from . import deep, largetiff
from .formats import DEEP_FORMATS, check_size, output_kind
from .metadata import Metadata, add_tiff_tags, png_chunks, save_settings

LARGE_TIFF = 2**26
"""Pixels beyond which a TIFF is written tile by tile."""
_STALE = 86400
"""Seconds after which a temporary file of another machine's process counts as left over."""


def write(
    path: str | os.PathLike,
    rgb: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    sixteen: np.ndarray | None = None,
    grey: bool = False,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    infotext: str | None = None,
    metadata: Metadata | None = None,
    overwrite: bool = False,
    quality: int = 95,
    lossless: bool = False,
) -> tuple[str, ...]:
    """Writes a picture in the format of the path's suffix; returns notes on what that format could not hold.

    rgb: uint8 (h, w, 3). alpha: uint8 (h, w). sixteen: the picture in 16 bits, uint16 (h, w, 3), written where the
    format holds it. grey: the picture has no colour and is written with one channel, unless its profile is for RGB.
    infotext: generation parameters, in place of those of `metadata`. quality: 1-100, of lossy formats. lossless: of
    WebP, which then has no quality.

    A file that is replaced keeps its mode; through a symbolic link its target is written. Raises OutputError.
    """
    path = Path(path)
    kind = output_kind(path)
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path} exists; use --overwrite")
    height, width = rgb.shape[:2]
    check_size(path, width, height)
    about = metadata or Metadata()
    about = replace(about, parameters=infotext) if infotext else about
    grey = grey and icc is None
    notes: list[str] = []
    if alpha is not None and kind == "JPEG":
        if alpha.min() < 255:
            notes.append("JPEG holds no transparency: flattened on white")
            rgb = _on_white(rgb, alpha)
        alpha = None
    if sixteen is not None and kind not in DEEP_FORMATS:
        notes.append(f"{kind} holds 8 bits a sample here: 16-bit precision is lost")
        sixteen = None
    if kind == "TIFF" and (sixteen is not None or height * width > LARGE_TIFF):
        pixels = rgb if sixteen is None else sixteen
        pixels = pixels[..., :1] if grey and alpha is None else pixels  # Pillow reads no 16-bit grey with alpha

        def save_large(file: BinaryIO) -> None:
            largetiff.write(file, pixels, alpha, icc=icc, dpi=dpi, description=about.parameters or None)
            notes.extend(add_tiff_tags(file, about.without_parameters()))

        save = save_large
    elif sixteen is not None:
        pixels = sixteen[..., :1] if grey else sixteen

        def save_deep(file: BinaryIO) -> None:
            deep.write_png(file, pixels, alpha, icc=icc, dpi=dpi, chunks=png_chunks(about))

        save = save_deep
    else:
        image = Image.fromarray(rgb)
        image = image.convert("L") if grey else image
        if alpha is not None:
            image.putalpha(Image.fromarray(alpha))
        save = _with_pillow(image, kind, about, {"icc_profile": icc, "dpi": dpi}, quality, lossless, notes)
    write_whole(path, save)
    return tuple(notes)


def _with_pillow(
    image: Image.Image, kind: str, about: Metadata, profile_and_dpi: dict, quality: int, lossless: bool,
    notes: list[str],
) -> Callable[[BinaryIO], None]:
    settings = {name: value for name, value in profile_and_dpi.items() if value is not None}
    if kind == "TIFF":
        settings["compression"] = "tiff_adobe_deflate"
    else:
        more, lost = save_settings(kind, about)
        settings.update(more)
        notes.extend(lost)
        if kind == "WEBP" and lossless:
            settings["lossless"] = True
        elif kind != "PNG":
            settings.update({"quality": quality, "subsampling": _subsampling(kind, quality)})

    def save(file: BinaryIO) -> None:
        image.save(file, kind, **settings)
        if kind == "TIFF":
            notes.extend(add_tiff_tags(file, about))

    return save


def _subsampling(kind: str, quality: int) -> int | str:
    """Full colour resolution at high quality."""
    if kind == "AVIF":
        return "4:4:4" if quality >= 90 else "4:2:0"
    return 0 if quality >= 90 else 2


def _on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    image = Image.fromarray(rgb)
    image.putalpha(Image.fromarray(alpha))
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))


def write_whole(path: Path, save: Callable[[BinaryIO], None]) -> None:
    """Writes a file under a temporary name first: whatever fails, an older file stays as it was.

    Raises OutputError that names the folder.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.exists() and not target.is_file():  # a device, which would be replaced by a file
        raise OutputError(f"{path}: cannot be written ({'a folder' if target.is_dir() else 'no regular file'})")
    temporary = target.with_name(_temporary_name())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("x+b") as file:
            save(file)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # a replaced file keeps who may read it
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        os.replace(temporary, target)
    except Exception as error:  # Pillow's encoders, like its decoders, raise all kinds
        raise OutputError(f"{path}: cannot be written ({reason(error)})") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_left_over(folder: Path) -> int:
    """Removes temporary files of runs that were killed while writing into this folder; returns how many."""
    removed = 0
    with suppress(OSError):
        for path in list(folder.glob(".usdu-*.tmp")):
            with suppress(OSError, ValueError):
                host, process = path.name.split("-")[1:3]
                ended = host == _this_machine() and not _runs(int(process))
                if ended or path.stat().st_mtime < time.time() - _STALE:
                    path.unlink()
                    removed += 1
    return removed


def _temporary_name() -> str:
    return f".usdu-{_this_machine()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def _this_machine() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _runs(process: int) -> bool:
    if os.name == "nt":  # where signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def reason(error: Exception) -> str:
    """Why something failed, in half a line."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())[:160] or type(error).__name__
