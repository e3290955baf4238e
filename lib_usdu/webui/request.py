"""What a caller asks for besides the panel's values: checked before any work, and the pictures read.

File:line references are to AUTOMATIC1111 v1.10.1.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ..compose.mask import painted, soften
from ..enlarge.resize_mode import fit_plane
from ..enlarge.windows import resize
from ..errors import OptionError, UsduError
from ..options import LEGACY_ARGUMENTS, VERSION_MARKER, Options
from ..options.forms import is_marker
from ..options.unused import in_words, unused
from ..pictures.cutout import carried_outward
from ..pictures.modes import Pixels, pixels_of
from .protocols import Processing, Script


def supplied(p: Processing, script: Script, args: Sequence[Any]) -> list[Any]:
    """The arguments of `Script.run` without those that are not ours.

    The API puts a client's list into the vector of all scripts' arguments by slice assignment (api.py:344), so a list
    that is too short shortens the vector, and the tail handed to us is the next script's (scripts.py:778). How many
    are missing is seen from the vector's length, and so is how many are too many.

    Raises OptionError for more values than there are, and for more than the original's 18 without the marker.
    """
    runner, vector = getattr(p, "scripts", None), getattr(p, "script_args", None)
    if runner is None or vector is None or script.args_from is None or script.args_to is None:
        return list(args)
    expected = max((other.args_to for other in runner.scripts if other.args_to is not None), default=len(vector))
    if len(vector) < script.args_from:
        # The API takes requests before it knows the scripts' default values (api.py:250-270): ours are lost then.
        raise UsduError("the webui is still starting, and the script's values did not arrive: send the request again")
    missing, ours = expected - len(vector), script.args_to - script.args_from
    if missing < 0 and getattr(p, "is_api", False):
        raise OptionError("script_args", f"a list of {ours - missing}", f"at most {ours} values")
    sent = list(args)[: max(0, ours - max(0, missing))]
    by_name = bool(sent) and isinstance(sent[0], Mapping)  # what stands behind a dict is empty, or forms.py refuses it
    if len(sent) > len(LEGACY_ARGUMENTS) + 1 and not by_name and not is_marker(sent[len(LEGACY_ARGUMENTS) + 1]):
        # Left alone, these values would be passed over without a word.
        allowed = f"{VERSION_MARKER!r}, where more than {len(LEGACY_ARGUMENTS) + 1} values are sent"
        raise OptionError("script_args[18]", sent[len(LEGACY_ARGUMENTS) + 1], allowed)
    return sent


def not_used(sent: Sequence[Any], options: Options) -> list[str]:
    """A line for each reason for which options that a client named change nothing. sent: as `supplied` has it; values
    of a list are the panel's, which stand there whether they count or not."""
    return in_words(unused(options, list(sent[0]))) if sent and isinstance(sent[0], Mapping) else []


@dataclass(frozen=True)
class Wanted:
    """One of the pictures that a request asks for.

    image: its place in `init_images`. iteration: of `n_iter`. position: in the iteration, of `count`.
    """

    seed: int
    subseed: int
    image: int
    iteration: int
    position: int
    count: int


def wanted(p: Processing, seed: int, subseed: int) -> list[Wanted]:
    """The pictures of a request, in order. seed, subseed: p's own, -1 replaced.

    As the host counts (processing.py:904-909, 1710): `n_iter` times `batch_size` pictures of one picture; where there
    are several, one of each. The seed goes up by one from result to result; with a variation strength the seed stays
    and the variation seed goes up.
    """
    count = len(p.init_images) if len(p.init_images) > 1 else int(p.batch_size)
    return [
        Wanted(
            seed + (0 if p.subseed_strength else number), subseed + number, number % len(p.init_images),
            number // count, number % count, count,
        )
        for number in range(int(p.n_iter) * count)
    ]  # fmt: skip


def check(p: Processing) -> None:
    """Raises OptionError for a value of p that no picture can be made with, UsduError where there is no picture."""
    for name in ("steps", "batch_size", "n_iter"):
        value = getattr(p, name, 1)
        if not _is_number(value) or value != int(value) or value < 1:
            raise OptionError(name, value, "a whole number from 1")
    for name, low, high in (("denoising_strength", 0, 1), ("cfg_scale", -math.inf, math.inf)):
        value = getattr(p, name, low)
        if not _is_number(value) or not low <= value <= high:
            raise OptionError(name, value, "a number" + " from 0 to 1" * (high == 1))
    for name in ("prompt", "negative_prompt"):
        value = getattr(p, name, "")
        texts = value if isinstance(value, (list, tuple)) and value else [value]  # a script may set one a picture
        if not all(isinstance(text, str) for text in texts):
            raise OptionError(name, value, 'a text; "" for none')
    if not p.init_images or any(image is None for image in p.init_images):
        raise UsduError("there is no picture to upscale: put one into the img2img tab (init_images in the API)")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def file_of_the_folder() -> Path | None:
    """The file that the Batch tab is at; None elsewhere. The tab tells it to no script, so it is read off its own frame
    (img2img.py:52, the path in the loop's `image`)."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "process_batch" and str(frame.f_globals.get("__name__")) == "modules.img2img":
            value = frame.f_locals.get("image")
            return Path(value) if isinstance(value, str) and Path(value).is_file() else None
        frame = frame.f_back
    return None


def whole_pictures(p: Processing, file: Path | None, read_file: Callable[[str], Image.Image]) -> list[Image.Image]:
    """`init_images`, but with the file's own picture where the host has cropped it: Forge Neo crops pictures of a
    folder to its "Resolution Step" (img2img.py:81). read_file: the host's."""
    if file is None:
        return list(p.init_images)
    with suppress(Exception):  # a format that only the host's loop can read
        whole = ImageOps.exif_transpose(read_file(str(file)))
        if whole.size != p.init_images[0].size:
            return [whole] * len(p.init_images)
    return list(p.init_images)


def names_of_the_folder(p: Processing, file: Path | None) -> dict[str, str]:
    """Settings by which results are named after their file, where an output folder is given and the host does not see
    to it itself: Forge does so only with its setting `img2img_batch_use_original_name` (img2img.py:126)."""
    overrides = p.override_settings or {}
    if file is None or overrides.get("save_to_dirs") is not False or "samples_filename_pattern" in overrides:
        return {}
    several = p.n_iter > 1 or p.batch_size > 1
    pattern = f"{file.stem}-[generation_number]" if several else file.stem
    return {"samples_filename_pattern": pattern, "save_images_replace_action": "Add number suffix"}


_OPAQUE = 254


def read(image: Image.Image, *, from_page: bool) -> Pixels:
    """A picture of the request, of any mode, with colours carried outward under its transparent pixels.

    from_page: the page converts every picture to RGBA, so whether it is grey is seen from its colours. For the same
    reason a picture without a transparent pixel has no alpha, nor has one of Forge's files, which hide the infotext in
    the last bit of an opaque alpha (stealth_infotext.py:23).
    """
    pixels = pixels_of(image)
    if pixels.alpha is not None and pixels.alpha.min() >= _OPAQUE:
        pixels = replace(pixels, alpha=None)
    red, green, blue = (pixels.rgb[..., channel] for channel in range(3))
    grey = pixels.grey or (from_page and bool((red == green).all() and (green == blue).all()))
    rgb = pixels.rgb if pixels.alpha is None else carried_outward(pixels.rgb, pixels.alpha)
    return replace(pixels, rgb=rgb, grey=grey, deep=None)


def inpaint_mask(
    p: Processing, source: tuple[int, int], target: tuple[int, int], resize_mode: int, *, greys: bool = False
) -> np.ndarray | None:
    """The Inpaint tab's mask with its blur, which is in px of the source, at the result's size: uint8 (h, w). None
    without a mask.

    source, target: (width, height) of the picture and of the result. greys: whether those of a drawn mask count.
    """
    if p.image_mask is None:
        return None
    mask = painted(p.image_mask, binary=not greys and getattr(p, "mask_round", True))
    mask = mask if mask.shape[::-1] == source else resize(mask, *source, Image.Resampling.BILINEAR)
    mask = soften(255 - mask if p.inpainting_mask_invert else mask, p.mask_blur_x, p.mask_blur_y)
    enlarge = partial(resize, resampler=Image.Resampling.BILINEAR)
    return fit_plane(mask, *target, resize_mode, enlarge)
