"""What the command line prints: lines, the words of its errors, the progress bar. Printing never fails a run."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..host import Progress

_level = 1
_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"
"""tqdm's own, but for the time left: it knows neither earlier runs nor the stages that come."""


def set_level(level: int) -> None:
    """0: errors only. 1: what is done. 2: with times and details."""
    global _level  # noqa: PLW0603
    _level = level


def say(text: str, level: int = 1) -> None:
    """Prints a line to standard error, unless the person wants less. A closed or full stream is passed over."""
    if level <= _level:
        Steady(sys.stderr).write(shown(text) + "\n")


def answer(text: str) -> None:
    """Prints what was asked for to standard output."""
    stream = Steady(sys.stdout)
    stream.write(text + "\n")
    stream.flush()


def shown(text: str) -> str:
    r"""Without what would move the cursor or change colours: a file may be named "a\x1b[2J.png"."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def message(error: BaseException) -> str:
    """An error's sentence, under the names that were typed."""
    from .flags import FLAGS

    if isinstance(error, OptionError) and error.option in FLAGS:
        return error.named(FLAGS[error.option])
    if isinstance(error, TooLarge):
        return f"{error} (--allow-huge lifts it)"
    if isinstance(error, MemoryError):
        return "not enough memory; try a smaller --scale"
    if isinstance(error, OSError):
        place = error.filename or ""
        return f"{place}: {error.strerror or error}" if place else str(error.strerror or error)
    return str(error)


class Steady:
    """A text stream that takes everything: what its reader no longer wants, or its disk has no room for, is dropped."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes what the stream takes, and returns the length of the text. Characters that its encoding lacks are
        escaped. A signal may have come in the middle of another write, which Python's buffer does not take a second one
        in: then the text goes past it."""
        with suppress(OSError, ValueError, AttributeError):
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._stream.write(text.encode("ascii", "backslashreplace").decode())
            except RuntimeError:
                os.write(self._stream.fileno(), text.encode(self._stream.encoding, "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Flushes where the stream still can."""
        with suppress(OSError, ValueError, AttributeError, RuntimeError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person sees it; False for a closed stream."""
        with suppress(OSError, ValueError, AttributeError):
            return self._stream.isatty()
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def close_streams() -> None:
    """Before the end: what Python could not write would become an exit code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError, RuntimeError):
            with suppress(OSError, ValueError, AttributeError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, stream.fileno())


class Bar:
    """A tqdm bar over tiles; the upscale stage has one of its own. A stream that fails costs the bar, not the run."""

    def __init__(self, name: str, *, quiet: bool, left: Callable[[Progress], float | None] = lambda progress: None):
        """left: seconds that the run goes on after a step; asked once a step."""
        self._name, self._quiet, self._left = shown(name), quiet, left
        self._bar: Any = None
        self._stage: str | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Progress) -> None:
        """Told after each step."""
        if self._quiet:
            return
        from tqdm import tqdm

        from ..run.timings import about

        stage = "upscale" if progress.stage == "upscale" else "tiles"
        if stage != self._stage:
            self.__exit__()
            unit = "window" if stage == "upscale" else "tile"
            self._bar = tqdm(
                total=progress.total, desc=f"{self._name}: {stage}", unit=unit, file=Steady(sys.stderr),
                dynamic_ncols=True, bar_format=_FORMAT,
            )  # fmt: skip
            self._stage = stage
        seconds = self._left(progress)
        if seconds is not None:
            self._bar.set_postfix_str(f"{about(seconds)} left", refresh=False)
        self._bar.update(progress.done - self._bar.n)
