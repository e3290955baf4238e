"""What a picture file says beside its pixels: camera data (EXIF), XMP and generation parameters, read and written."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from PIL import Image, PngImagePlugin, TiffImagePlugin

ORIENTATION, DESCRIPTION, EXIF, GPS, USER_COMMENT = 0x0112, 0x010E, 0x8769, 0x8825, 0x9286
_XMP_TAG, _MAKER_NOTE, _INTEROPERABILITY = 700, 0x927C, 0xA005
_PIXEL_SIZE = (0xA002, 0xA003)
_TIFF_KEPT = {DESCRIPTION, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298, *range(0x9C9B, 0x9CA0), EXIF, GPS}
"""Of a TIFF only these tags describe the picture; the others describe the file."""
_LEFT_OUT = {ORIENTATION, 0x0100, 0x0101, 0x0201, 0x0202, _XMP_TAG}
"""Turned already, or true of the picture before it was enlarged only; XMP is kept apart."""
_XMP_MARKER = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_BLOCK = 65533
"""Bytes that one marker of a JPEG file holds."""
_COMMENT_CODE = b"UNICODE\0"
BEFORE = "Parameters before"
"""The key under which generation parameters keep those of the picture they were made from."""


@dataclass(frozen=True)
class Metadata:
    """exif: tags by number, those of the EXIF and GPS directories as mappings of their own; the orientation is left
    out, since pictures are turned upright when they are read. xmp: the packet, b"" for none. parameters: generation
    parameters, "" for none. texts: other text chunks of a PNG by their key."""

    exif: Mapping[int, Any] = field(default_factory=dict)
    xmp: bytes = b""
    parameters: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    def without_parameters(self) -> Metadata:
        """The same without generation parameters."""
        return replace(self, parameters="")


def read_metadata(image: Image.Image) -> Metadata:
    """Of an open image. A damaged block counts as none: it must not cost the picture."""
    exif: dict[int, Any] = {}
    with suppress(Exception):
        exif = _exif_of(image)
    xmp = b""
    with suppress(Exception):
        xmp = _xmp_of(image)
    parameters = ""
    with suppress(Exception):
        parameters = read_parameters(image) or ""
    if image.format != "PNG" and not is_parameters(parameters):
        parameters = ""  # a comment of the person's own, which stays where it is
    if parameters:
        exif.get(EXIF, {}).pop(USER_COMMENT, None)
        if image.format == "TIFF":
            exif.pop(DESCRIPTION, None)
    texts = {}
    if image.format == "PNG":
        texts = {
            key: str(value) for key, value in getattr(image, "text", {}).items()
            if key not in ("parameters", "XML:com.adobe.xmp") and not key.startswith("Raw profile type")
        }  # fmt: skip
    return Metadata({tag: value for tag, value in exif.items() if value != {}}, xmp, parameters, texts)


def read_parameters(image: Image.Image) -> str | None:
    """The generation parameters that `save_settings` or the webui stored; None where there are none."""
    if image.format == "PNG":
        return image.info.get("parameters")
    if image.format == "TIFF":  # whose strings Pillow decodes as latin-1
        text = tiff_tags(image).get(DESCRIPTION, "").encode("latin-1", "replace").decode("utf-8", "replace")
        return text or None
    comment = image.getexif().get_ifd(EXIF).get(USER_COMMENT) or b""
    return comment[8:].decode("utf-16-be", "replace") if comment[:8] == _COMMENT_CODE else None


def tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """A TIFF's own tags, by number; none for a picture of another format."""
    return getattr(image, "tag_v2", {})


def is_parameters(text: str | None) -> bool:
    """Whether a text is generation parameters, not a plain description."""
    return text is not None and (re.search(r"(^|\n|, )Steps: \d", text) is not None or "Ultimate SD upscale " in text)


def save_settings(kind: str, metadata: Metadata) -> tuple[dict[str, Any], list[str]]:
    """Arguments of Pillow's `save` for a format ("PNG", "JPEG", "WEBP", "AVIF"), and notes on what it cannot hold.

    Parameters stand where the webui keeps them, so that its PNG Info tab reads our files. For a TIFF see
    `add_tiff_tags`.
    """
    text = _encodable(metadata.parameters)
    if kind == "PNG":
        return _png_settings(metadata, text), []
    notes, settings = [], {}
    exif = {tag: value for tag, value in metadata.exif.items() if tag != EXIF}
    inner = dict(metadata.exif.get(EXIF, {}))
    if text:
        inner[USER_COMMENT] = _COMMENT_CODE + text.encode("utf-16-be")
    block = _exif_block(exif, inner)
    if kind == "JPEG":
        if len(block) > _JPEG_BLOCK and inner.pop(_MAKER_NOTE, None):
            notes.append("the camera's maker note is too long for JPEG and was left out")
            block = _exif_block(exif, inner)
        if len(block) > _JPEG_BLOCK and inner.pop(USER_COMMENT, None):
            notes.append("the infotext is too long for JPEG and was left out")
            block = _exif_block(exif, inner)
        if len(block) > _JPEG_BLOCK:
            notes.append("the camera data is too long for JPEG and was left out")
            block = b""
        packet = _XMP_MARKER + metadata.xmp
        if metadata.xmp and len(packet) > _JPEG_BLOCK:
            notes.append("the XMP data is too long for JPEG and was left out")
        elif metadata.xmp:
            settings["extra"] = b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet
    elif metadata.xmp:
        settings["xmp"] = metadata.xmp
    if block:
        settings["exif"] = block if kind == "JPEG" else block.removeprefix(b"Exif\0\0")
    return settings, notes


def png_chunks(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    """The text and EXIF chunks of a PNG file, in their order."""
    settings = _png_settings(metadata, _encodable(metadata.parameters))
    chunks = [(chunk[0], chunk[1]) for chunk in settings["pnginfo"].chunks]
    if "exif" in settings:
        chunks.append((b"eXIf", settings["exif"].removeprefix(b"Exif\0\0")))
    return chunks


def add_tiff_tags(file: BinaryIO, metadata: Metadata) -> list[str]:
    """Adds the metadata to a TIFF file just written, open for reading and writing; returns notes.

    Pillow writes no EXIF directory into a compressed TIFF. So the first directory is written again at the end of the
    file, with the new tags in it.
    """
    tags: dict[int, Any] = {tag: value for tag, value in metadata.exif.items() if tag in _TIFF_KEPT}
    if metadata.xmp:
        tags[_XMP_TAG] = metadata.xmp
    if metadata.parameters:
        tags[DESCRIPTION] = _encodable(metadata.parameters).encode()
    if not tags:
        return []
    file.seek(0)
    order, magic, first = struct.unpack("<2sHI", file.read(8))
    if order != b"II" or magic != 42:
        return ["a TIFF of more than 2 GB gets no camera data and no XMP here: left out"]
    file.seek(first)
    (count,) = struct.unpack("<H", file.read(2))
    entries = [file.read(12) for _ in range(count)]
    (following,) = struct.unpack("<I", file.read(4))
    end = file.seek(0, 2)
    file.write(bytes(end % 2))
    start = end + end % 2
    added = _directory(tags, start)
    new = [added[2 + 12 * i : 14 + 12 * i] for i in range(struct.unpack("<H", added[:2])[0])]
    numbers = {entry[:2] for entry in new}
    entries = sorted([*new, *(entry for entry in entries if entry[:2] not in numbers)], key=lambda e: e[1::-1])
    file.write(added + bytes(len(added) % 2))
    place = file.tell()
    file.write(struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following))
    file.seek(4)
    file.write(struct.pack("<I", place))
    file.seek(0, 2)
    return []


def with_history(parameters: str, before: str) -> str:
    """Our generation parameters, with those of the source picture quoted at their end.

    Where the source was itself made so, its own oldest parameters are kept: they hold the prompt.
    """
    if not is_parameters(before):
        return parameters
    import json

    oldest = re.search(rf'(?:^|, ){BEFORE}: ("(?:[^"\\]|\\.)*")\s*$', before)
    if oldest:
        with suppress(ValueError):
            before = json.loads(oldest.group(1))
    return f"{parameters}{', ' if parameters.strip() else ''}{BEFORE}: {json.dumps(before, ensure_ascii=False)}"


def _exif_of(image: Image.Image) -> dict[int, Any]:
    exif = image.getexif()
    tags = {}
    for tag, value in exif.items():
        if tag not in _LEFT_OUT and tag not in (EXIF, GPS) and (image.format != "TIFF" or tag in _TIFF_KEPT):
            tags[tag] = value
    for directory in (EXIF, GPS):
        inner = dict(exif.get_ifd(directory))
        inner = {tag: value for tag, value in inner.items() if tag not in (*_PIXEL_SIZE, _INTEROPERABILITY)}
        if inner:
            tags[directory] = inner
    return tags


def _xmp_of(image: Image.Image) -> bytes:
    """The packet, its orientation set to upright."""
    stored = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if image.format == "TIFF":
        stored = tiff_tags(image).get(_XMP_TAG) or stored
    for marker, content in getattr(image, "applist", []):
        if not stored and marker == "APP1" and content.startswith(_XMP_MARKER):
            stored = content[len(_XMP_MARKER) :]
    if isinstance(stored, tuple):
        stored = b"".join(stored) if isinstance(stored[0], bytes) else bytes(stored)
    packet = stored.encode() if isinstance(stored, str) else bytes(stored)
    packet = re.sub(rb"""(tiff:Orientation\s*=\s*["'])\d""", rb"\g<1>1", packet)
    return re.sub(rb"(<tiff:Orientation>\s*)\d", rb"\g<1>1", packet)


def _png_settings(metadata: Metadata, parameters: str) -> dict[str, Any]:
    chunks = PngImagePlugin.PngInfo()
    for key, text in metadata.texts.items():
        with suppress(ValueError, UnicodeError):
            chunks.add_text(key, _encodable(text))
    if parameters:
        chunks.add_text("parameters", parameters)
    if metadata.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
    exif = {tag: value for tag, value in metadata.exif.items() if tag != EXIF}
    block = _exif_block(exif, dict(metadata.exif.get(EXIF, {})))
    return {"pnginfo": chunks, "exif": block} if block else {"pnginfo": chunks}


def _exif_block(exif: Mapping[int, Any], inner: Mapping[int, Any]) -> bytes:
    """An "Exif" block of the tags that Pillow can write; b"" where there are none."""
    block = Image.Exif()
    for tag, value in exif.items():
        block[tag] = dict(value) if isinstance(value, Mapping) else value
    if inner:
        block[EXIF] = dict(inner)
    if not dict(block):
        return b""
    try:
        return block.tobytes()
    except Exception:  # a tag of a kind that Pillow cannot write: those that it can are found one by one
        fewer = _writable(exif), _writable(inner)
        return _exif_block(*fewer) if sum(map(len, fewer)) < len(exif) + len(inner) else b""


def _writable(tags: Mapping[int, Any]) -> dict[int, Any]:
    writable = {}
    for tag, value in tags.items():
        with suppress(Exception):
            _directory({tag: value}, 8)
            writable[tag] = value
    return writable


def _directory(tags: Mapping[int, Any], offset: int) -> bytes:
    """A classic little-endian TIFF directory with its values, to stand at this offset of a file."""
    directory = TiffImagePlugin.ImageFileDirectory_v2(ifh=b"II*\0\0\0\0\0")
    for tag, value in tags.items():
        directory[tag] = dict(value) if isinstance(value, Mapping) else value
    return directory.tobytes(offset)


def _encodable(text: str) -> str:
    """A lone surrogate has no encoding."""
    return text.encode("utf-8", "replace").decode("utf-8")
