"""Other extensions in a person's `p`: where their values stand, which ones do not go together with tiles, and ADetailer
once on the final picture."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from PIL import Image

from .environment import errors, img2img_scripts, restore_faces, shared
from .protocols import HookedScript, Processing, Script

# Extensions whose first argument says whether they are on, by the start of their title.
_LEFT_OUT = {
    "pid integrated": "it would load another checkpoint for each tile and make a picture of it",
    "stylealign": "it would make tiles look like the first one of their call",
    "animatediff": "it makes videos",
    "reactor": "it works on whole faces: use it on the finished picture",
    "roop": "it works on whole faces: use it on the finished picture",
    "faceswaplab": "it works on whole faces: use it on the finished picture",
    "face editor": "it works on whole faces: use it on the finished picture",
    "after detailer": "it works on whole faces: use it on the finished picture",
    "ddetailer": "it works on whole faces: use it on the finished picture",
}
"""What never runs in a tile, and why. ADetailer is told by p itself (tile_call.py), and may be the finishing pass."""
_OF_THE_PICTURE = ("post_sample", "postprocess_batch", "postprocess_batch_list", "postprocess_image",
                   "postprocess_image_after_composite", "postprocess")  # fmt: skip
"""Hooks that change a finished picture, which a tile is not."""
_FINE = ("controlnet", "adetailer", "soft inpainting", "refiner", "seed", "sampler")
"""Extensions that have such hooks, and do nothing to a tile by them."""
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


def left_to_chance(p: Processing) -> bool:
    """Whether the person asked for a random seed. The Batch tab replaces it before a script is called (img2img.py:22);
    there the host's own control for it, a script too, still says so."""
    asked = [p.seed]
    if " out of " in str(shared.state.job):  # a folder (img2img.py:51)
        asked += [p.script_args[places[0]] for script, places in alwayson(p) if title(script) == "seed" and places]
    return any(seed in (-1, "-1", "", None) for seed in asked)


def notes(p: Processing) -> list[str]:
    """What the person should know of extensions that are on."""
    sentences = []
    for script in _on(p):
        known = [text for start, text in _NOTES.items() if title(script).startswith(start)]
        reason = _why_left_out(script)
        if reason:
            known.append(f"{script.title()} was left out of the tiles: {reason}.")
        elif not known and not title(script).startswith(_FINE) and _changes_pictures(script):
            known.append(f"{script.title()} is on: it changes each tile, not the finished picture.")
        sentences += known
    return sentences


def leave_out(tile_p: Processing) -> Processing:
    """The tile's p with a runner without the scripts that never run in a tile; the person's runner is not changed."""
    names = {id(script) for script in _on(tile_p) if _why_left_out(script)}
    if names and tile_p.scripts is not None:
        runner = copy.copy(tile_p.scripts)
        runner.alwayson_scripts = [script for script in runner.alwayson_scripts if id(script) not in names]
        if hasattr(runner, "callback_map"):  # which scripts have which hooks (scripts.py:809)
            runner.callback_map = {}
        tile_p.scripts = runner
    return tile_p


def _on(p: Processing) -> list[Script]:
    """Scripts whose first argument says that they are on."""
    return [script for script, places in alwayson(p) if places and p.script_args[places[0]] is True]


def _why_left_out(script: Script) -> str:
    return next((reason for start, reason in _LEFT_OUT.items() if title(script).startswith(start)), "")


def _changes_pictures(script: Script) -> bool:
    """Whether it has a hook of its own for finished pictures."""
    base = img2img_scripts().Script
    own = (getattr(type(script), name, None) for name in _OF_THE_PICTURE)
    return any(hook is not None and hook is not getattr(base, name, None) for name, hook in zip(_OF_THE_PICTURE, own))


def adetailer(p: Processing) -> tuple[HookedScript, range] | None:
    """ADetailer's script in this run and the positions of its values; None where there is none."""
    return next((entry for entry in alwayson(p) if title(entry[0]) == "adetailer"), None)


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


def finished(picture: np.ndarray, name: str, p: Processing) -> tuple[np.ndarray, str]:
    """The picture, uint8 (h, w, 3), after the finishing pass of this name, and what is to be said of it.

    p: as for `run_adetailer`.
    """
    try:
        if name == "faces":
            done = np.asarray(restore_faces(picture.copy()))
        else:
            done = run_adetailer(p, Image.fromarray(picture), img2img_scripts().PostprocessImageArgs)
            done = np.asarray(done.convert("RGB"))
    except Exception as error:
        errors.report("Ultimate SD Upscale: the finishing pass", exc_info=True)
        return picture, f"The finishing pass failed: {type(error).__name__}: {error}"
    if done.shape != picture.shape or np.array_equal(done, picture):
        return picture, "The finishing pass changed nothing: no face was found, or its model is missing."
    return done, ""


def finishes(scripts: Iterable[Any]) -> list[str]:
    """Values of the option `finish` that work with these scripts, the alwayson ones of a run or of the img2img tab."""
    faces = ["faces"] * bool(getattr(shared, "face_restorers", None))
    return ["none", *faces, *["adetailer"] * any(title(script) == "adetailer" for script in scripts)]
