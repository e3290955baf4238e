"""What a run has made, as pictures for the webui's gallery and for files, and as the API's answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

from ..engine import Result
from ..enlarge.resize_mode import Enlarge, fit_plane
from ..options import Options
from ..pictures.compare import side_by_side
from ..pictures.modes import Pixels
from .environment import errors, images, shared
from .overrides import temporarily
from .protocols import Processed, Processing


def pictures(
    result: Result, infotext: str | None, source: Pixels, resize_mode: int, enlarge: Enlarge
) -> tuple[Image.Image, Image.Image | None]:
    """The final picture, and the one before the seams were fixed where there is one.

    infotext: goes into them, where the person wants that. source: what was enlarged; its alpha is enlarged alike, and
    a grey one has a grey result.
    """

    def finished(pixels: np.ndarray) -> Image.Image:
        picture = Image.fromarray(pixels)
        if source.grey:
            picture = picture.convert("L").convert("RGB")
        if source.alpha is not None:
            fitted = fit_plane(source.alpha, pixels.shape[1], pixels.shape[0], resize_mode, enlarge)
            picture.putalpha(Image.fromarray(fitted))
        if source.icc is not None:
            picture.info["icc_profile"] = source.icc
        if infotext is not None:
            picture.info["parameters"] = infotext
        return picture

    return finished(result.image), None if result.redrawn is None else finished(result.redrawn)


def compared(options: Options, result: Result) -> Image.Image | None:
    """The upscaled picture beside the final one, where it is asked for. To be looked at, never saved."""
    return Image.fromarray(side_by_side(result.upscaled, result.image)) if options.compare else None


def save(
    p: Processing, options: Options, info: Processing, result: Result, final: Image.Image, redrawn: Image.Image | None
) -> str:
    """Writes files, as far as the host and the panel's two flags want them. A partial picture is saved too: it is hours
    of somebody's GPU. Returns what went wrong, "" where nothing did: a picture that cannot be saved is shown all the
    same.

    info: a copy of p that describes the picture.
    """
    if p.do_not_save_samples or not shared.opts.samples_save:
        return ""
    problem = ""
    for picture, suffix in to_save(options, final, redrawn):
        try:
            with _no_infotext_in_alpha(picture) as saved:
                images.save_image(
                    _opaque(saved), p.outpath_samples, "", info.seed, info.all_prompts[0], shared.opts.samples_format,
                    info=result.infotext, p=info, suffix=suffix,
                )  # fmt: skip
        except Exception as error:  # the host's, Pillow's, an extension's that is told of each file
            errors.report("Ultimate SD Upscale: the picture could not be saved", exc_info=True)
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            problem = f"The picture could not be saved in {p.outpath_samples or 'the output folder'}: {reason}."
    return problem


@contextmanager
def _no_infotext_in_alpha(picture: Image.Image) -> Iterator[Image.Image]:
    """Forge hides the infotext in the alpha channel of every PNG it saves, where its setting says so: it makes the
    picture it is given opaque first (stealth_infotext.py:23). In this context it leaves transparency alone; an opaque
    picture is a copy, so that the one which is shown stays RGB."""
    setting = "stealth_pnginfo_option"
    if setting not in shared.opts.data_labels:
        yield picture
    elif picture.mode != "RGBA":
        copy = picture.copy()
        yield copy
        if (file := getattr(copy, "already_saved_as", None)) is not None:  # the page shows the file, and saves no other
            vars(picture)["already_saved_as"] = file
    else:
        with temporarily(shared.opts.data, **{setting: "None"}):
            yield picture


def _opaque(picture: Image.Image) -> Image.Image:
    """On the host's background colour where the file format has no transparency."""
    if picture.mode != "RGBA" or str(shared.opts.samples_format).lower() not in ("jpg", "jpeg"):
        return picture
    flattened = images.flatten(picture, shared.opts.img2img_background_color)
    flattened.info.update(picture.info)
    return flattened


def to_save(options: Options, final: Image.Image, redrawn: Image.Image | None) -> list[tuple[Image.Image, str]]:
    """Pictures the panel's two flags want saved, each with the suffix of its name."""
    if redrawn is None:
        return [(final, "")] if options.save_upscaled_image else []
    files = [(redrawn, "-before-seams-fix")] if options.save_upscaled_image else []
    return files + ([(final, "")] if options.save_seams_fix_image else [])


def with_comments(done: Processed, comments: Iterable[str]) -> Processed:
    """The same, whose answer to an API client (`js`, processing.py:571) has the lines, too, that the host shows below
    the pictures: under "comments", a list."""
    own, lines = done.js, list(comments)
    done.js = lambda: json.dumps({**json.loads(own()), "comments": lines})
    return done
