"""Which picture the command line makes of which: names, sizes and formats, decided before anything is decoded."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError, OptionError, OutputError, UsduError
from ..options import Options
from ..options.tile_numbers import NONE
from ..options.unused import in_words, unused
from ..pictures import imagefile
from ..pictures.formats import LOSSY, OUTPUT_FORMATS, kept_suffix, output_kind
from .flags import FLAGS, PAIRS, STREAM, max_pixels
from .size import Frame, Size


@dataclass(frozen=True)
class Job:
    """One picture to make. name: as the person knows it. options: with this picture's size. frame: what is cut off or
    added first. width, height: of the source, px, upright; 0 where its header could not be read, and refusal says why.
    done: why it need not be made, "" where it must. replaces: whether an older result of ours may be replaced.
    """

    source: Path
    target: Path
    name: str
    options: Options
    frame: Frame = Frame()
    width: int = 0
    height: int = 0
    refusal: str = ""
    done: str = ""
    replaces: bool = False

    @property
    def picture_size(self) -> tuple[int, int]:
        """(width, height) of what is enlarged."""
        return self.frame.size(self.width, self.height)

    @property
    def result_size(self) -> tuple[int, int]:
        """(width, height) of the result, px. Raises OptionError and TooLarge as `Options.target_size` does."""
        return self.options.target_size(*self.picture_size)

    def tried(self, number: int) -> Path:
        """Where the pair of a tile that is tried goes."""
        return self.target.with_name(f"{self.target.stem}-tile-{number}.png")

    @property
    def unfinished(self) -> Path:
        """Where the result goes when the run is stopped."""
        return self.target.with_name(f"{self.target.stem}-unfinished{self.target.suffix}")


def jobs_of(args: argparse.Namespace, options: Options) -> tuple[list[Job], list[str]]:
    """What to make of what, in order, and notes on pictures that a folder leaves out.

    Headers are read; a picture whose header cannot be read is a job with a refusal, or raises InputError where it is
    the only one. Raises OptionError and OutputError for names, formats and sizes that cannot be.
    """
    size = Size.of(args)
    if not 1 <= args.quality <= 100:
        raise OptionError("--quality", args.quality, "a whole number from 1 to 100")
    suffix = _suffix(args.format)
    pairs, notes = _pairs(args, size.label(options), suffix)
    tried = options.try_tile if options.try_tile != NONE else None
    of_one = {"--compare": args.compare, "--number-tiles": args.number_tiles, "--mask": args.mask, "--try-tile": tried}
    for flag, given in of_one.items():
        if len(pairs) > 1 and given:
            raise OptionError(flag, str(given), "one picture at a time")
    numbered = len(pairs) > 1
    jobs = []
    for number, (source, target) in enumerate(pairs, 1):
        name = "standard input" if source == Path(STREAM) else source.name
        job = Job(source, target, f"[{number}/{len(pairs)}] {name}" if numbered else name, options)
        try:
            jobs.append(_sized(job, size, args))
        except InputError as error:
            if not numbered:
                raise
            jobs.append(replace(job, refusal=str(error)))
        except UsduError as error:
            if numbered and isinstance(error, OptionError):
                error.args = (f"{error} ({job.source})",)
            raise
    return jobs, notes


def not_used(args: argparse.Namespace, options: Options, given: Collection[str], jobs: Sequence[Job]) -> list[str]:
    """A line for each reason for which given flags change nothing. given: by their names in `args`."""
    found = {name: why for name, why in unused(options, given).items() if name not in PAIRS.values()}
    if "ray_workers" in given and args.ray is None:
        found["ray_workers"] = "there is no --ray"
    if "quality" in given and not any(OUTPUT_FORMATS.get(job.target.suffix.lower(), "PNG") in LOSSY for job in jobs):
        found["quality"] = "the format keeps all there is"
    return in_words(found, lambda name: FLAGS.get(name, "--" + name.replace("_", "-")))


def check_mask(args: argparse.Namespace) -> None:
    """Raises InputError for a mask that is not there or whose header cannot be read."""
    if args.mask is not None:
        if not args.mask.exists():
            raise InputError(f"--mask: {args.mask}: no such file")
        imagefile.look(args.mask, max_pixels=max_pixels(args))


def read_mask(args: argparse.Namespace, job: Job) -> np.ndarray | None:
    """The brightness of a picture, (h, w): white is redrawn. One of the source's size is cut as the source is."""
    if args.mask is None:
        return None
    pixels = imagefile.read(args.mask, max_pixels=max_pixels(args)).rgb
    mask = np.asarray(Image.fromarray(pixels).convert("L"))
    return job.frame.apply(mask) if mask.shape == (job.height, job.width) else mask


def _sized(job: Job, size: Size, args: argparse.Namespace) -> Job:
    header = imagefile.look(args.input_file if job.source == Path(STREAM) else job.source, max_pixels=max_pixels(args))
    options, frame = size.for_picture(job.options, header.width, header.height)
    return replace(job, options=options, frame=frame, width=header.width, height=header.height)


def _suffix(format: str | None) -> str:
    """The suffix of a format that was asked for, "" for none. Raises OptionError for an unknown one."""
    if format is None:
        return ""
    suffix = "." + format.strip().lower().lstrip(".")
    if suffix not in OUTPUT_FORMATS:
        raise OptionError("--format", format, ", ".join(name[1:] for name in OUTPUT_FORMATS))
    output_kind(Path("x" + suffix))
    return suffix


def _pairs(args: argparse.Namespace, label: str, suffix: str) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Sources and targets."""
    if not args.input:
        raise UsduError("INPUT: give a picture, a folder or - (see --help)")
    pairs: list[tuple[Path, Path]] = []
    notes: list[str] = []
    many = len(args.input) > 1
    for name in args.input:
        source = Path(name)
        if name == STREAM:
            pairs.append((source, _single(args, Path("standard-input.png"), label, suffix, many)))
            continue
        if not os.path.lexists(source):
            raise InputError(f"{name}: no such file or folder")
        if not source.is_dir():
            pairs.append((source, _single(args, source, label, suffix, many)))
            continue
        pictures, left_out = imagefile.list_images(source, recursive=args.recursive)
        notes += left_out
        folder = _folder(args.output, source, label)
        if args.recursive:  # a result inside the tree it is made from is no source of the next run
            pictures = [path for path in pictures if not _inside(path, folder) or _inside(source, folder)]
        if not pictures:
            deeper = not args.recursive and any(path.is_dir() for path in source.iterdir())
            raise InputError(f"{name}: holds no pictures that can be read{'; --recursive goes deeper' * deeper}")
        pairs += [(path, (folder / path.relative_to(source)).with_name(_kept_name(path, suffix))) for path in pictures]
    return pairs, notes


def _single(args: argparse.Namespace, source: Path, label: str, suffix: str, many: bool) -> Path:
    """The target of a picture that was named itself."""
    if args.output is None:
        return source.with_name(f"{source.stem}-{label}{suffix or kept_suffix(source)}")
    output = Path(args.output)
    if args.output == STREAM:
        if many:
            raise OptionError("--output", STREAM, "one picture at a time")
        return Path(STREAM)
    folder = args.output.endswith(("/", os.sep)) or output.is_dir() or not output.suffix
    if many or folder:
        _check_folder(output, args.output)
        return output / _kept_name(source, suffix)
    if suffix and output.suffix.lower() != suffix and output_kind(output) != output_kind(Path("x" + suffix)):
        raise OptionError("--format", args.format, f"the format of {output.name}, or leave --format out")
    return output


def _folder(output: str | None, source: Path, label: str) -> Path:
    """Where the results of a folder go."""
    if output is None:
        whole = source.resolve()  # "." and ".." have no name of their own
        if not whole.name:
            raise OptionError("--output", None, "a folder for results, for a folder without a name")
        return (whole if source.name in ("", "..") else source).with_name(f"{whole.name}-{label}")
    if output == STREAM:
        raise OptionError("--output", STREAM, "one picture at a time")
    _check_folder(Path(output), output)
    return Path(output)


def _check_folder(output: Path, given: str) -> None:
    """Raises OutputError for a name that says it is a picture's; name.v2 is a folder's."""
    named = output.suffix.lower() in imagefile.INPUT_EXTENSIONS and not given.endswith(("/", os.sep))
    if output.exists() and not output.is_dir():
        raise OutputError(f"--output: {given!r} is a file; allowed for several pictures: a folder")
    if named and not output.is_dir():
        raise OutputError(f"--output: {given!r} is not allowed for several pictures; allowed: a folder")


def _kept_name(source: Path, suffix: str) -> str:
    """The same name; .png after a format that cannot be written; another suffix where one was asked for."""
    if suffix:
        return source.stem + suffix
    return source.name if kept_suffix(source) == source.suffix else source.name + ".png"


def _inside(path: Path, folder: Path) -> bool:
    return folder.resolve() in (path.resolve(), *path.resolve().parents)
