"""The flags that are no options of a picture: files, sizes by a side, and how to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import __version__

EPILOG = """\
examples:
  usdu photo.jpg                                   photo-2x.jpg, with the embedded models
  usdu photos/ -o large/ --scale 4                 a folder; run it again and it goes on where it was
  usdu photo.png --longest 3840 -c model.safetensors -p "a harbour at dusk" -d 0.3
  usdu photo.png --size 1920x1080 --resize-mode crop --format webp --quality 90
  usdu photo.png --dry-run                         sizes and tiles only
  cat photo.png | usdu - > large.png

exit codes:
  0 done; 1 some pictures failed; 2 refused before any work; 130 stopped (143 by kill, 129 by a closed terminal)

usdu journal lists and clears what stopped runs have kept. A file of that name: usdu ./journal"""


def add_files(group: Any) -> None:
    add = group.add_argument
    add("input", nargs="*", metavar="INPUT", help="a picture, a folder of pictures, or - for standard input")
    add(
        "-o", "--output", metavar="FILE|FOLDER",
        help="default: NAME-2x beside the picture, or the folder FOLDER-2x; - for standard output",
    )  # fmt: skip
    add("--overwrite", action="store_true", help="replace existing files")
    add("--skip-existing", action="store_true", help="leave existing files, whoever made them")
    add("-f", "--format", metavar="png|jpg|webp|tif|avif", help="format of the result (the picture's own, else png)")
    add("--quality", type=int, default=95, metavar="1-100", help="of jpg, webp and avif (95)")
    add("-r", "--recursive", action="store_true", help="inner folders too; the result has the same tree")
    add("--strip", action="store_true", help="write no camera data, XMP or parameters; the colour profile stays")
    add("--mask", type=Path, metavar="FILE", help="redraw only where this picture is white")


def add_size(group: Any) -> None:
    add = group.add_argument
    add("--size", metavar="WxH|Wx|xH", help="exact size of the result in px, or of one side, instead of --scale")
    add("--longest", metavar="PX", help="size by the longest side")
    add("--shortest", metavar="PX", help="size by the shortest side")
    add(
        "--resize-mode", metavar="fit|crop|fill|stretch",
        help="where --size has another shape than the picture; without it that is refused",
    )  # fmt: skip


def add_run(group: Any) -> None:
    add = group.add_argument
    add("--dry-run", action="store_true", help="print sizes, tiles and names; make nothing")
    add(
        "--journal", type=Path, metavar="FOLDER",
        help="where finished tiles are kept until the picture is written",
    )  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write sizes, tiles, times and memory as JSON; - for standard output")
    add("--allow-huge", action="store_true", help="allow results over 1 gigapixel")
    add("-q", "--quiet", action="store_true", help="print errors only")
    add("-v", "--verbose", action="count", default=0, help="print plans and times too")
    add("--list", choices=("upscalers", "samplers"), help="print names and end")
    add("--print-completion", choices=("bash", "zsh", "fish"), help="print a completion script and end")
    add("--version", action="version", version=f"usdu {__version__}", help="print the version and end")
    add("-h", "--help", action="help", help="print this and end")
