"""The errors a person sees: one line each, never a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


class UsduError(Exception):
    """Something the person can act on, said in one line."""


def _shown(value: object) -> str:
    """At most 120 characters."""
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list inside itself
        shown = f"a {type(value).__name__} too large to show"
    return shown if len(shown) <= 120 else shown[:117] + "..."


def first_line(error: BaseException) -> str:
    """What a sentence can say of an error of any kind: its first line, at most 200 characters, else its kind."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def plural(count: int, what: str, many: str = "") -> str:
    """A number with its noun. many: the noun's plural, where an s does not make it.

    >>> plural(1, "tile"), plural(2, "tile"), plural(0, "batch", "batches")
    ('1 tile', '2 tiles', '0 batches')
    """
    return f"{count} {what if count == 1 else many or what + 's'}"


class OptionError(UsduError, ValueError):
    """A bad value. Names the option, the value given and what is allowed.

    >>> print(OptionError("padding", -3, "0 to 512 px"))
    padding: -3 is not allowed; allowed: 0 to 512 px
    """

    def __init__(self, option: str, value: object, allowed: str, sentence: str | None = None):
        """sentence: what is wrong, in place of "VALUE is not allowed; allowed: ..."."""
        self.option, self.value, self.allowed = option, value, allowed
        self._sentence = sentence or f"{_shown(value)} is not allowed; allowed: {allowed}"
        super().__init__(f"{option}: {self._sentence}")

    def named(self, name: str) -> str:
        """The same sentence under the name by which a person knows the option: its flag, or its label in the panel.

        >>> OptionError("padding", -3, "0 to 512 px").named("--padding")
        '--padding: -3 is not allowed; allowed: 0 to 512 px'
        """
        return f"{name}: {self._sentence}"


class UnknownOption(OptionError):
    """Names that are no options.

    >>> print(UnknownOption(["paddin"], ["mask_blur", "padding"]))
    option: there is no 'paddin'; did you mean padding? allowed: mask_blur, padding
    """

    def __init__(self, names: Sequence[object], known: Sequence[str]):
        likely = [like for name in names for like in get_close_matches(str(name)[:100], known, 1, 0.75)]
        shown = ", ".join(_shown(name) for name in names[:5]) + ", ..." * (len(names) > 5)
        meant = f"did you mean {', '.join(dict.fromkeys(likely))}? " if likely else ""
        allowed = ", ".join(known)
        super().__init__("option", names[0], allowed, f"there is no {shown}; {meant}allowed: {allowed}")


class TooLarge(OptionError):
    """A result above the limit of megapixels. Each place has its own way to raise that limit, and adds it."""


class InputError(UsduError):
    """An input file that cannot be used."""


class OutputError(UsduError):
    """An output that cannot be written."""


class ModelError(UsduError):
    """A checkpoint, LoRA or upscaler that cannot be loaded or fails."""


class Stopped(UsduError):
    """The person asked to stop; what was finished before is kept."""


class Skipped(UsduError):
    """The person asked to leave these tiles as they are and to go on."""


class NotANumber(UsduError):
    """The model's numbers broke down (NaN, infinite): it may work with higher precision."""
