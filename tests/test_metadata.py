"""What a picture says beside its pixels goes into the result: camera data, XMP, parameters, 16 bits, grey."""

import base64
import io
import re
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin, features

from lib_usdu.cli.main import main
from lib_usdu.pictures import imagefile
from lib_usdu.pictures.deep import enlarged
from lib_usdu.pictures.infotext import pairs_of
from lib_usdu.pictures.metadata import BEFORE, Metadata, with_history
from lib_usdu.pictures.saving import write

PLAIN = ["--engine", "identity", "--upscaler", "Lanczos"]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" dc:creator="Ana"/></x:xmpmeta>'
WRITTEN = [".png", ".jpg", ".webp", ".tif", *([".avif"] if "avif" in features.modules else [])]
"""Pillow before 11.3 has no AVIF."""


def exif(orientation: int = 6) -> Image.Exif:
    rational = TiffImagePlugin.IFDRational
    made = Image.Exif()
    made[0x0112], made[0x010F], made[0x0132] = orientation, "Canon", "2020:01:02 10:00:00"
    made[0x013B], made[0x8298] = "Ana", "(c) Ana"
    made[0x8769] = {0x9003: "2020:01:02 10:00:00", 0x829A: rational(1, 125), 0xA002: 90, 0xA003: 60}
    made[0x8825] = {1: "N", 2: (rational(50, 1), rational(5, 1), rational(30, 1))}
    return made


def source(folder, suffix, image):
    path = folder / f"in{suffix}"
    settings = {"exif": exif().tobytes()}
    if suffix == ".tif":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        for tag, value in exif().items():
            tags[tag] = value
        settings = {"tiffinfo": tags}
        tags[700] = XMP
    elif suffix == ".png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", XMP.decode())
        chunks.add_text("Title", "harbour")
        settings["pnginfo"] = chunks
    elif suffix == ".jpg":  # Pillow before 11 has no word for it
        block = b"http://ns.adobe.com/xap/1.0/\0" + XMP
        settings["extra"] = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    else:
        settings["xmp"] = XMP
    image.save(path, **settings)
    return path


@pytest.mark.parametrize("target", WRITTEN)
@pytest.mark.parametrize("suffix", WRITTEN)
def test_camera_data_and_xmp_are_kept_and_the_orientation_normalised(suffix, target, photo, tmp_path):
    path, out = source(tmp_path, suffix, Image.fromarray(photo[:60, :90])), tmp_path / f"out{target}"
    before = imagefile.read(path, max_pixels=10**6)
    assert before.metadata.exif[0x8769][0x9003] == "2020:01:02 10:00:00" and b"Ana" in before.metadata.xmp
    assert main([str(path), "-o", str(out), *PLAIN]) == 0
    with Image.open(out) as image:
        found = image.getexif()
        assert found.get(0x0112, 1) == 1 and image.size == (120, 180)  # turned upright, and it says so
        assert (found[0x010F], found[0x013B], found[0x8298]) == ("Canon", "Ana", "(c) Ana")
        assert found.get_ifd(0x8769)[0x9003] == "2020:01:02 10:00:00"
        assert Fraction(found.get_ifd(0x8769)[0x829A]) == Fraction(1, 125)
        assert [float(v) for v in found.get_ifd(0x8825)[2]] == [50, 5, 30]
        assert not {0xA002, 0xA003} & set(found.get_ifd(0x8769))  # of the small picture
    kept = imagefile.read(out, max_pixels=10**6).metadata
    assert b'dc:creator="Ana"' in kept.xmp and b'tiff:Orientation="1"' in kept.xmp
    assert "Ultimate SD upscale" in kept.parameters


@pytest.mark.parametrize("target", WRITTEN)
def test_strip_leaves_the_profile_only(target, photo, tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path, out = tmp_path / "in.jpg", tmp_path / f"out{target}"
    Image.fromarray(photo[:60, :90]).save(path, exif=exif().tobytes(), xmp=XMP, icc_profile=profile)
    assert main([str(path), "-o", str(out), "--strip", *PLAIN]) == 0
    content = out.read_bytes()
    assert b"Canon" not in content and b"Ana" not in content and b"upscale" not in content
    assert imagefile.read(out, max_pixels=10**6).icc == profile


@pytest.mark.parametrize("target", WRITTEN)
def test_parameters_of_the_source_stand_in_those_of_the_result(target, photo, tmp_path):
    text = 'a cat, "quoted"\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, Seed: 7'
    write(tmp_path / "in.png", photo[:40, :40], infotext=text)
    assert main([str(tmp_path / "in.png"), "-o", str(tmp_path / f"out{target}"), *PLAIN]) == 0
    found = imagefile.read_infotext(tmp_path / f"out{target}")
    assert "Ultimate SD upscale" in found
    assert pairs_of(found)[BEFORE] == text


def test_the_oldest_parameters_are_kept_through_a_chain():
    first = with_history("Ultimate SD upscale padding: 32", "a cat\nSteps: 20")
    second = with_history("Ultimate SD upscale padding: 64", first)
    assert second == 'Ultimate SD upscale padding: 64, Parameters before: "a cat\\nSteps: 20"'
    assert with_history("x: 1", "") == "x: 1" and with_history("x: 1", "a plain description") == "x: 1"


def test_what_a_jpeg_cannot_hold_is_said(photo, tmp_path):
    text = "Steps: 20" + "p" * 9_000
    data = Metadata(exif={0x010F: "Canon", 0x8769: {0x927C: b"m" * 60_000}}, xmp=b"x" * 70_000, parameters=text)
    notes = write(tmp_path / "a.jpg", photo[:40, :40], metadata=data)
    assert [note.split(" is")[0] for note in notes] == ["the camera's maker note", "the XMP data"]
    kept = imagefile.read(tmp_path / "a.jpg", max_pixels=10**6).metadata
    assert kept.exif == {0x010F: "Canon"} and imagefile.read_infotext(tmp_path / "a.jpg") == text


def test_a_damaged_block_costs_neither_the_picture_nor_the_result(photo, tmp_path):
    bad = b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff" + b"\x01\x12\xff\xff" * 30
    Image.fromarray(photo[:40, :40]).save(tmp_path / "in.jpg", exif=bad)
    assert main([str(tmp_path / "in.jpg"), "-o", str(tmp_path / "out.jpg"), *PLAIN]) == 0


# Grey and 16 bits


@pytest.mark.parametrize("suffix", WRITTEN)
def test_grey_stays_grey(suffix, photo, tmp_path):
    Image.fromarray(photo[:40, :60]).convert("L").save(tmp_path / "in.png")
    out = str(tmp_path / f"out{suffix}")
    assert main([str(tmp_path / "in.png"), "-o", out, "--upscaler", "SPAN x4", "--engine", "identity"]) == 0
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert suffix not in (".png", ".jpg", ".tif") or image.mode == "L"
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert np.ptp(pixels, axis=2).max() <= (0 if suffix in (".png", ".jpg", ".tif") else 3)


def gradient(colour: bool) -> np.ndarray:
    """Smooth, of many more than 256 values."""
    y, x = np.mgrid[:64, :96]
    planes = [20000 + 40 * x + 7 * y, 30000 + 11 * x + 31 * y, 41000 - 23 * x - 17 * y]
    return np.stack(planes if colour else planes[:1], axis=-1).astype(np.uint16)


@pytest.mark.parametrize("target", [".png", ".tif"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("colour", [True, False])
def test_16_bit_in_16_bit_out(colour, suffix, target, tmp_path):
    values, path, out = gradient(colour), tmp_path / f"in{suffix}", tmp_path / f"out{target}"
    three = values.repeat(1 if colour else 3, -1)
    write(path, (three >> 8).astype(np.uint8), sixteen=three, grey=not colour)
    assert main([str(path), "-o", str(out), *PLAIN]) == 0
    found = imagefile.read(out, max_pixels=10**6).pixels
    assert found.grey is not colour
    inside = found.deep.reshape(128, 192, -1)[8:-8, 8:-8].astype(float)
    for i in range(values.shape[-1]):
        plane = Image.fromarray(values[..., i].astype(np.float32))
        exact = np.asarray(plane.resize((192, 128), Image.Resampling.LANCZOS))
        assert np.abs(inside[..., i] - exact[8:-8, 8:-8]).max() <= 1  # an 8-bit level is 257


def test_a_redrawn_16_bit_picture_keeps_what_was_drawn(photo):
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    canvas = (deep >> 8).astype(np.uint8)
    drawn = 255 - canvas
    assert np.abs(enlarged(deep, canvas, drawn, rows=7).astype(int) - drawn.astype(int) * 257).max() <= 257
    assert np.abs(enlarged(deep, canvas, canvas, rows=7).astype(int) - deep).max() <= 1


def test_16_bits_that_a_format_cannot_hold_are_said(tmp_path):
    values = gradient(True)
    notes = write(tmp_path / "a.jpg", (values >> 8).astype(np.uint8), sixteen=values)
    assert notes == ("JPEG holds 8 bits a sample here: 16-bit precision is lost",)


def test_alpha_beside_16_bits(tmp_path):
    values, alpha = gradient(True), np.arange(64 * 96).reshape(64, 96).astype(np.uint8)
    for suffix in (".png", ".tif"):
        write(tmp_path / f"a{suffix}", (values >> 8).astype(np.uint8), sixteen=values, alpha=alpha, dpi=(300, 300))
        read = imagefile.read(tmp_path / f"a{suffix}", max_pixels=10**6)
        assert np.array_equal(read.pixels.deep, values) and np.array_equal(read.alpha, alpha) and read.dpi == (
            pytest.approx((300, 300), abs=0.1)
        )


def test_comparisons_and_number_sheets_carry_the_profile(photo, tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(photo[:64, :64]).save(tmp_path / "in.png", icc_profile=profile)
    sheets = [tmp_path / "compare.png", tmp_path / "numbers.png"]
    command = [str(tmp_path / "in.png"), "--compare", str(sheets[0]), "--number-tiles", str(sheets[1]), *PLAIN]
    assert main([*command, "-o", str(tmp_path / "out.png")]) == 0
    assert all(Image.open(sheet).info["icc_profile"] == profile for sheet in sheets)
    page = tmp_path / "compare.html"
    assert main([str(tmp_path / "in.png"), "--compare", str(page), *PLAIN, "-o", str(tmp_path / "more.png")]) == 0
    embedded = re.findall(r"base64,([^\"]+)", page.read_text(encoding="utf-8"))
    opened = [Image.open(io.BytesIO(base64.b64decode(text))) for text in embedded]
    assert [(image.size, image.info["icc_profile"] == profile) for image in opened] == [((128, 128), True)] * 2


def test_a_lossless_webp_stays_so_unless_a_quality_is_asked_for(photo, tmp_path):
    source, result = tmp_path / "a.webp", tmp_path / "b.webp"
    Image.fromarray(photo[:40, :56]).save(source, lossless=True)
    for more, kept in (([], True), (["--quality", "95"], False)):
        assert main([str(source), "-o", str(result), "--scale", "1", "--upscaler", "None", "--overwrite", *more]) == 0
        written = imagefile.read(result, max_pixels=10**6)
        assert written.lossless == kept and np.array_equal(written.rgb, photo[:40, :56]) == kept
