"""One picture from its file to the result's."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, plural
from ..noise_share import percent
from ..pictures import imagefile
from ..pictures.metadata import with_history
from ..run.stats import Stats
from .flags import STREAM, Given, max_pixels
from .jobs import Job, read_mask
from .report import report_of
from .say import Bar, say
from .targets import of_file, our_parameters


def read_picture(job: Job, args: argparse.Namespace) -> imagefile.Picture:
    """The picture of a job, decoded. Raises InputError."""
    source = args.input_file if job.source == Path(STREAM) else job.source
    return imagefile.read(source, max_pixels=max_pixels(args))


def upscale_file(
    job: Job, picture: imagefile.Picture, host: Any, bar: Bar, args: argparse.Namespace
) -> tuple[dict[str, Any], Stats]:
    """Makes the picture of a job and writes it, and what else is asked for; returns the report for --json, and what
    the run has cost.

    Raises UsduError where it cannot be made or written.
    """
    from ..engine import upscale
    from ..enlarge.seamless import resizer
    from ..enlarge.windows import resize
    from ..pictures import deep
    from ..pictures.cutout import carried_outward

    _say_all(job, picture.notes)
    rgb, alpha, sixteen = picture.rgb, picture.alpha, picture.pixels.deep
    if alpha is not None:
        rgb, alpha = carried_outward(rgb, alpha), job.frame.apply(alpha)
    rgb = job.frame.apply(rgb)
    with bar:
        result = upscale(rgb, job.options, host, mask=read_mask(args, job))
    _say_all(job, result.notes)
    if result.pair is not None:
        target = _write_pair(job, result, args)
        say(f"{job.name}: tile {result.tried} before and after, {result.stats.seconds:.1f} s -> {target}")
        return report_of(job, result, target), result.stats
    height, width = result.image.shape[:2]
    if alpha is not None:
        alpha = resizer(job.options.seamless)(alpha, width, height)
    if sixteen is not None:
        sixteen = deep.enlarged(job.frame.apply(sixteen), result.upscaled, result.image)
    target = job.target if result.finished else _free(job.unfinished)
    about = {"icc": picture.icc, "dpi": picture.dpi, "grey": picture.pixels.grey, "quality": args.quality}
    about["lossless"] = picture.lossless and not isinstance(args.quality, Given)
    if not args.strip:
        kept = picture.metadata
        about["infotext"] = with_history(host.infotext({**result.parameters, **of_file(args, job)}), kept.parameters)
        about["metadata"] = kept.without_parameters()
    notes = _write(target, job, args, result.image, alpha=alpha, sixteen=sixteen, **about)
    _say_all(job, notes)
    profile = {"icc": picture.icc, "overwrite": args.overwrite}
    if args.compare:
        from ..pictures.compare import write_comparison

        upscaled = resize(rgb, width, height)
        write_comparison(Path(args.compare), upscaled, result.image, name=job.source.name, **profile)
    if result.numbered is not None:
        imagefile.write(args.number_tiles, result.numbered, **profile)
    if result.finished:
        result.forget()
        _remove_unfinished(job.unfinished)
    elif not host.stop_requested():
        raise ModelError(f"ended early, see above; what was done is in {target}")
    tiles = plural(result.stats.tiles_done, "tile")
    share = result.stats.noise_share
    noise = "" if share is None else f", {percent(share)} noise"
    size, seconds = f"{width}x{height}", result.stats.seconds
    say(f"{job.name}: {job.width}x{job.height} -> {size}, {tiles}{noise}, {seconds:.1f} s -> {target}")
    for stage, seconds in result.stats.stages.items():
        say(f"{job.name}:   {stage} {seconds:.2f} s", level=2)
    return report_of(job, result, target), result.stats


def _say_all(job: Job, notes: Iterable[str]) -> None:
    for note in notes:
        say(f"{job.name}: {note}")


def _write_pair(job: Job, result: Any, args: argparse.Namespace) -> Path:
    """The picture of a tile that was tried, in place of an earlier one of ours; returns where it is."""
    if job.target == Path(STREAM):
        _write(job.target, job, args, result.pair, infotext=result.infotext)
        return job.target
    target = job.tried(result.tried)
    replaces = args.overwrite or not target.exists() or our_parameters(target) is not None
    imagefile.write(target, result.pair, overwrite=replaces, infotext=result.infotext)
    return target


def _write(target: Path, job: Job, args: argparse.Namespace, rgb: np.ndarray, **about: Any) -> tuple[str, ...]:
    """To the target, or to standard output as a file of the format that was asked for, else PNG."""
    if job.target != Path(STREAM):
        replaces = args.overwrite or job.replaces or target != job.target
        return imagefile.write(target, rgb, overwrite=replaces, **about)
    with tempfile.TemporaryDirectory(prefix="usdu-") as folder:
        path = Path(folder) / f"result.{(args.format or 'png').lstrip('.').lower()}"
        notes = imagefile.write(path, rgb, **about)
        sys.stdout.buffer.write(path.read_bytes())
        sys.stdout.buffer.flush()
    return notes


def _free(unfinished: Path) -> Path:
    """This name, unless something that is no unfinished result of ours has it."""
    place, number = unfinished, 2
    while place.exists() and our_parameters(place, unfinished=True) is None:
        place = unfinished.with_name(f"{unfinished.stem}-{number}{unfinished.suffix}")
        number += 1
    return place


def _remove_unfinished(unfinished: Path) -> None:
    """What an earlier, stopped run of this picture has left."""
    if unfinished.exists() and our_parameters(unfinished, unfinished=True) is not None:
        with suppress(OSError):
            unfinished.unlink()


