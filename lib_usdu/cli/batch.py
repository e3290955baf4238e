"""The pictures of one run, one after the other or several at once: one that fails costs only itself."""

from __future__ import annotations

import argparse
import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import UsduError
from ..host import Progress
from ..options.tile_numbers import NONE
from ..pictures.imagefile import Picture
from ..plan import Plan
from ..run.stats import Stats
from ..run.timings import time_left
from .flags import STREAM
from .jobs import Job
from .picture import read_picture, upscale_file
from .planning import timings, works
from .say import Bar, message, say


class Pictures:
    """The pictures of one run.

    failed: source and reason of each picture that could not be made. stop: set to end the run after this step."""

    def __init__(
        self, args: argparse.Namespace, jobs: Sequence[Job], plans: Sequence[Plan | None], host: Any,
        first: Picture | None = None,
    ):  # fmt: skip
        """plans: of the jobs. first: the only picture to be made, where it has been read already."""
        self.failed: list[tuple[Path, str]] = []
        self._args, self._jobs, self._host = args, jobs, host
        self._plans = {job.target: plan for job, plan in zip(jobs, plans)}
        self._stop, self._first = False, first
        self.at_once = 1 if host is None else min(len(jobs), host.pictures_at_once)

    @property
    def stop(self) -> bool:
        """Whether the run is to end after this step. Setting it tells the host."""
        return self._stop

    @stop.setter
    def stop(self, asked: bool) -> None:
        self._stop = asked
        if self._host is not None:
            self._host.stop = asked

    def make(self, job: Job) -> dict[str, Any] | None:
        """The report of a picture; None where it failed, was finished earlier, or the run is to end."""
        if self._stop or job.done:
            return None
        if job.refusal:
            self._fail(job, job.refusal)
            return None
        try:
            # Several bars would overwrite each other.
            bar = Bar(job.name, quiet=self._args.quiet or self.at_once > 1, left=self._time_left(job))
            picture, self._first = self._first or read_picture(job, self._args), None
            report, stats = upscale_file(job, picture, self._host.with_progress(bar.show), bar, self._args)
            self._learn(job, stats)
            return report
        except (UsduError, MemoryError) as error:
            self._fail(job, message(error))
        except OSError as error:
            self._fail(job, _full(error))
        return None

    def _time_left(self, job: Job) -> Callable[[Progress], float | None]:
        """What says after each step how long the picture still takes. It begins when the picture does."""
        plan = self._plans[job.target]
        if plan is None or self.at_once > 1 or job.options.try_tile != NONE:
            return lambda progress: None
        return time_left(timings(), works(self._args, plan), plan).after

    def _learn(self, job: Job, stats: Stats) -> None:
        """How long this has taken, for the next --dry-run; not where part of it was there already or left out, or where
        one tile was tried."""
        plan = self._plans[job.target]
        part = stats.resumed or stats.tiles_flat or plan is None or stats.tiles_done < plan.tiles
        if plan is None or part or self.at_once > 1 or job.options.try_tile != NONE:
            return
        work = works(self._args, plan)
        timings().learn({work[stage]: stats.stages[stage] for stage in work if stage in stats.stages})

    def clean_up(self) -> None:
        """Removes temporary files of this process beside the results: it is about to end at once."""
        for folder in {job.target.parent for job in self._jobs if job.target != Path(STREAM)}:
            for path in folder.glob(f".usdu-*-{os.getpid()}-*.tmp"):
                with suppress(OSError):
                    path.unlink()

    def _fail(self, job: Job, reason: str) -> None:
        self.failed.append((job.source, reason))
        if len(self._jobs) == 1:
            say(f"usdu: error: {reason}", level=0)
        else:
            say(f"{job.name}: {reason}")


def _full(error: OSError) -> str:
    """An error of the system, with the folder that is full where it does not name a file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) and not error.filename:
        return f"{tempfile.gettempdir()}: {error.strerror}; TMPDIR=FOLDER moves temporary files elsewhere"
    return message(error)
