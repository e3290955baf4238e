"""What the panel's controls send."""

from lib_usdu.options import LEGACY_ARGUMENTS, OWN_ARGUMENTS, VERSION_MARKER, Options


def from_the_panel(**values):
    """The list that the panel's controls send."""
    given = Options(**values)
    legacy = [given.upscaler if name == "upscaler_index" else getattr(given, name) for name in LEGACY_ARGUMENTS]
    return ["", *legacy, VERSION_MARKER, *(getattr(given, name) for name in OWN_ARGUMENTS)]
