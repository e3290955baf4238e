"""The webui's progress bar, counted in batches of tiles."""

from __future__ import annotations

from typing import Any


class Jobs:
    """Counts while inside one call of the script.

    `state` is the host's; it counts a job each time a batch is done. In a folder the host has set a job count of its
    own, one for each picture, that must stand again when the script returns.
    """

    def __init__(self, state: Any, results: int):
        self._state = state
        in_a_folder = state.job_count > 0
        self._outer = state.job_count if in_a_folder else max(1, results)
        self._before = state.job_no if in_a_folder else 0
        self._started = 0

    def start(self, batches: int) -> None:
        """Before the first batch of a result."""
        batches = max(1, batches)
        self._state.job_count = self._outer * batches
        self._state.job_no = (self._before + self._started) * batches
        self._started += 1

    def leave_out(self, batches: int) -> None:
        """Batches that will not come count as done."""
        self._state.job_no += batches

    def __enter__(self) -> Jobs:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._outer > 1:
            self._state.job_count = self._outer
            self._state.job_no = min(self._before + self._started, self._outer)
