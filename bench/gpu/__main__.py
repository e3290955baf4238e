"""python -m bench.gpu [--out FOLDER] [--device cuda] [--seconds 340] [--only a,b] [--tiny]"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import __doc__ as about


class _Models:
    """Each diffusion model is made when first asked for, and only one is kept."""

    def __init__(self, setting: Any):
        self._setting, self._kind, self._refiner = setting, "", None

    def __call__(self, kind: str) -> Any:
        if kind != self._kind:
            from .models import refiner

            self._refiner = None
            self._setting.card.clean()
            self._kind, self._refiner = kind, refiner(kind, self._setting.card.device, tiny=self._setting.tiny)
        return self._refiner


def sections(setting: Any) -> list[tuple[str, float, Callable[[], Any]]]:
    """Name, the seconds that must be left to begin it, and what it does; in the order of what matters most."""
    from . import enlarging, huge, sameness, small_cards, throughput

    model = _Models(setting)
    batches = (1, 2, 4, 8, 16)
    return [
        ("environment", 0, lambda: throughput.environment(setting)),
        ("sd15", 20, lambda: throughput.throughput(setting, "SD 1.5", batches, model("SD 1.5"))),
        ("profile", 20, lambda: throughput.profile(setting, "SD 1.5", model("SD 1.5"))),
        ("samplers", 20, lambda: throughput.both_samplers(setting, model("SD 1.5"))),
        ("sameness", 20, lambda: sameness.sameness(setting, model("SD 1.5"))),
        ("nan", 15, lambda: sameness.not_numbers(setting, model("SD 1.5"))),
        ("small", 25, lambda: small_cards.small_cards(setting, "SD 1.5", model("SD 1.5"))),
        ("huge", 40, lambda: huge.huge(setting, model("SD 1.5"))),
        ("sdxl", 30, lambda: throughput.throughput(setting, "SDXL", batches, model("SDXL"))),
        ("sdxl-small", 30, lambda: small_cards.small_cards(setting, "SDXL", model("SDXL"))),
        ("upscalers", 20, lambda: enlarging.enlarging(setting)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=about)
    add, out = parser.add_argument, Path(os.environ.get("OUT", "out/gpu"))
    add("--out", type=Path, default=out, help="folder for the results")
    add("--device", default="cuda", help="as the webui and the command line name it: without an index")
    add("--seconds", type=float, default=330, help="sections that would begin too late are left out")
    add("--only", default="", help="sections, by comma")
    add("--tiny", action="store_true", help="on the CPU, with tiny models")
    args = parser.parse_args()
    began = time.perf_counter()

    from .card import Card
    from .report import Report
    from .setting import Setting

    card = Card("cpu" if args.tiny else args.device, tiny=args.tiny)
    setting = Setting(card, Report(args.out), float("inf") if args.tiny else began + args.seconds)
    report, chosen = setting.report, args.only.split(",") if args.only else None
    for name, least, section in sections(setting):
        if chosen and name not in chosen:
            continue
        if setting.seconds_left < least:
            report.check(name, False, f"not run: {setting.seconds_left:.0f} s left")
            continue
        report.say(f"---- {name}")
        started = time.perf_counter()
        try:
            section()
        except Exception as error:
            report.check(name, False, f"ended with {error!r}"[:300])
            report.say(traceback.format_exc()[-1800:])
        report.values.setdefault("seconds", {})[name] = round(time.perf_counter() - started, 1)
        setting.card.clean()
        report.save()
    report.say(f"{len(report.checks)} checks, {len(report.failed)} failed: {report.failed}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
