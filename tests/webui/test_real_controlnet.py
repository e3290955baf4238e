"""Our tiles in the real sd-webui-controlnet of a live webui, pixel by pixel at what its preprocessors are given.

    python -m pytest tests/webui/test_real_controlnet.py --webui-url http://127.0.0.1:7861 --controlnet-probe

The webui needs that extension, and tests/webui/controlnet_probe as another; no ControlNet model is needed.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from live import Webui, as_base64
from PIL import Image

TILES = {"tile_width": 128, "padding": 32, "tone_lock": 0, "upscaler": "Lanczos", "tile_batch": 4}


@pytest.fixture(scope="module")
def server(webui_url, request) -> Webui:
    if not request.config.getoption("--controlnet-probe"):
        pytest.skip("needs ControlNet and its probe in the live webui: --controlnet-probe")
    return Webui(webui_url)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """192 x 144."""
    return Image.open(Path(__file__).parents[1] / "photos/chelsea.jpg").convert("RGB").crop((100, 20, 292, 164))


@pytest.fixture(scope="module")
def control() -> Image.Image:
    """384 x 288: as large as the result."""
    return Image.open(Path(__file__).parents[1] / "photos/astronaut.jpg").convert("RGB").crop((60, 20, 444, 308))


def pixels(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def seen(server, picture, *units, **values):
    """What the units saw: [(window of the result, input, map given to the network)], and the answer."""
    server.get("/controlnet-probe")
    values = {"alwayson_scripts": {"ControlNet": {"args": list(units)}}, **values}
    answer = server.ask([TILES], picture, **values)
    assert answer.status == 200 and len(answer.images) == 1, answer.body
    found = json.loads(server.call("/controlnet-probe")[1])
    assert len(found) == 9 and all(one["maps"] == 0 for one in found)
    return [(one["tile"], pixels(one["inputs"][0]), pixels(one["control"])) for one in found]


def window(canvas, tile):
    x, y, width, height, *_ = tile
    return np.asarray(canvas)[y : y + height, x : x + width]


@pytest.mark.parametrize("module", ["none", "canny"])
def test_a_unit_without_a_picture_sees_each_tile_alone(server, picture, module):
    canvas = server.canvas(picture)
    found = seen(server, picture, {"enabled": True, "module": module, "pixel_perfect": True})
    for tile, given, control in found:
        assert np.array_equal(given, window(canvas, tile)), tile
        assert control.shape == given.shape and (module == "canny" or np.array_equal(control, given))
    assert module != "canny" or all(set(np.unique(made)) == {0, 255} for _, _, made in found)


@pytest.mark.parametrize("field", ["image", "input_image", "data URL", "dict"])
def test_a_units_own_picture_is_cropped_to_the_tile(server, picture, control, field):
    text = as_base64(control)
    given = {
        "image": {"image": text},
        "input_image": {"input_image": text},
        "data URL": {"image": "data:image/png;base64," + text},
        "dict": {"image": {"image": text}},
    }[field]
    for tile, taken, _ in seen(server, picture, {"enabled": True, "module": "none", **given}):
        assert np.array_equal(taken[:, :, :3], window(control, tile)), tile


@pytest.mark.parametrize("form", ["mask", "mask_image", "pair", "dict"])
def test_and_so_is_its_mask(server, picture, control, form):
    mask = Image.fromarray((np.asarray(control.convert("L")) > 110).astype(np.uint8) * 255)
    image, hole = as_base64(control), as_base64(mask)
    given = {
        "mask": {"image": image, "mask": hole},
        "mask_image": {"image": image, "mask_image": hole},
        "pair": {"image": [image, hole]},
        "dict": {"image": {"image": image, "mask": hole}},
    }[form]
    unit = {"enabled": True, "module": "inpaint_global_harmonious", **given}
    for tile, taken, _ in seen(server, picture, unit):
        assert np.array_equal(taken[:, :, :3], window(control, tile)), tile
        assert np.array_equal(taken[:, :, 3], window(mask, tile)), tile


@pytest.mark.parametrize("mode", ["Just Resize", "Crop and Resize", "Resize and Fill"])
def test_another_shape_is_fitted_as_the_unit_says(server, picture, control, mode):
    square = control.resize((150, 150))
    lanczos = Image.Resampling.LANCZOS
    if mode == "Just Resize":
        fitted = np.asarray(square.resize((384, 288), lanczos))
    elif mode == "Crop and Resize":
        fitted = np.asarray(square.resize((384, 384), lanczos))[48:336]
    else:
        fitted = np.pad(np.asarray(square.resize((288, 288), lanczos)), ((0, 0), (48, 48), (0, 0)), mode="edge")
    unit = {"enabled": True, "module": "none", "image": as_base64(square), "resize_mode": mode}
    for tile, taken, _ in seen(server, picture, unit):
        assert np.array_equal(taken[:, :, :3], window(fitted, tile)), tile
