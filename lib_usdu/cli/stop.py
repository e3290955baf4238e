"""A run that is asked to stop keeps what is done."""

from __future__ import annotations

import signal
from typing import Any

from .say import say


def stop_on_interrupt(host: Any) -> None:
    """Ctrl-C ends the run after the current step and keeps what is done; a second one ends it at once."""

    def stop(signum: int, frame: Any) -> None:
        host.stop = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say("\nStopping; what is finished is written. Press Ctrl-C again to end at once.")

    signal.signal(signal.SIGINT, stop)
