"""Milliseconds a tile outside the network and the autoencoder, for each family of models that runs stand-alone.

    python -m bench.families [--side 1536] [--steps 20] [--json FILE]

The models are tiny ones of diffusers' real classes with random weights, as the tests make them. What is measured is all
the rest of a run: crops, noise, the sampler's steps, guidance, composing. It does not depend on the weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lib_usdu.engine import upscale
from lib_usdu.enlarge.torchvision_operators import declare_missing_operators
from lib_usdu.options import Options
from lib_usdu.standalone.host import LocalHost
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling

declare_missing_operators()
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import tiny_flow  # noqa: E402
import tiny_models  # noqa: E402

KINDS = {"sd1": tiny_models.sd1, "sdxl": tiny_models.sdxl, **tiny_flow.KINDS}
TILE, PADDING = 512, 32  # windows of 576 x 576


class Inside:
    """Seconds that go by in the functions it was given."""

    def __init__(self):
        self.seconds = 0.0
        self.calls = 0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - started
                self.calls += 1

        return run


class Timed(DiffusersRefiner):
    """Notes for each tile the seconds of its call and those inside the network and the autoencoder."""

    def __init__(self, pipeline: Any, sampling: Sampling, name: str):
        super().__init__(pipeline, sampling, name)
        self.inside, self.tiles = Inside(), []
        for owner, function in ((self.network, "forward"), (pipeline.vae, "encode"), (pipeline.vae, "decode")):
            setattr(owner, function, self.inside.timed(getattr(owner, function)))

    def refine(self, batch, stop):
        before, calls, started = self.inside.seconds, self.inside.calls, time.perf_counter()
        pictures = super().refine(batch, stop)
        seconds, inside = time.perf_counter() - started, self.inside.seconds - before
        self.tiles.append((seconds, inside, self.inside.calls - calls))
        return pictures


def measure(kind: str, side: int, steps: int) -> dict[str, Any]:
    """A canvas of side x side, one tile a call, denoise 0.4, with a prompt and CFG 4."""
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    options = Options(tile_width=TILE, padding=PADDING, custom_scale=1, denoise=0.4, tile_batch=1, upscaler="None")
    sampling = Sampling(prompt="a cat", negative_prompt="a dog", steps=steps, cfg_scale=4.0, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        refiner = Timed(KINDS[kind](Path(folder)), sampling, kind)
    stats = upscale(picture, options, LocalHost(refiner)).stats
    loop = [1000 * seconds for seconds in stats.outside_per_tile]
    steps_too = [1000 * (seconds - inside) for seconds, inside, _ in refiner.tiles]
    if len(loop) != len(refiner.tiles):
        raise RuntimeError(f"{len(refiner.tiles)} calls of the model, but {len(loop)} batches")
    return {
        "kind": kind, "tiles": stats.tiles, "calls": statistics.median(calls for *_, calls in refiner.tiles),
        "loop_ms": statistics.median(loop), "steps_ms": statistics.median(steps_too),
        "outside_ms": statistics.median(a + b for a, b in zip(loop, steps_too)),
        "inside_ms": statistics.median(1000 * inside for _, inside, _ in refiner.tiles),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1536, help="of the canvas, px")
    parser.add_argument("--steps", type=int, default=20, help="at a denoising strength of 1")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    found = []
    print("| family | tiles | calls of network and autoencoder a tile | tile loop | steps | together |")
    print("|---|---|---|---|---|---|")
    for kind in args.kinds:
        row = measure(kind, args.side, args.steps)
        found.append(row)
        times = " | ".join(f"{row[name]:.1f} ms" for name in ("loop_ms", "steps_ms", "outside_ms"))
        print(f"| {kind} | {row['tiles']} | {row['calls']:.0f} | {times} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
