"""Speed and memory: `make bench` prints tables and keeps them with the numbers in bench/results.

Everything compared is measured in one run on the same work, so that the ratios hold where the seconds do not.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from .outside import measure_apart, measure_beside

SIZES = (1024, 2048, 4096, 8192, 16384)
RESULTS = Path(__file__).parent / "results"
PHOTO = Path(__file__).parents[1] / "tests" / "photos" / "astronaut.jpg"


class Report:
    """Lines, printed as they come and kept."""

    def __init__(self):
        self.lines: list[str] = []

    def say(self, line: str = "") -> None:
        self.lines.append(line)
        print(line, flush=True)

    def row(self, *cells: Any) -> None:
        self.say(f"| {' | '.join(str(cell) for cell in cells)} |")

    def table(self, *titles: str) -> None:
        self.say()
        self.row(*titles)
        self.say("|---" * len(titles) + "|")


def throughput(report: Report, device: str, batches: list[int], tiles: int) -> list[dict]:
    from .throughput import measure

    report.table("batch", "tiles/s", "bare model", "share of the bare model's")
    rows = []
    for batch in batches:
        row = measure(device, batch, max(tiles, 2 * batch))
        report.row(
            batch, f"{row['tiles_per_second']:.2f}", f"{row['bare_tiles_per_second']:.2f}", f"{row['share']:.1%}"
        )
        rows.append(row)
    return rows


def outside(report: Report, sizes: list[int], model_ms: float) -> list[dict]:
    report.table("canvas", "tiles", "outside the model, ms/tile: min", "median", "model, ms/tile", "share of the run",
                 "peak RSS, MB", "of it the run's")  # fmt: skip
    rows = []
    for size in sizes:
        row = measure_apart(size)
        row["model_ms"] = model_ms
        row["share"] = row["outside_ms_median"] / (row["outside_ms_median"] + model_ms)
        report.row(
            f"{size}²", row["tiles"], f"{row['outside_ms_min']:.1f}", f"{row['outside_ms_median']:.1f}",
            f"{model_ms:.0f}", f"{row['share']:.2%}", f"{row['rss_mb']:.0f}",
            f"{row['rss_mb'] - row['rss_before_mb']:.0f}",
        )  # fmt: skip
        rows.append(row)
    return rows


def beside(report: Report) -> dict:
    report.table("work outside the model, a model on a device of its own", "ms/tile the device waits")
    waits = measure_beside()
    for name, wait in waits.items():
        report.row(f"one {name}" if name == "after another" else "beside it, in a thread", f"{wait:.2f}")
    return waits


def upscalers(report: Report, device: str, paths: list[Path], side: int, repeats: int) -> list[dict]:
    from .upscaling import measure, models

    report.table("upscaler", "format", "MP/s", "the webui's loop", "times as fast", "in float32")
    rows = []
    for name, (ours, theirs) in models(paths, device).items():
        row = {"model": name, **measure(ours, theirs, side, repeats)}
        speed = row["megapixels_per_second"]
        ratios = row["webui_over"]
        report.row(
            name, row["dtype"], f"{speed['ours']:.2f}", f"{speed['webui']:.2f}", f"{ratios['ours']:.2f}",
            f"{ratios.get('ours in float32', ratios['ours']):.2f}",
        )  # fmt: skip
        rows.append(row)
    return rows


def choices(report: Report) -> list[dict]:
    """On a CPU, of the embedded model."""
    from lib_usdu.pictures import imagefile

    from .choices import measure

    report.table("the stand-alone UNet", "first tile, s", "s/tile", "times as fast", "dB to float32")
    rows = measure(imagefile.read(PHOTO, max_pixels=10**8).rgb[:512, :512])
    for row in rows:
        report.row(
            row["choice"], f"{row['first']:.2f}", f"{row['seconds']:.3f}",
            f"{rows[0]['seconds'] / row['seconds']:.2f}", "" if row["psnr"] is None else f"{row['psnr']:.1f}",
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="canvases, px a side")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--tiles", type=int, default=4, help="at least so many tiles for each batch")
    parser.add_argument("--upscalers", type=Path, nargs="*", default=[], help="model files besides the embedded SPAN")
    parser.add_argument("--side", type=int, default=512, help="of the picture that the upscalers enlarge, px")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cuda: the upscalers there, and a UNet of SD 1.5's size")
    parser.add_argument("--name", default="speed", help="of the files in bench/results")
    args = parser.parse_args()

    from .throughput import start_up_seconds

    report = Report()
    report.say(f"Threads: {os.environ.get('OMP_NUM_THREADS', 'all')}; device: {args.device}; windows of 576 x 576.")
    rows = throughput(report, args.device, args.batches, args.tiles)
    model_ms = 1000 / rows[0]["bare_tiles_per_second"]
    results = {
        "device": args.device, "throughput": rows,
        "outside": outside(report, args.sizes, model_ms) if args.sizes else [],
        "beside": beside(report),
        "choices": choices(report) if args.device == "cpu" else [],
        "upscalers": upscalers(report, args.device, args.upscalers, args.side, args.repeats),
        "start_up_seconds": start_up_seconds(),
    }  # fmt: skip
    report.say()
    report.say("Start-up: " + ", ".join(f"{k} {v:.1f} s" for k, v in results["start_up_seconds"].items()))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{args.name}.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (RESULTS / f"{args.name}.md").write_text("\n".join(report.lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
