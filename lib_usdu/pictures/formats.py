"""Which picture files can be read and written, and how large each format lets a picture be."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from ..errors import OutputError

OUTPUT_FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".webp": "WEBP", ".tif": "TIFF",
    ".tiff": "TIFF", ".avif": "AVIF",
}  # fmt: skip
"""Suffixes that can be written, with Pillow's name of their format."""
DEEP_FORMATS = ("PNG", "TIFF")
"""Formats that hold 16 bits a sample."""
LOSSY = ("JPEG", "WEBP", "AVIF")
"""Formats with a quality."""
MOST_PIXELS_A_SIDE = {"WEBP": 16383, "JPEG": 65500, "AVIF": 65535}
_READ_ONLY = (
    ".apng", ".mpo", ".bmp", ".dib", ".gif", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".ico",
    ".tga", ".psd", ".qoi", ".pcx", ".sgi", ".dds",
)  # fmt: skip
INPUT_EXTENSIONS = {*OUTPUT_FORMATS, *_READ_ONLY}
"""Suffixes of the pictures that a folder is searched for."""
_WITH_PACKAGE = {".heic": "pillow-heif", ".heif": "pillow-heif", ".jxl": "pillow-jxl-plugin"}
_CAMERA = (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef")
_OTHER = (".svg", ".pdf", ".eps", ".ps", ".ai", ".exr", ".hdr", ".xcf", ".kra", ".cur", ".icns", ".wmf", ".emf")
BY_SUFFIX = {".tga": "TGA"}
"""Formats without a mark of their own at the start: only a file of this suffix is read as one."""


def output_kind(path: Path) -> str:
    """Pillow's name of the format that a path's suffix stands for; OutputError where it cannot be written."""
    kind = OUTPUT_FORMATS.get(path.suffix.lower())
    if kind is None:
        allowed = " ".join(OUTPUT_FORMATS)
        raise OutputError(f"{path}: extension {path.suffix!r} is not allowed; allowed: {allowed}")
    if kind == "AVIF":
        from PIL import features

        if "avif" not in features.modules or not features.check("avif"):
            raise OutputError(f"{path}: this Pillow writes no AVIF; use .png, or install Pillow 11.3 or later")
    return kind


def check_size(path: Path, width: int, height: int) -> None:
    """Raises OutputError for a picture, in px, larger than the format of this path holds."""
    kind = output_kind(path)
    most = MOST_PIXELS_A_SIDE.get(kind)
    if most is not None and max(width, height) > most:
        name = {"WEBP": "WebP"}.get(kind, kind)
        raise OutputError(f"{path}: {name} holds at most {most} px a side, the result is {width}x{height}; use .png")


def kept_suffix(source: Path) -> str:
    """The suffix a result takes from its source: the same where it can be written, else .png."""
    suffix = source.suffix
    try:
        output_kind(Path("x" + suffix))
    except OutputError:
        return ".png"
    return suffix


def why_not_read(path: Path) -> str:
    """Why a folder leaves a picture file out, "" where the file is read or is no picture by its suffix."""
    suffix = path.suffix.lower()
    if suffix in INPUT_EXTENSIONS or (suffix in _WITH_PACKAGE and _opens(suffix)):
        return ""
    if suffix in _WITH_PACKAGE:
        return f"{suffix} needs: pip install {_WITH_PACKAGE[suffix]}"
    if suffix in _CAMERA:
        return f"{suffix} is a camera's raw format: develop it first"
    return f"{suffix} cannot be read" if suffix in _OTHER else ""


def is_read(path: Path) -> bool:
    """Whether a file is a picture that can be read, by its suffix."""
    suffix = path.suffix.lower()
    return suffix in INPUT_EXTENSIONS or (suffix in _WITH_PACKAGE and _opens(suffix))


def head_of(file: BinaryIO) -> bytes:
    """The first 64 KiB; the file stays where it is."""
    place = file.tell()
    file.seek(0)
    head = file.read(2**16)
    file.seek(place)
    return head


def is_lossless_webp(file: BinaryIO) -> bool:
    """Whether a WebP file, open from its beginning on, holds its first frame without loss."""
    file.seek(12)
    while len(chunk := file.read(8)) == 8:
        if chunk[:4] in (b"VP8L", b"VP8 ", b"ANMF"):
            return chunk[:4] == b"VP8L" or (chunk[:4] == b"ANMF" and file.read(20)[16:] == b"VP8L")
        size = int.from_bytes(chunk[4:], "little")
        file.seek(size + size % 2, 1)
    return False


def register_plugins() -> None:
    """Lets Pillow read HEIC and JPEG XL where the packages for them are installed."""
    from contextlib import suppress

    with suppress(Exception):
        from pillow_heif import register_heif_opener  # pyright: ignore[reportMissingImports]  # optional

        register_heif_opener()
    with suppress(Exception):
        import pillow_jxl  # noqa: F401  # pyright: ignore[reportMissingImports]  # optional


def _opens(suffix: str) -> bool:
    from PIL import Image

    register_plugins()
    Image.init()
    return Image.registered_extensions().get(suffix) in Image.OPEN
