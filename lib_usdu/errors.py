"""The errors a person sees: one line each, never a traceback."""

from __future__ import annotations


class UsduError(Exception):
    """Something the person can act on, said in one line."""


class OptionError(UsduError, ValueError):
    """A bad value. Names the option, the value given and what is allowed.

    >>> print(OptionError("padding", -3, "0 to 512 px"))
    padding: -3 is not allowed; allowed: 0 to 512 px
    """

    def __init__(self, option: str, value: object, allowed: str):
        self.option, self.value, self.allowed = option, value, allowed
        try:
            shown = repr(value)
        except (ValueError, RecursionError):  # an integer of thousands of digits, a list inside itself
            shown = f"a {type(value).__name__} too large to show"
        if len(shown) > 120:
            shown = shown[:117] + "..."
        self._sentence = f"{shown} is not allowed; allowed: {allowed}"
        super().__init__(f"{option}: {self._sentence}")

    def named(self, name: str) -> str:
        """The same sentence under the name by which a person knows the option: its flag, or its label in the panel.

        >>> OptionError("padding", -3, "0 to 512 px").named("--padding")
        '--padding: -3 is not allowed; allowed: 0 to 512 px'
        """
        return f"{name}: {self._sentence}"


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
