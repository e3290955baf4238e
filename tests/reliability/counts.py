"""What the tests of this folder count, for `make reliability`: added up in the file USDU_COUNTS names, if it does."""

from __future__ import annotations

import json
import os
from pathlib import Path


def count(what: str, cases: int, clean: int, tracebacks: int = 0) -> None:
    """`clean`: cases that came out as they should. `tracebacks`: how many a person would have seen."""
    if "USDU_COUNTS" not in os.environ:
        return
    path = Path(os.environ["USDU_COUNTS"])
    known = json.loads(path.read_text()) if path.exists() else {}
    before = known.get(what, [0, 0, 0])
    known[what] = [old + new for old, new in zip(before, (cases, clean, tracebacks))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n")


def wanted(name: str, usual: int) -> int:
    """How many cases: few in CI, as many as the environment says elsewhere."""
    return int(os.environ.get(name, usual))
