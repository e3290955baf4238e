"""Colours that a file describes without a profile: as the profile that says the same, so that no format loses them."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from .formats import head_of

_XYZ = b"XYZ \0\0\0\0"
_D50 = np.array([0.9642, 1.0, 0.8249])
_D65 = (0.3127, 0.329)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_PRIMARIES = {1: _SRGB, 9: (0.708, 0.292, 0.17, 0.797, 0.131, 0.046), 12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)}
"""x and y of red, green and blue by their number in ITU-T H.273: BT.709, BT.2020, Display P3."""
_GAMMAS: dict[int, float | None] = {4: 2.2, 5: 2.8, 8: 1.0} | dict.fromkeys((1, 6, 13, 14, 15))
"""The exponent of brightness by its number in ITU-T H.273; None: sRGB's curve."""
_HDR = {16: "PQ", 18: "HLG"}
_EXIF, _INTEROPERABILITY, _COLOUR_SPACE = 0x8769, 0xA005, 0xA001
CICP = "cicp"
"""Under this key of a picture's `info` stand the numbers of its primaries and its transfer curve, (int, int)."""


def look_for_cicp(image: Image.Image, file: BinaryIO) -> None:
    """Puts the numbers by which PNG, AVIF and HEIF may name their colours into `image.info`; the file stays where it
    is. Pillow passes them over."""
    head = head_of(file)
    with suppress(struct.error, ValueError):
        if image.format == "PNG":
            at = head.index(b"\0\0\0\x04cICP") + 8
            image.info[CICP] = head[at], head[at + 1]
        elif image.format in ("AVIF", "HEIF"):
            image.info[CICP] = struct.unpack_from(">HH", head, head.index(b"colrnclx") + 8)


def profile_of(image: Image.Image) -> tuple[bytes | None, str]:
    """An ICC profile for a picture of RGB or grey levels that has none, and a note: (None, "") where its colours are
    those of sRGB or nothing is said of them."""
    if (named := image.info.get(CICP)) is not None:
        primaries, curve = named
        if curve in _HDR:
            return None, f"HDR colours ({_HDR[curve]}) are taken as ordinary ones: the result looks dull"
        known = primaries in _PRIMARIES and curve in _GAMMAS
        return (_unless_srgb(_PRIMARIES[primaries], _D65, _GAMMAS[curve]), "") if known else (None, "")
    if "gamma" in image.info and "srgb" not in image.info:
        white_and_colours = image.info.get("chromaticity", (*_D65, *_SRGB))
        gamma = image.info["gamma"]
        if 0.1 < gamma < 10 and len(white_and_colours) == 8 and all(0 < v < 1 for v in white_and_colours):
            return _unless_srgb(white_and_colours[2:], white_and_colours[:2], 1 / gamma), ""
    if _is_adobe_rgb(image):
        return icc_profile(_ADOBE, _D65, 563 / 256), "Adobe RGB, as the camera says: the result has a profile of it"
    return None, ""


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Whether a camera says so: by the rule DCF 2.0 it writes no profile then."""
    with suppress(Exception):  # a damaged EXIF block must not cost the picture
        exif = image.getexif()
        if exif.get_ifd(_EXIF).get(_COLOUR_SPACE) == 2:
            return True
        return str(exif.get_ifd(_INTEROPERABILITY).get(1, "")).startswith("R03")
    return False


def _unless_srgb(colours: Any, white: Any, gamma: float | None) -> bytes | None:
    alike = gamma is None or abs(gamma - 2.2) < 0.05
    if alike and np.allclose(colours, _SRGB, atol=0.005) and np.allclose(white, _D65, atol=0.005):
        return None
    return icc_profile(colours, white, gamma)


def icc_profile(colours: Any, white: Any, gamma: float | None) -> bytes:
    """An ICC profile, version 4, of three primaries and one curve.

    colours: x and y of red, green and blue, white: x and y, as CIE 1931 has them. gamma: the exponent; None: sRGB's
    curve.
    """
    xyz = np.array([_xyz(x, y) for x, y in zip(colours[::2], colours[1::2])]).T
    source = _xyz(*white)
    xyz = xyz * np.linalg.solve(xyz, source)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ source)) @ _BRADFORD
    curve = [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045] if gamma is None else [gamma]
    tone = b"para\0\0\0\0" + struct.pack(">HH", 3 if gamma is None else 0, 0) + _fixed(curve)
    tags = {
        b"desc": _text("Colours as the file described them"), b"cprt": _text("CC0"), b"wtpt": _XYZ + _fixed(_D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(adapted.ravel()),
        **{name: _XYZ + _fixed(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), (adapted @ xyz).T)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone),
    }  # fmt: skip
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(_D50) + bytes(48)
    return header + table + body


def _xyz(x: float, y: float) -> np.ndarray:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _fixed(values: Any) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded
