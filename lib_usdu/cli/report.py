"""What --json writes of a run, and what --dry-run prints of one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

from .. import __version__
from ..pictures.saving import write_whole
from .flags import STREAM
from .jobs import Job
from .say import answer


def report_of(job: Job, result: Any, target: Path) -> dict[str, Any]:
    """Sizes, tiles, times in seconds and memory of one picture."""
    stats = result.stats
    height, width = result.image.shape[:2]
    return {
        "input": str(job.source), "output": str(target), "width": width, "height": height,
        "finished": result.finished, "tiles": stats.tiles_done,
        "tiles_flat": stats.tiles_flat,
        "batches": stats.batches,
        "noise_share": None if stats.noise_share is None else round(stats.noise_share, 3),
        "seconds": round(stats.seconds, 3), "outside_ms_per_tile": round(stats.outside_ms_per_tile, 3),
        "stages": {stage: round(seconds, 3) for stage, seconds in stats.stages.items()},
        "peak_rss_mb": round(peak_rss_mb() or 0, 1) or None, "version": __version__,
    }  # fmt: skip


def write_report(path: str | Path, content: dict[str, Any]) -> None:
    """As JSON, to a file or, for "-", to standard output. Raises OutputError."""
    text = json.dumps(content, indent=2) + "\n"
    if str(path) == STREAM:
        answer(text.rstrip())
        return

    def save(file: BinaryIO) -> None:
        file.write(text.encode())

    write_whole(Path(path), save)


def peak_rss_mb() -> float | None:
    """The most memory this process has held, in MB; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; its getrusage counts the parent's memory from before exec
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1000
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


