"""Options and picture files of every kind: a picture, or one clear error, and never a traceback."""

import io

import numpy as np
import pytest
from counts import count, wanted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from strategies import ANYTHING, option_dicts

from lib_usdu.cli.main import main
from lib_usdu.engine import upscale
from lib_usdu.errors import OptionError
from lib_usdu.options import OF_PICTURE, OPTION_NAMES, SCRIPT_OPTIONS, Options
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

CASES = wanted("USDU_FUZZ", 500)
"""Of these, three fifths are options, one fifth picture files; the rest is in tests/webui/test_reliability.py."""
SETTINGS = dict(deadline=None, suppress_health_check=list(HealthCheck))
KEYS = st.none() | st.booleans() | st.integers() | st.text(max_size=9)
SMALL = np.random.default_rng(1).integers(0, 256, (40, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tally(request):
    """(cases, clean) of a test."""
    found = {}
    yield found
    for what, outcomes in found.items():  # a failure that hypothesis repeats counts each time
        count(f"fuzz: {what}", len(outcomes), sum(outcomes))


@settings(max_examples=CASES * 3 // 5, **SETTINGS)
@given(values=option_dicts() | st.dictionaries(KEYS, ANYTHING, max_size=4))
def test_fuzz_options(values, tally):
    outcomes = tally.setdefault("options", [])
    outcomes.append(False)
    try:
        options = Options.from_dict(values, upscalers=["None", "Lanczos"]).with_(max_megapixels=0.02)
        result = upscale(SMALL, options, LocalHost(IdentityRefiner()), img2img_size=(64, 64))
        assert Options.from_infotext(result.parameters) == as_read_back(options)
        size = options.target_size(48, 40, (64, 64))
        assert result.image.shape == (size[1], size[0], 3) and np.array_equal(result.image, result.upscaled)
    except OptionError as error:
        said = str(error)
        assert "\n" not in said and "allowed" in said and len(said) < 1500
    outcomes[-1] = True


def as_read_back(options):
    """Tiles that were automatic still are, the padding is the one used; settings of the panel are not the picture's."""
    panel = {name: getattr(Options, name) for name in OPTION_NAMES if name not in OF_PICTURE}
    return options.with_(**panel, padding=options.with_tile(512).padding)


@st.composite
def picture_files(draw):
    """(bytes, extension): a picture of some kind, whole, cut, overwritten in places, or no picture at all."""
    kind = draw(st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM"]))
    mode = draw(st.sampled_from({"JPEG": ["RGB", "L", "CMYK"], "BMP": ["RGB", "L"], "PPM": ["RGB", "L"],
                                 "WEBP": ["RGB", "RGBA"]}.get(kind, ["RGB", "RGBA", "L", "P", "1"])))  # fmt: skip
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    image = Image.fromarray(SMALL).resize((width, height)).convert(mode)
    more = {}
    if kind in ("PNG", "GIF", "WEBP") and draw(st.booleans()):
        more = {"save_all": True, "append_images": [image.copy()] * draw(st.integers(1, 3))}
    file = io.BytesIO()
    image.save(file, kind, **more)
    data = bytearray(file.getvalue())
    for _ in range(draw(st.sampled_from([0, 0, 1, 3, 20]))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    if draw(st.integers(0, 3)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    if draw(st.integers(0, 19)) == 0:
        data = bytearray(draw(st.binary(max_size=200)))
    return bytes(data), draw(st.sampled_from(["png", "jpg", "webp", "gif", "tif", "bmp"]))


@settings(max_examples=CASES // 5, **SETTINGS)
@given(file=picture_files())
def test_fuzz_picture_files(file, tally, tmp_path_factory):
    outcomes = tally.setdefault("picture files", [])
    outcomes.append(False)
    folder = tmp_path_factory.mktemp("fuzz")
    source, out = folder / f"in.{file[1]}", folder / "out.png"
    source.write_bytes(file[0])
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", told)
        code = main([str(source), "-o", str(out), "--engine", "identity", "--upscaler", "Lanczos", "--quiet",
                     "--device", "cpu", "--size", "64x48", "--resize-mode", "stretch"])  # fmt: skip
    errors = [line for line in told.getvalue().splitlines() if line.startswith("usdu: error: ")]
    assert "Traceback" not in told.getvalue() and "python -X dev" not in told.getvalue(), told.getvalue()
    if code == 0:
        assert Image.open(out).size == (64, 48) and not errors
    else:
        assert code == 2 and len(errors) == 1 and str(source) in errors[0] and not out.exists()
    outcomes[-1] = True


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (20000, 8), (8, 20000)])
def test_extreme_shapes(size, tmp_path, capsys):
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.linear_gradient("L").resize(size).save(source)
    for more in (("--scale", "2"), ("--scale", "1", "--redraw", "linear", "--seams-fix", "half+intersections")):
        out.unlink(missing_ok=True)
        told = ["--engine", "identity", "--upscaler", "Lanczos", "--tile", "1024", *more]
        assert main([str(source), "-o", str(out), *told]) == 0, capsys.readouterr().err
        assert Image.open(out).size == (size[0] * int(more[1]), size[1] * int(more[1]))


@pytest.mark.parametrize("extension", ["png", "webp", "gif"])
def test_an_animation_gives_its_first_frame_and_says_so(extension, tmp_path, capsys):
    source, out = tmp_path / f"in.{extension}", tmp_path / "out.png"
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    lossless = {"lossless": True} if extension == "webp" else {}
    frames[0].save(source, save_all=True, append_images=frames[1:], **lossless)
    assert main([str(source), "-o", str(out), "--engine", "identity", "--upscaler", "None"]) == 0
    assert "animated: first of 3 frames used" in capsys.readouterr().err
    assert np.asarray(Image.open(out))[8, 8, 0] > 200


def test_more_tiles_than_can_be_meant(tmp_path, capsys):
    source = tmp_path / "in.png"
    Image.new("RGB", (100, 100)).save(source)
    arguments = ["--size", "30000x30000", "--tile", "64", "--engine", "identity"]
    assert main([str(source), "-o", str(tmp_path / "out.png"), *arguments]) == 2
    assert "--tile: '64x64' is not allowed; allowed: a size that makes at most 20000 tiles" in capsys.readouterr().err


def test_values_that_cannot_be_shown_are_refused_all_the_same():
    around = []
    around.append(around)
    for name in SCRIPT_OPTIONS:
        for value in (10**5000, around, {"a": around}, np.zeros((2, 2)), object):
            with pytest.raises(OptionError, match=f"^{name}: "):
                Options.from_dict({name: value})
