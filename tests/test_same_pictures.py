"""What Stable Diffusion 1, XL and the embedded model draw stays what it was: levels at sixteen places of pictures made
before other kinds of models came (to a level, since processors add up in other orders)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import tiny_models  # noqa: E402

from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.standalone.checkpoints import EMBEDDED, load_checkpoint  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402

OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5, tone_lock=0, upscaler="None")

BEFORE = {
    "sd1, DPM++ 2M, parallel": (
        [[121, 142, 66, 154], [99, 121, 142, 136], [125, 153, 147, 139], [146, 130, 151, 116]]
    ),
    "sd1, Euler a, linear": (
        [[106, 146, 69, 154], [85, 108, 150, 120], [132, 148, 164, 130], [148, 127, 155, 119]]
    ),
    "sd1, DPM++ 2M SDE Karras, fused": (
        [[87, 147, 80, 152], [100, 109, 150, 111], [129, 147, 163, 127], [142, 124, 158, 118]]
    ),
    "sdxl, DPM++ 2M, parallel": (
        [[127, 143, 157, 122], [133, 109, 124, 138], [129, 127, 81, 117], [143, 122, 108, 132]]
    ),
    "sdxl, Euler a, linear": (
        [[118, 154, 160, 137], [120, 104, 140, 134], [126, 127, 79, 131], [147, 93, 115, 131]]
    ),
    "sdxl, DPM++ 2M SDE Karras, fused": (
        [[117, 148, 150, 139], [125, 97, 145, 134], [124, 127, 93, 124], [149, 84, 111, 129]]
    ),
    "embedded, DPM++ 2M, parallel": (
        [[37, 213, 149, 159], [212, 185, 161, 118], [0, 184, 169, 211], [0, 183, 130, 18]]
    ),
    "embedded, Euler a, linear": (
        [[37, 212, 149, 158], [212, 183, 161, 119], [0, 182, 170, 211], [0, 184, 132, 14]]
    ),
    "embedded, DPM++ 2M SDE Karras, fused": (
        [[37, 212, 149, 158], [212, 183, 161, 119], [0, 182, 170, 211], [0, 185, 132, 14]]
    ),
}  # fmt: skip


def drawn(kind, sampler, mode, folder, photo):
    pipeline = load_checkpoint(EMBEDDED, torch.device("cpu"))[0] if kind == EMBEDDED else None
    made = DiffusersRefiner(
        pipeline or getattr(tiny_models, kind)(folder), Sampling("a (cat:1.2)", "dog", sampler, 10, 3.0), kind
    )
    picture = upscale(photo[100:196, 150:278], OPTIONS.with_(redraw_mode=mode), LocalHost(made)).image
    return picture[12::24, 16::32].mean(axis=-1)


@pytest.mark.parametrize("case", BEFORE)
def test_the_same_as_before(case, tmp_path, photo):
    kind, sampler, mode = case.split(", ")
    assert np.abs(drawn(kind, sampler, mode, tmp_path, photo) - np.array(BEFORE[case])).max() <= 1
