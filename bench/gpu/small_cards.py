"""Cards that people have: the run goes on where memory is short, and gives the same picture."""

from __future__ import annotations

import time
from typing import Any

from .card import GIB
from .setting import Setting, psnr

CASES = (("8 GB", 7.0, 0), ("6 GB", 5.2, 0), ("4 GB", 3.2, 0), ("6 GB", 5.2, 64), ("4 GB", 3.2, 16))
"""What the card is called, the GiB of it that torch may have, and how many tiles at once are asked for (0: automatic).
The driver and the desktop keep about 1 GB."""
XL_CASES = (("16 GB", 14.5, 0), ("12 GB", 11.0, 0), ("8 GB", 7.1, 0))


def small_cards(setting: Setting, kind: str, refiner: Any) -> None:
    tile = setting.tile(kind)
    picture = setting.canvas(4 if setting.tiny or kind == "SDXL" else 16, tile)
    weights = setting.card.allocated / GIB
    good = setting.redraw(refiner, picture, tile_width=tile, tile_batch=2)
    beside = (("0.6 GiB beside the model", weights + 0.6, 16), ("0.4 GiB beside the model", weights + 0.4, 4))
    cases = (*CASES, *beside) if kind == "SD 1.5" else XL_CASES
    for called, gib, batch in cases[: 1 if setting.tiny else None]:
        if setting.seconds_left < 20:
            break
        name = f"{kind} on {called}, " + (f"{batch} at once" if batch else "automatic batch")
        _one(setting, name, gib, refiner, picture, good, {"tile_width": tile, "tile_batch": batch})
    after = setting.card.allocated / GIB
    said = f"{weights:.2f} -> {after:.2f} GiB"
    setting.report.check(f"{kind}: afterwards the weights are all that is left", abs(after - weights) < 0.1, said)


def _one(setting: Setting, name: str, gib: float, refiner: Any, picture: Any, good: Any, options: dict) -> None:
    report = setting.report
    if setting.card.is_cuda and setting.card.allocated / GIB > gib - 0.2:
        report.say(f"{name}: the model alone takes {setting.card.allocated / GIB:.1f} GiB; left out")
        return
    started = time.perf_counter()
    try:
        with setting.card.of_size(gib):
            result = setting.redraw(refiner, picture, **options)
    except Exception as error:
        report.check(name, False, f"the run ended: {error!r}"[:250])
        return
    finally:
        refiner.autoencoder.whole()
    quality = psnr(good.image, result.image)
    left = any("stays as upscaled" in note for note in result.notes)
    seconds, stats = time.perf_counter() - started, result.stats
    said = f"{seconds:.1f} s for {stats.tiles_done} tiles in {stats.batches} batches, {quality:.1f} dB"
    report.check(name, result.finished and not left and quality > 32, f"{said}, {list(result.notes)}")
