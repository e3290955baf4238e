"""How near tiles come to one un-tiled pass over the same canvas with the same noise: `make quality`.

    python -m bench.quality [PHOTO ...] [--sections main,blend,...] [--json FILE] [--markdown FILE] [--sheet FILE]

The model is the embedded one. For each case and way: PSNR, detail PSNR and GMSD to the un-tiled pass; seam visibility
(bench.measures) and energy above half Nyquist relative to the un-tiled pass's; tone drift in levels. The ways are this
extension with one thing changed at a time, and the geometry of the script it replaces (bench.original).
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lib_usdu.batch_size import BatchLimits
from lib_usdu.compose.weights import to_uint8
from lib_usdu.engine import upscale
from lib_usdu.host import Batch
from lib_usdu.options import Options
from lib_usdu.standalone.checkpoints import EMBEDDED, load_checkpoint
from lib_usdu.standalone.host import LocalHost
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling

from . import cases, measures, original

DEFAULT = "default"
ORIGINAL = "the original's geometry"
BASE = Options(custom_scale=1, tile_width=256, denoise=0.35, seed=3)
"""What every way starts from; the rest is at its default."""

WAYS: dict[str, dict] = {
    DEFAULT: {},
    "lock off": {"tone_lock": 0},
    "cut": {"blend": "cut"},
    "cut, lock off": {"blend": "cut", "tone_lock": 0},
    "noise: tile": {"noise": "tile"},
    "noise: tile, cut": {"noise": "tile", "blend": "cut"},
    "linear": {"redraw_mode": "linear"},
    "chess": {"redraw_mode": "chess"},
    "fused, lock off": {"redraw_mode": "fused", "tone_lock": 0},
    "padding 16": {"padding": 16},
    "padding 64": {"padding": 64},
    "padding 128": {"padding": 128},
    "mask blur 4": {"mask_blur": 4},
    ORIGINAL: {},
}


@dataclass(frozen=True)
class Section:
    """A part of the table: which ways on which cases. `few`: on the first two photos only."""

    ways: tuple[str, ...]
    changes: dict
    few: bool = True
    sampler: str = "Euler"
    side: int | None = None


SECTIONS: dict[str, Section] = {
    "main": Section((DEFAULT, "lock off", "cut", "cut, lock off", "fused, lock off", ORIGINAL), {}, few=False),
    "noise and context": Section(("noise: tile", "noise: tile, cut", "linear", "chess"), {}),
    "padding": Section(("padding 16", "padding 64", "padding 128", "mask blur 4"), {}),
    "denoise 0.2": Section(("lock off", "fused, lock off", ORIGINAL), {"denoise": 0.2}),
    "denoise 0.5": Section(("lock off", "fused, lock off", ORIGINAL), {"denoise": 0.5}),
    "tile 512": Section((DEFAULT, "lock off", ORIGINAL), {"tile_width": 512}, side=1024),
    **{
        name: Section((DEFAULT, "lock off", "fused, lock off", ORIGINAL), {}, sampler=name)
        for name in ("Euler a", "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "LCM")
    },
}


@dataclass(frozen=True)
class Row:
    section: str
    case: str
    way: str
    psnr: float
    detail: float
    gmsd: float
    seam: float
    drift: float
    drift_from_canvas: float
    energy: float


class Remembering:
    """A refiner asked for the same window twice answers from memory: ways that only compose anew cost nothing."""

    def __init__(self, refiner: DiffusersRefiner):
        self.refiner, self._known = refiner, {}

    def __getattr__(self, name: str):
        return getattr(self.refiner, name)

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        return BatchLimits(1, 1)

    def refine(self, batch: Batch, stop) -> np.ndarray:
        key = (batch.images.tobytes(), batch.noises, batch.denoise)
        if key not in self._known:
            self._known[key] = self.refiner.refine(batch, stop)
        return self._known[key]


def rows_of(name: str, section: Section, pictures: dict[str, np.ndarray], few: int) -> Iterator[tuple[Row, dict]]:
    """The rows of a section, one after another, each with the pictures it is about."""
    pipeline, model = load_checkpoint(EMBEDDED, torch.device("cpu"))
    refiner = DiffusersRefiner(pipeline, Sampling(sampler=section.sampler), model)
    options = replace(BASE, **section.changes, tile_height=0) if section.changes else BASE
    for case, canvas in list(pictures.items())[: few if section.few else None]:
        host = LocalHost(Remembering(refiner))
        side = canvas.shape[0]
        whole = replace(options, tile_width=side, tile_height=side, tone_lock=0)
        ideal = upscale(canvas, whole, host).image
        remarkable = measures.seam_visibility(ideal, canvas)
        energy = measures.high_frequency_energy(ideal)
        for way in section.ways:
            if way == ORIGINAL:
                result = original.redraw(canvas, options, host)
            else:
                result = to_uint8(upscale(canvas, replace(options, **WAYS[way]), host).image)
            row = Row(
                name, case, way,
                measures.psnr(result, ideal), measures.detail_psnr(result, ideal), measures.gmsd(result, ideal),
                measures.seam_visibility(result, canvas) / remarkable,
                measures.tone_drift(result, ideal), measures.tone_drift(result, canvas),
                measures.high_frequency_energy(result) / energy,
            )  # fmt: skip
            yield row, {"canvas": canvas, "un-tiled": ideal, way: result}


def table(rows: list[Row]) -> str:
    """Markdown, a table for each section with the medians of each way under it."""
    lines = []
    for section in dict.fromkeys(row.section for row in rows):
        lines += [
            f"### {section}", "",
            "| case | way | PSNR, dB | detail, dB | GMSD | seam | tone to un-tiled | tone to canvas | high freq. |",
            "|---|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        inside = [row for row in rows if row.section == section]
        lines += [_line(row) for row in inside]
        for way in dict.fromkeys(row.way for row in inside):
            same = [asdict(row) for row in inside if row.way == way]
            numbers = {
                key: statistics.median(row[key] for row in same)
                for key, value in same[0].items()
                if isinstance(value, float)
            }
            lines.append(_line(Row(section, "**median**", way, **numbers)))
        lines.append("")
    return "\n".join(lines)


def _line(row: Row) -> str:
    return (
        f"| {row.case} | {row.way} | {row.psnr:.1f} | {row.detail:.1f} | {row.gmsd:.4f} | {row.seam:.2f} "
        f"| {row.drift:.2f} | {row.drift_from_canvas:.2f} | {row.energy:.3f} |"
    )


def worst_seam(result: np.ndarray, canvas: np.ndarray, size: int) -> tuple[slice, slice]:
    """The square around the most remarkable column or row, where the change jumps most along it."""
    columns, rows = measures.seam_profile(result, canvas)
    changed = np.abs(result.astype(np.float32) - canvas).mean(axis=2)
    if columns.max() >= rows.max():
        x = int(columns.argmax())
        y = int(np.abs(changed[:, x + 1] - changed[:, x]).argmax())
    else:
        y = int(rows.argmax())
        x = int(np.abs(changed[y + 1] - changed[y]).argmax())
    top, left = (
        min(max(at - size // 2, 0), length - size) for at, length in ((y, canvas.shape[0]), (x, canvas.shape[1]))
    )
    return slice(top, top + size), slice(left, left + size)


def contact_sheet(shown: dict[str, dict[str, np.ndarray]], size: int = 192) -> np.ndarray:
    """100 % crops over the original geometry's worst seam, a case a row: canvas, un-tiled, default, original."""
    gap = 6
    names = ("canvas", "un-tiled", DEFAULT, ORIGINAL)
    strips = []
    for pictures in shown.values():
        place = worst_seam(pictures[ORIGINAL], pictures["canvas"], size)
        row = [np.pad(pictures[name][place], ((0, gap), (0, gap), (0, 0)), constant_values=255) for name in names]
        strips.append(np.concatenate(row, axis=1))
    return np.concatenate(strips)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--side", type=int, default=768, help="side of the canvas")
    parser.add_argument("--few", type=int, default=2, help="cases of the sections that compare one thing")
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    rows: list[Row] = []
    shown: dict[str, dict[str, np.ndarray]] = {}
    for name in args.sections.split(","):
        section = SECTIONS[name]
        side = section.side or args.side
        pictures = {path.stem: cases.photo(path, side) for path in args.photos}
        pictures |= {made: make(side) for made, make in cases.MADE.items()}
        for row, seen in rows_of(name, section, pictures, args.few):
            rows.append(row)
            print(f"{name}: {_line(row)}", flush=True)
            if name == "main":
                shown.setdefault(row.case, {}).update(seen)
            if args.json:
                args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    if args.markdown:
        args.markdown.write_text(table(rows), encoding="utf-8")
    if args.sheet and shown:
        Image.fromarray(contact_sheet(shown)).save(args.sheet, quality=92)


if __name__ == "__main__":
    main()
