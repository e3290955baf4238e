"""The scripts of a webui that act on every call, and where their values stand."""

from __future__ import annotations

from typing import Any


def alwayson(p: Any) -> list[tuple[Any, range]]:
    """Each with the positions of its values in `p.script_args`."""
    args = getattr(p, "script_args", None)
    if not isinstance(args, (list, tuple)):
        return []
    scripts = getattr(getattr(p, "scripts", None), "alwayson_scripts", None) or []
    return [
        (script, range(script.args_from, min(script.args_to, len(args))))
        for script in scripts
        if script.args_from is not None and script.args_to is not None
    ]


def title(script: Any) -> str:
    """Its title in lower case; "" where it has none."""
    try:
        return script.title().casefold()
    except Exception:  # a script without a title
        return ""
