"""What each value of the option `speed` costs: multiplications of large models, time and likeness of a small one.

`python -m bench.paces` counts the multiplications of Stable Diffusion 1.5 and XL for one window: it needs no weights
and no quiet machine. With `--pairs N` the embedded model, or `--checkpoint`, also draws a photo N times at each speed,
in turn with exact.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from lib_usdu import engine
from lib_usdu.enlarge.torchvision_operators import declare_missing_operators
from lib_usdu.options import Options
from lib_usdu.pictures import imagefile
from lib_usdu.speed.features import DeepFeatures
from lib_usdu.speed.schedule import EXACT, PACES, Levels
from lib_usdu.speed.unets import inner_of

from .gpu.models import SIZES, UNETS, autoencoder
from .measures import psnr, seam_visibility
from .speed import PHOTO, Report

NOISES = (0.9, 0.75, 0.62, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Noise over signal at the steps of a denoising strength of 0.35 with 20 steps in a webui."""


def multiplications(unet: Any, side: int, outer: int = 0) -> float:
    """Of one window's call of a UNet on the device meta, in 1e12. outer: with all but so many blocks at either end left
    out; 0: the whole."""
    given = {"encoder_hidden_states": torch.zeros(1, 77, unet.config.cross_attention_dim, device="meta")}
    if unet.config.addition_embed_type:
        given["added_cond_kwargs"] = {
            "text_embeds": torch.zeros(1, 1280, device="meta"), "time_ids": torch.zeros(1, 6, device="meta"),
        }  # fmt: skip
    latents, timestep = torch.zeros(1, 4, side // 8, side // 8, device="meta"), torch.zeros(1, device="meta")
    features = DeepFeatures(inner_of(unet, outer or 1), lambda entering, others: (0,))
    with torch.no_grad(), features.put_in():
        unet(latents, timestep, **given)
        features.whole = not outer
        with FlopCounterMode(display=False) as counter:
            unet(latents, timestep, **given)
    return counter.get_total_flops() / 2e12


def of_autoencoder(side: int) -> float:
    """Encoding and decoding one window, in 1e12 multiplications."""
    with torch.device("meta"):
        vae = autoencoder(side, upcast=False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        vae.encode(torch.zeros(1, 3, side, side, device="meta"))
        vae.decode(torch.zeros(1, 4, side // 8, side // 8, device="meta"))
    return counter.get_total_flops() / 2e12


def asked_of(levels: Levels, whole: float, rest: float) -> list[float]:
    """What each step of NOISES costs, with guidance. whole, rest: what one answer costs where the whole network runs,
    and where its inner blocks rest."""
    steps = [levels.at(noise) for noise in NOISES]
    return [(whole if step.whole else rest) * (2 if step.guided else 1) for step in steps]


def counted(name: str) -> dict[str, dict[str, float]]:
    """By speed: multiplications of a window's steps, and of these and the autoencoder, in 1e12."""
    from diffusers import UNet2DConditionModel

    side = SIZES[name][1]
    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNETS[name])
    whole = multiplications(unet, side)
    coder = of_autoencoder(side)
    found = {EXACT: 2 * whole * len(NOISES)}
    for speed, paces in PACES.items():
        pace = paces.steady
        found[speed] = sum(asked_of(Levels(pace), whole, multiplications(unet, side, pace.outer)))
    return {speed: {"steps": work, "tile": work + coder} for speed, work in found.items()}


def drawn(host: Any, photo: np.ndarray, pairs: int) -> list[dict[str, Any]]:
    """Each speed in turn with exact: median ratio of CPU seconds, dB to exact and to one un-tiled pass, seam."""
    options = Options(tile_width=256, tile_height=256, denoise=0.35, upscaler="Lanczos", tone_lock=0, resume=False)
    side = 2 * photo.shape[0]
    whole = engine.upscale(photo, options.with_(tile_width=side, tile_height=side), host).image

    def timed(speed: str) -> tuple[np.ndarray, float, np.ndarray]:
        started = time.process_time()
        done = engine.upscale(photo, options.with_(speed=speed), host)
        return done.image, time.process_time() - started, done.upscaled

    exact, _, canvas = timed(EXACT)
    rows = [{"speed": EXACT, "time": 1.0, "exact": None, "whole": psnr(exact, whole),
             "seam": seam_visibility(exact, canvas)}]  # fmt: skip
    for speed in PACES:
        ratios, image = [], exact
        for _ in range(pairs):
            _, alone, _ = timed(EXACT)
            image, seconds, _ = timed(speed)
            ratios.append(seconds / alone)
        rows.append({"speed": speed, "time": median(ratios), "exact": psnr(image, exact),
                     "whole": psnr(image, whole), "seam": seam_visibility(image, canvas)})  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=0, help="runs of each speed, in turn with exact")
    parser.add_argument("--checkpoint", default="", help="folder or hub id of a diffusers model; else the embedded one")
    parser.add_argument("--prompt", default="a photo, fine detail")
    parser.add_argument("--json", default="", help="file for the numbers; what else it holds stays")
    args = parser.parse_args()
    declare_missing_operators()
    report, counts = Report(), dict[str, Any]()
    results: dict[str, Any] = {"multiplications": counts}
    report.table("model, window", "speed", "steps, 1e12 multiplications", "of exact", "with the autoencoder, of exact")
    for name, (_, side) in SIZES.items():
        counts[name] = counted(name)
        all_of_it = counts[name][EXACT]
        for speed, work in counts[name].items():
            report.row(
                f"{name}, {side} px", speed, f"{work['steps']:.2f}", f"{work['steps'] / all_of_it['steps']:.2f}",
                f"{work['tile'] / all_of_it['tile']:.2f}",
            )  # fmt: skip
    if args.pairs:
        from lib_usdu.standalone.checkpoints import EMBEDDED, load_checkpoint
        from lib_usdu.standalone.host import LocalHost
        from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling

        pipeline, name = load_checkpoint(args.checkpoint or EMBEDDED, torch.device("cpu"))
        torch.set_num_threads(1)
        prompt = args.prompt if getattr(pipeline, "text_encoder", None) is not None else ""
        sampling = Sampling(prompt=prompt, sampler="Euler", cfg_scale=7.0)
        host = LocalHost(DiffusersRefiner(pipeline, sampling, name))
        report.table("speed", "CPU seconds, of exact", "dB to exact", "dB to one pass", "seam")
        results["drawn"] = drawn(host, imagefile.read(PHOTO, max_pixels=10**8).rgb[:256, :256], args.pairs)
        for row in results["drawn"]:
            like = "" if row["exact"] is None else f"{row['exact']:.1f}"
            report.row(row["speed"], f"{row['time']:.2f}", like, f"{row['whole']:.1f}", f"{row['seam']:.2f}")
    if args.json:
        file = Path(args.json)
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        file.write_text(json.dumps({**kept, **results}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
