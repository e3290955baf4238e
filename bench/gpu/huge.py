"""A large result from a small picture, every stage of it: 2048² to 8192²."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lib_usdu.cli.report import peak_rss_mb
from lib_usdu.engine import upscale
from lib_usdu.enlarge.bundled import BUNDLED, CLEAN
from lib_usdu.options import Options
from lib_usdu.standalone.host import LocalHost

from .setting import Setting

MOST_OUTSIDE = 3.0


def huge(setting: Setting, refiner: Any) -> None:
    side, tile = (64, 64) if setting.tiny else (2048, 512)
    picture = setting.picture(side, side)
    options = Options(tile_width=tile, padding=32, custom_scale=4, denoise=0.25, upscaler=CLEAN)
    with TemporaryDirectory() as folder:
        host = LocalHost(refiner, BUNDLED, setting.card.device)
        host.journal_folder = Path(folder) / "journal"
        started = time.perf_counter()
        with setting.card.peak() as peak:
            result = upscale(picture, options, host)
        ran = time.perf_counter() - started
    stats = result.stats
    row = {
        "result": f"{result.image.shape[1]} x {result.image.shape[0]}", "tiles": stats.tiles_done,
        "batches": stats.batches, "seconds": ran,
        "tiles/s": stats.tiles_done / stats.refine_seconds,
        "outside ms/tile": stats.outside_ms_per_tile, "RSS MB": peak_rss_mb(), "GiB over weights": peak.over_before,
        **{f"{name} s": seconds for name, seconds in stats.stages.items()},
    }  # fmt: skip
    setting.report.row("A large result", row)
    good = result.finished and (setting.tiny or stats.outside_ms_per_tile < MOST_OUTSIDE)
    setting.report.check("a large result, the device waits little", good, f"{stats.outside_ms_per_tile:.2f} ms a tile")
