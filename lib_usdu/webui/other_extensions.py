"""Other extensions in a person's `p`: where their values stand, which ones do not go together with tiles, and ADetailer
once on the final picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from PIL import Image

from .environment import shared
from .protocols import HookedScript, Processing, Script

# Extensions whose first argument says whether they are on, by the start of their title.
_NOTES = {
    "tiled diffusion": "Tiled Diffusion is on: inside of a tile it only costs time; turn it off.",
    "multidiffusion": "MultiDiffusion is on: inside of a tile it only costs time; turn it off.",
    "regional prompter": "Regional Prompter is on: it divides each tile, not the picture. Use Per-tile prompts.",
    "forge couple": "Forge Couple is on: it divides each tile, not the picture. Use Per-tile prompts.",
    "latent couple": "Latent Couple is on: it divides each tile, not the picture. Use Per-tile prompts.",
}


def alwayson(p: Processing) -> list[tuple[Any, range]]:
    """Each with the positions of its values in `p.script_args`."""
    args = getattr(p, "script_args", None)
    if not isinstance(args, (list, tuple)):
        return []
    scripts = getattr(getattr(p, "scripts", None), "alwayson_scripts", None) or []
    return [
        (script, range(script.args_from, min(script.args_to, len(args))))
        for script in scripts
        if script.args_from is not None and script.args_to is not None
    ]


def title(script: Script) -> str:
    """Its title in lower case; "" where it has none."""
    try:
        return script.title().casefold()
    except Exception:  # a script without a title
        return ""


def notes(p: Processing) -> list[str]:
    """What the person should know of extensions that are on."""
    found = []
    for script, places in alwayson(p):
        if places and p.script_args[places[0]] is True:
            found += [text for start, text in _NOTES.items() if title(script).startswith(start)]
    return found


def adetailer(p: Processing) -> tuple[HookedScript, range] | None:
    """ADetailer's script in this run and the positions of its values; None where there is none."""
    return next((found for found in alwayson(p) if title(found[0]) == "adetailer"), None)


def run_adetailer(p: Processing, picture: Image.Image, arguments: Callable[..., Any]) -> Image.Image:
    """The picture after ADetailer's hooks, called as the host calls them for one image of a batch.

    p: a processing object that describes the run, to be changed; width and height: of what ADetailer redraws.
    arguments: the host's PostprocessImageArgs.
    """
    installed = adetailer(p)
    if installed is None:
        return picture
    script, places = installed
    args = [p.script_args[at] for at in places]
    p.init_images, p.image_mask = [picture], None
    p.batch_size, p.n_iter, p.batch_index, p.iteration = 1, 1, 0, 0
    p.__dict__.pop("_ad_disabled", None)
    try:
        holder = arguments(picture.copy(), 0)  # forks that count the images
    except TypeError:
        holder = arguments(picture.copy())
    script.process(p, *args)
    script.postprocess_image(p, holder, *args)
    return holder.image


def finishes(scripts: Iterable[Any]) -> list[str]:
    """Values of the option `finish` that work with these scripts, the alwayson ones of a run or of the img2img tab."""
    faces = ["faces"] * bool(getattr(shared, "face_restorers", None))
    return ["none", *faces, *["adetailer"] * any(title(script) == "adetailer" for script in scripts)]
