"""An always-on script shaped like sd-webui-controlnet 56cec5b: it records what each unit would preprocess.

Units, the choice of a picture and where it comes from are as there (internal_controlnet/args.py get_input_images_rgba,
scripts/controlnet.py choose_input_image, get_enabled_units): `process` reads the units from p.script_args, changes
those it was given, and takes init_images[0] where a unit has no picture.
"""

import base64
import enum
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from modules import scripts
from PIL import Image


class ResizeMode(enum.Enum):
    RESIZE, INNER_FIT, OUTER_FIT = "Just Resize", "Crop and Resize", "Resize and Fill"


@dataclass
class ControlNetUnit:
    enabled: bool = False
    module: str = "none"
    image: Any = None
    mask: Any = None
    resize_mode: Any = ResizeMode.INNER_FIT
    pixel_perfect: bool = False
    processor_res: int = 512
    save_detected_map: bool = True
    effective_region_mask: Any = None


def parse(image):
    if isinstance(image, str):
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(image))))
    assert isinstance(image, np.ndarray), f"Unrecognized image format {type(image)}"
    image = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    return image[:, :, :3]


def pictures_of(unit):
    """[(picture, mask or None)]; None where the unit has none."""
    image, mask = unit.image, unit.mask
    if image is None:
        assert mask is None
        return None
    if isinstance(image, (list, tuple)):
        found = image if isinstance(image[0], dict) else [{"image": image[0], "mask": image[1]}]
    else:
        found = [image if isinstance(image, dict) else {"image": image, "mask": mask}]
    read = [(parse(x["image"]), None if x.get("mask") is None else parse(x["mask"])) for x in found]
    assert all(mask is None or mask.shape[:2] == image.shape[:2] for image, mask in read)
    return read


class ControlNet(scripts.Script):
    def __init__(self):
        self.seen = []  # (tile's usdu_tiles[0], unit's place, [(picture, mask)])
        self.kept_maps = 0

    def title(self):
        return "ControlNet"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        import gradio

        return [gradio.State(ControlNetUnit()) for _ in range(2)]

    def process(self, p, *args):
        for place, given in enumerate(p.script_args[self.args_from : self.args_to]):
            unit = given
            if isinstance(given, dict):
                known = {k: v for k, v in given.items() if k in ControlNetUnit.__dataclass_fields__}
                unit = ControlNetUnit(**{"enabled": True, **known})
            if not unit.enabled:
                continue
            found = pictures_of(unit) or [(np.asarray(p.init_images[0]), None)]
            if unit.pixel_perfect:
                unit.processor_res = min(found[0][0].shape[:2])
            self.kept_maps += unit.save_detected_map
            self.seen.append((p.usdu_tiles[0], place, found))
