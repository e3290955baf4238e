"""What `Script.run` does: from the panel's values and a person's `p` to the host's `Processed`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image

from ..engine import upscale
from ..enlarge.resize_mode import check_whole
from ..enlarge.seamless import resizer
from ..errors import ModelError, OptionError, TooLarge, UsduError
from ..options import Options
from ..panel.text import message
from . import gallery
from .environment import errors, images, max_megapixels, processing, reload_models, shared
from .host import WebuiHost
from .inpaint_mask import inpaint_mask
from .overrides import in_force
from .progress_bar import Jobs
from .script_args import supplied
from .upscaler_files import upscaler_names


def run(p: Any, script: Any, args: Sequence[Any]) -> Any:
    """The host's `Processed`, the final picture first. `p` is left as it was found.

    A bad option is told to an API client as HTTP 422 and shown to a person at the panel; so is what went wrong with
    one picture of a folder, and the next picture goes on.
    """
    try:
        return _run(p, script, args)
    except TooLarge as error:
        return _failed(p, f"{error} (the webui's --usdu-max-megapixels raises it)")
    except ModelError as error:
        errors.report(f"{script.title()}: {error}", exc_info=error.__cause__ is not None)
        return _failed(p, str(error), status=500)
    except OptionError as error:
        return _failed(p, str(error) if getattr(p, "is_api", False) else message(error))
    except (UsduError, MemoryError) as error:
        return _failed(p, str(error) or "not enough memory")
    except Exception as error:
        errors.report(f"{script.title()}: {type(error).__name__}", exc_info=True)
        return _failed(p, f"{type(error).__name__}: {error}", status=500)


def _run(p: Any, script: Any, args: Sequence[Any]) -> Any:
    options = Options.from_script_args(supplied(p, script, args), upscalers=upscaler_names())
    options = options.with_(denoise=float(p.denoising_strength), max_megapixels=max_megapixels())
    if not p.init_images or p.init_images[0] is None:
        raise UsduError("there is no picture to upscale: put one into the img2img tab (init_images in the API)")
    source = p.init_images[0]
    if getattr(source, "mode", "") in ("LA", "PA", "La") or "transparency" in getattr(source, "info", {}):
        source = source.convert("RGBA")
    rgb = np.asarray(images.flatten(source, shared.opts.img2img_background_color))
    alpha = np.asarray(source.getchannel("A")) if source.mode in ("RGBA", "RGBa") else None
    seed = processing.get_fixed_seed(p.seed)
    # A size by scale keeps the picture's shape; for the others the tab says what to do with another shape.
    resize_mode = 0 if options.target_size_type == "scale" else p.resize_mode
    size = p.width, p.height
    target = options.target_size(*rgb.shape[1::-1], size)
    if options.seamless:
        check_whole(rgb, *target, resize_mode)
    mask = inpaint_mask(p, rgb.shape[1::-1], target, resize_mode)
    pictures: list[Image.Image] = []
    texts: list[str] = []
    seeds: list[int] = []
    with in_force(shared.opts, p, reload_models), Jobs(shared.state, p.n_iter) as jobs:
        for number in range(max(1, p.n_iter)):
            host = WebuiHost(p, seed + number, script.title(), jobs, resize_mode, options, mask)
            result = upscale(rgb, options.with_(seed=seed + number), host, img2img_size=size, mask=mask)
            text = result.infotext if shared.opts.enable_pnginfo else None
            final, redrawn = gallery.pictures(result, text, alpha, resize_mode, resizer(options.seamless))
            gallery.save(p, options, host.describe(result.parameters), host.seed, result, final, redrawn)
            if result.finished:
                result.forget()
            host.comments.update(dict.fromkeys(result.notes, 1))
            numbered = None if result.numbered is None else Image.fromarray(result.numbered)
            for picture in (final, gallery.compared(options, result), redrawn, numbered):
                if picture is not None:
                    pictures.append(picture)
                    texts.append(result.infotext)
                    seeds.append(host.seed)
            if host.stop_requested():
                break
        info = host.describe(result.parameters)
        info.comments = {**p.comments, **host.comments}
        info.all_seeds, info.all_subseeds = seeds, info.all_subseeds * len(seeds)
        info.all_prompts = info.all_prompts * len(seeds)
        info.all_negative_prompts = info.all_negative_prompts * len(seeds)
        return processing.Processed(info, pictures, seed=seed, info=texts[0], infotexts=texts)


def _failed(p: Any, message: str, status: int = 422) -> Any:
    if getattr(p, "is_api", False):
        from fastapi import HTTPException

        raise HTTPException(status_code=status, detail=message) from None
    with suppress(Exception):  # a toast, where gradio is listening
        import gradio

        gradio.Warning(message)
    info = copy.copy(p)
    info.comments = {**p.comments, message: 1}
    info.all_prompts = info.all_negative_prompts = info.all_seeds = info.all_subseeds = None
    return processing.Processed(info, [], seed=-1, info=message)
