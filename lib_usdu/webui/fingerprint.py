"""What a tile's result in a webui depends on besides the tile: the person's settings and the files of the models."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .other_extensions import alwayson, title
from .protocols import Processing

# What of p reaches a tile (tile_call.py resets the rest); a fork may lack some and have others.
_FIELDS = (
    "sampler_name", "scheduler", "steps", "cfg_scale", "image_cfg_scale", "distilled_cfg_scale", "rescale_cfg",
    "eta", "ddim_discretize", "s_churn", "s_tmin", "s_tmax", "s_noise", "s_min_uncond", "subseed_strength",
    "initial_noise_multiplier", "disable_extra_networks", "token_merging_ratio", "inpainting_fill",
)  # fmt: skip
_NETWORK = re.compile(r"<[^:<>]+:([^:<>]+)[:>]")


def webui_identity(
    p: Processing,
    subseed: int,
    prompts: tuple[str, str],
    settings: Mapping[str, Any],
    files: Mapping[str, Any],
    networks: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that would make the same tile come out another way, but for the tile's noise.

    subseed: the variation seed, counted only where it is used. prompts: prompt and negative prompt with the styles in
    them. settings: the host's own. files: names of the checkpoint, the VAE and so on, by what they are. networks: LoRA
    and the like by name, each with its `filename`.
    """
    named = _NETWORK.findall(prompts[0] + prompts[1])
    return {
        "p": {name: getattr(p, name, None) for name in _FIELDS},
        "subseed": subseed if p.subseed_strength else None,
        "prompts": prompts,
        "settings": dict(settings),
        "files": {kind: stamp(name) for kind, name in files.items()},
        "networks": {name: stamp(getattr(networks.get(name), "filename", None)) for name in named},
        "scripts": _scripts(p),
    }


def stamp(name: Any) -> tuple[Any, ...]:
    """Path, size and time of a file: hashing gigabytes would take longer than a tile."""
    path = Path(str(name))
    if name is None or not path.is_file():
        return (str(name),)
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


LOADED = ("checkpoint", "VAE")
"""Kinds of files that a host may load in its first call, where none is in memory."""


class ModelWatch:
    """Notices when the model or a setting is changed in the middle of a run, by another client of the webui.

    in_use: what is loaded, by kind (`environment.model_in_use`). changed: names of settings that were changed.
    """

    def __init__(self, in_use: Callable[[], Mapping[str, str]], changed: Callable[[], Sequence[str]]):
        self._in_use, self._changed = in_use, changed
        self._known: dict[str, str] = dict(in_use())
        self._called = False

    def difference(self) -> str:
        """One sentence about what is no longer as it was when the run began; "" where everything is.

        Before the first call the host may still load the checkpoint and the VAE that the settings name.
        """
        used = self._in_use()
        for kind, before in self._known.items():
            if used.get(kind) == before:
                continue
            if kind not in LOADED:
                return f"Another {kind} was made during the run."
            if self._called:
                return f"The {kind} was changed during the run, from {_name(before)} to {_name(used.get(kind))}."
        changed = self._changed()
        return f"Settings were changed during the run: {', '.join(changed)}." if changed else ""

    def called(self) -> None:
        """A call of the host is over: what was not loaded before is loaded now, and what the run goes by."""
        if not self._called:
            self._called = True
            late = [kind for kind in LOADED if self._known.get(kind, "None") == "None"]
            self._known.update({kind: name for kind, name in self._in_use().items() if kind in late})


def _name(path: str | None) -> str:
    return Path(path or "none").name


def _scripts(p: Processing) -> list[tuple[str, Any]]:
    """The values of the scripts that act on every call, ControlNet's units among them.

    The host's own controls for seed and sampler are scripts too: what they say is in p, with -1 replaced.
    """
    return [
        (type(script).__qualname__, [p.script_args[at] for at in places])
        for script, places in alwayson(p)
        if title(script) not in ("seed", "sampler")
    ]
