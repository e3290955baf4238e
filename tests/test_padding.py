import numpy as np
import pytest
from hosts import NoisyRefiner
from PIL import Image

from lib_usdu.cli.main import main
from lib_usdu.engine import upscale
from lib_usdu.errors import OptionError
from lib_usdu.options import Options
from lib_usdu.options.padding import STEPS, padding_for
from lib_usdu.pictures.imagefile import read_infotext
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

DRY = ["--engine", "identity", "--upscaler", "Lanczos", "--quiet"]


def test_more_denoise_sees_more_and_never_more_than_a_tile():
    strengths = np.linspace(0, 1, 101)
    chosen = [padding_for(float(denoise), 512) for denoise in strengths]
    assert chosen == sorted(chosen) and chosen[0] < chosen[-1] and set(chosen) == {padding for _, padding in STEPS}
    for tile in (64, 72, 512):
        assert all(0 <= padding_for(float(denoise), tile) <= tile for denoise in strengths)


@pytest.mark.parametrize("denoise", [0.2, 0.4, 0.75])
def test_every_tile_has_the_chosen_padding_around_it(photo, denoise):
    refiner = NoisyRefiner()
    options = Options(custom_scale=1, tile_width=128, denoise=denoise, padding=0, auto_padding=True)
    result = upscale(photo, options, LocalHost(refiner))
    wanted = padding_for(denoise, 128)
    assert wanted == {0.2: 32, 0.4: 64, 0.75: 128}[denoise]
    for tile in (tile for batch in refiner.batches for tile in batch.tiles):
        seen = tile.core.grow(wanted)
        assert tile.window.x <= max(seen.x, 0) and tile.window.right >= min(seen.right, 512)
        assert tile.window.y <= max(seen.y, 0) and tile.window.bottom >= min(seen.bottom, 512)
    # What was used is on record, and that record is the same run.
    record = Options.from_infotext(result.parameters).with_(denoise=denoise)
    assert record.auto_padding and record.padding == wanted
    assert np.array_equal(upscale(photo, record, LocalHost(NoisyRefiner())).image, result.image)


@pytest.mark.parametrize("denoise", [0.2, 0.75])
def test_without_it_the_padding_is_the_persons(photo, denoise):
    options = Options(custom_scale=1, tile_width=128, denoise=denoise, padding=17)
    assert options.with_tile(512) == options
    result = upscale(photo, options, LocalHost(IdentityRefiner()))
    assert "padding: 17" in result.infotext and "auto_padding" not in result.infotext  # its default is left out


def test_the_flag(tmp_path, photo):
    source = tmp_path / "source.png"
    Image.fromarray(photo[:256, :256]).save(source)
    for flags, padding in (([], 32), (["--padding", "8"], 8), (["--auto-padding"], padding_for(0.6, 128))):
        out = tmp_path / f"{len(flags)}-{padding}.png"
        arguments = ["-o", str(out), "--tile", "128", "--scale", "1", "--denoise", "0.6", *DRY, *flags]
        assert main([str(source), *arguments]) == 0
        assert f"upscale padding: {padding}," in read_infotext(out)


def test_a_value_that_is_no_switch_is_named():
    with pytest.raises(OptionError, match="auto_padding: 'often' is not allowed; allowed: true or false"):
        Options(auto_padding="often")
