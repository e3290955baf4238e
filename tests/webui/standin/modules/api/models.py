"""The fields of a request (api/models.py): those of a p that a client may set, and the API's own."""

import dataclasses
import typing
from typing import Any, Optional

from pydantic import BaseModel, create_model

from ..processing import StableDiffusionProcessingImg2Img

API_NOT_ALLOWED = {
    "sd_model", "outpath_samples", "outpath_grids", "sampler_index", "extra_generation_params", "overlay_images",
    "do_not_reload_embeddings", "seed_enable_extras", "prompt_for_display", "sampler_noise_scheduler_override",
    "ddim_discretize",
}  # fmt: skip
_OWN = {
    "sampler_index": (str, "Euler"), "init_images": (list, None), "denoising_strength": (float, 0.75),
    "mask": (str, None), "include_init_images": (bool, False), "script_name": (str, None), "script_args": (list, []),
    "send_images": (bool, True), "save_images": (bool, False), "alwayson_scripts": (dict, {}),
    "force_task_id": (str, None), "infotext": (str, None),
}  # fmt: skip


def _of_a_p():
    hints = typing.get_type_hints(StableDiffusionProcessingImg2Img)
    for field in dataclasses.fields(StableDiffusionProcessingImg2Img):
        if field.init and field.name not in API_NOT_ALLOWED:
            default = None if isinstance(field.default, property) else field.default
            yield field.name, (hints.get(field.name, Any), default)


fields_of_a_p = [*dict(_of_a_p()), "sampler_index"]

# What no field knows is left out, and numbers may come as text: pydantic's way, which is the webui's.
StableDiffusionImg2ImgProcessingAPI = create_model(
    "StableDiffusionProcessingImg2Img",
    **{name: (Optional[kind], default) for name, (kind, default) in {**dict(_of_a_p()), **_OWN}.items()},  # noqa: UP045
)


class ImageToImageResponse(BaseModel):
    images: Optional[list[str]] = None  # noqa: UP045  pydantic 1 on Python 3.9's way of writing
    parameters: dict
    info: str
