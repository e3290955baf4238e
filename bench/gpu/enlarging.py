"""The upscale stage beside the webui's loop and beside the bare network, in megapixels of result a second."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.upscaling import webui_loop
from lib_usdu.enlarge.spandrel_model import SpandrelModel
from lib_usdu.enlarge.windows import OVERLAP, WINDOW, run_network
from lib_usdu.run.memory_needs import upscaler_windows

from .card import GIB
from .models import upscalers
from .setting import Setting, psnr

TIMES = 3
"""The stage is to be so many times as fast as the webui's loop."""


def enlarging(setting: Setting) -> None:
    made = upscalers()
    if setting.tiny:
        made = {"SPAN": made["SPAN"]}
    for name, make in made.items():
        if setting.seconds_left < 15:
            break
        _one(setting, name, make(), 48 if setting.tiny else 512 if name.endswith("23 blocks") else 1024)
        setting.card.clean()
    if not setting.tiny:
        _overflowing(setting, made["RRDB of 6 blocks"]())


def _one(setting: Setting, name: str, descriptor: Any, side: int) -> None:
    card, report, size = setting.card, setting.report, 4 * side
    rgb = setting.picture(side, side)
    ours, single = SpandrelModel(name, copy.deepcopy(descriptor), card.device), _single(name, descriptor, card.device)
    window = 64 if setting.tiny else WINDOW + 2 * OVERLAP
    batch = upscaler_windows(card.device, window)

    def rate(call: Any, area: float = size * size) -> float:
        return area / 1e6 / card.seconds(call, 2)

    row: dict[str, Any] = {"upscaler": name, "format": str(ours.dtype).removeprefix("torch."), "windows at once": batch}
    whole = run_network(rgb, ours, size, size, batch=batch)
    with card.peak() as peak:
        run_network(rgb, ours, size, size, batch=batch)
    row["ours MP/s"] = rate(lambda: run_network(rgb, ours, size, size, batch=batch))
    row["to half of x4"] = rate(lambda: run_network(rgb, ours, size // 2, size // 2, batch=batch), size * size / 4)
    for other in (1, 4, 16):
        if other != batch and not setting.tiny:
            row[f"{other} at once"] = rate(lambda other=other: run_network(rgb, ours, size, size, batch=other))
    loops = _loops(setting, descriptor, rgb, size)
    row |= loops
    alone = _alone(setting, ours, batch, window)
    row |= alone
    row |= {"GiB": peak.over_before, "bytes a pixel": peak.over_before * GIB / batch / window**2}
    exact = psnr(run_network(rgb, single, size, size, batch=batch), whole)
    row["dB to float32"] = exact
    report.row("Upscalers", row)
    report.check(f"{name}: as in float32", exact > 50, f"{exact:.1f} dB")
    times = row["ours MP/s"] / max(loops.values())
    report.check(f"{name}: {TIMES} times the webui's loop", setting.tiny or times >= TIMES, f"{times:.1f} times")
    share = row["ours MP/s"] / max(alone.values())
    report.check(f"{name}: most of the time is the network's", setting.tiny or share > 0.6, f"{share:.0%}")
    if card.is_cuda and name == "RRDB of 6 blocks":
        with card.of_size(card.allocated / GIB + 1.5):
            short = run_network(rgb, ours, size, size, batch=16)
        report.check(f"{name}: 16 windows at once in 1.5 GiB", psnr(short, whole) > 45, f"{psnr(short, whole):.1f} dB")


def _single(name: str, descriptor: Any, device: torch.device) -> SpandrelModel:
    model = SpandrelModel(name, copy.deepcopy(descriptor), device)
    model.dtype = torch.float32
    model.descriptor.to(dtype=torch.float32)
    return model


def _loops(setting: Setting, descriptor: Any, rgb: np.ndarray, size: int) -> dict[str, float]:
    """The webui's own loop, in the number formats it has."""
    card, image = setting.card, Image.fromarray(rgb)
    formats = {"webui's loop, float32": torch.float32}
    if card.is_cuda and descriptor.supports_half:
        formats["webui's loop, half"] = torch.float16
    found = {}
    for name, dtype in formats.items():
        theirs = copy.deepcopy(descriptor).to(device=card.device, dtype=dtype).eval()
        found[name] = size * size / 1e6 / card.seconds(lambda theirs=theirs: webui_loop(theirs, image, 4), 2)
    return found


def _alone(setting: Setting, ours: SpandrelModel, batch: int, window: int) -> dict[str, float]:
    """The network on windows as ours, in both layouts of its pictures."""
    network, card = ours.descriptor.model, setting.card
    dtype = next(network.parameters()).dtype
    core = batch * (WINDOW * 4) ** 2 / 1e6
    windows = torch.rand(batch, 3, window, window, device=card.device).to(dtype)
    found = {}
    for name, layout in (("network alone", torch.contiguous_format), ("channels-last", torch.channels_last)):
        other = copy.deepcopy(network).to(memory_format=layout)
        pixels = windows.to(memory_format=layout)
        with torch.inference_mode():
            found[name] = core / card.seconds(lambda other=other, pixels=pixels: other(pixels), 3)
    return found


def _overflowing(setting: Setting, descriptor: Any) -> None:
    """Values past 65504 in half precision: the same picture as in float32."""
    device = setting.card.device
    single = _single("single", descriptor, device)
    hot = SpandrelModel("hot", copy.deepcopy(descriptor), device)
    forward = hot.descriptor.model.forward

    def overflowing(pixels: torch.Tensor) -> torch.Tensor:
        return forward(pixels) * (float("inf") if pixels.dtype == torch.float16 else 1)

    hot.descriptor.model.forward = overflowing
    rgb = setting.picture(128, 128)
    output, right = run_network(rgb, hot, 512, 512), run_network(rgb, single, 512, 512)
    good = hot.dtype == torch.float32 and psnr(output, right) > 45
    said = f"{hot.dtype}, {psnr(output, right):.1f} dB"
    setting.report.check("an upscaler that overflows goes on in float32", good, said)
