"""How good the embedded default is: photos made small, enlarged again, and compared with what they were.

    python -m bench.embedded PHOTO ... [--markdown FILE]

For each photo and factor the photo (cut to at most --side px) is downscaled with Lanczos, then enlarged by plain
Lanczos, by the embedded upscaler alone, and by the whole default run. PSNR in dB over RGB, higher is better; GMSD
(Xue, Zhang, Mou and Bovik, "Gradient Magnitude Similarity Deviation", IEEE TIP 2014) follows what people see of lost
structure, lower is better.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lib_usdu.embedded import DEFAULT_UPSCALER
from lib_usdu.engine import upscale
from lib_usdu.enlarge.upscalers import EMBEDDED_UPSCALER
from lib_usdu.enlarge.windows import resize
from lib_usdu.options import Options
from lib_usdu.standalone.checkpoints import EMBEDDED, load_checkpoint
from lib_usdu.standalone.host import LocalHost
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling

from .measures import gmsd, psnr


def load(path: Path, side: int) -> np.ndarray:
    """The middle of a photo, at most side x side and a multiple of 8."""
    image = Image.open(path).convert("RGB")
    width, height = min(side, image.width) // 8 * 8, min(side, image.height) // 8 * 8
    x, y = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.crop((x, y, x + width, y + height)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--denoise", type=float, default=Options().denoise)
    parser.add_argument("--tile", type=int, default=256, help="small enough that there are several")
    parser.add_argument("--sampler", default="DPM++ 2M")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for what each way makes")
    args = parser.parse_args()
    pipeline, name = load_checkpoint(EMBEDDED, torch.device("cpu"))
    refiner = DiffusersRefiner(pipeline, Sampling(sampler=args.sampler, steps=args.steps), name)
    host = LocalHost(refiner, {EMBEDDED_UPSCALER: DEFAULT_UPSCALER})
    lines = [
        "| photo | factor | PSNR: Lanczos | upscaler alone | default | gain on Lanczos "
        "| GMSD: Lanczos | upscaler alone | default |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    gains = {2: [], 4: []}
    for path in args.photos:
        original = load(path, args.side)
        height, width = original.shape[:2]
        for factor in (2, 4):
            small = resize(original, width // factor, height // factor)
            options = Options(
                custom_scale=factor, upscaler=EMBEDDED_UPSCALER, denoise=args.denoise, tile_width=args.tile
            )
            run = upscale(small, options, host)
            made = {"lanczos": resize(small, width, height), "upscaler": run.upscaled, "default": run.image}
            levels = [psnr(picture, original) for picture in made.values()]
            losses = [gmsd(picture, original) for picture in made.values()]
            gains[factor].append(levels[2] - levels[0])
            lines.append(
                f"| {path.stem} | {factor} | {levels[0]:.2f} | {levels[1]:.2f} | {levels[2]:.2f} | "
                f"{levels[2] - levels[0]:+.2f} | {losses[0]:.4f} | {losses[1]:.4f} | {losses[2]:.4f} |"
            )
            print(lines[-1], flush=True)
            if args.pictures:
                args.pictures.mkdir(parents=True, exist_ok=True)
                sheet = np.concatenate([*made.values(), original], axis=1)
                Image.fromarray(sheet).save(args.pictures / f"{path.stem}-{factor}.png")
    lines.append("")
    for factor, values in gains.items():
        lines.append(
            f"Factor {factor}: median gain on Lanczos {statistics.median(values):+.2f} dB, least {min(values):+.2f}."
        )
    print("\n".join(lines[-3:]))
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
