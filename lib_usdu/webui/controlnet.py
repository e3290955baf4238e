"""ControlNet's units for one tile: a picture given to a unit is cropped to the tile's place.

Knows units by their shape only: objects or dicts with `enabled` and `image`. From sd-webui-controlnet 56cec5b
(internal_controlnet/args.py) and Forge's built-in (lib_controlnet/external_code.py). A unit without a picture takes
the first of `init_images`, which is the tile itself at 1:1, so its preprocessor sees nothing else.
"""

from __future__ import annotations

import base64
import binascii
import copy
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..enlarge.control_picture import fitted
from ..enlarge.resize_mode import CROP, FILL, STRETCH
from ..geometry import Canvas, Region
from .other_extensions import alwayson, title
from .protocols import Processing, Script

PICTURES = ("image", "input_image", "image_fg", "generated_image")
"""Fields that hold what is preprocessed, in one host or another."""
MASKS = ("mask", "mask_image", "mask_image_fg")
REGION = "effective_region_mask"
_WHOLE = (
    "ipadapter", "clip", "revision", "reference", "style", "shuffle", "faceid", "faceembedding", "insightface", "pulid",
)  # fmt: skip
"""In a preprocessor's name: its picture says what things look like, not where they are, so it is not cropped."""


class ControlNetUnits:
    """The enabled units of a person's `p`. They are never changed: every tile gets copies."""

    def __init__(self, p: Processing):
        self.places = [at for at in _places(p) if _is_unit(p.script_args[at]) and _enabled(p.script_args[at])]
        self.notes: list[str] = []
        units = [p.script_args[at] for at in self.places]
        self.one_at_a_time = not all(_whole(unit) and _picture(unit) is not None for unit in units)
        """Whether a call may hold one tile only: a unit has one picture for all of a batch."""
        for number, unit in enumerate(units, 1):
            mode = _get(unit, "input_mode")
            if "batch" in str(getattr(mode, "value", mode)).lower():
                self.notes.append(f"ControlNet unit {number} is in batch mode: its pictures are not cut into tiles.")
        self._fitted: dict[tuple[int, int], np.ndarray] = {}

    def crop_to(self, tile_p: Processing, window: Region, canvas: Canvas) -> None:
        """Gives the tile's p copies of the units that see this window of the canvas."""
        if not self.places:
            return
        args = list(tile_p.script_args)
        for at in self.places:
            args[at] = self._for_window(args[at], window, canvas)
        tile_p.script_args = type(tile_p.script_args)(args)

    def _for_window(self, unit: Any, window: Region, canvas: Canvas) -> Any:
        cut_unit = dict(unit) if isinstance(unit, Mapping) else copy.copy(unit)
        mode = _resize_mode(_get(unit, "resize_mode"))
        cropped = partial(self._crop, mode=mode, window=window, canvas=canvas)
        if not _whole(unit):
            for name in (*PICTURES, *MASKS):
                if _get(unit, name) is not None:
                    _set(cut_unit, name, cropped(_get(unit, name)))
        if _get(unit, REGION) is not None:
            _set(cut_unit, REGION, cropped(_get(unit, REGION)))
        if isinstance(cut_unit, Mapping) or hasattr(cut_unit, "save_detected_map"):
            _set(cut_unit, "save_detected_map", False)  # else one for each tile among the results
        return cut_unit

    def _crop(self, value: Any, mode: int, window: Region, canvas: Canvas) -> Any:
        """In the form it came in, with arrays uint8 (window height, window width, ...) for the pictures."""
        if isinstance(value, Mapping):
            return {name: self._crop(item, mode, window, canvas) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)([self._crop(item, mode, window, canvas) for item in value])
        key = id(value), mode
        if key not in self._fitted:
            pixels = _pixels(value)
            if pixels is None:
                return value
            self._fitted[key] = fitted(pixels, canvas, mode)
        return canvas.crop(self._fitted[key], window)


def is_controlnet(script: Script) -> bool:
    """Whether this is ControlNet's script."""
    return title(script) == "controlnet"


def _places(p: Processing) -> list[int]:
    """Where in `p.script_args` ControlNet's values are."""
    return [at for script, places in alwayson(p) if is_controlnet(script) for at in places]


def _is_unit(value: Any) -> bool:
    return isinstance(value, Mapping) or (hasattr(value, "enabled") and hasattr(value, "image"))


def _enabled(unit: Any) -> bool:
    return bool(unit.get("enabled", True) if isinstance(unit, Mapping) else unit.enabled)


def _get(unit: Any, name: str) -> Any:
    return unit.get(name) if isinstance(unit, Mapping) else getattr(unit, name, None)


def _set(unit: Any, name: str, value: Any) -> None:
    if isinstance(unit, dict):
        unit[name] = value
    else:
        setattr(unit, name, value)


def _picture(unit: Any) -> Any:
    return next((picture for name in PICTURES if (picture := _get(unit, name)) is not None), None)


def _whole(unit: Any) -> bool:
    module = str(_get(unit, "module") or "").lower()
    module = "".join(letter for letter in module if letter.isalnum())
    return any(word in module for word in _WHOLE)


def _resize_mode(value: Any) -> int:
    """Of the enumerations, numbers and (older) words the hosts write; crop is their default."""
    value = getattr(value, "value", value)
    if isinstance(value, int):
        return value if value in (STRETCH, CROP, FILL) else CROP
    words = str(value or "").lower()
    if "just" in words:
        return STRETCH
    return FILL if "fill" in words or "outer" in words else CROP


def _pixels(value: Any) -> np.ndarray | None:
    """The picture a value holds; None where it holds none."""
    if isinstance(value, np.ndarray):
        return value if value.ndim in (2, 3) and value.dtype == np.uint8 else None
    if isinstance(value, Image.Image):
        return _array(value)
    if isinstance(value, str) and value:
        try:
            if len(value) < 1000 and Path(value).is_file():
                return _array(Image.open(value))
            data = base64.b64decode(value.partition(",")[2] if value.startswith("data:") else value)
            return _array(Image.open(io.BytesIO(data)))
        except (OSError, ValueError, binascii.Error):
            return None  # the host will say what is wrong with it
    return None


def _array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGBA"))
