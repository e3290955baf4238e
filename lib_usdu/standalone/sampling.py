"""What a person tells the model."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError
from ..options.rules import is_integer
from .families.table import Family
from .samplers import full_name, split_name


@dataclass(frozen=True)
class Sampling:
    """What the model is told. steps: of a full denoise, as in the webui; a denoise of 0.3 runs 0.3 of them. sampler and
    cfg_scale: None for what suits the kind of model.
    """

    prompt: str = ""
    negative_prompt: str = ""
    sampler: str | None = None
    steps: int = 20
    cfg_scale: float | None = None
    seed: int = 1

    def __post_init__(self):
        for name, text in (("prompt", self.prompt), ("negative_prompt", self.negative_prompt)):
            if not isinstance(text, str):
                raise OptionError(name, text, "a text")
        if self.sampler is not None:
            split_name(self.sampler)
        if not (is_integer(self.steps) and 1 <= self.steps <= 1000):
            raise OptionError("steps", self.steps, "a whole number from 1 to 1000")
        if self.cfg_scale is not None and not (_is_number(self.cfg_scale) and 0 <= self.cfg_scale <= 100):
            raise OptionError("cfg", self.cfg_scale, "a number from 0 to 100")

    def suited(self, family: Family) -> Suited:
        """With everything decided, for this kind of model."""
        cfg = family.cfg if self.cfg_scale is None else self.cfg_scale
        told = {**vars(self), "sampler": full_name(self.sampler or family.sampler), "cfg_scale": cfg}
        return Suited(**told)


@dataclass(frozen=True)
class Suited(Sampling):
    """What one kind of model is told: nothing is open."""

    sampler: str = "DPM++ 2M"
    cfg_scale: float = 7.0


def _is_number(value: Any) -> bool:
    """A finite one; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)
