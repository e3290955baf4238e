"""What a run has made, as pictures for the webui's gallery and for files."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from ..engine import Result
from ..enlarge.resize_mode import Enlarge, fit_plane
from ..options import Options
from ..pictures.compare import side_by_side
from .environment import images, shared


def pictures(
    result: Result, infotext: str | None, alpha: np.ndarray | None, resize_mode: int, enlarge: Enlarge
) -> tuple[Image.Image, Image.Image | None]:
    """The final picture, and the one before the seams were fixed where there is one.

    infotext: goes into them, where the person wants that. alpha: uint8 (h, w), of the source; enlarged as it was.
    """

    def finished(pixels: np.ndarray) -> Image.Image:
        picture = Image.fromarray(pixels)
        if alpha is not None:
            fitted = fit_plane(alpha, pixels.shape[1], pixels.shape[0], resize_mode, enlarge)
            picture.putalpha(Image.fromarray(fitted))
        if infotext is not None:
            picture.info["parameters"] = infotext
        return picture

    return finished(result.image), None if result.redrawn is None else finished(result.redrawn)


def compared(options: Options, result: Result) -> Image.Image | None:
    """The upscaled picture beside the final one, where it is asked for. To be looked at, never saved."""
    return Image.fromarray(side_by_side(result.upscaled, result.image)) if options.compare else None


def save(
    p: Any, options: Options, info: Any, seed: int, result: Result, final: Image.Image, redrawn: Image.Image | None
) -> None:
    """Writes files, as far as the host and the panel's two flags want them. A partial picture is saved too: it is hours
    of somebody's GPU.

    info: a copy of p that describes the run.
    """
    if p.do_not_save_samples or not shared.opts.samples_save:
        return
    for picture, suffix in to_save(options, final, redrawn):
        images.save_image(
            picture, p.outpath_samples, "", seed, info.all_prompts[0], shared.opts.samples_format,
            info=result.infotext, p=info, suffix=suffix,
        )  # fmt: skip


def to_save(options: Options, final: Image.Image, redrawn: Image.Image | None) -> list[tuple[Image.Image, str]]:
    """Pictures the panel's two flags want saved, each with the suffix of its name."""
    if redrawn is None:
        return [(final, "")] if options.save_upscaled_image else []
    found = [(redrawn, "-before-seams-fix")] if options.save_upscaled_image else []
    return found + ([(final, "")] if options.save_seams_fix_image else [])
