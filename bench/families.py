"""Milliseconds a tile outside the network and the autoencoder, for each family of models that runs stand-alone.

    python -m bench.families [--side 1536] [--steps 20] [--json FILE]

The models are tiny ones of diffusers' real classes with random weights, as the tests make them. What is measured is all
the rest of a run: crops, noise, the sampler's steps, guidance, composing. It does not depend on the weights. From the
whole time of a tile only what goes by in calls of the network and of the autoencoder is taken away.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lib_usdu.engine import upscale
from lib_usdu.enlarge.torchvision_operators import declare_missing_operators
from lib_usdu.options import Options
from lib_usdu.run.memory import keep_freed
from lib_usdu.standalone.host import LocalHost
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling

declare_missing_operators()
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import tiny_flow  # noqa: E402
import tiny_models  # noqa: E402

KINDS = {"sd1": tiny_models.sd1, "sdxl": tiny_models.sdxl, **tiny_flow.KINDS}
TILE, PADDING = 512, 32  # windows of 576 x 576


class Clock:
    """Seconds by part: what goes by in a function counts for its own part alone, not for that of its caller."""

    def __init__(self):
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._part, self._since = "", 0.0

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time counts for this part."""

        @functools.wraps(function)  # diffusers looks at the arguments' names
        def run(*args: Any, **kwargs: Any) -> Any:
            caller = self._go_on_with(part)
            self.calls[part] += 1
            try:
                return function(*args, **kwargs)
            finally:
                self._go_on_with(caller)

        return run

    def _go_on_with(self, part: str) -> str:
        """Returns the part before."""
        now, before = time.perf_counter(), self._part
        self.seconds[before] += now - self._since
        self._part, self._since = part, now
        return before

    def taken(self) -> tuple[Counter[str], Counter[str]]:
        """Seconds and calls by part since the last time."""
        found = self.seconds, self.calls
        self.seconds, self.calls = Counter(), Counter()
        return found


PARTS = {"loop": "tile loop", "pictures": "pictures", "noise": "noise", "sampler": "sampler", "pipeline": "pipeline"}
"""Outside of network and autoencoder. loop: crops, checks, composing. pictures: levels to numbers and back. sampler:
diffusers' scheduler. pipeline: the rest of a call, guidance and prompts among it, most of it diffusers' own."""
MODEL, OF_SCHEDULERS = "model", ("set_timesteps", "scale_model_input", "add_noise", "step")


class Timed(DiffusersRefiner):
    """Notes for each tile, by its index, the seconds and calls of each part."""

    def __init__(self, pipeline: Any, sampling: Sampling, name: str):
        super().__init__(pipeline, sampling, name)
        self.clock, self.tiles = Clock(), {}
        scheduler, autoencoder = pipeline.scheduler, self.autoencoder
        for owner, function, part in (
            (self.network, "forward", MODEL), (pipeline.vae, "encode", MODEL), (pipeline.vae, "decode", MODEL),
            (autoencoder, "encode", "pictures"), (autoencoder, "pictures", "pictures"),
            *((scheduler, function, "sampler") for function in OF_SCHEDULERS if hasattr(scheduler, function)),
        ):  # fmt: skip
            setattr(owner, function, self.clock.timed(part, getattr(owner, function)))

    def refine(self, batch, stop):
        self.clock.taken()
        pictures = self.clock.timed("pipeline", super().refine)(batch, stop)
        self.tiles[batch.tiles[0].index] = self.clock.taken()
        return pictures

    def _noise(self, batch):
        noise = super()._noise(batch)
        noise.draw = self.clock.timed("noise", noise.draw)
        return noise


def measure(kind: str, side: int, steps: int, *, apart: bool = False) -> dict[str, Any]:
    """A canvas of side x side, one tile a call, denoise 0.4, with a prompt and CFG 4. Medians of tiles, in ms by part,
    and of all parts together. apart: the model has a device of its own, as a card is one: a thread composes, cuts out
    and draws noise meanwhile, and what is measured is how long the model waits."""
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    options = Options(tile_width=TILE, padding=PADDING, custom_scale=1, denoise=0.4, tile_batch=1, upscaler="None")
    sampling = Sampling(prompt="a cat", negative_prompt="a dog", steps=steps, cfg_scale=4.0, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        refiner = Timed(KINDS[kind](Path(folder)), sampling, kind)
    refiner.works_apart = apart
    stats = upscale(picture, options, LocalHost(refiner)).stats
    if set(stats.tile_seconds) != set(refiner.tiles):
        raise RuntimeError(f"{len(refiner.tiles)} calls of the model for {len(stats.tile_seconds)} tiles")
    tiles = []
    for index, (seconds, _) in refiner.tiles.items():
        outside = stats.tile_seconds[index] - seconds[MODEL]
        inner = sum(seconds[part] for part in PARTS)
        tiles.append({**{part: seconds[part] for part in PARTS}, "loop": outside - inner, "outside": outside})
    return {
        "kind": kind, "tiles": stats.tiles,
        "calls": statistics.median(calls[MODEL] for _, calls in refiner.tiles.values()),
        "model_ms": 1000 * statistics.median(seconds[MODEL] for seconds, _ in refiner.tiles.values()),
        **{f"{part}_ms": 1000 * statistics.median(tile[part] for tile in tiles) for part in (*PARTS, "outside")},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1536, help="of the canvas, px")
    parser.add_argument("--steps", type=int, default=20, help="at a denoising strength of 1")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    keep_freed()  # as the command line does
    torch.set_num_threads(1)  # else the model takes the core of the thread that works beside a card
    found = []
    columns = ("family", "tiles", "calls of network and autoencoder", *PARTS.values(), "together", "a card waits")
    print("|", " | ".join(columns), "|")
    print("|---" * len(columns) + "|")
    for kind in args.kinds:
        row = measure(kind, args.side, args.steps)
        row["waits_ms"] = measure(kind, args.side, args.steps, apart=True)["outside_ms"]
        found.append(row)
        times = " | ".join(f"{row[f'{part}_ms']:.1f} ms" for part in (*PARTS, "outside", "waits"))
        print(f"| {kind} | {row['tiles']} | {row['calls']:.0f} | {times} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
