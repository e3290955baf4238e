"""Upscalers (upscaler.py): the base class with its roundings, and the three that need no model."""

import os

from PIL import Image

from . import shared, standin

LANCZOS, NEAREST = Image.Resampling.LANCZOS, Image.Resampling.NEAREST


class Upscaler:
    name = model_path = model_name = model_url = filter = model = user_path = None
    enable = tile = True

    def __init__(self, create_dirs=False):
        self.tile_size, self.tile_pad = shared.opts.ESRGAN_tile, shared.opts.ESRGAN_tile_overlap
        self.device, self.half, self.scale = shared.device, not getattr(shared.cmd_opts, "no_half", False), 1
        if self.model_path is None and self.name:
            self.model_path = os.path.join(shared.models_path, self.name)

    def do_upscale(self, img, selected_model):
        return img

    def upscale(self, img, scale, selected_model=None):
        """upscaler.py:54-76: the size asked for is cut to a multiple of 8; at most three runs; none once interrupted;
        then a resize.
        """
        self.scale = scale
        width, height = (int(x * scale // 8 * 8) for x in img.size)
        if standin.knobs.neo:
            return self._neos(img, scale, width, height, selected_model)
        for run in range(3):
            enough = img.width >= width and img.height >= height
            if (enough and (run > 0 or scale != 1)) or shared.state.interrupted:
                break
            before = img.size
            img = self.do_upscale(img, selected_model)
            if img.size == before:
                break
        return img if img.size == (width, height) else img.resize((width, height), LANCZOS)

    def _neos(self, img, scale, width, height, selected_model):
        """Neo upscaler.py:49: up to four runs, one at least, and on where a run changed nothing."""
        for _ in range(4):
            if shared.state.interrupted:
                break
            img = self.do_upscale(img, selected_model)
            if (img.width >= width and img.height >= height) or int(scale) == 1:
                break
        return img if img.size == (width, height) else img.resize((width, height), LANCZOS)

    def load_model(self, path):
        pass

    def find_models(self, ext_filter=None):
        return []

    def update_status(self, prompt):
        print(f"\nextras: {prompt}")


class UpscalerData:
    """upscaler.py:89"""

    def __init__(self, name, path, upscaler=None, scale=4, model=None):
        self.name, self.data_path, self.local_data_path = name, path, path
        self.scaler, self.scale, self.model = upscaler, scale, model


class UpscalerNone(Upscaler):
    name = "None"

    def do_upscale(self, img, selected_model=None):
        return img


class UpscalerLanczos(Upscaler):
    name, filter_ = "Lanczos", LANCZOS

    def do_upscale(self, img, selected_model=None):
        """upscaler.py:123"""
        return img.resize((int(img.width * self.scale), int(img.height * self.scale)), self.filter_)


class UpscalerNearest(UpscalerLanczos):
    name, filter_ = "Nearest", NEAREST


shared.sd_upscalers[:] = [
    UpscalerData(cls.name, None, cls()) for cls in (UpscalerNone, UpscalerLanczos, UpscalerNearest)
]
