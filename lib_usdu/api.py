"""The Python interface: what the command line does, for a picture in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .engine import Result
from .engine import upscale as run
from .errors import OptionError
from .host import Progress
from .options import OPTION_NAMES, Options
from .options.unused import in_words, unused
from .pictures import imagefile
from .pictures.cutout import carried_outward
from .pictures.modes import pixels_of

_MODEL = (
    "checkpoint", "checkpoint_config", "prompt", "negative_prompt", "sampler", "steps", "cfg", "lora", "lora_folder",
    "embedding_folder", "device", "control", "control_picture",
)  # fmt: skip
_LISTS = ("lora", "control", "control_picture")
_MOST_PIXELS = 10**9


class Upscaler:
    """A diffusion model and an upscaler, loaded once for many pictures.

    Keywords are the options by their names (docs/options.md), and of the model: checkpoint, checkpoint_config, prompt,
    negative_prompt, sampler, steps, cfg, lora (a list), lora_folder, embedding_folder, device, control and
    control_picture (lists); each means what its flag means. Without `upscaler` the embedded one is used. Without
    `checkpoint` it works alone, or with a setting that is about redrawing the embedded model redraws. TypeError for any
    other keyword, UsduError for a value that is not allowed or a model that cannot be loaded.
    """

    def __init__(self, **settings: Any):
        from .cli import models
        from .cli.flags import parser

        unknown = [name for name in settings if name not in (*OPTION_NAMES, *_MODEL)]
        if unknown:
            raise TypeError(f"unknown: {', '.join(unknown)}; known: {', '.join((*OPTION_NAMES, *_MODEL))}")
        args = parser().parse_args(["-q", "-"])
        chosen = {name: value for name, value in settings.items() if name in OPTION_NAMES}
        self._alone = models.upscaler_alone(settings)
        undrawn = models.UNDRAWN if self._alone else {}
        chosen = {name: _as_typed(value) for name, value in chosen.items()}
        self.options = Options(**{"upscaler": models.upscaler_names()[0], **undrawn, **chosen})
        for name in _MODEL:
            if name in settings:
                value = _as_typed(settings[name])
                _check_list(name, value)
                setattr(args, name, Path(value) if value and name.endswith("_folder") else value)
        args.checkpoint = args.checkpoint or models.EMBEDDED
        models.check_model(args, self.options)
        self._not_used = in_words(unused(self.options, list(settings)))
        self._host = models.host_of(args, self.options)

    def __call__(
        self,
        picture: Image.Image | np.ndarray | str | os.PathLike,
        *,
        mask: np.ndarray | None = None,
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Result:
        """The enlarged picture: `.image` is uint8 (h, w, 3), `.infotext` its generation parameters.

        picture: a PIL image, an array uint8 (h, w, 3), or a file. mask: (h, w), 255 where the picture is redrawn.
        progress: told after each step. Call `.forget()` of the result once it is saved. Raises UsduError.
        """
        if mask is not None and self._alone:
            raise OptionError("mask", "a picture", 'with a checkpoint, such as Upscaler(checkpoint="embedded")')
        if mask is not None and not self.options.redraws:
            raise OptionError("mask", "a picture", "where something is redrawn")
        result = run(_pixels(picture), self.options, self._host.with_progress(progress), mask=mask)
        return replace(result, notes=(*self._not_used, *result.notes))


def upscale(picture: Image.Image | np.ndarray | str | os.PathLike, **settings: Any) -> Result:
    """Enlarges one picture; see `Upscaler` for the keywords, and for many pictures."""
    call: dict[str, Any] = {name: settings.pop(name) for name in ("mask", "progress") if name in settings}
    if "mask" in call:  # says where to redraw
        settings.setdefault("checkpoint", "embedded")
    return Upscaler(**settings)(picture, **call)


def _as_typed(value: Any) -> Any:
    """A path as the text of it, in a list too: what the flags hold."""
    if isinstance(value, (list, tuple)):
        return [_as_typed(one) for one in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _check_list(name: str, value: Any) -> None:
    """Raises OptionError for one file where several may stand: it would be read letter by letter."""
    if name in _LISTS and not isinstance(value, list):
        raise OptionError(name, value, "a list")


def _pixels(picture: Image.Image | np.ndarray | str | os.PathLike) -> np.ndarray:
    if isinstance(picture, np.ndarray):
        return picture
    if isinstance(picture, Image.Image):
        pixels = pixels_of(ImageOps.exif_transpose(picture) or picture)
    else:
        pixels = imagefile.read(Path(picture), max_pixels=_MOST_PIXELS).pixels
    return pixels.rgb if pixels.alpha is None else carried_outward(pixels.rgb, pixels.alpha)
