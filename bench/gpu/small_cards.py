"""Cards that people have: the run goes on where memory is short, and gives the same picture."""

from __future__ import annotations

import time
from typing import Any

from lib_usdu.standalone.refiner import DiffusersRefiner

from .card import GIB
from .setting import Setting, psnr

CASES = (("8 GB", 7.0, 0), ("4 GB", 3.2, 0), ("6 GB", 5.2, 64), ("4 GB", 3.2, 16))
"""What the card is called, the GiB of it that torch may have, and how many tiles at once are asked for (0: automatic).
The driver and the desktop keep about 1 GB."""
XL_CASES = (("12 GB", 11.0, 0), ("8 GB", 7.1, 0), ("4 GB", 3.2, 0))


def small_cards(setting: Setting, kind: str, refiner: Any) -> None:
    tile = setting.tile(kind)
    picture = setting.canvas(4 if setting.tiny or kind == "SDXL" else 16, tile)
    weights = setting.card.allocated / GIB
    good = setting.redraw(refiner, picture, tile_width=tile, tile_batch=2)
    cases = (*CASES, ("0.4 GiB beside the model", weights + 0.4, 4)) if kind == "SD 1.5" else XL_CASES
    for called, gib, batch in cases[: 1 if setting.tiny else None]:
        if setting.seconds_left < 20:
            break
        name = f"{kind} on {called}, " + (f"{batch} at once" if batch else "automatic batch")
        _one(setting, name, gib, refiner, picture, good, {"tile_width": tile, "tile_batch": batch})
    refiner.pipeline.to(setting.card.device)
    after = setting.card.allocated / GIB
    said = f"{weights:.2f} -> {after:.2f} GiB"
    setting.report.check(f"{kind}: afterwards the weights are all that is left", abs(after - weights) < 0.2, said)


def _one(setting: Setting, name: str, gib: float, refiner: Any, picture: Any, good: Any, options: dict) -> None:
    """The model is loaded anew, as a person with that card would have it: its way of lying there is chosen for it."""
    report, card, started = setting.report, setting.card, time.perf_counter()
    pipeline = refiner.pipeline.to("cpu")
    try:
        with card.of_size(gib):
            loaded = DiffusersRefiner(pipeline, refiner.sampling, refiner.model_name, device=card.device)
            way = loaded.placement.way
            result = setting.redraw(loaded, picture, **options)
    except Exception as error:
        report.check(name, False, f"the run ended: {error!r}"[:250])
        return
    finally:
        as_made(pipeline, refiner)
    quality = psnr(good.image, result.image)
    left = any("stays as upscaled" in note for note in result.notes)
    seconds, stats = time.perf_counter() - started, result.stats
    said = f"{seconds:.1f} s for {stats.tiles_done} tiles in {stats.batches} batches, {quality:.1f} dB"
    report.check(name, result.finished and not left and quality > 32, f"{said}, placed: {way}, {list(result.notes)}")


def as_made(pipeline: Any, refiner: Any) -> None:
    """Undoes what a small card has done to the pipeline."""
    pipeline.remove_all_hooks()
    for name, encoder in refiner.conditions.encoders.items():
        setattr(pipeline, name, encoder)
    pipeline.to("cpu")
    refiner.autoencoder.whole()
