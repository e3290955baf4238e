"""How long work has taken on this machine, kept from run to run, so that a plan can say what a run will take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..options.tile_numbers import ALL
from ..plan import Plan
from ..resume import entries
from ..speed.schedule import EXACT
from .time_left import TimeLeft

FILE = "timings.json"
"""In the folder of stopped runs."""
MOST_KEPT = 500
"""Kinds of work; the one measured longest ago goes first."""
_SLOWER = 0.5
"""Of what a new measurement says, beside what was known, where it is slower: other work on the machine can slow a run
down. Nothing speeds one up, so that a faster one counts whole."""


@dataclass(frozen=True)
class Work:
    """A piece of work. kind: all that decides how fast it is done, such as "redraw, sd15, auto, 576x576". amount: how
    much of it, in a unit of its kind, more than 0."""

    kind: str
    amount: float


class Timings:
    """Seconds by kind of work, in a file. A file that cannot be read or written is as good as none: nothing depends
    on it."""

    def __init__(self, file: Path):
        self._file = file

    def seconds(self, works: Iterable[Work]) -> float | None:
        """What these take together; None where one of them has never been measured."""
        rates, total = self._rates(), 0.0
        for work in works:
            if work.kind not in rates:
                return None
            total += rates[work.kind] * work.amount
        return total

    def learn(self, measured: Mapping[Work, float]) -> None:
        """measured: the seconds that work has taken."""
        rates = self._rates()
        for work, seconds in measured.items():
            rate = seconds / work.amount
            known = rates.pop(work.kind, rate)
            rates[work.kind] = known + _SLOWER * (rate - known) if rate > known else rate
        newest = dict(list(rates.items())[-MOST_KEPT:])
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            entries.replace(self._file, json.dumps(newest).encode())

    def _rates(self) -> dict[str, float]:
        """Seconds a unit, in the order in which they were measured."""
        with suppress(OSError, ValueError, AttributeError, RecursionError):
            read = json.loads(self._file.read_bytes()[:1_000_000])
            return {kind: float(rate) for kind, rate in read.items() if isinstance(rate, (int, float)) and rate >= 0}
        return {}


def works(plan: Plan, *, model: str, steps: float, device: str) -> dict[str, Work]:
    """What there is to do for a picture, by the stage of a run that does it. model: it and all else that decides how
    fast a step is. steps: at a denoising strength of 1."""
    found = {}
    if plan.options.redo_tiles == ALL:
        megapixels = plan.canvas.width * plan.canvas.height / 1e6
        found["upscale"] = Work(f"upscale, {plan.options.upscaler}, {device}", megapixels)
    for name in dict.fromkeys(work.name for work in plan.passes):
        same = [work for work in plan.passes if work.name == name]
        strength = plan.options.denoise if name == "redraw" else plan.options.seams_fix_denoise
        window = same[0].tiles[0].window
        speed = "" if plan.options.speed == EXACT else f", {plan.options.speed}"
        kind = f"{same[0].context}, {model}, {window.width}x{window.height}{speed}"
        found[name] = Work(kind, max(1.0, steps * strength) * sum(len(work.tiles) for work in same))
    return found


def time_left(known: Timings | None, stages: Mapping[str, Work], plan: Plan) -> TimeLeft:
    """Of a run of this plan that begins now. stages: its work, as `works` gives it."""
    measured = {stage: known.seconds([work]) if known else None for stage, work in stages.items()}
    tiles: dict[str, int] = {}
    for work in plan.passes:
        tiles[work.name] = tiles.get(work.name, 0) + len(work.tiles)
    return TimeLeft({stage: seconds for stage, seconds in measured.items() if seconds is not None}, tiles)


def about(seconds: float | None) -> str:
    """ "about 12 s", "about 3 min 20 s", "about 2 h 10 min", or that it is not known."""
    if seconds is None:
        return "time unknown before the first run"
    if seconds < 1:
        return "under 1 s"
    if seconds < 100:
        return f"about {seconds:.0f} s"
    if seconds < 595:
        minutes, rest = divmod(round(seconds, -1), 60)
        return f"about {minutes:.0f} min" + f" {rest:.0f} s" * bool(rest)
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"about {minutes} min"
    return f"about {minutes // 60} h {minutes % 60} min"
