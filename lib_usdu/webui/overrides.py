"""The webui's settings while the script runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import OptionError

# Options of the host that act on every call.
_TILE_OPTIONS = {
    "img2img_color_correction": False, "save_init_img": False, "return_mask": False, "return_mask_composite": False,
    "save_mask": False, "save_mask_composite": False,
}  # fmt: skip


@contextmanager
def in_force(options: Any, p: Any, reload: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """The person's overrides and a tile's options in force, once around the run, and put back whatever happens.

    options: the host's. reload: brings checkpoint and VAE in line with the overrides. The host restores only options
    that are in its config file (processing.py:823); ours are all restored. Raises OptionError for a setting the host
    does not know.
    """
    overrides = dict(p.override_settings or {})
    keep = not getattr(p, "override_settings_restore_afterwards", True)
    before = dict(options.data)
    try:
        for name, value in overrides.items():
            try:
                options.set(name, value, is_api=True, run_callbacks=False)
            except (KeyError, AttributeError):
                raise OptionError("override_settings", name, "settings this webui knows") from None
        options.data.update({name: value for name, value in _TILE_OPTIONS.items() if hasattr(options, name)})
        reload(overrides)
        yield
    finally:
        changed = set(_TILE_OPTIONS) | (set() if keep else set(overrides))
        for name in changed:
            if name in before:
                options.data[name] = before[name]
            else:
                options.data.pop(name, None)
        if not keep:
            reload(overrides)
