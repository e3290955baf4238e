"""Errors that a webui prints and swallows."""

import sys
import traceback

from . import standin


def report(message, *, exc_info=False):
    """errors.py:38: prints, never raises; kept in the stand-in's log."""
    standin.log.reports.append(f"{message}\n{traceback.format_exc()}" if exc_info else message)
    print("***", standin.log.reports[-1], file=sys.stderr)


def display(error, task, *, full_traceback=False):
    report(f"{task}: {type(error).__name__}: {error}")
