"""Fine-tunes the embedded SPAN x4 for what people bring: JPEGs, noise, soft photos.

    python -m tools.train_embedded.upscaler --photos DIR --out span_x4_jpeg.safetensors --damage jpeg --seconds 3000

Data     Folder of sharp pictures, at least 320 px a side (lib_usdu/embedded/LICENSES.md names those of the shipped
         files). Random crops, flips and turns, busier ones more often; `degrade.py` makes the small picture of each.
Method   Starts from lib_usdu/embedded/span_x4.safetensors. SPAN's three-branch convolutions are fused into one kernel
         each, which is what runs at inference, and that kernel is trained and kept.
Loss     Charbonnier at full size plus twice that at half size: most people enlarge twice, where the network's picture
         is halved. AdamW, cosine decay by the clock, averaged weights (EMA).
Budget   Both shipped files began with 135 s on a card (H200, --damage all, batch 48, 7000 steps). Then one core each,
         batch 6, bfloat16: JPEG 4350 s, and 750 s with --corner 20; noise 970 s with --corner 10.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from lib_usdu.embedded import DEFAULT_UPSCALER, span
from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

from .degrade import DAMAGES, degraded

RIM = 8
"""Pixels of a small patch."""
START = DEFAULT_UPSCALER


def network(weights: Path = START) -> nn.Module:
    """SPAN as spandrel builds it, float32, each three-branch convolution replaced by its fused kernel."""
    declare_missing_operators()
    from spandrel import ModelLoader
    from spandrel.architectures.SPAN.__arch.span import Conv3XC

    model = ModelLoader(device="cpu").load_from_state_dict(span.read(weights)).model.float().eval()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Conv3XC):
                child.update_params()
                fused = nn.Conv2d(child.eval_conv.in_channels, child.eval_conv.out_channels, 3, padding=1)
                fused.load_state_dict(child.eval_conv.state_dict())
                setattr(parent, name, fused)
    return model.requires_grad_(True)


def kernels(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of `network()` under the names of our files (lib_usdu/embedded/span.py), in half precision."""
    names = {name.replace(".eval_conv.", "."): name for name in load_file(START)}
    return {names[name]: tensor.half().cpu().contiguous() for name, tensor in weights.items()}


class Photos:
    """All photos on the device, without those that are smaller than a patch of `side` px; `crops(n)` are random
    patches, float (n, 3, side, side), 0-1."""

    def __init__(self, folder: Path, side: int, device: torch.device, generator: torch.Generator):
        self.pictures, detail, self.side = [], [], side
        for path in sorted([*folder.glob("*.jpg"), *folder.glob("*.png")]):
            with Image.open(path) as image:
                picture = np.asarray(image.convert("RGB"))
            if min(picture.shape[:2]) < side:
                continue
            self.pictures.append(torch.from_numpy(picture.copy()).permute(2, 0, 1).contiguous().to(device))
            steps = np.abs(np.diff(picture.astype(np.float32), axis=1)).mean()
            detail.append(min(max(float(steps), 0.7), 8.0) * min(picture.shape[0] * picture.shape[1] / 1e6, 1) ** 0.5)
        self.share = torch.tensor(detail) / sum(detail)
        self.device, self.generator = device, generator

    def crops(self, count: int) -> torch.Tensor:
        side = self.side
        chosen = torch.multinomial(self.share, count, replacement=True, generator=self.generator).tolist()
        patches = []
        for index in chosen:
            picture = self.pictures[index]
            _, height, width = picture.shape
            y, x, turn, flip = (
                int(torch.randint(0, most, (), generator=self.generator))
                for most in (height - side + 1, width - side + 1, 4, 2)
            )
            patch = torch.rot90(picture[:, y : y + side, x : x + side], turn, (1, 2))
            patches.append(patch.flip(2) if flip else patch)
        return torch.stack(patches).float() / 255


def charbonnier(first: torch.Tensor, second: torch.Tensor, corner: float) -> torch.Tensor:
    """About the mean absolute difference; below `corner` levels of 255 it goes with the square."""
    return torch.sqrt((first - second).square() + (corner / 255) ** 2).mean()


def save(average: dict[str, torch.Tensor], out: Path, step: int) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(kernels(average), out, {"steps": str(step)})


def train(args: argparse.Namespace) -> None:
    torch.manual_seed(0)
    device = torch.device(args.device)
    on_card = device.type == "cuda"
    random, generator = torch.Generator().manual_seed(1), torch.Generator(device).manual_seed(2)
    photos = Photos(args.photos, args.side, device, random)
    model = network(args.start).to(device, memory_format=torch.channels_last)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, betas=(0.9, 0.99), weight_decay=0, fused=on_card)
    if on_card:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    clock = time.perf_counter if on_card else time.process_time  # a training that somebody halts loses nothing
    started, step, losses = clock(), 0, []
    while (share := (clock() - started) / args.seconds / (1 if on_card else torch.get_num_threads())) < 1:
        rate = args.rate * min(1, (step + 1) / 200) * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)
        for group in optimiser.param_groups:
            group["lr"] = rate
        sharp = photos.crops(args.batch)
        small = degraded(sharp, DAMAGES[args.damage], generator, random)
        # Blocks of a JPEG that was rolled end at the patch's rim: it is cut off. What is left has a picture's border.
        small, sharp = small[:, :, RIM:-RIM, RIM:-RIM], sharp[:, :, 4 * RIM : -4 * RIM, 4 * RIM : -4 * RIM]
        small = small.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=not on_card):
            made = model(small)
        made = made.float()
        halves = [F.interpolate(one, scale_factor=0.5, mode="bicubic", antialias=True) for one in (made, sharp)]
        loss = charbonnier(made, sharp, args.corner) + 2 * charbonnier(*halves, args.corner)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimiser.step()
        keep = min(0.999, (step + 1) / (step + 10))
        with torch.no_grad():
            state = [value for value in model.state_dict().values()]
            torch._foreach_lerp_(list(average.values()), state, 1 - keep)
        losses.append(loss.detach())
        step += 1
        if step % args.say == 0:
            seconds, loss = clock() - started, float(torch.stack(losses).mean())
            print(f"{seconds:6.1f} s  step {step}  loss {loss:.5f}", flush=True)
            losses = []
            save(average, args.out, step)
    save(average, args.out, step)
    print(f"{step} steps in {clock() - started:.0f} s: {args.out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder of sharp .jpg photos")
    parser.add_argument("--out", type=Path, required=True, help="the file to write, .safetensors")
    parser.add_argument("--start", type=Path, default=START, help="weights to begin with")
    parser.add_argument("--damage", choices=sorted(DAMAGES), default="all")
    parser.add_argument("--seconds", type=float, default=200)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--side", type=int, default=320, help="of a sharp patch, px, a multiple of 64")
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--corner", type=float, default=2, help="levels: smaller errors count by their square")
    parser.add_argument("--say", type=int, default=250, help="print the loss every so many steps")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
