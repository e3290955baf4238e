"""Which of the bundled upscalers a picture gets, by a look at it, and that each is better at what it is for."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_usdu.engine import upscale
from lib_usdu.enlarge.bundled import BUNDLED, CLEAN, EMBEDDED_UPSCALER, GRAIN, JPEG, NOISE, suited
from lib_usdu.enlarge.damage import jpeg_coarseness, noise_level, squares
from lib_usdu.options import Options
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

PHOTOS = Path(__file__).parent / "photos"


def photo(name: str, side: int = 384) -> Image.Image:
    """A photo made smaller, so that what its own file did to it is gone."""
    image = Image.open(PHOTOS / f"{name}.jpg").convert("RGB")
    return image.resize((side, side * image.height // image.width), Image.Resampling.BICUBIC)


def saved(image: Image.Image, quality: int, **how) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, **how)
    return Image.open(file).convert("RGB")


def noisy(image: Image.Image, level: float) -> np.ndarray:
    pixels = np.asarray(image, np.float64)
    return (pixels + np.random.default_rng(1).normal(0, level, pixels.shape)).round().clip(0, 255).astype(np.uint8)


NAMES = ("astronaut", "brick", "chelsea", "grass")


@pytest.mark.parametrize("name", NAMES)
def test_a_jpeg_and_its_quality_are_known_wherever_its_blocks_begin(name):
    clean = photo(name)
    assert jpeg_coarseness(squares(np.asarray(clean))) == 0
    for quality, coarseness in (90, 0.2), (80, 0.4), (60, 0.8), (40, 1.25):
        found = jpeg_coarseness(squares(np.asarray(saved(clean, quality))))
        assert found == pytest.approx(coarseness, rel=0.15), quality
    cropped = np.asarray(saved(clean, 80, subsampling=0))[3:, 5:]
    assert jpeg_coarseness(squares(cropped)) == pytest.approx(0.4, rel=0.15) and suited(cropped)[0] == JPEG
    for other in (clean.resize((500, 500)), saved(clean, 80).resize((500, 500)), saved(clean, 97)):
        assert suited(np.asarray(other)) == (CLEAN, ""), "no blocks of 8 px, or none that harm"


def test_gradients_are_no_jpegs():
    """Their steps of one level lie at regular places."""
    for size in (64, 128, 256, 300):
        sky = np.linspace((236, 160, 120), (70, 90, 150), size)[:, None].repeat(size, 1).round().astype(np.uint8)
        for turned in (sky, sky.transpose(1, 0, 2)):
            assert suited(turned) == (CLEAN, "")


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_told_from_texture(name):
    clean = photo(name)
    assert noise_level(squares(np.asarray(clean))) < GRAIN and suited(np.asarray(clean)) == (CLEAN, "")
    for level in (8, 15, 25):
        found = noisy(clean, level)
        assert noise_level(squares(found)) == pytest.approx(level, rel=0.2)
        assert suited(found)[0] == NOISE


def grey(rgb: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(Image.fromarray(rgb).convert("L"))[..., None], 3, 2)


def grey_noise(picture: np.ndarray, level: float, blur: float = 0) -> np.ndarray:
    drawn = np.random.default_rng(3).normal(0, 1, picture.shape[:2])
    if blur:
        taps = np.exp(-((np.arange(-3, 4) / blur) ** 2) / 2)
        for _ in range(2):
            drawn = np.apply_along_axis(np.convolve, 0, drawn, taps, "same").T
    return (picture + level * drawn[..., None] / drawn.std()).round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_noise_in_grey_pictures_is_told_from_texture_and_grain(name):
    picture = grey(np.asarray(photo(name)))
    assert suited(picture) == (CLEAN, "")
    assert suited(grey_noise(picture, 10, blur=0.7))[0] == CLEAN, "a film's grain stays"
    for level in (8, 15, 25):
        found = suited(grey_noise(picture, level))[0]
        # The grass is texture everywhere: there it may stay.
        assert found == NOISE or (found == CLEAN and name == "grass"), level
    assert noise_level(squares(grey_noise(picture // 16 + 90, 12))) == pytest.approx(12, rel=0.25), "of little contrast"


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_few_levels_have_no_noise(name):
    """Dithered and posterised ones, which looked like noise."""
    image = photo(name)
    pixels = np.asarray(image, float)
    order = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16
    tiled = np.tile(order, (pixels.shape[0] // 4 + 1, pixels.shape[1] // 4 + 1))[: pixels.shape[0], : pixels.shape[1]]
    ordered = ((pixels / 255 * 4 + tiled[..., None]) // 1).clip(0, 4) * 63.75
    others = ordered.astype(np.uint8), (pixels // 32 * 32).astype(np.uint8), image.convert("P").convert("RGB")
    for picture in (*others, image.convert("1").convert("RGB"), image.quantize(64).convert("RGB")):
        assert suited(np.asarray(picture)) == (CLEAN, "")


def test_pixel_art_and_halftones_are_clean():
    small = photo("astronaut", 48).quantize(16, dither=Image.Dither.NONE).convert("RGB")
    for factor in (2, 3, 4, 8):
        art = small.resize((48 * factor, small.height * factor), Image.Resampling.NEAREST)
        assert suited(np.asarray(art)) == (CLEAN, ""), factor
    y, x = np.mgrid[:384, :384] * 0.74
    screen = (np.cos(x + y) + np.cos(x - y)) / 4 + 0.5
    dots = (np.asarray(photo("astronaut").convert("L").resize((384, 384))) / 255 > screen) * np.uint8(255)
    for picture in Image.fromarray(dots), Image.fromarray(dots).resize((192, 192), Image.Resampling.LANCZOS):
        assert suited(np.asarray(picture.convert("RGB"))) == (CLEAN, "")


def test_pictures_that_say_nothing():
    flat = np.full((300, 200, 3), 255, np.uint8)
    sizes = [np.asarray(photo("astronaut"))[:h, :w] for h, w in ((1, 1), (8, 8), (7, 300), (24, 24), (129, 127))]
    for picture in (flat, *sizes, *map(grey, sizes)):
        assert suited(picture) == (CLEAN, "")


@pytest.mark.parametrize(
    "kind, damage, gain",
    [(JPEG, lambda small: np.asarray(saved(small, 80)), 0.3), (NOISE, lambda small: noisy(small, 15), 5.0)],
    ids=["jpeg", "noise"],
)
def test_each_is_better_at_what_it_is_for(kind, damage, gain):
    whole = photo("chelsea", 256)
    small = damage(whole.resize((128, whole.height // 2), Image.Resampling.BICUBIC))
    host = LocalHost(IdentityRefiner(), BUNDLED)

    def error(name: str) -> float:
        made = host.enlarge(small, name, *whole.size).astype(float)
        return float(((made - np.asarray(whole)) ** 2).mean())

    assert 10 * np.log10(error(CLEAN) / error(kind)) > gain


@pytest.mark.parametrize("name", [CLEAN, JPEG, NOISE])
@pytest.mark.parametrize("factor", [2, 4, 5])
def test_flat_pictures_come_back_to_the_bit(name, factor):
    host = LocalHost(IdentityRefiner(), BUNDLED)
    for colour in (255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 30, 90), (1, 0, 3):
        made = host.enlarge(np.full((24, 20, 3), colour, np.uint8), name, 20 * factor, 24 * factor)
        assert (made == colour).all(), f"{colour}: {made.min((0, 1))} to {made.max((0, 1))}"


def test_paper_is_white_up_to_its_rim_beside_print():
    host = LocalHost(IdentityRefiner(), BUNDLED)
    page = np.full((64, 64, 3), 255, np.uint8)
    page[24:40, 24:40] = np.asarray(photo("astronaut", 16))
    for name in (CLEAN, JPEG, NOISE):
        made = host.enlarge(page, name, 256, 256)
        paper = np.ones((256, 256), bool)
        paper[4 * 15 : 4 * 49, 4 * 15 : 4 * 49] = False  # 8 px around the print are the network's
        assert (made[paper] == 255).all() and (made[~paper] < 200).any(), name


def test_the_choice_is_said_and_only_made_where_it_was_left_open():
    host = LocalHost(IdentityRefiner(), BUNDLED)
    jpeg = np.asarray(saved(photo("astronaut", 128), 60))
    plain = Options(redraw_mode="none", custom_scale=2)
    chosen = upscale(jpeg, plain.with_(upscaler=EMBEDDED_UPSCALER.lower()), host)
    asked, kept = (upscale(jpeg, plain.with_(upscaler=name), host) for name in (JPEG, CLEAN))
    assert np.array_equal(chosen.image, asked.image) and not np.array_equal(chosen.image, kept.image)
    assert chosen.notes == (f"A JPEG of quality about 60: {JPEG} enlarges it ({CLEAN} would keep its blocks).",)
    assert "Ultimate SD upscale upscaler taken: SPAN x4 JPEG" in chosen.infotext
    for result in (asked, kept):
        assert result.notes == () and "upscaler taken" not in result.infotext
    clean = upscale(np.asarray(photo("astronaut", 128)), plain.with_(upscaler=EMBEDDED_UPSCALER), host)
    assert clean.notes == () and "upscaler taken" not in clean.infotext


def test_beyond_its_factor_the_clean_one_goes_on():
    host = LocalHost(IdentityRefiner(), BUNDLED)
    jpeg = np.asarray(saved(photo("astronaut", 48), 60))
    four = host.enlarge(jpeg, JPEG, 192, 192)
    expected = host.enlarge(four, CLEAN, 400, 300)
    assert np.array_equal(host.enlarge(jpeg, JPEG, 400, 300), expected)
    assert not np.array_equal(host.enlarge(jpeg, CLEAN, 400, 300), expected)
