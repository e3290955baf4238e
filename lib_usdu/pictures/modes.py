"""Pixels of any Pillow mode as 8-bit RGB, with what 8-bit RGB cannot hold beside them: alpha and 16 bits."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from .described import profile_of

_KINDS = {"1": "1-bit grey", "L": "greyscale", "LA": "greyscale", "P": "palette colour", "PA": "palette colour"}
WHITE_16 = 65535
"""The brightest value of a 16-bit picture."""
_BRIGHTEST_OF_ONE = 16.0
"""A float picture with no value above this is white at 1: lights may be brighter than white."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """A picture as arrays.

    rgb: uint8 (h, w, 3). alpha: uint8 (h, w), None where the picture is opaque by its kind. deep: the same colours in
    16 bits where the picture had more than 8, uint16 (h, w) for grey or (h, w, 3). grey: the picture's mode holds no
    colour, so a result should hold none either. icc: the colour profile, where it is valid for `rgb`. notes: one
    sentence for each conversion that was made.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    deep: np.ndarray | None = None
    grey: bool = False
    icc: bytes | None = None
    notes: tuple[str, ...] = ()


def pixels_of(
    image: Image.Image, *, bits: int | None = None, deep: np.ndarray | None = None, signed: bool = True
) -> Pixels:
    """The pixels of a loaded image of any mode, among them I;16, I, F, LA, PA, CMYK, LAB and P with transparency.

    bits: bits a sample in the file, where the mode does not tell (32-bit integers, 16-bit colour); None: by the mode.
    deep: 16-bit colours read apart, uint16 (h, w, 3), since Pillow reduces them to 8 bits. signed: whether 32-bit
    integers may be negative; Pillow reads others as if they were. A float picture is white at 1 where no value is far
    above, else at 255. Integers of more than 8 bits are white at 65535, or at their largest value where that is larger.
    """
    bits = bits or (16 if image.mode[0] == "I" else 8)
    icc, kind, alpha, notes = image.info.get("icc_profile"), _KINDS.get(image.mode, image.mode), None, []
    grey = image.mode in ("1", "L", "LA", "La") or image.mode[0] in "IF"
    if image.mode in ("La", "RGBa"):  # premultiplied
        image = image.convert(image.mode.upper())
    key = image.info.get("transparency")
    if bits <= 8 and isinstance(key, tuple) and max(key) > 255:  # a 16-bit file that Pillow has reduced
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in key)
    if image.mode in ("LA", "PA", "RGBA") or ("transparency" in image.info and bits <= 8):
        alpha = np.array(image.convert("RGBA").getchannel("A"))
    if image.mode[0] in "IF":
        deep_bits = "32-bit float" if image.mode == "F" else f"{bits}-bit"
        if image.mode == "F" or bits > 16:
            notes.append(f"{deep_bits} greyscale was reduced to 16 bits")
        deep, cut_off = _deep_grey(image, bits, signed)
        notes += [f"values {cut_off} were cut off"] if cut_off else []
        alpha = _keyed(deep, key)
        grey_levels = Image.fromarray(to_8_bits(deep))
        grey_levels.info.update(image.info)
        image = grey_levels
    elif bits > 8 and deep is None:
        notes.append(f"{bits}-bit colour was reduced to 8 bits")
    elif deep is not None and alpha is None:
        alpha = _keyed(deep, key)
    space = icc[16:20] if icc and icc[36:40] == b"acsp" else None
    srgb = _to_srgb(image, icc, space)
    if srgb is not None or not (grey or kind.startswith("RGB")):
        notes.append(f"{kind} was converted to {'sRGB' if srgb else '8-bit RGB'}")
    if srgb:
        if deep is not None:
            notes.append("the grey profile was applied in 8 bits")
        return Pixels(np.array(srgb), alpha, None, grey, None, tuple(notes))
    if icc and (space != b"RGB " or image.mode == "CMYK"):
        notes.append("the colour profile does not fit the colours and was dropped")
        icc = None
    elif not icc and kind[:3] != "CMY":
        icc, said = profile_of(image)
        notes += [said] if said else []
    return Pixels(np.array(image.convert("RGB")), alpha, deep, grey, icc, tuple(notes))


def _keyed(deep: np.ndarray, key: object) -> np.ndarray | None:
    """alpha, uint8 (h, w), where one value of 16 bits, or one colour of three, is transparent; None without a key."""
    wanted = key if isinstance(key, tuple) else (key,)
    values = deep if deep.ndim == 3 else deep[..., None]
    if len(wanted) != values.shape[2] or not all(isinstance(value, int) for value in wanted):
        return None
    return np.where((values == np.array(wanted)).all(axis=2), 0, 255).astype(np.uint8)


def to_8_bits(deep: np.ndarray) -> np.ndarray:
    """uint16 values, 0-65535, as the nearest uint8 levels."""
    return ((deep.astype(np.uint32) * 255 + WHITE_16 // 2) // WHITE_16).astype(np.uint8)


def _to_srgb(image: Image.Image, icc: bytes | None, space: bytes | None) -> Image.Image | None:
    """Colours that are not RGB, by the profile that describes them. LAB needs none, but the same machinery."""
    mode = image.mode[:1] if image.mode == "LA" else image.mode
    if mode == "LAB" or (mode, space) in (("L", b"GRAY"), ("CMYK", b"CMYK")):
        with suppress(ImageCms.PyCMSError, OSError, ValueError, ImportError):
            lab = ImageCms.createProfile("LAB") if mode == "LAB" else None
            source = lab or ImageCms.ImageCmsProfile(io.BytesIO(icc or b""))
            srgb = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image.convert(mode), source, srgb, outputMode="RGB")
    return None


def _deep_grey(image: Image.Image, bits: int, signed: bool) -> tuple[np.ndarray, str]:
    """uint16 (h, w) of integers or floats, and which of their values it cannot hold, "" for none."""
    whole = np.asarray(image)
    if not signed and whole.dtype == np.int32:
        whole = whole.view(np.uint32)
    values = np.nan_to_num(whole.astype(np.float32))
    highest = float(values.max())
    if image.mode == "F":
        white = 1.0 if highest <= _BRIGHTEST_OF_ONE else 255.0
    else:
        white = max(2.0 ** min(bits, 16) - 1, highest)
    beyond = ["below 0"] * bool(values.min() < 0) + [f"above {white:g}"] * (highest > white)
    return np.clip(values * (WHITE_16 / white) + 0.5, 0, WHITE_16).astype(np.uint16), " and ".join(beyond)
