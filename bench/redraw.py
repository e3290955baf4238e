"""What the embedded diffusion model does at each denoise to what the bundled upscaler has made.

    python -m bench.redraw PHOTO ... [--factors 2 4] [--cases clean ...] [--markdown FILE] [--sheet FILE]

Squares, cases and drawings are those of bench.embedded. Energy of luminance (power) is that of the original's:
between Gaussians of 1 and 4 px, and what a Gaussian of 1 px takes away. PSNR in dB over RGB, GMSD, and where they are
installed Butteraugli (3-norm) and SSIMULACRA. Of white paper the darkest level, of the sky PSNR.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from lib_usdu.engine import upscale
from lib_usdu.enlarge.bundled import BUNDLED, suited
from lib_usdu.options import Options
from lib_usdu.standalone.checkpoints import EMBEDDED, load_checkpoint
from lib_usdu.standalone.host import LocalHost
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling

from .embedded import CASES, drawings, programs_say, shown, squares
from .measures import gmsd, psnr

DENOISE = (0.0, 0.15, 0.3, 0.5)
"""The first is the upscaler alone."""
SHOWN = "clean"


def energies(picture: np.ndarray) -> tuple[float, float]:
    """Power of luminance between Gaussians of 1 and 4 px, and above 1 px."""
    grey = picture.astype(np.float64) @ (0.299, 0.587, 0.114)
    one, four = (ndimage.gaussian_filter(grey, sigma, mode="reflect") for sigma in (1, 4))
    return float(np.var(one - four)), float(np.var(grey - one))


def redrawn(host: LocalHost, canvas: np.ndarray) -> list[np.ndarray]:
    """The canvas at each denoise."""
    return [
        upscale(canvas, Options(custom_scale=1, upscaler="None", denoise=denoise, seed=1), host).image if denoise
        else canvas
        for denoise in DENOISE
    ]  # fmt: skip


def measured(original: np.ndarray, picture: np.ndarray) -> dict[str, float]:
    wide, fine = (made / there for made, there in zip(energies(picture), energies(original)))
    found = {"energy 1-4 px": wide, "energy below 1 px": fine}
    found |= {"PSNR": psnr(picture, original), "GMSD": gmsd(picture, original)}
    return {**found, **programs_say(picture, original)}


def row(case: str, factor: int, runs: list[list[dict[str, float]]]) -> str:
    """Medians, the denoises side by side."""
    cells = []
    for name in runs[0][0]:
        digits = 4 if name == "GMSD" else 2
        middle = [statistics.median(run[way][name] for run in runs) for way in range(len(DENOISE))]
        cells.append(" / ".join(f"{value:.{digits}f}" for value in middle))
    return f"| {case} | {factor} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["clean", "JPEG 80", "noise 15"])
    parser.add_argument("--factors", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--sampler")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--sheet", type=Path, help="a picture: parts at 100 %, the denoises and the original")
    args = parser.parse_args()
    refiner = DiffusersRefiner(load_checkpoint(EMBEDDED, "cpu")[0], Sampling(sampler=args.sampler), EMBEDDED)
    host = LocalHost(refiner, BUNDLED)
    originals = [square for photo in args.photos for square in squares(photo)]
    lines, parts = [], {}
    for factor in args.factors:
        for case in args.cases:
            runs = []
            for original in originals:
                height, width = original.shape[:2]
                small = Image.fromarray(original).resize((width // factor, height // factor), Image.Resampling.BICUBIC)
                small = np.asarray(CASES[case](small))
                pictures = redrawn(host, host.enlarge(small, suited(small)[0], width, height))
                runs.append([measured(original, picture) for picture in pictures])
                if case == SHOWN:
                    parts.setdefault(factor, []).append(shown([*pictures, original]))
            if not lines:
                lines = [
                    f"{len(originals)} squares of {len(args.photos)} photos. Values at denoise "
                    f"{' / '.join(f'{one:g}' for one in DENOISE)} (0: the upscaler alone), medians.", "",
                    f"| case | factor | {' | '.join(runs[0][0])} |", "|---|---|" + "---|" * len(runs[0][0]),
                ]  # fmt: skip
                print("\n".join(lines), flush=True)
            lines.append(row(case, factor, runs))
            print(lines[-1], flush=True)
    lines.append("")
    for name, original in drawings().items():
        height, width = original.shape[:2]
        small = np.asarray(Image.fromarray(original).resize((width // 2, height // 2), Image.Resampling.BICUBIC))
        pictures = redrawn(host, host.enlarge(small, suited(small)[0], width, height))
        levels = " / ".join(f"{psnr(picture, original):.2f}" for picture in pictures)
        levels += "" if name != "white paper" else f"; darkest level {' / '.join(str(one.min()) for one in pictures)}"
        lines.append(f"- {name}, factor 2: PSNR {levels}.")
        print(lines[-1], flush=True)
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if args.sheet:
        sheet = np.concatenate([np.concatenate(column) for column in parts.values()], axis=1)
        Image.fromarray(sheet).save(args.sheet, quality=85)


if __name__ == "__main__":
    main()
