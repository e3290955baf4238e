"""Options that were given and change nothing beside the others, so that nobody waits for what they do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from .options import Options, names_of_group

_NOTHING_REDRAWN = "nothing is redrawn"
_OF_ANY_PASS = {"tile_width", "tile_height", *names_of_group("speed"), *names_of_group("prompts"), "resemblance"} | {
    name for name in names_of_group("drawing") if name not in ("seamless", "overviews", "seed")
}
_OF_THE_REDRAW = {"denoise", "creativity", *names_of_group("overlap")}
_OF_THE_SEAMS_FIX = {*names_of_group("seams_fix"), "save_seams_fix_image"} - {"seams_fix_type"}
_OF_THE_MODEL = (
    "checkpoint", "checkpoint_config", "prompt", "negative_prompt", "sampler", "steps", "cfg", "lora", "control",
    "control_picture", "mask",
)  # fmt: skip
"""What the command line and the Python interface tell a model beside the options."""
_SIZES = {"scale": {"custom_scale"}, "custom": {"custom_width", "custom_height"}, "img2img": set[str]()}


def unused(options: Options, given: Collection[str]) -> dict[str, str]:
    """Of the given options, those that are not at their default and have no effect: name to the reason. given: names
    of options, and of what is told to a model."""
    found: dict[str, str] = {}
    for names, reason in _without_effect(options):
        found |= {name: reason for name in given if name in names and name not in found}
    return {
        name: reason
        for name, reason in found.items()
        if name in _OF_THE_MODEL or getattr(options, name) != getattr(Options, name)
    }


def _without_effect(options: Options) -> Iterator[tuple[Collection[str], str]]:
    redrawn, fixed = options.redraw_mode != "none", options.seams_fix_type != "none"
    if not redrawn:
        yield _OF_THE_REDRAW, _NOTHING_REDRAWN + (" but the seams" if fixed else "")
        if not fixed:
            yield (*_OF_ANY_PASS, *_OF_THE_MODEL), _NOTHING_REDRAWN
    if not fixed:
        yield _OF_THE_SEAMS_FIX, "seams are not fixed"
    elif options.seams_fix_type != "band":
        yield {"seams_fix_width"}, "only a band pass has a width"
    if options.auto_padding:
        yield {"padding"}, "the padding is automatic"
    of_sizes, kind = {name for names in _SIZES.values() for name in names}, options.target_size_type
    yield of_sizes - _SIZES[kind], f"the size comes from target_size_type {kind}"


def in_words(found: dict[str, str], name_of: Callable[[str], str] = lambda name: name) -> list[str]:
    """A line for each reason: the options that it is true of, and why. name_of: how the reader knows an option."""
    lines: list[str] = []
    for reason in dict.fromkeys(found.values()):
        names = list(dict.fromkeys(name_of(name) for name, its in found.items() if its == reason))
        lines.append(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not used: {reason}")
    return lines
