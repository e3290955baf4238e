"""An extension for a live webui that has sd-webui-controlnet: says what its units would preprocess, for test_real.py.

ControlNet's own code chooses, crops and preprocesses; only the network that would follow is left out, so that no
ControlNet model is needed. GET /controlnet-probe hands over, and forgets, what was seen since the last time.
"""

import base64
import io

import numpy as np
from modules import script_callbacks, scripts
from PIL import Image

SEEN = []


def _text(pixels):
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode()


def _watch(controlnet):
    inside = controlnet.get_enabled_units.__globals__

    def main_entry(self, p):
        self.latest_network = None
        self.enabled_units = controlnet.get_enabled_units(p)
        for place, unit in enumerate(self.enabled_units):
            preprocessor = inside["Preprocessor"].get_preprocessor(unit.module)
            inputs, call = [], preprocessor.cached_call

            def watched(image, *args, inputs=inputs, call=call, **kwargs):
                inputs.append(image)
                return call(image, *args, **kwargs)

            preprocessor.cached_call = watched
            try:
                kind = inside["ControlModelType"].ControlNet
                controls, _, maps = inside["get_control"](p, unit, place, kind, preprocessor)
            finally:
                del preprocessor.cached_call
            control = (controls[0][0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
            SEEN.append(
                {
                    "unit": place,
                    "tile": list(p.usdu_tiles[0]) if hasattr(p, "usdu_tiles") else None,
                    "inputs": [_text(image) for image in inputs],
                    "control": _text(control[:, :, :3]),
                    "maps": len(maps),
                }
            )

    controlnet.controlnet_main_entry = main_entry


def _started(_, app):
    for script in scripts.scripts_img2img.alwayson_scripts:
        if script.title() == "ControlNet":
            _watch(type(script))

    @app.get("/controlnet-probe")
    def seen():
        found = list(SEEN)
        SEEN.clear()
        return found


script_callbacks.on_app_started(_started)
