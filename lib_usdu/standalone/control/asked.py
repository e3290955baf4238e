"""Which ControlNets a person asks for, checked without loading anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import OptionError
from ...resume.digest import digest
from ..sources import is_hub_id

FILES = (".safetensors", ".pth", ".ckpt", ".bin")
FORM = f"a file ({', '.join(FILES)}), a diffusers folder or a hub id, and :STRENGTH from 0 to 2 if not 1"
THE_TILE = "tile"
"""Stands for the tile itself where pictures are named."""


@dataclass(frozen=True)
class AskedControl:
    """source: a file, a folder or a hub id. strength: 0-2. picture: what steers, laid over the whole canvas; None: each
    tile is its own."""

    source: str
    strength: float = 1.0
    picture: Path | None = None

    @property
    def text(self) -> str:
        """For the infotext, as sd-webui-controlnet writes a unit."""
        path = Path(self.source)
        parts = ["Module: none", f"Model: {path.stem if path.suffix in FILES else path.name}"]
        parts.append(f"Weight: {self.strength:g}")
        if self.picture is not None:
            parts.append(f"Picture: {self.picture.name} {digest(self.picture.read_bytes())[:8]}")
        return ", ".join(parts)


def in_infotext(asked: Sequence[AskedControl]) -> dict[str, str]:
    """Generation parameters of these ControlNets."""
    return {f"ControlNet {number}": control.text for number, control in enumerate(asked)}


def asked_controls(entries: Sequence[str], pictures: Sequence[str]) -> list[AskedControl]:
    """What `--control` and `--control-picture` ask for; the nth picture is the nth ControlNet's.

    Raises OptionError for a file that is not there, a strength that is no number, more pictures than ControlNets.
    """
    if len(pictures) > len(entries):
        raise OptionError("control_picture", pictures[-1], "one for each --control at most, in the same order")
    named = [*pictures, *[THE_TILE] * (len(entries) - len(pictures))]
    return [AskedControl(*_source(entry), _picture(picture)) for entry, picture in zip(entries, named)]


def _source(entry: str) -> tuple[str, float]:
    before, colon, after = entry.rpartition(":")
    source, strength = entry, 1.0
    if colon and not _is_there(entry):
        try:
            source, strength = before, float(after)
        except ValueError:
            raise OptionError("control", entry, FORM) from None
    if not _is_there(source) or not 0 <= strength <= 2:
        raise OptionError("control", entry, FORM)
    return source, strength


def _is_there(source: str) -> bool:
    path = Path(source).expanduser()
    if path.is_file():
        return path.suffix.lower() in FILES
    of_a_hub = is_hub_id(source) and ":" not in source and not source.lower().endswith(FILES)
    return of_a_hub or (source != "" and path.is_dir())


def _picture(name: str) -> Path | None:
    if name == THE_TILE:
        return None
    path = Path(name).expanduser()
    if not path.is_file():
        raise OptionError("control_picture", name, f"the file of a picture, or {THE_TILE}")
    return path
