"""Other extensions at work in a person's `p`: what does not go together, and ADetailer once on the final picture."""

from __future__ import annotations

from typing import Any

from PIL import Image

# Extensions whose first argument says whether they are on, by the start of their title.
_NOTES = {
    "tiled diffusion": "Tiled Diffusion is on: inside of a tile it only costs time; turn it off.",
    "multidiffusion": "MultiDiffusion is on: inside of a tile it only costs time; turn it off.",
    "regional prompter": "Regional Prompter is on: it divides each tile, not the picture. Use Prompts of tiles.",
    "forge couple": "Forge Couple is on: it divides each tile, not the picture. Use Prompts of tiles.",
    "latent couple": "Latent Couple is on: it divides each tile, not the picture. Use Prompts of tiles.",
}


def notes(p: Any) -> list[str]:
    """What the person should know of extensions that are on."""
    found = []
    for script in _alwayson(p):
        args = p.script_args[script.args_from : script.args_to]
        if args and args[0] is True:
            found += [text for start, text in _NOTES.items() if _title(script).startswith(start)]
    return found


def adetailer(p: Any) -> Any:
    """ADetailer's script in this run; None where there is none."""
    return next((script for script in _alwayson(p) if _title(script) == "adetailer"), None)


def run_adetailer(p: Any, picture: Image.Image, arguments: type) -> Image.Image:
    """The picture after ADetailer's hooks, called as the host calls them for one image of a batch.

    p: a processing object that describes the run, to be changed; width and height: of what ADetailer redraws.
    arguments: the host's PostprocessImageArgs.
    """
    script = adetailer(p)
    args = p.script_args[script.args_from : script.args_to]
    p.init_images, p.image_mask = [picture], None
    p.batch_size, p.n_iter, p.batch_index, p.iteration = 1, 1, 0, 0
    p.__dict__.pop("_ad_disabled", None)
    try:
        given = arguments(picture.copy(), 0)  # forks that count the images
    except TypeError:
        given = arguments(picture.copy())
    script.process(p, *args)
    script.postprocess_image(p, given, *args)
    return given.image


def _alwayson(p: Any) -> list[Any]:
    scripts = getattr(getattr(p, "scripts", None), "alwayson_scripts", None) or []
    args = getattr(p, "script_args", None)
    return [found for found in scripts if isinstance(args, (list, tuple)) and found.args_from is not None]


def _title(script: Any) -> str:
    try:
        return script.title().casefold()
    except Exception:  # a script without a title
        return ""
