"""Trains the embedded denoiser from a folder of pictures, on one CPU core.

    python -m tools.train_embedded.train --photos DIR --scratch DIR --out DIR --minutes 29

Data     data.py: parts of photos and drawings, pages of text, and the canvases that the bundled upscalers make of
         small, damaged copies of them (lib_usdu/embedded/LICENSES.md names the pictures of the shipped weights).
Gains    One over the error of the canvases, per frequency of luma. Noise of size 1 is then what upscaling got wrong in
         every frequency. --noise-scale says how much of it the host's unit noise is.
Method   Flow matching from the canvas under noise to the sharp picture (Albergo and Vanden-Eijnden, 2023; Liu et al.,
         "I2SB", 2023): r = sharp - canvas, x = (1 - u) r + u s0 noise. That is the path that img2img's own sampler goes
         when it starts at the canvas under noise s0 and the network answers r: at noise s = u s0 the share u of the
         canvas is left. The network sees x, u, s and the canvas, and answers r; whatever s0 a person's denoise means.
Loss     Squared error, so that sampling gives back the energy of detail and not its median; in units of what is likely
         to be missing around a place, and preconditioned (Karras et al., 2022) so that the UNet's answers and errors
         are of one size at every noise. Adam, cosine decay by the clock,
         averaged weights (EMA). The state is saved every few minutes and a rerun continues from it.
Writes   vae/config.json and unet/ in --out.

The shipped weights are the averaged weights after about 7800 steps in 29 minutes of one core (AVX-512 with bfloat16),
and 3 minutes for the 2000 parts. The first 2000 steps were without the balance of pictures in the loss. Before that,
three tries of 3 to 9 minutes were thrown away: told only the noise and not how much of the start is left, the network
shrinks all detail; with the size of detail known for each block and not each pixel, noise surrounds edges; at a rate
of 5e-4 nothing is learned. The parts were made with the upscalers of 2026-11-28, before JPEGs were held to their files.
How much an edge gets (`amplitude`) and LOUDEST were chosen afterwards on four of the held-back photos.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from lib_usdu.embedded.autoencoder import LappedAutoencoder, amplitude
from lib_usdu.embedded.denoiser import Denoiser

from .data import Crops, prepare

FAINT = 0.1
"""Amplitude below which what is missing counts as nothing."""
LOW, HIGH, MIDDLE, WIDTH = 0.3, 12.0, 0.0, 0.3
"""Noise that a run begins with: log-normal, training units, between the first two."""


def detail_of(sharp: torch.Tensor, canvas: torch.Tensor, plain: LappedAutoencoder) -> tuple[torch.Tensor, torch.Tensor]:
    """Coefficients of the detail that the decoder makes `sharp` of, and how much it counts at each position."""
    size = amplitude(canvas, here=0.5, most=4)
    missing = (sharp - canvas).sum(1, keepdim=True) * 3**-0.5
    return plain.of_axes(missing * size / (size**2 + FAINT**2)), F.avg_pool2d(size, 8).clamp(min=FAINT)


def measured(crops: Crops, plain: LappedAutoencoder) -> torch.Tensor:
    """Gains of luma's frequencies."""
    power, counted = torch.zeros(8, 8), 0.0
    for _ in range(200):
        detail, weight = detail_of(*crops.batch(4, 128), plain)
        power += (weight * detail.square()).sum((0, 2, 3)).view(8, 8)
        counted += float(weight.sum())
    power = power / counted
    return 1 / ((power + power.T) / 2).sqrt().flatten()


def save(unet: Denoiser, weights: dict, noise_scale: float, where: Path) -> None:
    """The latents are stretched so that the host's unit noise is noise_scale in training units."""
    (where / "vae").mkdir(parents=True, exist_ok=True)
    (where / "unet").mkdir(exist_ok=True)
    kept = ("gains", "canvas_gain", "whole_at", "block_out_channels", "layers_per_block")
    gains = [round(gain / noise_scale, 3) for gain in unet.config["gains"]]
    files = {
        "unet/config.json": {**{name: unet.config[name] for name in kept}, "noise_scale": noise_scale},
        "vae/config.json": {"gains": gains, "canvas_gain": unet.config["canvas_gain"]},
    }
    for name, content in files.items():
        (where / (name + ".new")).write_text(json.dumps(content, indent=1) + "\n")
        os.replace(where / (name + ".new"), where / name)
    target = where / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor.half().contiguous() for name, tensor in weights.items()}, f"{target}.new")
    os.replace(f"{target}.new", target)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True, help="cache of pairs, and the resumable state")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=29, help="of processor time, resumed runs included")
    parser.add_argument("--parts", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--channels", type=int, nargs="+", default=(160, 224))
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--noise-scale", type=float, default=0.62, help="training noise units in the host's unit noise")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def new_model(gains: torch.Tensor, channels: list[int], layers: int) -> Denoiser:
    unet = Denoiser(
        gains=[round(gain, 3) for gain in gains.tolist()],
        block_out_channels=tuple(channels),
        layers_per_block=layers,
    )
    for name, module in unet.named_modules():  # residual branches and the output start at nothing
        if isinstance(module, torch.nn.Conv2d):
            silent = name.endswith(("conv2", "conv_out"))
            torch.nn.init.normal_(module.weight, std=0.0 if silent else module.weight[0].numel() ** -0.5)
            torch.nn.init.zeros_(module.bias)
    return unet


def loss_of(unet: Denoiser, detail, canvas, weight, noise: torch.Generator):
    """detail: in training units; canvas: coefficients."""
    count = len(detail)
    draw = torch.rand(count, 4, generator=noise)
    wide = torch.where(draw[:, 3] < 0.15, 4.0, 1.0) * WIDTH
    begun = torch.randn(count, generator=noise).mul(wide).add(MIDDLE).exp().clamp(LOW, HIGH)
    u = torch.where(draw[:, 0] < 0.15, 1.0, draw[:, 1] ** 1.3).clamp(min=0.02)[:, None, None, None]
    sigma = u * begun[:, None, None, None]
    # Samplers that draw noise in their steps forget the start sooner.
    left = torch.where(draw[:, 2] < 0.25, u.flatten() ** (1 + 8 * draw[:, 2]), u.flatten())[:, None, None, None]
    x = (1 - left) * detail + sigma * torch.randn(detail.shape, generator=noise)
    raw, scales = unet.network(x, left, sigma, canvas, torch.float32)
    asked = (detail - scales.kept * x) / scales.made
    # One picture of rocks must not be louder than ten of skin.
    weight = weight / (weight * asked.square()).mean((1, 2, 3), keepdim=True).add(1e-3).sqrt()
    return (weight * (asked - raw).square().clamp(max=100))[:, 1:].mean()


def main() -> None:
    args = options()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)

    pairs = np.asarray(prepare(args.photos, args.scratch / "cache", args.parts))
    step, spent, state, loaded = 0, 0.0, args.scratch / "state.pt", None
    if state.exists():
        loaded = torch.load(state)
        step, spent = loaded["step"], loaded["spent"]
    plain = LappedAutoencoder()
    gains = loaded["gains"] if loaded else measured(Crops(pairs, args.seed), plain)
    unet = new_model(gains, args.channels, args.layers)
    weight = 1 / gains[:, None, None]
    weight = weight / weight.mean()
    average = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    optimizer = torch.optim.Adam(unet.parameters(), lr=args.rate, betas=(0.9, 0.99))
    if loaded:
        unet.load_state_dict(loaded["unet"])
        optimizer.load_state_dict(loaded["optimizer"])
        average = loaded["average"]
    crops, noise = Crops(pairs, args.seed + step), torch.Generator().manual_seed(args.seed + step)
    clock = time.process_time  # a training that somebody halts loses nothing
    begun, saved, losses = clock() - spent, spent, []
    print(f"{sum(p.numel() for p in unet.parameters()) / 1e6:.2f} M parameters, from step {step}", flush=True)

    while spent < 60 * args.minutes:
        done = spent / (60 * args.minutes)
        for group in optimizer.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        sharp, canvas = crops.batch(args.batch, args.side)
        detail, here = detail_of(sharp, canvas, plain)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(unet, detail * gains[:, None, None], plain.frequencies(canvas), weight * here, noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        step, spent = step + 1, clock() - begun
        decay = min(0.998, (1 + step) / (20 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(unet.state_dict().values()), 1 - decay)
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"step {step} {spent / 60:.1f} min loss {np.mean(losses[-100:]):.4f}", flush=True)
        if spent - saved > 150 or spent >= 60 * args.minutes:
            saved = spent
            kept = {
                "unet": unet.state_dict(), "optimizer": optimizer.state_dict(), "average": average,
                "step": step, "spent": spent, "gains": gains,
            }  # fmt: skip
            torch.save(kept, f"{state}.new")
            os.replace(f"{state}.new", state)
            save(unet, average, args.noise_scale, args.out)
    save(unet, average, args.noise_scale, args.out)  # also when nothing was left to train: another noise scale


if __name__ == "__main__":
    main()
