"""The upscale stage beside the webui's own loop, on one picture, alternating in one run.

The webui's loop is `upscale_with_model` of modules/upscaler_utils.py with `split_grid` and `combine_grid` of
modules/images.py (AUTOMATIC1111 v1.10.1): windows of 192 px with 8 px of overlap, one at a time through a float64
picture, put together by Pillow.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lib_usdu.embedded import DEFAULT_UPSCALER
from lib_usdu.enlarge.spandrel_model import SpandrelModel
from lib_usdu.enlarge.windows import run_network

TILE, OVERLAP = 192, 8  # the webui's ESRGAN_tile, ESRGAN_tile_overlap


def models(paths: list[Path], device: str) -> dict[str, tuple[SpandrelModel, Any]]:
    """By name, each as we run it and as the webui does (the bare network, same weights).

    SPAN is the embedded one; the others have random weights, which cost the same, unless files are given.
    """
    found = {"SPAN x4": DEFAULT_UPSCALER, **{path.stem: path for path in paths}}
    pairs = {}
    for name, path in found.items():
        ours, theirs = SpandrelModel.load(path, device), _bare(path, device)
        pairs[f"{name} ({ours.descriptor.architecture.name})"] = ours, theirs
    if not paths:
        pairs |= {name: _random(name, device) for name in ("Compact", "RRDB")}
    return pairs


def _bare(path: Path, device: str) -> Any:
    import spandrel

    return spandrel.ModelLoader(device).load_from_file(path).eval()


def _random(name: str, device: str) -> tuple[SpandrelModel, Any]:
    """realesr-animevideov3's and RealESRGAN_x4plus_anime_6B's architectures with random weights."""
    import spandrel
    from spandrel.architectures import ESRGAN, Compact

    torch.manual_seed(0)
    if name == "Compact":
        loaded = Compact.CompactArch().load(Compact.Compact(num_conv=16, upscale=4).state_dict())
    else:
        loaded = ESRGAN.ESRGANArch().load(ESRGAN.ESRGAN(scale=4, num_blocks=6).state_dict())
    assert isinstance(loaded, spandrel.ImageModelDescriptor)
    half = device == "cuda" and loaded.supports_half
    bare = copy.deepcopy(loaded).to(device=device, dtype=torch.float16 if half else torch.float32).eval()
    return SpandrelModel(name, loaded, device), bare


def webui_loop(model: Any, image: Image.Image, scale: int) -> Image.Image:
    """The picture through the model as the webui does it."""
    w, h = image.size
    columns, rows = math.ceil((w - OVERLAP) / (TILE - OVERLAP)), math.ceil((h - OVERLAP) / (TILE - OVERLAP))
    dx = (w - TILE) / (columns - 1) if columns > 1 else 0
    dy = (h - TILE) / (rows - 1) if rows > 1 else 0
    grid = []
    for row in range(rows):
        y = min(int(row * dy), h - TILE)
        line = []
        for column in range(columns):
            x = min(int(column * dx), w - TILE)
            line.append((x * scale, _patch(model, image.crop((x, y, x + TILE, y + TILE)))))
        grid.append((y * scale, line))
    return _combine(grid, w * scale, h * scale, TILE * scale, OVERLAP * scale)


def _patch(model: Any, tile: Image.Image) -> Image.Image:
    parameter = next(model.model.parameters())
    with torch.inference_mode():
        pixels = np.ascontiguousarray(np.transpose(np.array(tile.convert("RGB"))[:, :, ::-1], (2, 0, 1))) / 255
        tensor = torch.from_numpy(pixels).unsqueeze(0).to(device=parameter.device, dtype=parameter.dtype)
        levels = 255.0 * np.moveaxis(model(tensor).squeeze(0).float().cpu().clamp_(0, 1).numpy(), 0, 2)
        return Image.fromarray(np.ascontiguousarray(levels.round().astype(np.uint8)[:, :, ::-1]))


def _combine(grid: list, width: int, height: int, tile: int, overlap: int) -> Image.Image:
    ramp = (np.arange(overlap, dtype=np.float32) * 255 / overlap).astype(np.uint8)
    across = Image.fromarray(np.repeat(ramp[None, :], tile, axis=0))
    down = Image.fromarray(np.repeat(ramp[:, None], width, axis=1))
    combined = Image.new("RGB", (width, height))
    for y, line in grid:
        row = Image.new("RGB", (width, tile))
        for x, piece in line:
            if x == 0:
                row.paste(piece, (0, 0))
                continue
            row.paste(piece.crop((0, 0, overlap, tile)), (x, 0), mask=across)
            row.paste(piece.crop((overlap, 0, tile, tile)), (x + overlap, 0))
        if y == 0:
            combined.paste(row, (0, 0))
            continue
        combined.paste(row.crop((0, 0, width, overlap)), (0, y), mask=down)
        combined.paste(row.crop((0, overlap, width, tile)), (0, y + overlap))
    return combined


def measure(ours: SpandrelModel, theirs: Any, side: int, repeats: int) -> dict:
    """Both on a picture of side x side px, one after the other, `repeats` times after a warm-up; ours also in float32,
    where it runs in another number format, as on a CPU without units for it.
    """
    single = copy.deepcopy(ours)
    single.descriptor.to(dtype=torch.float32)
    single.dtype = torch.float32
    runs = {
        "ours": lambda: run_network(rgb, ours, size, size),
        "ours in float32": lambda: run_network(rgb, single, size, size),
        "webui": lambda: webui_loop(theirs, image, ours.scale),
    }
    if ours.dtype == torch.float32 or ours.device.type != "cpu":
        del runs["ours in float32"]
    picture = np.random.default_rng(0).integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    image = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    rgb, size = np.asarray(image), side * ours.scale
    times: dict[str, list[float]] = {name: [] for name in runs}
    for model in (ours, single):
        model(rgb[None, :64, :64])
    _patch(theirs, image.crop((0, 0, 64, 64)))
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    megapixels = {name: size * size / 1e6 / min(seconds) for name, seconds in times.items()}
    ratios = {
        name: statistics.median(theirs / mine for mine, theirs in zip(times[name], times["webui"]))
        for name in runs
        if name != "webui"
    }
    return {
        "megapixels_per_second": megapixels, "webui_over": ratios, "input": side, "repeats": repeats,
        "dtype": str(ours.dtype).removeprefix("torch."),
    }  # fmt: skip
