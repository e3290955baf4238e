"""What a JPEG held is read back from its pixels, and the enlarged picture is held to it."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_usdu.enlarge import jpeg_bounds, upscalers
from lib_usdu.enlarge.bundled import BUNDLED, JPEG
from lib_usdu.enlarge.jpeg_bounds import hold
from lib_usdu.enlarge.jpeg_values import from_spectrum, jpeg_planes, spectrum
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

PHOTOS = Path(__file__).parent / "photos"
BICUBIC = Image.Resampling.BICUBIC


def photo(name: str, side: int) -> np.ndarray:
    image = Image.open(PHOTOS / f"{name}.jpg").convert("RGB")
    return np.asarray(image.resize((side, side), BICUBIC))


def saved(rgb: np.ndarray, quality: int = 80, subsampling: int = 2) -> tuple[np.ndarray, dict[int, list[int]]]:
    """A JPEG's pixels, and its tables (rows of 8)."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB")), image.quantization


def resized(rgb: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).resize((side, side), BICUBIC))


def error(made: np.ndarray, original: np.ndarray) -> float:
    return float(((made.astype(float) - original) ** 2).mean())


@pytest.mark.parametrize("subsampling, shrunk", [(0, (1, 1)), (1, (1, 2)), (2, (2, 2))])
@pytest.mark.parametrize("quality", [60, 80, 90])
def test_steps_and_sampling_are_those_of_the_file(quality, subsampling, shrunk):
    rgb, tables = saved(photo("astronaut", 384), quality, subsampling)
    for top, left in (0, 0), (3, 13):
        planes = jpeg_planes(rgb[top:, left:])
        assert [plane.number for plane in planes] == [0, 1, 2]
        for plane in planes:
            times = shrunk if plane.number else (1, 1)
            assert plane.shrunk == times
            assert plane.offset == (-top % (8 * times[0]), -left % (8 * times[1]))
            table = np.reshape(tables[min(plane.number, 1)], (8, 8))
            known = (plane.steps > 0) & (np.add.outer(range(8), range(8)) < 4)
            assert known.sum() >= 3 and (plane.steps[known] == table[known]).mean() > 0.85, plane


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_values_in_the_file_are_found_again(subsampling):
    """They are whole multiples of the steps, whatever the decoder made of them."""
    rgb, _ = saved(photo("astronaut", 384), 80, subsampling)
    for plane in jpeg_planes(rgb):
        values = spectrum(plane.stored(rgb))[2:-2, :, 2:-2]
        for y, x in np.argwhere(plane.steps >= 4)[:6]:
            parts = values[:, y, :, x] / plane.steps[y, x]
            assert np.median(np.abs(parts - parts.round())) < 0.15, (plane.number, y, x)


def test_a_spectrum_goes_back():
    samples = np.random.default_rng(0).normal(0, 40, (24, 32)).astype(np.float32)
    assert np.allclose(from_spectrum(spectrum(samples)), samples, atol=1e-3)


@pytest.mark.parametrize("name, gain", [("astronaut", 0.5), ("chelsea", 0.15), ("grass", 0.25)])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_blurred_guess_comes_nearer_to_the_original(name, gain, subsampling):
    original = photo(name, 384)
    small, _ = saved(resized(original, 192), 80, subsampling)
    guess = resized(resized(small, 110), 384)  # a network that makes all too soft
    held = guess.copy()
    hold(held, small)
    assert 10 * np.log10(error(guess, original) / error(held, original)) > gain


def test_crops_are_held_and_strips_make_no_difference(monkeypatch):
    original = photo("astronaut", 400)
    small = saved(resized(original, 200), 80)[0][5:, 11:]
    guess = np.asarray(Image.fromarray(resized(original, 90)).resize((378, 390), BICUBIC))
    whole, strips = guess.copy(), guess.copy()
    hold(whole, small)
    monkeypatch.setattr(jpeg_bounds, "_ROWS", 1)
    hold(strips, small)
    assert not np.array_equal(whole, guess)
    assert np.abs(whole.astype(int) - strips).max() <= 1


def test_what_is_no_jpeg_is_left_alone():
    rgb = photo("astronaut", 128)
    sky = np.linspace((236, 160, 120), (70, 90, 150), 256)[:, None].repeat(256, 1).round().astype(np.uint8)
    flat, tiny = np.full((128, 128, 3), 255, np.uint8), np.zeros((5, 3, 3), np.uint8)
    for small in rgb, sky, flat, tiny, np.asarray(Image.fromarray(rgb).convert("L").convert("RGB")):
        canvas = np.full((2 * small.shape[0], 2 * small.shape[1], 3), 77, np.uint8)
        hold(canvas, small)
        assert (canvas == 77).all()
    jpeg, _ = saved(rgb)
    smaller = np.full((64, 64, 3), 77, np.uint8)
    hold(smaller, jpeg)
    assert (smaller == 77).all(), "a smaller picture says less than the file"


@pytest.mark.parametrize("side", [192, 600], ids=["once", "and then the clean one"])
def test_the_upscaler_for_jpegs_is_held(monkeypatch, side):
    """At quality 80 it gains what the network alone does not have."""
    original = photo("astronaut", side)
    small, _ = saved(resized(original, 96), 80)
    host = LocalHost(IdentityRefiner(), BUNDLED)
    held = host.enlarge(small, JPEG, side, side)
    monkeypatch.setattr(upscalers, "hold", lambda canvas, rgb: None)
    free = host.enlarge(small, JPEG, side, side)
    assert error(held, original) < 0.99 * error(free, original)
