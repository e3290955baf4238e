"""What a caller really sent to the script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def supplied(p: Any, script: Any, args: Sequence[Any]) -> list[Any]:
    """The arguments of `Script.run` without those that are not ours.

    The API puts a client's list into the vector of all scripts' arguments by slice assignment (v1.10.1,
    modules/api/api.py:344), so a list that is too short shortens the vector, and the tail handed to us is the next
    script's (modules/scripts.py:778). How many are missing is seen from the vector's length.
    """
    runner, vector = getattr(p, "scripts", None), getattr(p, "script_args", None)
    if runner is None or vector is None:
        return list(args)
    expected = max((other.args_to for other in runner.scripts if other.args_to is not None), default=len(vector))
    missing = max(0, expected - len(vector))
    return list(args)[: max(0, script.args_to - script.args_from - missing)]
