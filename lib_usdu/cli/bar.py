"""The progress bar."""

from __future__ import annotations

from typing import Any


class Bar:
    """A tqdm bar over tiles; the upscale stage has one of its own."""

    def __init__(self, name: str, *, quiet: bool):
        self._name, self._quiet, self._bar, self._stage = name, quiet, None, None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Any) -> None:
        from tqdm import tqdm

        stage = "upscale" if progress.stage == "upscale" else "tiles"
        if stage != self._stage:
            self.__exit__()
            unit = "window" if stage == "upscale" else "tile"
            self._bar = tqdm(total=progress.total, desc=f"{self._name}: {stage}", unit=unit, disable=self._quiet)
            self._stage = stage
        self._bar.update(progress.done - self._bar.n)
