"""Speed and memory of a run: `make bench` prints the table, `--json FILE` keeps it.

Each canvas size runs in a process of its own, so that peak memory is that size's. The work outside the model is
measured with a refiner that returns its windows as float pictures (a model's output, without the model); the model is
the embedded one, timed on windows of the same size.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from lib_usdu.cli import peak_rss_mb
from lib_usdu.engine import upscale
from lib_usdu.hosts.local import IdentityRefiner, LocalHost
from lib_usdu.options import Options

SIZES = (1024, 2048, 4096, 8192)
TILE, PADDING = 512, 32  # windows of 576 x 576


class FloatRefiner(IdentityRefiner):
    def refine(self, batch, stop):
        return batch.images.astype(np.float32)


def measure(size: int) -> dict:
    """One canvas of size x size, from a picture of half that; in this process."""
    before = peak_rss_mb()
    picture = np.random.default_rng(0).integers(0, 256, (size // 2, size // 2, 3), dtype=np.uint8)
    options = Options(tile_width=TILE, padding=PADDING, custom_scale=2, upscaler="Lanczos")
    stats = upscale(picture, options, LocalHost(FloatRefiner())).stats
    each = [1000 * seconds for seconds in stats.outside_per_tile]
    return {
        "canvas": size, "tiles": stats.tiles, "outside_ms_min": min(each), "outside_ms_median": statistics.median(each),
        "rss_mb": peak_rss_mb(), "rss_before_mb": before,
    }  # fmt: skip


def model_seconds(windows: int) -> float:
    """Median seconds of one 576 x 576 window through the embedded model at the default 20 steps, denoise 0.3."""
    import torch

    from lib_usdu.hosts.checkpoints import EMBEDDED, load_checkpoint
    from lib_usdu.hosts.diffusers import DiffusersRefiner, Sampling

    pipeline, name = load_checkpoint(EMBEDDED, torch.device("cpu"))
    refiner = DiffusersRefiner(pipeline, Sampling(), name)
    times = []

    class Timed(IdentityRefiner):
        def refine(self, batch, stop):
            started = time.perf_counter()
            refined = refiner.refine(batch, stop)
            times.append(time.perf_counter() - started)
            return refined

    picture = np.random.default_rng(0).integers(0, 256, (512 * windows, 576, 3), dtype=np.uint8)
    upscale(picture, Options(tile_width=576, tile_height=512, custom_scale=1), LocalHost(Timed()))
    return statistics.median(times[1:] or times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--windows", type=int, default=4, help="windows through the embedded model")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one)))
        return
    model = model_seconds(args.windows)
    print(f"model: {model:.2f} s a window of 576x576 (embedded, {os.environ.get('OMP_NUM_THREADS', 'all')} threads)\n")
    print("| canvas | tiles | outside the model, ms/tile: min | median | share of the run | peak RSS, MB |")
    print("|---|---|---|---|---|---|")
    rows = []
    for size in args.sizes:
        command = [sys.executable, "-m", "bench.speed", "--one", str(size)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        row["model_ms"] = 1000 * model
        row["share"] = row["outside_ms_median"] / (row["outside_ms_median"] + row["model_ms"])
        rows.append(row)
        print(
            f"| {size}² | {row['tiles']} | {row['outside_ms_min']:.1f} | {row['outside_ms_median']:.1f} "
            f"| {row['share']:.2%} | {row['rss_mb']:.0f} |",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
