"""The processing object from which the webui writes generation parameters.

File:line references are to AUTOMATIC1111 v1.10.1.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .protocols import Processing, SdModel
from .request import Wanted

# What a tile's call has of its own.
_PERSONS = (
    "width", "height", "denoising_strength", "n_iter", "batch_size", "tiling", "restore_faces",
    "do_not_save_samples", "do_not_save_grid", "override_settings", "outpath_samples", "prompt", "negative_prompt",
    "styles", "script_args", "cfg_scale", "s_min_uncond",
)  # fmt: skip


def infotext_processing(
    p: Processing,
    last: Processing | None,
    picture: Wanted,
    prompts: tuple[str, str] | None,
    parameters: Mapping[str, Any],
    sd_model: SdModel,
) -> Processing:
    """A copy of p that holds the person's own settings and what the host adds in a call.

    last: the processing object of the last tile, None where none was refined. picture: which one of the run. prompts:
    prompt and negative prompt as the host resolved them. parameters: generation parameters added to p's own.
    """
    copied = copy.copy(p if last is None else last)
    for name in _PERSONS:
        setattr(copied, name, getattr(p, name, None))
    for method in ("init", "sample"):
        copied.__dict__.pop(method, None)
    if last is None:
        _prepare(copied, sd_model)
    if prompts is not None:
        copied.all_prompts, copied.all_negative_prompts = [[text] for text in prompts]
    extra = dict(copied.extra_generation_params)
    if p.image_mask is not None:
        extra |= {"Mask blur": p.mask_blur} if p.mask_blur else {}
        extra |= {"Mask mode": "Inpaint not masked"} if p.inpainting_mask_invert else {}
    copied.extra_generation_params = {**extra, "Denoising strength": p.denoising_strength, **parameters}
    copied.seed, copied.subseed = picture.seed, picture.subseed
    # The pattern [generation_number] of a file's name is made of these (images.py:409).
    copied.iteration, copied.batch_index, copied.batch_size = picture.iteration, picture.position, picture.count
    copied.all_seeds, copied.all_subseeds = [picture.seed], [picture.subseed]
    copied.all_prompts, copied.all_negative_prompts = copied.all_prompts[:1], copied.all_negative_prompts[:1]
    return copied


def _prepare(p: Processing, sd_model: SdModel) -> None:
    """Fields create_infotext reads that process_images_inner would have set (processing.py:886-908)."""
    p.setup_prompts()
    with suppress(AttributeError):
        p.sd_model_name = sd_model.sd_checkpoint_info.name_for_extra
        p.sd_model_hash = sd_model.sd_model_hash
