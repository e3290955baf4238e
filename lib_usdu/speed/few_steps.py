"""Models that were taught to draw in few steps: which they are, and how they want to be asked.

They are known by their name, as their makers write it, by what a trainer wrote into a file, or by their scheduler.
Asked like others, with 20 steps and a CFG scale of 7, they burn out. Needs no torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import plural
from ..options.lora_tags import lora_tags


@dataclass(frozen=True)
class FewSteps:
    """name: of the kind, as people call it. steps: of a full denoise. cfg, sampler: what its makers recommend. file:
    which kind of file it was known by, "checkpoint" or "LoRA"."""

    name: str
    steps: int
    cfg: float
    sampler: str
    file: str = "checkpoint"

    def __str__(self) -> str:
        return f"{plural(self.steps, 'step')}, CFG {self.cfg:g}, {self.sampler}"


KINDS: Mapping[str, FewSteps] = {
    "lightning": FewSteps("Lightning", 8, 1.0, "Euler"),  # Lin et al. 2024
    "turbo": FewSteps("Turbo", 8, 1.0, "Euler a"),  # Sauer et al. 2023
    "hyper": FewSteps("Hyper", 8, 1.0, "DDIM"),  # Ren et al. 2024
    "lcm": FewSteps("LCM", 8, 1.5, "LCM"),  # Luo et al. 2023
}
"""By the word in a name. Steps are those of a denoise of 1: at 0.35 three of eight are run."""
_WORD = re.compile(rf"(?<![a-z])({'|'.join(KINDS)})(?![a-z])")
_STEPS = re.compile(r"(?<!\d)([1-9]|1[0-6])[ _-]?steps?(?![a-z])")
_SAYS = ("ss_output_name", "modelspec.title", "ss_sd_model_name")
"""Where a trainer writes a name into a .safetensors file."""


def named(name: str) -> FewSteps | None:
    """The kind of a model of this name, such as "sdxl_lightning_4step_lora"; None for others. A number of steps in the
    name counts, but not below 4: of a denoise of 0.25 that is one."""
    said = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold()
    found = _WORD.search(said)
    if found is None:
        return None
    kind, steps = KINDS[found[1]], _STEPS.search(said)
    return kind if steps is None else replace(kind, steps=max(4, int(steps[1])))


def among(names: Iterable[str]) -> FewSteps | None:
    """The kind of the first of these names that has one."""
    return next((kind for kind in map(named, names) if kind is not None), None)


def of_metadata(metadata: Mapping[str, str]) -> FewSteps | None:
    """By what a .safetensors file says of itself."""
    return among(names_in(metadata))


def names_in(metadata: Mapping[str, str]) -> Iterable[str]:
    """The names that a trainer wrote into a .safetensors file."""
    return [str(metadata[key]) for key in _SAYS if key in metadata]


def of_loras(prompt: str, others: Callable[[str], Iterable[str]]) -> FewSteps | None:
    """The kind of the first LoRA of few steps that the prompt asks for; one of strength 0 does nothing. others: what
    else the LoRA of this name is called: its file's name, what a trainer wrote into it."""
    for name, strength in lora_tags(prompt):
        found = among([name, *others(name)]) if _acts(strength) else None
        if found is not None:
            return replace(found, file="LoRA")
    return None


def _acts(strength: str) -> bool:
    try:
        return float(strength) != 0
    except ValueError:
        return True


def of_folder(folder: Path) -> FewSteps | None:
    """By the scheduler of a diffusers folder."""
    try:
        scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_bytes())
        return KINDS["lcm"] if scheduler.get("_class_name") == "LCMScheduler" else None
    except (OSError, ValueError, AttributeError):
        return None
