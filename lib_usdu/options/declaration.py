"""What is declared of an option beside its type and default: its command-line flag, its control in the panel and its
row in the docs are made from this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .rules import Rule

GROUPS: Mapping[str, str] = {
    "size": "Size",
    "strength": "Creativity and resemblance",
    "try": "One tile first",
    "redraw": "Redraw",
    "overlap": "Overlap of tiles",
    "drawing": "Noise and tone",
    "seams_fix": "Seams fix",
    "speed": "Speed",
    "prompts": "Prompts",
    "results": "Results",
    "repair": "Repair",
}
"""Names of groups and their titles, in the order in which the panel, --help and the docs show them."""


@dataclass(frozen=True)
class CommandFlag:
    """The command-line flag of an option.

    form: what follows the flag, as --help shows it; "": what the rule takes. help: None: what the option means
    (`about`). default: what the command line takes where the flag is not given; None: the option's own default.
    short: one letter, such as -s; "" for none.
    """

    name: str
    form: str = ""
    help: str | None = None
    default: Any = None
    short: str = ""


@dataclass(frozen=True)
class Control:
    """How the panel shows an option.

    place: (row, column) in its group. hint: None: what the option means (`about`). low, high, step: of the slider;
    None: the rule's. lines: of a text field. counts: by name of a dropdown, the values for which the option counts;
    for others the control is hidden.
    """

    place: tuple[int, int]
    label: str
    hint: str | None = None
    low: float | None = None
    high: float | None = None
    step: float | None = None
    lines: int = 1
    counts: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True)
class Declaration:
    """rule: reads and checks values. about: what the option means, in half a line. more: further sentences for the
    docs. of_picture: whether it decides the picture: then infotext carries it and pasting restores it. A setting of the
    panel does not."""

    rule: Rule
    about: str
    group: str
    more: str = ""
    flag: CommandFlag | None = None
    control: Control | None = None
    of_picture: bool = True

    @property
    def hint(self) -> str:
        """The panel's hint: a sentence."""
        hint = self.control.hint if self.control else None
        return hint or self.about[:1].upper() + self.about[1:]


def option(default: Any, rule: Rule, about: str, group: str, **more: Any) -> Any:
    """A dataclass field with this default and this Declaration."""
    return field(default=default, metadata={"declared": Declaration(rule, about, group, **more)})
