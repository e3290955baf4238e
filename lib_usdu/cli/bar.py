"""The progress bar."""

from __future__ import annotations

import sys
from typing import Any

from .say import Steady, shown


class Bar:
    """A tqdm bar over tiles; the upscale stage has one of its own. A stream that fails costs the bar, not the run."""

    def __init__(self, name: str, *, quiet: bool):
        self._name, self._quiet, self._bar, self._stage = shown(name), quiet, None, None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Any) -> None:
        """Told after each step, a `host.Progress`."""
        if self._quiet:
            return
        from tqdm import tqdm

        stage = "upscale" if progress.stage == "upscale" else "tiles"
        if stage != self._stage:
            self.__exit__()
            unit = "window" if stage == "upscale" else "tile"
            self._bar = tqdm(
                total=progress.total, desc=f"{self._name}: {stage}", unit=unit, file=Steady(sys.stderr),
                dynamic_ncols=True,
            )  # fmt: skip
            self._stage = stage
        self._bar.update(progress.done - self._bar.n)
