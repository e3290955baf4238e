"""Trains the embedded denoiser from a folder of photos, on one CPU core.

    python -m tools.train_embedded.train --photos DIR --scratch DIR --minutes 60

Data     data.py: every photo except HELD_BACK (those are for evaluation only), as it is (the copies were shrunk from
         camera size, so they are sharp) and at half size, and two random drawings of shapes, lines and letters:
         man-made edges, which the photos lack. Each is degraded once per recipe (shrunk, sometimes through JPEG,
         upscaled again, mostly by the embedded SPAN). Crops get flips, rotations, and changes of brightness, contrast
         and colour.
Gains    From the error of the degraded photos, per latent channel: gain = 1 / (geometric mean of the error at factors
         2 and 4, not below FLOOR). Noise of size 1 is then what upscaling got wrong in every frequency.
         --noise-scale, chosen by measurement after training, says how much of it the host's unit noise is.
Method   x = (1 - m) * clean + m * degraded + sigma * noise; the network predicts clean from x and sigma (m is not
         told). So img2img over an upscaled picture removes what upscaling got wrong together with the noise: m = 1 is
         the first step of a run, later steps are mixtures of both. sigma is log-normal around what denoise 0.3 means.
Loss     Most of what upscaling lost cannot be known, so a squared error would be nothing but its outliers:
         pseudo-Huber, on errors in units of what each channel can know, channels weighted by their error in pixels.
         Adam, cosine decay by wall clock, averaged weights (EMA). Fixed seed; the state is saved every few minutes
         and a rerun continues from it.
Writes   vae/config.json and unet/ in lib_usdu/embedded: replaced as a whole, also while training runs.

The shipped weights are the averaged weights after 2700 steps of the defaults below, planned for 43 minutes of one core:
1817 steps, then, after detours that were thrown away (a weight on the local energy of detail gave texture at factor 4
with a faint pattern in it, and 1 dB less at factor 2), 883 more from the same state, the clock running out before the
rate had decayed all the way. --noise-scale was chosen by looking at three of the held-back photos.
The decay follows the clock, so a rerun gives a similar model, not the same bits.
To try another noise scale, or train on: keep --scratch and run again.
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
from safetensors.torch import save_file

from lib_usdu.embedded import HERE
from lib_usdu.embedded.autoencoder import LappedAutoencoder
from lib_usdu.embedded.denoiser import Denoiser

from .data import DRAWINGS, RECIPES, Crops, prepare

FLOOR = 0.0025  # a third of an 8-bit level in [-1, 1]: below it an error is rounding, not upscaling


def spectrum(stacks: list[np.ndarray], plain: LappedAutoencoder) -> tuple[torch.Tensor, torch.Tensor]:
    """Per latent channel: the error of upscaling and the std of clean photos."""
    stacks = stacks[:-DRAWINGS]  # photos only
    crops, errors, signal = Crops(stacks, 0), {2: [], 4: []}, []
    for _ in range(300):
        stack = crops.stacks[crops.rng.choice(len(stacks), p=crops.share)]
        top, left = (int(crops.rng.integers(0, stack.shape[axis] - 192)) for axis in (1, 2))
        part = torch.from_numpy(stack[:, top : top + 192, left : left + 192]).permute(0, 3, 1, 2).float() / 127.5 - 1
        z = plain.encode(part).latent_dist.mode()
        signal.append((z[0] ** 2).mean((1, 2)))
        for index, recipe in enumerate(RECIPES):
            if recipe[3] == "span" and recipe[0] in errors:
                errors[recipe[0]].append(((z[1 + index] - z[0]) ** 2).mean((1, 2)))
    error = [torch.stack(errors[factor]).mean(0).sqrt() for factor in (2, 4)]
    return (error[0] * error[1]).sqrt(), torch.stack(signal).mean(0).sqrt()


def save(unet: Denoiser, gains: torch.Tensor, weights: dict, noise_scale: float, where: Path) -> None:
    """The latents are stretched so that the host's unit noise is noise_scale in training units."""
    (where / "vae").mkdir(parents=True, exist_ok=True)
    (where / "unet").mkdir(exist_ok=True)
    config = {key: unet.config[key] for key in ("signal_std", "doubt", "block_out_channels", "layers_per_block")}
    files = {
        "unet/config.json": {**config, "noise_scale": noise_scale},
        "vae/config.json": {"gains": [round(gain / noise_scale, 3) for gain in gains.tolist()]},
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
    parser.add_argument("--scratch", type=Path, required=True, help="cache of degraded photos, and the resumable state")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--minutes", type=float, default=43, help="total training time, resumed runs included")
    parser.add_argument("--batch", type=int, default=3)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--channels", type=int, nargs="+", default=(160, 224))
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--noise-scale", type=float, default=0.25, help="training noise units in the host's unit noise")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prepare-only", action="store_true")
    return parser.parse_args()


def new_model(signal_std: torch.Tensor, channels: list[int], layers: int) -> Denoiser:
    unet = Denoiser(
        signal_std=[round(s, 4) for s in signal_std.tolist()],
        block_out_channels=tuple(channels),
        layers_per_block=layers,
        doubt=0.3,
    )
    for name, module in unet.named_modules():  # residual branches and the output start at nothing
        if isinstance(module, torch.nn.Conv2d):
            silent = name.endswith(("conv2", "conv_out"))
            torch.nn.init.normal_(module.weight, std=0.0 if silent else module.weight[0].numel() ** -0.5)
            torch.nn.init.zeros_(module.bias)
    return unet


def loss_of(unet: Denoiser, clean, degraded, importance, weight, noise: torch.Generator):
    draw = torch.rand(len(clean), generator=noise)  # 20 % clean, 45 % degraded, the rest mixtures
    m = torch.where(draw < 0.2, 0.0, torch.where(draw < 0.65, 1.0, (draw - 0.65) / 0.35))[:, None, None, None]
    sigma = torch.randn(len(clean), generator=noise).mul(1.1).sub(0.7).exp().clamp(0.02, 15)[:, None, None, None]
    x = torch.lerp(clean, degraded, m) + sigma * torch.randn(clean.shape, generator=noise)
    taken, scale, prediction = unet.network(x, sigma, torch.float32)
    miss = (clean - (1 - taken) * x) / scale - prediction
    return (importance * weight * ((miss**2 + 0.25).sqrt() - 0.5)).mean()


def main() -> None:
    args = options()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)

    stacks = prepare(args.photos, args.scratch / "cache")
    if args.prepare_only:
        return
    error, std = spectrum(stacks, LappedAutoencoder())
    error = error.clamp(min=FLOOR)
    gains = 1 / error
    vae = LappedAutoencoder(gains=gains.tolist())
    unet = new_model(std * gains, args.channels, args.layers)
    weight = (error / error.mean())[:, None, None]
    average = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    optimizer = torch.optim.Adam(unet.parameters(), lr=args.rate, betas=(0.9, 0.99))
    step, spent, state = 0, 0.0, args.scratch / "state.pt"
    if state.exists():
        loaded = torch.load(state)
        unet.load_state_dict(loaded["unet"])
        optimizer.load_state_dict(loaded["optimizer"])
        average, step, spent = loaded["average"], loaded["step"], loaded["spent"]
    crops, noise = Crops(stacks, args.seed + step), torch.Generator().manual_seed(args.seed + step)
    begun, saved, losses = time.time() - spent, spent, []
    print(f"{sum(p.numel() for p in unet.parameters()) / 1e6:.2f} M parameters, from step {step}", flush=True)

    while spent < 60 * args.minutes:
        done = spent / (60 * args.minutes)
        for group in optimizer.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        clean, degraded, importance = crops.batch(args.batch, args.size)
        clean, degraded = (vae.encode(x).latent_dist.mode() for x in (clean, degraded))
        loss = loss_of(unet, clean, degraded, importance, weight, noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        step, spent = step + 1, time.time() - begun
        decay = min(0.998, (1 + step) / (20 + step))
        with torch.no_grad():
            for name, tensor in unet.state_dict().items():
                average[name].lerp_(tensor, 1 - decay)
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"step {step} {spent / 60:.1f} min loss {np.mean(losses[-100:]):.4f}", flush=True)
        if spent - saved > 150 or spent >= 60 * args.minutes:
            saved = spent
            torch.save(
                {
                    "unet": unet.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "average": average,
                    "step": step,
                    "spent": spent,
                },
                f"{state}.new",
            )
            os.replace(f"{state}.new", state)
            save(unet, gains, average, args.noise_scale, args.out)
    save(unet, gains, average, args.noise_scale, args.out)  # also when nothing was left to train: another noise scale


if __name__ == "__main__":
    main()
