"""The packages that the command line refines with, and the oldest versions it was tried with."""

from __future__ import annotations

import re
from importlib import metadata

from ..errors import ModelError

OLDEST = {"torch": "2.11", "diffusers": "0.42", "transformers": "5.17"}
"""As pyproject.toml asks for. transformers 5 itself turns torch below 2.6 away, and diffusers since 0.35 needs 2.4."""


def needed() -> str:
    """As a person reads it: torch 2.11, diffusers 0.42 and transformers 5.17."""
    *others, last = [f"{package} {oldest}" for package, oldest in OLDEST.items()]
    return f"{', '.join(others)} and {last}"


def check() -> None:
    """Raises ModelError that names the first package which is missing or too old, what is needed and what is here."""
    for package, oldest in OLDEST.items():
        try:
            installed = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise ModelError(f"--engine diffusers needs {package} {oldest} or later, and it is not installed") from None
        if _numbers(installed) < _numbers(oldest):
            raise ModelError(f"--engine diffusers needs {package} {oldest} or later; here is {package} {installed}")


def _numbers(version: str) -> tuple[int, ...]:
    """2.11.0+cu130 to (2, 11, 0)."""
    start = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in start[0].split(".")) if start else ()
