"""Seconds a tile at each speed for models of Stable Diffusion 1.5's and XL's size, on this processor.

A whole tile of such a model takes minutes here, so that each part is run once, with random weights: the UNet whole and
with its inner blocks resting, the autoencoder as it is and quicker. What a tile takes is their sum over its steps, with
guidance. `python -m bench.sizes --model "SD 1.5"`; CPU seconds of all threads, which a busy machine changes least.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators
from lib_usdu.speed.autoencoder import has_bfloat16, quicker
from lib_usdu.speed.features import DeepFeatures
from lib_usdu.speed.schedule import EXACT, PACES, Levels
from lib_usdu.speed.unets import inner_of

from .gpu.models import SIZES, UNETS, autoencoder
from .paces import NOISES, asked_of
from .speed import Report

declare_missing_operators()

CODED = 144
"""Side of the window that the autoencoder is timed with, px: its work grows with the area, so that it is brief."""


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def large_unet(name: str) -> Any:
    """Of this size, with random weights. Blocks of transformers that are alike share theirs, which takes a fifth of the
    memory and no less time."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNETS[name])
        for module in unet.modules():
            blocks = getattr(module, "transformer_blocks", None)
            if blocks is not None:
                module.transformer_blocks = torch.nn.ModuleList([blocks[0]] * len(blocks))
    unet.to_empty(device="cpu")
    for weight in unet.parameters():
        torch.nn.init.normal_(weight, std=0.02)
    return unet.eval()


def of_unet(name: str, side: int) -> dict[str, float]:
    """Seconds of one window without guidance: whole, and by how many blocks at either end run."""
    unet = large_unet(name)
    latents, words = torch.randn(1, 4, side // 8, side // 8), torch.randn(1, 77, unet.config.cross_attention_dim)
    told: dict[str, Any] = {"encoder_hidden_states": words}
    if unet.config.addition_embed_type:
        told["added_cond_kwargs"] = {"text_embeds": torch.zeros(1, 1280), "time_ids": torch.zeros(1, 6)}
    counts = sorted({paces.steady.outer for paces in PACES.values()})
    resting = {count: DeepFeatures(inner_of(unet, count), lambda entering, others: (0,)) for count in counts}
    with torch.no_grad(), ExitStack() as stack:
        for features in resting.values():
            stack.enter_context(features.put_in())
        found = {"whole": seconds(lambda: unet(latents, torch.tensor([300]), **told))}
        for count in reversed(counts):  # those within others last: what they rest, the others would not see
            resting[count].whole = False
            found[str(count)] = seconds(lambda: unet(latents, torch.tensor([300]), **told))
            resting[count].whole = True
    return found


def of_autoencoder(side: int) -> dict[str, float]:
    """Seconds of encoding and decoding one window: as it is, and quicker."""
    vae = autoencoder(side, upcast=False).eval()
    picture, latents = torch.rand(1, 3, side, side) * 2 - 1, torch.randn(1, 4, side // 8, side // 8)

    def both() -> None:
        vae.encode(picture)
        vae.decode(latents)

    with torch.no_grad():
        found = {"as it is": seconds(both)}
        with quicker(vae):
            found["quicker"] = seconds(both)
    return found


def of_tile(unet: Mapping[str, float], coder: Mapping[str, float], area: float) -> dict[str, dict[str, float]]:
    """By speed: seconds of a tile's steps and of its autoencoder. area: how many times the window that `coder` was
    measured with."""
    found = {EXACT: {"steps": 2 * len(NOISES) * unet["whole"], "autoencoder": area * coder["as it is"]}}
    for speed, paces in PACES.items():
        pace = paces.steady
        rest = unet[str(pace.outer)]
        found[speed] = {
            "steps": sum(asked_of(Levels(pace), unet["whole"], rest)), "autoencoder": area * coder["quicker"],
        }  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("unet", "autoencoder", "table"), default="table", help="what to time")
    parser.add_argument("--model", choices=tuple(UNETS), default="SD 1.5")
    parser.add_argument("--json", default="bench/results/sizes.json", help="file that parts are kept in")
    args = parser.parse_args()
    file = Path(args.json)
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    kept["bfloat16"] = has_bfloat16()
    if args.part == "unet":
        kept[args.model] = of_unet(args.model, SIZES[args.model][1])
    elif args.part == "autoencoder":
        kept["autoencoder"] = of_autoencoder(CODED)
    if args.part != "table":
        file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        return
    report = Report()
    report.table("model, window", "speed", "steps, CPU s", "autoencoder, CPU s", "of exact")
    for name in (name for name in UNETS if name in kept):
        side = SIZES[name][1]
        tile = of_tile(kept[name], kept["autoencoder"], (side / CODED) ** 2)
        whole = sum(tile[EXACT].values())
        for speed, parts in tile.items():
            report.row(f"{name}, {side} px", speed, *(f"{value:.0f}" for value in parts.values()),
                       f"{sum(parts.values()) / whole:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
