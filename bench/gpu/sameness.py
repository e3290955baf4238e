"""That the card gives the same picture: noise as on the CPU, batches as one by one, fused windows, NaN tiles."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from lib_usdu.geometry import Canvas, Region
from lib_usdu.latents import Latents
from lib_usdu.noise import tile_noise, window_noise
from lib_usdu.run.noise_draws import CanvasDraws

from .setting import Setting, psnr


def sameness(setting: Setting, refiner: Any) -> None:
    report, tile = setting.report, setting.tile("SD 1.5")
    noise = tile_noise(7, "canvas", Region(512, 256, 576, 576), 3, Canvas(4096, 4096), Latents())
    draws = CanvasDraws([noise, noise], 4, setting.card.device)
    same = all(
        np.array_equal(draws.next()[1].cpu().numpy(), window_noise(7, number, 4, 512, 512, noise.region))
        for number in range(3)
    )
    report.check("the canvas's noise is the CPU's to the bit", same)
    picture, batch = setting.canvas(4 if setting.tiny else 16, tile), 2 if setting.tiny else 8
    alone, again, several = (
        setting.redraw(refiner, picture, tile_width=tile, tile_batch=size).image for size in (1, 1, batch)
    )
    report.check("one at a time is the same to the bit each time", np.array_equal(alone, again))
    quality = psnr(alone, several)
    report.check(f"{batch} at once as one by one", quality >= 38, f"{quality:.1f} dB (random weights)")
    started = time.perf_counter()
    with setting.card.peak() as peak:
        fused = setting.redraw(refiner, picture, tile_width=tile, redraw_mode="fused")
    seconds = time.perf_counter() - started
    waits = setting.card.waits(lambda: setting.redraw(refiner, picture, tile_width=tile, redraw_mode="fused"))
    report.values["fused: waits"] = waits
    said = f"{seconds:.1f} s, {peak.over_before:.2f} GiB over the weights, {sum(waits.values())} waits: {waits}"
    report.check("fused works", fused.finished and sum(waits.values()) < 100, said)


@contextmanager
def _spoilt(vae: Any, when: Any) -> Any:
    """The autoencoder's pictures are NaN in calls for which `when` (number of the call) says so."""
    decode, calls = vae.decode, 0

    def spoilt(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        found = decode(latents, *args, **kwargs)
        if not when(calls):
            return found
        broken = found[0] * float("nan")
        return (broken,) if isinstance(found, tuple) else type(found)(sample=broken)

    vae.decode = spoilt
    try:
        yield
    finally:
        del vae.decode


def not_numbers(setting: Setting, refiner: Any) -> None:
    report, tile, vae = setting.report, setting.tile("SD 1.5"), refiner.pipeline.vae
    picture = setting.canvas(4, tile)
    good = setting.redraw(refiner, picture, tile_width=tile, padding=0, tile_batch=1)
    half = torch.float16 if setting.card.is_cuda else torch.float32
    cases = {
        "in half precision, once": lambda call: call == 2 and vae.dtype == half,
        "in half precision, every tile": lambda call: vae.dtype == torch.float16,
        "for ever": lambda call: True,
    }
    for name, when in cases.items():
        before = setting.card.allocated
        with _spoilt(vae, when):
            try:
                result = setting.redraw(refiner, picture, tile_width=tile, padding=0, tile_batch=1)
            except Exception as error:
                report.check(f"NaN {name}", name == "for ever" and "NaN" in str(error), f"ended: {error}"[:200])
                continue
        slower = result.stats.refine_seconds / good.stats.refine_seconds
        said = f"{slower:.1f} times the time, {psnr(good.image, result.image):.1f} dB from the good run, {result.notes}"
        left = any("stays as upscaled" in note for note in result.notes)
        report.check(f"NaN {name}", result.finished and not left and name != "for ever", said)
        more = (setting.card.allocated - before) / 2**20
        report.check(f"NaN {name}: memory as before", abs(more) < 400, f"{more:.0f} MiB more")
