"""Generation parameters of a run: what they always carry, what they leave out, what they must not claim."""

import hashlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_usdu.cli.main import main
from lib_usdu.engine import upscale
from lib_usdu.options import INFOTEXT_PREFIX, Options
from lib_usdu.pictures import imagefile, infotext
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

MODEL = {"Steps": 20, "Sampler": "Euler", "CFG scale": 7.0, "Seed": 1, "Model": "tiny"}


class Claiming(IdentityRefiner):
    """Writes what a model would write of itself."""

    def infotext(self, parameters):
        return infotext.write(infotext.of_model(parameters, MODEL), "a cat")


def read(text: str) -> dict[str, str]:
    return dict(pair.split(": ", 1) for pair in text.splitlines()[-1].split(", "))


def run(photo, **options):
    return upscale(photo[:96, :128], Options(**options), LocalHost(Claiming()))


def test_size_and_strength_are_always_there(photo):
    pairs = read(run(photo, denoise=0.4).infotext)
    assert (pairs["Size"], pairs["Denoising strength"]) == ("256x192", "0.4")
    assert {name: str(value) for name, value in MODEL.items()}.items() <= pairs.items()
    assert list(pairs)[:5] == list(MODEL), "as the webui: the model's first"


def test_a_dry_run_claims_no_strength(photo):
    pairs = read(upscale(photo[:96, :128], Options(), LocalHost(IdentityRefiner())).infotext)
    assert "Denoising strength" not in pairs and pairs["Size"] == "256x192"


def test_what_is_at_its_default_is_left_out(photo):
    ours = [name for name in read(run(photo).infotext) if name.startswith(INFOTEXT_PREFIX)]
    assert [name.removeprefix(INFOTEXT_PREFIX) for name in ours] == [
        "upscaler", "tile_width", "tile_height", "mask_blur", "padding", "version", "tile",
    ]  # fmt: skip


@pytest.mark.parametrize("more", [{}, {"redraw_mode": "chess", "padding": 16, "resume": False, "compare": True}])
def test_an_automatic_tile_stays_automatic_and_its_size_is_told(photo, more):
    pairs = read(run(photo, **more).infotext)
    assert pairs[INFOTEXT_PREFIX + "tile_width"] == pairs[INFOTEXT_PREFIX + "tile_height"] == "0"
    assert pairs[INFOTEXT_PREFIX + "tile"] == "512x512"
    assert Options.from_infotext(pairs) == Options(**{**more, "resume": True, "compare": False})


def test_a_chosen_tile_is_told_once(photo):
    pairs = read(run(photo, tile_width=96, tile_height=64).infotext)
    assert (pairs[INFOTEXT_PREFIX + "tile_width"], pairs[INFOTEXT_PREFIX + "tile_height"]) == ("96", "64")
    assert INFOTEXT_PREFIX + "tile" not in pairs


@pytest.mark.parametrize("why", ["none", "mask", "flat"])
def test_where_no_tile_is_redrawn_no_model_is_named(photo, why):
    mask = np.zeros((96, 128), np.uint8) if why == "mask" else None
    options = Options(redraw_mode="none" if why == "none" else "parallel", skip_flat=1)
    photo = np.full_like(photo, 90) if why == "flat" else photo
    text = upscale(photo[:96, :128], options, LocalHost(Claiming()), mask=mask).infotext
    pairs = read(text)
    assert not {*MODEL, "Denoising strength", INFOTEXT_PREFIX + "tile"} & set(pairs)
    assert pairs["Size"] == "256x192" and pairs[INFOTEXT_PREFIX + "upscaler"] == "None"


def test_a_mask_is_told_and_told_from_others(photo):
    def of(mask):
        options = Options(tile_width=64, custom_scale=1)
        return read(upscale(photo[:96, :128], options, LocalHost(Claiming()), mask=mask).infotext)

    one, other = np.zeros((96, 128), np.uint8), np.zeros((96, 128), np.uint8)
    one[:40], other[:41] = 255, 255
    names = [of(mask)[INFOTEXT_PREFIX + "mask"] for mask in (one, one.astype(bool), other)]
    assert names[0] == names[1] != names[2] and INFOTEXT_PREFIX + "mask" not in of(None)
    assert Options.from_infotext(of(one)) == Options(tile_width=64, custom_scale=1)


def test_a_mask_over_nothing_that_is_redrawn_is_not_told(photo):
    mask = np.full((96, 128), 255, np.uint8)
    text = upscale(photo[:96, :128], Options(redraw_mode="none"), LocalHost(Claiming()), mask=mask).infotext
    assert INFOTEXT_PREFIX + "mask" not in read(text)


def test_seams_that_are_not_fixed_once_more_are_not_told(photo):
    pairs = read(run(photo, custom_scale=1, tile_width=64, redo_tiles="2", seams_fix_type="band").infotext)
    assert INFOTEXT_PREFIX + "seams_fix_type" not in pairs


def test_tiles_that_were_redone_are_told_and_not_pasted(photo):
    pairs = read(run(photo, custom_scale=1, tile_width=64, redo_tiles="2-3").infotext)
    assert pairs[INFOTEXT_PREFIX + "tiles redone"] == "2-3" and INFOTEXT_PREFIX + "redo_tiles" not in pairs
    older = {**pairs, INFOTEXT_PREFIX + "redo_tiles": "2-3"}  # as versions before wrote it
    assert Options.from_infotext(older).redo_tiles == Options.from_infotext(pairs).redo_tiles == "all"


def test_seams_that_are_redrawn_alone_are_a_redraw(photo):
    pairs = read(run(photo, redraw_mode="none", seams_fix_type="band", tile_width=64).infotext)
    assert pairs["Sampler"] == "Euler" and "Denoising strength" in pairs


def test_a_webui_adds_no_size_and_takes_its_own_claims_out():
    told = {"Size": "256x192", "Denoising strength": "0.4", INFOTEXT_PREFIX + "upscaler": "x"}
    assert infotext.in_webui(told) == {"Denoising strength": "0.4", INFOTEXT_PREFIX + "upscaler": "x"}
    without = infotext.in_webui({"Size": "256x192", INFOTEXT_PREFIX + "upscaler": "x"})
    assert without[INFOTEXT_PREFIX + "upscaler"] == "x" and "Size" not in without
    assert {name for name, value in without.items() if value is None} >= {"Steps", "Sampler", "Model", "CFG scale"}


@pytest.mark.needs("diffusers")
def test_the_command_line_writes_size_and_strength_and_claims_nothing_without_a_redraw(tmp_path, photo):
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    imagefile.write(source, photo[:48, :64])
    shared = [str(source), "-o", str(out), "--upscaler", "Lanczos", "--quiet", "--overwrite"]
    assert main([*shared, "--denoise", "0.2", "--steps", "5"]) == 0
    pairs = read(imagefile.read_infotext(out))
    assert (pairs["Size"], pairs["Denoising strength"], pairs["Steps"]) == ("128x96", "0.2", "5")
    assert main([*shared, "--redraw", "none"]) == 0
    pairs = read(imagefile.read_infotext(out))
    assert pairs["Size"] == "128x96"
    assert not {"Sampler", "Steps", "Model", "Seed", "Denoising strength"} & set(pairs)


def safetensors(path, header: dict, content: bytes):
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + content)
    return path


@settings(deadline=None)
@given(st.binary(max_size=40), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_a_loras_hash_is_that_of_its_weights(tmp_path_factory, content, metadata):
    """The webui's, which leaves the header out: words about the file do not change it."""
    from lib_usdu.standalone.checkpoints import lora_hash

    file = safetensors(tmp_path_factory.mktemp("lora") / "a.safetensors", {"__metadata__": metadata}, content)
    assert lora_hash(file) == hashlib.sha256(content).hexdigest()
