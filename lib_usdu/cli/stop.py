"""A run that is asked to stop keeps what is done: by Ctrl-C, by `kill`, or when the terminal closes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .say import close_streams, say

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopping:
    """What the signals of one run have asked for. signal: the first one's number, 0 for none."""

    def __init__(self):
        self.signal = 0
        self._host: Any = None
        self._clean_up: Callable[[], None] = lambda: None

    @property
    def exit_code(self) -> int:
        """As shells have it: 130 after Ctrl-C, 143 after `kill`, 129 after the terminal closed."""
        return 128 + self.signal

    def clean_with(self, clean_up: Callable[[], None]) -> None:
        """clean_up: removes temporary files; called before a signal ends everything at once."""
        self._clean_up = clean_up

    def tell(self, host: Any, clean_up: Callable[[], None]) -> None:
        """From now on a signal stops this host. clean_up: called before a second signal ends everything."""
        self._host = host
        self.clean_with(clean_up)
        host.stop = host.stop or bool(self.signal)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, signals are handled here. Those that the person has set to be ignored stay so (nohup)."""
        handlers = {}
        with suppress(ValueError):  # not in the main thread: whoever called handles them
            for number in _SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    handlers[number] = signal.signal(number, self._asked)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _asked(self, number: int, frame: Any) -> None:
        first = not self.signal
        self.signal = number
        if first and self._host is not None:
            self._host.stop = True
            say("\nStopping after this step; finished tiles are kept. Press Ctrl-C again to end at once.")
            return
        if first:
            say("usdu: stopped before any picture was begun", level=0)
        with suppress(Exception):
            self._clean_up()
        close_streams()
        # Not KeyboardInterrupt: torch's libraries abort ("terminate called") at one in the middle of their import.
        os._exit(128 + number)
