"""Picture files in and out: every kind that a person may have, and every way that a file can fail."""

from __future__ import annotations

import io
import os
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from lib_usdu.errors import InputError, OutputError
from lib_usdu.pictures import imagefile
from lib_usdu.pictures.deep import bits_beside
from lib_usdu.pictures.modes import pixels_of

PHOTO = Path(__file__).parent / "photos" / "chelsea.jpg"
MANY = 10**9
EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
LOSSLESS = (".png", ".tif", ".tiff")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NO_FIXTURE_CHECK = [HealthCheck.function_scoped_fixture]  # each example writes the same file anew
INFOTEXT = "a lighthouse, 灯台 маяк 🗼\nNegative prompt: é\nSteps: 20, Seed: 1, Ultimate SD upscale upscaler: 4x"


def smooth(height: int = 40, width: int = 56) -> np.ndarray:
    """Gradients, which lossy formats keep within a few levels."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], -1).astype(np.uint8)


def ramp(height: int = 40, width: int = 56) -> np.ndarray:
    return np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))


def saved(path: Path, image: Image.Image, **settings) -> Path:
    image.save(path, **settings)
    return path


def read(path: Path) -> imagefile.Picture:
    picture = imagefile.read(path, max_pixels=MANY)
    assert picture.rgb.dtype == np.uint8 and picture.rgb.ndim == 3 and picture.rgb.shape[2] == 3
    assert picture.alpha is None or (picture.alpha.dtype == np.uint8 and picture.alpha.shape == picture.rgb.shape[:2])
    assert all(isinstance(note, str) and "\n" not in note for note in picture.notes)
    return picture


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(width: int, height: int, depth: int, colour_type: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def deep_png(values: np.ndarray, colour_type: int) -> bytes:
    """16 bits a sample, from (h, w, channels)."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png_file(values.shape[1], values.shape[0], 16, colour_type, rows)


# Writing and reading back


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_round_trip(tmp_path, extension):
    path, rgb = tmp_path / f"a{extension}", smooth()
    assert imagefile.write(path, rgb) == ()
    picture = read(path)
    assert np.abs(picture.rgb.astype(int) - rgb).max() <= (0 if extension in LOSSLESS else 12)
    assert picture.alpha is None and picture.notes == ()


@pytest.mark.parametrize("extension", [".png", ".webp", ".tif"])
def test_alpha_round_trip(tmp_path, extension):
    path, rgb, alpha = tmp_path / f"a{extension}", smooth(), ramp()
    assert imagefile.write(path, rgb, alpha=alpha) == ()
    picture = read(path)
    np.testing.assert_array_equal(picture.alpha, alpha)
    if extension in LOSSLESS:
        np.testing.assert_array_equal(picture.rgb, rgb)


def test_jpeg_flattens_alpha_on_white_and_says_so(tmp_path):
    alpha = np.full((40, 56), 255, np.uint8)
    assert imagefile.write(tmp_path / "opaque.jpg", smooth(), alpha=alpha) == ()
    alpha[:, :28] = 0
    notes = imagefile.write(tmp_path / "a.jpg", smooth(), alpha=alpha)
    assert len(notes) == 1 and "white" in notes[0]
    assert read(tmp_path / "a.jpg").rgb[:, :20].min() >= 250


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_icc_is_kept(tmp_path, extension):
    imagefile.write(tmp_path / f"a{extension}", smooth(), icc=SRGB)
    assert read(tmp_path / f"a{extension}").icc == SRGB


@pytest.mark.parametrize("extension", [".png", ".jpg", ".tif"])
def test_dpi_is_kept(tmp_path, extension):
    imagefile.write(tmp_path / f"a{extension}", smooth(), dpi=(300, 150))
    assert read(tmp_path / f"a{extension}").dpi == pytest.approx((300, 150), abs=0.1)


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("text", [INFOTEXT, "plain ascii", "caf\u00e9", "lone \ud800 surrogate"])
def test_infotext_round_trip(tmp_path, extension, text):
    path = tmp_path / f"a{extension}"
    assert imagefile.write(path, smooth(), infotext=text, icc=SRGB, dpi=(72, 72)) == ()
    assert imagefile.read_infotext(path) == text.replace("\ud800", "?")


@settings(max_examples=25, deadline=None, suppress_health_check=NO_FIXTURE_CHECK)
@given(text=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=60))
def test_any_infotext_round_trips(tmp_path, text):
    for extension in (".png", ".jpg", ".webp", ".tif"):
        path = tmp_path / f"a{extension}"
        imagefile.write(path, smooth(8, 8), infotext=text, overwrite=True)
        assert imagefile.read_infotext(path) == text


def test_infotext_is_where_the_webui_keeps_it(tmp_path):
    imagefile.write(tmp_path / "a.png", smooth(), infotext=INFOTEXT)
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["parameters"] == INFOTEXT
    imagefile.write(tmp_path / "a.jpg", smooth(), infotext="é1")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif().get_ifd(0x8769)[0x9286] == b"UNICODE\0\x00\xe9\x001"


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_no_infotext(tmp_path, extension):
    imagefile.write(tmp_path / f"a{extension}", smooth())
    assert imagefile.read_infotext(tmp_path / f"a{extension}") is None


def test_infotext_of_no_picture(tmp_path):
    with pytest.raises(InputError, match="gone.png"):
        imagefile.read_infotext(tmp_path / "gone.png")


def test_infotext_too_long_for_jpeg_is_left_out_and_said(tmp_path):
    notes = imagefile.write(tmp_path / "a.jpg", smooth(), infotext="x" * 40_000)
    assert len(notes) == 1 and "too long" in notes[0]
    assert read(tmp_path / "a.jpg").rgb.shape == (40, 56, 3)
    imagefile.write(tmp_path / "a.png", smooth(), infotext="x" * 40_000)
    assert imagefile.read_infotext(tmp_path / "a.png") == "x" * 40_000


def test_quality(tmp_path):
    for extension in (".jpg", ".webp"):
        for quality in (50, 95):
            imagefile.write(tmp_path / f"{quality}{extension}", read(PHOTO).rgb, quality=quality)
        assert (tmp_path / f"50{extension}").stat().st_size < (tmp_path / f"95{extension}").stat().st_size / 2


# Kinds of picture


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, extension, orientation):
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16, :32] = 255, 0, 0
    upright[:16, 32:] = 0, 255, 0
    upright[16:, :32] = 0, 0, 255
    as_stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: np.rot90,
        7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossy = {".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True}}.get(extension, {})
    image = Image.fromarray(np.ascontiguousarray(as_stored(upright)))
    picture = read(saved(tmp_path / f"a{extension}", image, exif=exif, **lossy))
    assert picture.rgb.shape == upright.shape
    assert np.abs(picture.rgb.astype(int) - upright).max() < 30


def test_damaged_exif_does_not_cost_the_picture(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(smooth()), exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff\x01")
    assert read(path).rgb.shape == (40, 56, 3)


@pytest.mark.parametrize(
    ("mode", "extension", "note"),
    [
        ("1", ".png", ""),
        ("L", ".png", ""),
        ("L", ".jpg", ""),
        ("P", ".gif", "palette"),
        ("P", ".png", "palette"),
        ("CMYK", ".jpg", "CMYK"),
        ("CMYK", ".tif", "CMYK"),
        ("YCbCr", ".jpg", ""),
        ("RGB", ".bmp", ""),
        ("RGB", ".ppm", ""),
    ],
)
def test_modes_become_rgb(tmp_path, mode, extension, note):
    source = Image.fromarray(smooth()).convert(mode)
    picture = read(saved(tmp_path / f"a{extension}", source))
    expected = np.array(source.convert("RGB")).astype(int)
    assert np.abs(picture.rgb - expected).max() <= (20 if extension == ".jpg" else 2)
    assert picture.alpha is None
    assert note in " ".join(picture.notes) and len(picture.notes) <= 1
    assert bool(picture.notes) or not note


# only TIFF holds PA
@pytest.mark.parametrize(
    "mode, extension",
    [("PA", ".tif"), *((mode, extension) for mode in ("LA", "RGBA") for extension in (".png", ".tif", ".webp"))],
)
def test_alpha_of_other_modes_is_kept(tmp_path, mode, extension):
    source = Image.fromarray(np.dstack([smooth(), ramp()])).convert("RGBA" if mode == "PA" else mode)
    if mode == "PA":
        source = source.convert("P").convert("PA")
        source.putalpha(Image.fromarray(ramp()))
        assert source.mode == "PA"
    path = saved(tmp_path / f"a{extension}", source)
    np.testing.assert_array_equal(read(path).alpha, ramp())


@pytest.mark.parametrize(("mode", "key"), [("RGB", (0, 0, 0)), ("L", 0), ("P", 0), ("1", 0)])
def test_transparent_colour_becomes_alpha(tmp_path, mode, key):
    image = Image.new("RGB", (20, 10), "white")
    image.paste((0, 0, 0), (0, 0, 10, 10))
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    if mode == "P":
        key = image.getpixel((0, 0))
    picture = read(saved(tmp_path / "a.png", image, transparency=key))
    assert (picture.alpha[:, :10] == 0).all() and (picture.alpha[:, 10:] == 255).all()


def test_palette_with_alpha_per_entry(tmp_path):
    image = Image.fromarray(smooth()).quantize(4)
    picture = read(saved(tmp_path / "a.png", image, transparency=bytes([0, 85, 170, 255])))
    np.testing.assert_array_equal(picture.alpha, np.array(image) * 85)


def test_deep_grey_png(tmp_path):
    values = np.linspace(0, 65535, 256).astype(np.uint16)[None, :, None]
    (tmp_path / "a.png").write_bytes(deep_png(values, 0))
    picture = read(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.rgb[0, :, 1], np.arange(256))
    np.testing.assert_array_equal(picture.pixels.deep, values[..., 0])
    assert picture.notes == () and picture.pixels.grey


@pytest.mark.parametrize(("channels", "colour_type"), [(3, 2), (4, 6), (2, 4)])
def test_deep_colour_png(tmp_path, channels, colour_type):
    values = np.linspace(0, 65535, 64 * channels).astype(np.uint16).reshape(8, 8, channels)
    (tmp_path / "a.png").write_bytes(deep_png(values, colour_type))
    picture = read(tmp_path / "a.png")
    if channels == 2:  # Pillow has no way to the low bytes
        assert picture.notes == ("16-bit colour was reduced to 8 bits",) and picture.pixels.deep is None
    else:
        assert picture.notes == ()
        np.testing.assert_array_equal(picture.pixels.deep, values[..., :3])
    assert (picture.alpha is None) == (channels == 3)
    assert np.abs(picture.rgb[..., 0] - values[..., 0] / 257).max() <= 1


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    ("dtype", "top", "note"),
    [
        ("u2", 65535, None),
        ("f4", 1, "32-bit float"),
        ("f4", 255, "32-bit float"),
        ("i4", 65535, "32-bit"),
    ],
)
def test_deep_grey_tiff(tmp_path, byteorder, dtype, top, note):
    tifffile = pytest.importorskip("tifffile")
    values = np.linspace(0, top, 256).astype(dtype)[None].repeat(4, 0)
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=byteorder)
    picture = read(tmp_path / "a.tif")
    assert np.abs(picture.rgb[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    assert picture.pixels.grey and np.abs(picture.pixels.deep[0] / 257.0 - np.arange(256)).max() <= 1
    assert picture.notes == ((f"{note} greyscale was reduced to 16 bits",) if note else ())


def test_float_tiff_is_clipped(tmp_path):
    values = np.array([[-5, np.nan, 128, 900]], np.float32)
    assert read(saved(tmp_path / "a.tif", Image.fromarray(values))).rgb[0, :, 0].tolist() == [0, 0, 128, 255]


def test_deep_colour_tiff(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", smooth().astype(np.uint16) * 257, photometric="rgb")
    picture = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.rgb, smooth())
    np.testing.assert_array_equal(picture.pixels.deep, smooth().astype(np.uint16) * 257)
    assert picture.notes == ()


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_deep_colour_tiff_in_planes(tmp_path, byteorder, compression):
    """Pillow takes each byte for a sample where they are not compressed, and has no low bytes where they are."""
    tifffile = pytest.importorskip("tifffile")
    deep = smooth().astype(np.uint16) * 257 - (smooth() > 9).astype(np.uint16) * 100
    settings = {"photometric": "rgb", "planarconfig": "separate", "byteorder": byteorder, "compression": compression}
    tifffile.imwrite(tmp_path / "a.tif", deep.transpose(2, 0, 1), **settings)
    picture = read(tmp_path / "a.tif")
    assert np.abs(picture.rgb - deep / 257.0).max() <= 1
    if compression:
        assert picture.notes == ("16-bit colour was reduced to 8 bits",) and picture.pixels.deep is None
    else:
        np.testing.assert_array_equal(picture.pixels.deep, deep)


def test_integers_of_32_bits_without_a_sign(tmp_path):
    """Pillow takes the upper half of them for negative ones."""
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", (np.arange(256, dtype=np.uint32) * 0x1010101)[None].repeat(4, 0))
    assert np.abs(read(tmp_path / "a.tif").rgb[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_integers_below_0_are_said(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.arange(-40, 40, dtype=np.int16)[None].repeat(4, 0))
    assert "values below 0 were cut off" in read(tmp_path / "a.tif").notes


def test_a_float_picture_with_lights_brighter_than_white(tmp_path):
    values = np.array([[0, 0.5, 1, 3]], np.float32)
    picture = read(saved(tmp_path / "a.tif", Image.fromarray(values)))
    assert picture.rgb[0, :, 0].tolist() == [0, 128, 255, 255] and "values above 1 were cut off" in picture.notes


@pytest.mark.parametrize("colour_type, key", [(0, [777]), (2, [1000, 2000, 3000])])
def test_a_transparent_colour_of_16_bits(tmp_path, colour_type, key):
    values = np.linspace(0, 65535, 64 * len(key)).astype(np.uint16).reshape(8, 8, len(key))
    values[:4] = key
    whole = deep_png(values, colour_type)
    (tmp_path / "a.png").write_bytes(whole[:33] + png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) + whole[33:])
    assert read(tmp_path / "a.png").alpha.tolist() == [[0] * 8] * 4 + [[255] * 8] * 4
    with Image.open(tmp_path / "a.png") as image:  # as a webui hands it over
        alpha = pixels_of(image).alpha
    assert not alpha[:4].any() and alpha[5:].all()


@pytest.mark.parametrize("most", [1023, 65535])
def test_deep_colour_ppm(tmp_path, most):
    values = (smooth() * (most / 255)).astype(">u2")
    height, width = values.shape[:2]
    (tmp_path / "a.ppm").write_bytes(b"P6\n%d %d\n%d\n" % (width, height, most) + values.tobytes())
    picture = read(tmp_path / "a.ppm")
    assert np.abs(picture.pixels.deep / 65535 - values / most).max() < 1 / 65535 and picture.notes == ()


def test_bits_that_pillow_drops_are_said(tmp_path):
    path = saved(tmp_path / "a.jp2", Image.fromarray(smooth()))
    content = path.read_bytes()
    depth = content.index(b"\xff\x4f\xff\x51") + 42
    assert content[depth] == 7 and read(path).notes == ()
    with Image.open(path) as image:
        deeper = io.BytesIO(content[:depth] + b"\x0b" + content[depth + 1 :])
        assert bits_beside(image, deeper) == 12


def test_lab_tiff(tmp_path):
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    image = ImageCms.profileToProfile(Image.fromarray(smooth()), srgb, lab, outputMode="LAB")
    picture = read(saved(tmp_path / "a.tif", image))
    assert np.abs(picture.rgb.astype(int) - smooth()).mean() < 3
    assert picture.notes == ("LAB was converted to sRGB",)


def grey_profile(gamma: float) -> bytes:
    """A minimal ICC v2 grey profile with one gamma for its tone curve."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(78 + 1)
    rights = b"text\0\0\0\0cc0\0"
    body, table = b"", struct.pack(">I", 4)
    for name, data in ((b"desc", text), (b"wtpt", white), (b"kTRC", curve), (b"cprt", rights)):
        table += name + struct.pack(">II", 128 + 4 + 48 + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"\0" * 4, 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return header + table + body


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_profile_is_used_and_dropped(tmp_path, mode):
    source = Image.fromarray(ramp()).convert(mode)
    picture = read(saved(tmp_path / "a.png", source, icc_profile=grey_profile(1.0)))
    assert picture.icc is None
    assert picture.notes == ("greyscale was converted to sRGB",)
    # Linear light of one half is about 188 in sRGB.
    middle = picture.rgb[0, np.abs(ramp()[0].astype(int) - 128).argmin(), 0]
    assert 180 <= middle <= 195


def test_rgb_profile_on_a_grey_picture_still_holds(tmp_path):
    picture = read(saved(tmp_path / "a.png", Image.fromarray(ramp()), icc_profile=SRGB))
    assert picture.icc == SRGB
    np.testing.assert_array_equal(picture.rgb[..., 0], ramp())


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_useless_profile_is_dropped_and_said(tmp_path, mode):
    image = Image.fromarray(smooth()).convert(mode)
    broken = SRGB[:16] + {"RGB": b"CMYK", "CMYK": b"CMYK", "L": b"GRAY"}[mode] + SRGB[20:60]
    for icc in (broken, b"nonsense"):
        picture = read(saved(tmp_path / "a.tif", image, icc_profile=icc))
        assert picture.icc is None
        assert any("profile" in note and "dropped" in note for note in picture.notes)


@pytest.mark.parametrize("extension", [".gif", ".png", ".webp"])
def test_first_frame_of_an_animation(tmp_path, extension):
    frames = [Image.new("RGB", (16, 12), colour) for colour in ("red", "lime", "blue")]
    path = saved(tmp_path / f"a{extension}", frames[0], save_all=True, append_images=frames[1:])
    picture = read(path)
    assert np.abs(picture.rgb.astype(int) - (255, 0, 0)).max() < 8
    assert "animated: first of 3 frames used" in picture.notes


def test_first_page_of_a_tiff(tmp_path):
    pages = [Image.new("RGB", (16, 12), colour) for colour in ("red", "lime")]
    picture = read(saved(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:]))
    assert (picture.rgb == (255, 0, 0)).all() and picture.notes == ("first of 2 pages used",)


def test_content_decides_not_the_extension(tmp_path):
    (tmp_path / "a.png").write_bytes(PHOTO.read_bytes())
    np.testing.assert_array_equal(read(tmp_path / "a.png").rgb, read(PHOTO).rgb)


# Files that give no picture


def refusal(path: Path, max_pixels: int = MANY) -> str:
    with pytest.raises(InputError) as caught:
        imagefile.read(path, max_pixels=max_pixels)
    message = str(caught.value)
    assert "\n" not in message and path.name in message and len(message) < 400
    return message


def test_missing_file(tmp_path):
    assert "No such file" in refusal(tmp_path / "gone.png")


def test_folder_instead_of_a_file(tmp_path):
    assert "is a folder" in refusal(tmp_path)


def test_empty_file(tmp_path):
    (tmp_path / "a.png").touch()
    assert "empty" in refusal(tmp_path / "a.png")


def test_text_with_a_picture_extension(tmp_path):
    (tmp_path / "a.png").write_text("<!DOCTYPE html><title>404</title>")
    assert "not a picture" in refusal(tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a POSIX special file")
def test_special_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert "not a regular file" in refusal(tmp_path / "a.png")


def test_unreadable_file(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(PHOTO.read_bytes())

    def deny(self, *_args, **_kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", deny)
    assert "Permission denied" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("extension", [*EXTENSIONS, ".gif", ".bmp"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_truncated_file(tmp_path, extension, kept):
    whole = saved(tmp_path / f"whole{extension}", Image.open(PHOTO)).read_bytes()
    path = tmp_path / f"part{extension}"
    path.write_bytes(whole[: int(len(whole) * kept)])
    message = refusal(path)
    assert "damaged" in message or "cannot be read" in message


def test_too_many_pixels(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(smooth(40, 56)))
    message = refusal(path, max_pixels=40 * 56 - 1)
    assert str(40 * 56) in message and str(40 * 56 - 1) in message
    assert imagefile.read(path, max_pixels=40 * 56).rgb.shape == (40, 56, 3)


def test_decompression_bomb_costs_nothing_and_leaks_no_warning(tmp_path):
    (tmp_path / "a.png").write_bytes(png_file(60_000, 60_000, 8, 2, bytes(1000)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "3600000000 pixels" in refusal(tmp_path / "a.png")


def test_our_limit_holds_where_pillow_has_a_lower_one(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.fromarray(smooth()))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(path).rgb.shape == (40, 56, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(smooth(8, 8)).save(buffer, kind)
    return buffer.getvalue()


WHOLE = {kind: encoded(kind) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM")}


@settings(max_examples=150, deadline=None, suppress_health_check=NO_FIXTURE_CHECK)
@given(data=st.one_of(st.binary(max_size=300), st.tuples(st.sampled_from(list(WHOLE)), st.binary(max_size=300))))
def test_random_bytes_give_input_errors_only(tmp_path, data):
    content = data if isinstance(data, bytes) else WHOLE[data[0]][:16] + data[1]
    (tmp_path / "a.png").write_bytes(content)
    try:
        read(tmp_path / "a.png")
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert not isinstance(data, bytes) or content[:1] in b"PB"  # noise that starts as a tiny PPM or BMP


@settings(max_examples=150, deadline=None, suppress_health_check=NO_FIXTURE_CHECK)
@given(
    kind=st.sampled_from(list(WHOLE)),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_pictures_give_a_picture_or_an_input_error(tmp_path, kind, changes):
    content = bytearray(WHOLE[kind])
    for position, value in changes:
        content[position % len(content)] = value
    (tmp_path / "a.png").write_bytes(content)
    try:
        imagefile.read(tmp_path / "a.png", max_pixels=10_000)
    except InputError as error:
        assert "\n" not in str(error)


# Outputs that cannot be written


def test_existing_file_is_kept_unless_told(tmp_path):
    path = tmp_path / "a.png"
    imagefile.write(path, smooth())
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists; use --overwrite"):
        imagefile.write(path, smooth(8, 8))
    assert path.read_bytes() == before
    imagefile.write(path, smooth(8, 8), overwrite=True)
    assert read(path).rgb.shape == (8, 8, 3)


@pytest.mark.parametrize("name", ["a.bmp", "a", "a.gif", "a.png.bak"])
def test_unknown_extension_names_the_allowed(tmp_path, name):
    with pytest.raises(OutputError) as caught:
        imagefile.write(tmp_path / name, smooth())
    assert all(extension in str(caught.value) for extension in EXTENSIONS)


def test_missing_folder_is_made(tmp_path):
    imagefile.write(tmp_path / "x" / "y" / "a.PNG", smooth())
    assert read(tmp_path / "x" / "y" / "a.PNG").rgb.shape == (40, 56, 3)


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written") as caught:
        imagefile.write(tmp_path / "file" / "a.png", smooth())
    assert "\n" not in str(caught.value)


def test_folder_of_that_name(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError):
        imagefile.write(tmp_path / "a.png", smooth(), overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_side_too_long_for_webp(tmp_path):
    with pytest.raises(OutputError, match="16383"):
        imagefile.write(tmp_path / "a.webp", np.zeros((1, 16_400, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_system_error_is_one_line(tmp_path, monkeypatch, error):
    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError) as caught:
        imagefile.write(tmp_path / "a.png", smooth())
    assert str(caught.value) == f"{tmp_path / 'a.png'}: cannot be written ({error.strerror})"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on file sizes is POSIX")
@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".tif"])
def test_disk_full_half_way_leaves_the_old_file_and_nothing_else(tmp_path, extension):
    import resource

    path = tmp_path / f"a{extension}"
    imagefile.write(path, smooth())
    before = path.read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            imagefile.write(path, noise, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        imagefile.write(tmp_path / "a.png", smooth())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_written_file_has_the_usual_permissions(tmp_path):
    imagefile.write(tmp_path / "a.png", smooth())
    (tmp_path / "usual").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "usual").stat().st_mode


# Folders


def test_list_images(tmp_path):
    for name in ("b.png", "a.JPG", "c.webp", ".hidden.png", "notes.txt", "d.tiff"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "inner.png").touch()
    assert [p.name for p in imagefile.list_images(tmp_path)[0]] == ["a.JPG", "b.png", "c.webp", "d.tiff"]


def test_list_images_of_no_folder(tmp_path):
    for path in (tmp_path / "gone", PHOTO):
        with pytest.raises(InputError, match=path.name):
            imagefile.list_images(path)


@pytest.mark.parametrize("behind", [False, True])
def test_a_png_is_not_decoded_for_its_header(tmp_path, monkeypatch, behind):
    """Unless EXIF follows the pixels, where Pillow finds it by decoding."""
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(path, **({"exif": exif} if behind else {}))
    if behind:
        data = path.read_bytes()
        at = data.index(b"eXIf") - 4
        chunk = data[at : at + 12 + int.from_bytes(data[at : at + 4], "big")]
        path.write_bytes(data.replace(chunk, b"")[:-12] + chunk + data[-12:])
    loads, load = [], PngImagePlugin.PngImageFile.load
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: loads.append(self) or load(self))
    header = imagefile.look(path, max_pixels=10**6)
    assert (header.width, header.height) == ((30, 40) if behind else (40, 30))
    assert bool(loads) == behind
