"""Colours that a file describes without a profile: they are the same in the result."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from test_imagefile import png_chunk, png_file, read

from lib_usdu.pictures import imagefile
from lib_usdu.pictures.described import CICP
from lib_usdu.pictures.modes import pixels_of

COLOURS = np.array([[(128, 128, 128), (200, 100, 50), (255, 255, 255)]], np.uint8)


def with_chunk(kind: bytes, data: bytes) -> bytes:
    whole = png_file(3, 1, 8, 2, b"\0" + COLOURS.tobytes())
    return whole[:33] + png_chunk(kind, data) + whole[33:]


def shown(rgb: np.ndarray, icc: bytes) -> list[tuple[int, ...]]:
    """As a screen of sRGB shows them."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    there = ImageCms.profileToProfile(Image.fromarray(rgb), profile, ImageCms.createProfile("sRGB"))
    return [tuple(there.getpixel((x, 0))) for x in range(3)]


@pytest.mark.parametrize(
    "kind, data, wanted",
    [
        (b"gAMA", struct.pack(">I", 100_000), [(188, 188, 188), (229, 168, 122), (255, 255, 255)]),  # linear light
        (b"cICP", bytes([12, 13, 0, 1]), [(128, 128, 128), (215, 93, 31), (255, 255, 255)]),  # Display P3
    ],
)
@pytest.mark.parametrize("target", ["a.png", "a.jpg", "a.tif"])
def test_a_pngs_colours_are_kept_in_every_format(kind, data, wanted, target, tmp_path):
    (tmp_path / "source.png").write_bytes(with_chunk(kind, data))
    picture = read(tmp_path / "source.png")
    imagefile.write(tmp_path / target, picture.rgb.repeat(16, 0).repeat(16, 1), icc=picture.icc)
    written = read(tmp_path / target)
    assert np.abs(np.array(shown(written.rgb[8:9, 8::16], written.icc)) - wanted).max() <= 3


@pytest.mark.parametrize("kind, data", [(b"gAMA", struct.pack(">I", 45_455)), (b"cICP", bytes([1, 13, 0, 1]))])
def test_what_says_srgb_needs_no_profile(kind, data, tmp_path):
    (tmp_path / "a.png").write_bytes(with_chunk(kind, data))
    picture = read(tmp_path / "a.png")
    assert picture.icc is None and picture.notes == ()


def test_adobe_rgb_by_the_cameras_word(tmp_path):
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65535, 0xA005: {1: "R03"}}
    Image.fromarray(COLOURS.repeat(16, 0).repeat(16, 1)).save(tmp_path / "a.jpg", exif=exif, quality=98)
    picture = read(tmp_path / "a.jpg")
    assert np.abs(np.array(shown(COLOURS, picture.icc)[1]) - (227, 100, 42)).max() <= 1
    assert "Adobe RGB" in picture.notes[0]


def test_hdr_is_said():
    image = Image.fromarray(COLOURS)
    image.info[CICP] = 9, 16
    assert "HDR colours (PQ)" in pixels_of(image).notes[0]
