"""Pixels of every mode a picture may have, as the command line and the webui hand them over."""

import numpy as np
import pytest
from PIL import Image

from lib_usdu.enlarge.windows import resize
from lib_usdu.pictures.cutout import carried_outward
from lib_usdu.pictures.modes import pixels_of


@pytest.mark.parametrize("mode", ["I;16", "I", "I;16B"])
def test_16_bit_grey_is_neither_white_nor_black(mode):
    values = np.full((4, 6), 30000)
    dtype = {"I;16": "<u2", "I;16B": ">u2", "I": "i4"}[mode]
    if mode == "I":
        image = Image.fromarray(values.astype(dtype))
    else:
        image = Image.frombytes(mode, (6, 4), values.astype(dtype).tobytes())
    assert image.mode == mode
    pixels = pixels_of(image)
    assert (pixels.rgb == 117).all() and pixels.rgb.shape == (4, 6, 3)  # 30000 / 65535 * 255 = 116.7
    assert (pixels.deep == 30000).all() and pixels.grey and pixels.alpha is None


def test_float_grey_of_0_to_1():
    pixels = pixels_of(Image.fromarray(np.array([[0, 0.25, 1]], np.float32)))
    assert pixels.rgb[0, :, 1].tolist() == [0, 64, 255] and pixels.grey
    assert pixels.deep[0].tolist() == [0, 16384, 65535]


@pytest.mark.parametrize("mode, grey", [("1", True), ("L", True), ("LA", True), ("RGB", False), ("P", False)])
def test_grey_modes_are_known_as_grey(photo, mode, grey):
    assert pixels_of(Image.fromarray(photo[:8, :8]).convert(mode)).grey is grey


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_alpha_is_kept(photo, mode):
    image = Image.fromarray(photo[:8, :8])
    alpha = Image.fromarray(np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8))
    if mode == "P":
        image = image.quantize(4)
        image.info["transparency"] = bytes([0, 255, 255, 255])
        expected = np.where(np.asarray(image) == 0, 0, 255)
    else:
        image = image.convert("P").convert("PA") if mode == "PA" else image.convert(mode)
        image.putalpha(alpha)
        expected = np.asarray(alpha)
    assert image.mode == mode and np.array_equal(pixels_of(image).alpha, expected)


def disc(side: int, ground: int) -> tuple[np.ndarray, np.ndarray]:
    """A red disc (230, 40, 40), transparent around it, with `ground` stored under the transparent pixels."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = x**2 + y**2 < (side * 0.35) ** 2
    rgb = np.where(inside[..., None], np.uint8([230, 40, 40]), np.uint8(ground))
    return rgb, np.where(inside, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("side", [48, 300])
def test_a_cut_out_has_no_rim_when_enlarged(side, ground):
    rgb, alpha = disc(side, ground)
    size = 2 * side, 2 * side
    seen = resize(alpha, *size) > 0
    plain, carried = resize(rgb, *size)[seen], resize(carried_outward(rgb, alpha), *size)[seen]
    assert np.abs(plain.astype(int) - (230, 40, 40)).max() > 100  # a rim without the mend
    assert np.abs(carried.astype(int) - (230, 40, 40)).max() == 0


def test_visible_pixels_stay_and_the_nearest_colour_is_carried():
    rgb, alpha = np.zeros((60, 200, 3), np.uint8), np.zeros((60, 200), np.uint8)
    rgb[:, :5], alpha[:, :5] = (200, 0, 0), 255
    rgb[:, 195:], alpha[:, 195:] = (0, 0, 200), 1
    filled = carried_outward(rgb, alpha)
    assert np.array_equal(filled[alpha > 0], rgb[alpha > 0]) and (rgb[:, 100] == 0).all()
    assert (filled[:, 20] == (200, 0, 0)).all() and (filled[:, 180] == (0, 0, 200)).all()
    assert (filled[:, 5:195].sum(axis=2) == 200).all()  # nothing of the black that was stored there


@pytest.mark.parametrize("level", [0, 255])
def test_a_picture_all_opaque_or_all_transparent_is_left_alone(photo, level):
    alpha = np.full(photo.shape[:2], level, np.uint8)
    assert carried_outward(photo, alpha) is photo
