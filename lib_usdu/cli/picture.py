"""One picture from its file to the result's."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .. import __version__
from ..errors import ModelError
from ..options import Options
from ..pictures import imagefile
from .bar import Bar
from .given import max_pixels
from .jobs import Job
from .report import peak_rss_mb
from .say import say


def upscale_file(
    job: Job, name: str, options: Options, host: Any, bar: Bar, args: argparse.Namespace
) -> dict[str, Any]:
    from ..engine import upscale
    from ..enlarge.seamless import resizer
    from ..enlarge.windows import resize
    from ..pictures.cutout import carried_outward

    picture = imagefile.read(job.source, max_pixels=max_pixels(args))
    for note in picture.notes:
        say(f"{name}: {note}")
    rgb = picture.rgb if picture.alpha is None else carried_outward(picture.rgb, picture.alpha)
    with bar:
        result = upscale(rgb, options, host, mask=read_mask(args))
    height, width = result.image.shape[:2]
    target = job.target if result.finished else job.target.with_stem(job.target.stem + "-unfinished")
    alpha = None
    if picture.alpha is not None:
        alpha = resizer(options.seamless)(picture.alpha, width, height)
    for note in result.notes:
        say(f"{name}: {note}")
    notes = imagefile.write(
        target, result.image, alpha=alpha, icc=picture.icc, dpi=picture.dpi, infotext=result.infotext,
        overwrite=args.overwrite,
    )  # fmt: skip
    for note in notes:
        say(f"{name}: {note}")
    if args.compare:
        from ..pictures.compare import side_by_side

        sheet = side_by_side(resize(picture.rgb, width, height), result.image)
        imagefile.write(args.compare, sheet, overwrite=args.overwrite)
    if result.numbered is not None:
        imagefile.write(args.number_tiles, result.numbered, overwrite=args.overwrite)
    if result.finished:
        result.forget()
    elif not host.stop_requested():
        raise ModelError(f"ended early, see above; what was done is in {target}")
    stats = result.stats
    before = f"{picture.rgb.shape[1]}x{picture.rgb.shape[0]}"
    say(f"{name}: {before} -> {width}x{height}, {stats.tiles_done} tiles, {stats.seconds:.1f} s -> {target}")
    return {
        "input": str(job.source), "output": str(target), "width": width, "height": height,
        "finished": result.finished, "tiles": stats.tiles_done, "tiles_flat": stats.tiles_flat,
        "batches": stats.batches,
        "seconds": round(stats.seconds, 3), "outside_ms_per_tile": round(stats.outside_ms_per_tile, 3),
        "stages": {stage: round(seconds, 3) for stage, seconds in stats.stages.items()},
        "peak_rss_mb": round(peak_rss_mb() or 0, 1) or None, "version": __version__,
    }  # fmt: skip


def read_mask(args: argparse.Namespace) -> np.ndarray | None:
    """The brightness of a picture: white is redrawn."""
    if args.mask is None:
        return None
    from PIL import Image

    return np.asarray(Image.fromarray(imagefile.read(args.mask, max_pixels=max_pixels(args)).rgb).convert("L"))
