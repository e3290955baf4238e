"""How good the bundled upscalers are at what people bring: photos made small and damaged, enlarged again, and held
against what they were.

    python -m bench.embedded PHOTO ... [--markdown FILE] [--sheet FILE]

Of each photo two squares: out of its middle at full resolution, and out of the photo at half the resolution, which is
sharper. Each is made small (bicubic), damaged as a case says, and enlarged by plain Lanczos, by the plain SPAN, and by
the bundled upscaler that the extension chooses by a look at the picture. Drawings made here stand for line art, text
and flat sky. PSNR in dB over RGB and MS-SSIM (Wang, Simoncelli and Bovik, 2003): higher is better. GMSD, and where
the programs are installed (Debian's libjxl-devtools) Butteraugli (its 3-norm) and SSIMULACRA, whose weights
are fitted to people's answers: lower is better.
"""

from __future__ import annotations

import argparse
import io
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lib_usdu.enlarge.bundled import BUNDLED, CLEAN, suited
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

from .measures import gmsd, ms_ssim, psnr

SIDE = 512
FACTORS = (2, 4)
PROGRAMS = {"Butteraugli": "butteraugli_main", "SSIMULACRA": "ssimulacra_main"}
MEASURES = {"PSNR": psnr, "MS-SSIM": ms_ssim, "GMSD": gmsd}
WAYS = ("Lanczos", CLEAN, "chosen")
SHOWN = (("JPEG 80", 2), ("noise 15", 2), ("JPEG 60", 4))
"""Cases on the sheet, from left to right, and the side of a part in px."""
PART = 160
Damage = Callable[[Image.Image], Image.Image]


def saved(kind: str, quality: int) -> Damage:
    """As a file of this kind gives it back."""

    def damage(small: Image.Image) -> Image.Image:
        file = io.BytesIO()
        small.save(file, kind, quality=quality)
        return Image.open(file).convert("RGB")

    return damage


def noisy(level: float) -> Damage:
    """With Gaussian noise of so many levels on each colour."""

    def damage(small: Image.Image) -> Image.Image:
        pixels = np.asarray(small, np.float64)
        drawn = np.random.default_rng(1).normal(0, level, pixels.shape)
        return Image.fromarray((pixels + drawn).round().clip(0, 255).astype(np.uint8))

    return damage


CASES: dict[str, Damage] = {
    "clean": lambda small: small, "JPEG 90": saved("JPEG", 90),
    "JPEG 95": saved("JPEG", 95), "JPEG 80": saved("JPEG", 80), "JPEG 60": saved("JPEG", 60),
    "JPEG 30": saved("JPEG", 30), "WebP 80": saved("WEBP", 80), "noise 8": noisy(8), "noise 15": noisy(15),
    "noise 25": noisy(25),
}  # fmt: skip


def squares(photo: Path) -> Iterator[np.ndarray]:
    """uint8 (h, w, 3): the middle of a photo as it is, and of the photo at half its size."""
    whole = Image.open(photo).convert("RGB")
    for picture in (whole, whole.reduce(2)) if min(whole.size) >= 2 * SIDE else (whole,):
        width, height = (min(SIDE, length) // 8 * 8 for length in picture.size)
        x, y = (picture.width - width) // 2, (picture.height - height) // 2
        yield np.asarray(picture.crop((x, y, x + width, y + height)))


def drawings() -> dict[str, np.ndarray]:
    """Line art, text on white paper, and a flat dusk sky: uint8 (SIDE, SIDE, 3)."""
    art, text = (Image.new("RGB", (2 * SIDE, 2 * SIDE), "white") for _ in range(2))
    pen = ImageDraw.Draw(art)
    for i in range(14):
        pen.ellipse((40 + 30 * i, 60 + 22 * i, 980 - 36 * i, 940 - 30 * i), outline="black", width=2 + i % 5)
        pen.line((0, 70 * i, 1024, 1024 - 60 * i), fill=(20 * i % 256, 40, 120), width=1 + i % 4)
    pen = ImageDraw.Draw(text)
    font = ImageFont.load_default()
    words = "Pack my box with five dozen liquor jugs. 0123456789 "
    for row in range(40):
        pen.text((20, 12 + 25 * row), (words * 4)[row : row + 160], fill="black", font=font)
    sky = np.linspace((236, 160, 120), (70, 90, 150), SIDE)[:, None].repeat(SIDE, 1)
    return {
        "line art": np.asarray(art.reduce(2)), "text": np.asarray(text.reduce(2)),
        "sky": sky.round().astype(np.uint8), "white paper": np.full((SIDE, SIDE, 3), 255, np.uint8),
    }  # fmt: skip


def programs_say(made: np.ndarray, original: np.ndarray) -> dict[str, float]:
    """What the programs that are installed say of a picture."""
    found = {name: path for name, program in PROGRAMS.items() if (path := shutil.which(program))}
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("original.png", "made.png")]
        for picture, file in zip((original, made), files):
            Image.fromarray(picture).save(file)
        run = partial(subprocess.run, check=True, capture_output=True, text=True)
        said = {name: run([path, *files]).stdout for name, path in found.items()}
    return {name: float(text.split()[-1]) for name, text in said.items()}  # of Butteraugli the 3-norm, its last word


def measured(original: np.ndarray, factor: int, damage: Damage, host: LocalHost) -> tuple[str, dict, list[np.ndarray]]:
    """The name of the upscaler that was chosen; for each measure the three ways' values; the pictures."""
    height, width = original.shape[:2]
    small = Image.fromarray(original).resize((width // factor, height // factor), Image.Resampling.BICUBIC)
    small = np.asarray(damage(small))
    chosen, _ = suited(small)
    made = {name: host.enlarge(small, name, width, height) for name in {"Lanczos", CLEAN, chosen}}
    pictures = [made["Lanczos"], made[CLEAN], made[chosen]]
    table: dict[str, list[float]] = {}
    for picture in pictures:
        found = {name: measure(picture, original) for name, measure in MEASURES.items()}
        for name, value in {**found, **programs_say(picture, original)}.items():
            table.setdefault(name, []).append(value)
    return chosen, table, pictures


def shown(pictures: list[np.ndarray]) -> np.ndarray:
    """The middle of each, side by side, at 100 %."""
    height, width = (length // 2 for length in pictures[0].shape[:2])
    half = PART // 2
    return np.concatenate([one[height - half : height + half, width - half : width + half] for one in pictures], axis=1)


def row(case: str, factor: int, runs: list[tuple[str, dict, list]]) -> str:
    """A line of the table: medians of the three ways, and the worst and best gain on the plain SPAN."""
    kinds = [chosen.rsplit(" ", 1)[1] for chosen, _, _ in runs]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    cells = []
    for name in runs[0][1]:
        digits = 4 if name in ("MS-SSIM", "GMSD") else 2
        middle = [statistics.median(table[name][way] for _, table, _ in runs) for way in range(3)]
        cells.append(" / ".join(f"{value:.{digits}f}" for value in middle))
    levels = [table["PSNR"] for _, table, _ in runs]
    gains = [[one[2] - one[way] if one[2] != one[way] else 0.0 for one in levels] for way in (0, 1)]
    cells += [f"{statistics.median(gain):+.2f} ({min(gain):+.2f})" for gain in gains]
    return f"| {case} | {factor} | {counts} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--factors", nargs="+", type=int, default=FACTORS)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--sheet", type=Path, help="a picture: parts at 100 %, the three ways and the original")
    args = parser.parse_args()
    host = LocalHost(IdentityRefiner(), BUNDLED)
    originals = [square for photo in args.photos for square in squares(photo)]
    measures = [*MEASURES, *(name for name, program in PROGRAMS.items() if shutil.which(program))]
    lines = [
        f"{len(originals)} squares of {len(args.photos)} photos. Values: {' / '.join(WAYS)}, medians. Gains in dB: the "
        "median (the worst picture).", "",
        f"| case | factor | chosen | {' | '.join(measures)} | gain on Lanczos | gain on {CLEAN} |",
        "|---|---|---|" + "---|" * (len(measures) + 2),
    ]  # fmt: skip
    print("\n".join(lines), flush=True)
    rows: dict[tuple[str, int], list[np.ndarray]] = {}
    for factor in args.factors:
        for case in args.cases:
            runs = [measured(original, factor, CASES[case], host) for original in originals]
            lines.append(row(case, factor, runs))
            print(lines[-1], flush=True)
            if (case, factor) in SHOWN:
                rows[case, factor] = [shown([*run[2], original]) for run, original in zip(runs, originals)]
        for name, drawing in drawings().items():
            lines.append(row(name, factor, [measured(drawing, factor, CASES["clean"], host)]))
            print(lines[-1], flush=True)
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if args.sheet and rows:
        sheet = np.concatenate([np.concatenate(column) for column in rows.values()], axis=1)
        Image.fromarray(sheet).save(args.sheet, quality=88)


if __name__ == "__main__":
    main()
