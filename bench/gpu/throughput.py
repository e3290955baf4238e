"""Tiles a second through the engine beside the bare model, by batch; memory; where the time outside the model goes."""

from __future__ import annotations

import cProfile
import io
import pstats
from typing import Any

import torch

from .bare import bare_seconds, in_channels_last
from .card import GIB, Peak
from .models import refiner as make
from .setting import Setting

WANTED_SHARE = 0.95
MOST_OUTSIDE = 3.0
"""Milliseconds a tile that the device may wait for work outside the host's call."""


def throughput(setting: Setting, kind: str, batches: tuple[int, ...], refiner: Any = None) -> Any:
    """One table for the model `kind`; the refiner, for the sections after."""
    report, card, tile, window = setting.report, setting.card, setting.tile(kind), setting.window(kind)
    refiner = refiner or make(kind, card.device, tiny=setting.tiny)
    rows = []
    for batch in batches[: 2 if setting.tiny else None]:
        if setting.seconds_left < 25 and rows:
            report.say("no time for larger batches")
            break
        # As many batches as asked and no smaller one at the end: a new size costs each kernel's first call.
        count = max(2 * batch, 8 if kind == "SD 1.5" and not setting.tiny else 4)
        setting.redraw(refiner, setting.canvas(max(4, batch), tile), tile_width=tile, tile_batch=batch)
        with card.peak() as peak:
            picture = setting.canvas(count, tile)
            stats = setting.redraw(refiner, picture, tile_width=tile, tile_batch=batch).stats
        bare = bare_seconds(refiner, card, batch, window, parts=batch in (1, 8))
        row = _row(batch, stats, bare, peak, window)
        if batch == 8 and kind == "SD 1.5":
            row["channels-last bare tiles/s"] = 1 / in_channels_last(refiner, card, batch, window)
        report.row(kind, row)
        rows.append(row)
    best = max(rows, key=lambda row: row["tiles/s"])
    good = setting.tiny or best["share of bare"] >= WANTED_SHARE
    report.check(f"{kind}: share of the bare model", good, f"{best['share of bare']:.1%} at a batch of {best['batch']}")
    outside = max(row["outside ms/tile"] for row in rows)
    report.check(f"{kind}: the device waits little", setting.tiny or outside < MOST_OUTSIDE, f"{outside:.2f} ms a tile")
    if setting.seconds_left > 25:
        _automatic(setting, kind, refiner, best["tiles/s"])
    return refiner


def _row(batch: int, stats: Any, bare: dict[str, float], peak: Peak, window: int) -> dict[str, Any]:
    each = (stats.refine_seconds + stats.outside_seconds) / stats.tiles_done
    parts = {f"{name} ms": 1000 * seconds for name, seconds in bare.items() if name != "all"}
    return {
        "batch": batch, "tiles": stats.tiles_done, "tiles/s": 1 / each, "bare tiles/s": 1 / bare["all"],
        "share of bare": bare["all"] / each, "outside ms/tile": stats.outside_ms_per_tile,
        "in the host beside the model ms/tile": 1000 * (stats.refine_seconds / stats.tiles_done - bare["all"]), **parts,
        "GiB over weights": peak.over_before, "reserved GiB": peak.reserved / GIB,
        "bytes a pixel": peak.over_before * GIB / batch / window**2,
    }  # fmt: skip


def _automatic(setting: Setting, kind: str, refiner: Any, best: float) -> None:
    """The batch that is found without being told."""
    host, tile, window = setting.host(refiner), setting.tile(kind), setting.window(kind)
    picture = setting.canvas(8 if setting.tiny else 64 if kind == "SD 1.5" else 24, tile)
    stats = setting.redraw(refiner, picture, host=host, tile_width=tile, tile_batch=0).stats
    settled = sorted({size.now for size in host.batch_sizes.values()})
    limits, rate = host.batch_limits(window, window), stats.tiles_done / (stats.refine_seconds + stats.outside_seconds)
    said = f"{rate:.2f} tiles/s over {stats.tiles_done} tiles, {limits}, settled at {settled}; at best {best:.2f}"
    setting.report.check(f"{kind}: the automatic batch is near the best", setting.tiny or rate >= 0.85 * best, said)
    setting.report.values[f"{kind}: automatic"] = {"first": limits.first, "most": limits.most, "settled": settled}


def profile(setting: Setting, kind: str, refiner: Any) -> None:
    """Writes where the time of a batch of 1 and of 8 goes, and what the device waits for."""
    tile = setting.tile(kind)
    for batch in (1, 8) if not setting.tiny else (1,):
        picture = setting.canvas(max(4, batch), tile)

        def run(picture: Any = picture, batch: int = batch) -> None:
            setting.redraw(refiner, picture, tile_width=tile, tile_batch=batch)

        run()
        watched, out = cProfile.Profile(), io.StringIO()
        watched.runcall(run)
        for order in ("tottime", "cumulative"):
            pstats.Stats(watched, stream=out).sort_stats(order).print_stats(45)
        setting.report.write(f"python-batch-{batch}.txt", out.getvalue())
        waits = setting.card.waits(run)
        setting.report.values[f"{kind}: waits, a batch of {batch}"] = waits
        setting.report.say(f"{kind}: {sum(waits.values())} waits for {max(4, batch)} tiles, {batch} at once: {waits}")


def both_samplers(setting: Setting, refiner: Any) -> None:
    """That the thread which composes does not slow down the model's, with and without noise in each step."""
    from lib_usdu.standalone.samplers import scheduler_for

    plain, tile, batch = refiner.pipeline.scheduler, setting.tile("SD 1.5"), 2 if setting.tiny else 8
    picture = setting.canvas(2 * batch, tile)
    for sampler in ("DPM++ 2M", "Euler a"):
        refiner.pipeline.scheduler = scheduler_for(sampler, plain)
        apart, together = setting.host(refiner), setting.host(refiner)
        together.works_apart = False
        seconds: dict[str, list[float]] = {}
        setting.redraw(refiner, picture, tile_width=tile, tile_batch=batch)
        for name, host in (("thread", apart), ("no thread", together), ("thread", apart)):
            stats = setting.redraw(refiner, picture, host=host, tile_width=tile, tile_batch=batch).stats
            seconds.setdefault(name, []).append((stats.refine_seconds + stats.outside_seconds) / stats.tiles_done)
        best = {name: 1000 * min(found) for name, found in seconds.items()}
        said = ", ".join(f"{name} {ms:.1f} ms a tile" for name, ms in best.items())
        good = setting.tiny or best["thread"] <= 1.03 * best["no thread"]
        setting.report.check(f"{sampler}: composing in a thread does not slow the model down", good, said)
    refiner.pipeline.scheduler = plain


def environment(setting: Setting) -> None:
    import platform

    about: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__}
    for name in ("diffusers", "transformers", "spandrel", "numpy", "PIL"):
        about[name] = getattr(__import__(name), "__version__", "?")
    about["device"] = str(setting.card.device)
    if setting.card.is_cuda:
        about["card"] = torch.cuda.get_device_name(setting.card.index)
        from lib_usdu.run.memory import free_bytes

        for device in ("cuda", "cuda:0"):  # a webui's device has no index
            free = free_bytes(torch.device(device)) or 0
            setting.report.check(f"free memory of {device}", free > GIB, f"{free / GIB:.1f} GiB")
    setting.report.values["environment"] = about
    setting.report.say(", ".join(f"{name} {value}" for name, value in about.items()))
