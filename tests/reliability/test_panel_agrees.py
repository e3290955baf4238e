"""The panel's line says what the run does."""

import json
import re
from html import escape

import numpy as np
from hosts import NoisyRefiner
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import proper

from lib_usdu.engine import upscale
from lib_usdu.errors import OptionError
from lib_usdu.options import LEGACY_ARGUMENTS, OWN_ARGUMENTS, SCRIPT_OPTIONS, Options
from lib_usdu.panel.live_line import live_line
from lib_usdu.panel.text import message
from lib_usdu.standalone.host import LocalHost


class Panel:
    """The panel's side of a place that does what LocalHost does."""

    def abilities(self):
        return LocalHost(NoisyRefiner()).abilities()

    def is_xl(self):
        return False

    def noise_share(self, steps, sampler, scheduler, window=None):
        return None

    def seconds(self, plan, steps, sampler, cfg_scale):
        return None

    def few_steps(self, prompt):
        return None

    def has_controlnet(self):
        return False


def said_by_the_panel(options, picture, tab):
    names = ["upscaler" if name == "upscaler_index" else name for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)]
    page = json.dumps([*picture, *tab, options.denoise])
    return live_line(Panel(), options.max_megapixels, page, *(getattr(options, name) for name in names))


@st.composite
def option_sets(draw):
    """Options that are good each by itself, of all kinds."""
    names = draw(st.lists(st.sampled_from(SCRIPT_OPTIONS), unique=True, max_size=8))
    changes = {name: draw(proper(name)) for name in names if name != "resume"}
    if draw(st.booleans()):
        changes |= {"redo_tiles": draw(st.sampled_from(["7", "1", "1-2", "all"])), "custom_scale": 1}
    if draw(st.booleans()):
        changes["tile_prompts"] = draw(st.sampled_from(["a\nb", "2: a", "99: cat", "1,2: b", ""]))
    if draw(st.booleans()):
        changes["tile_width"] = changes["tile_height"] = draw(st.sampled_from([64, 80, 128]))
    changes["upscaler"] = draw(st.sampled_from(["None", "Nearest", "Lanczos", "no such one"]))
    return {**changes, "max_megapixels": draw(st.sampled_from([1000.0, 0.05]))}


@settings(max_examples=200, deadline=None)
@given(changes=option_sets(), size=st.tuples(st.integers(1, 160), st.integers(1, 160)))
def test_the_panels_line_agrees_with_the_run(changes, size):
    """Size, tiles, batches where their number is asked for, and every refusal."""
    tab = (128, 96)
    try:
        options = Options(denoise=0.3, resume=False, **changes)
    except OptionError:
        return  # the panel cannot hold it: no run and no line
    if options.strength_map == "mask":
        return  # the line cannot see whether there is a mask
    line = said_by_the_panel(options, size, tab)
    told = "".join(re.findall(r"<span>(.*?)</span>", line))
    refiner = NoisyRefiner()
    try:
        result = upscale(np.zeros((size[1], size[0], 3), np.uint8), options, LocalHost(refiner), img2img_size=tab)
    except OptionError as error:
        assert ("megapixels" if error.option == "size" else escape(message(error))) in line
        assert "tile" not in told and "window" not in told and not refiner.batches
        return
    assert f"<b>{result.upscaled.shape[1]}x{result.upscaled.shape[0]}</b>" in told
    # What is flat is seen only once the picture is there.
    planned = result.stats.tiles + result.stats.tiles_flat
    assert sum(map(int, re.findall(r"(\d+) (?:tile|window)s?", told))) == planned
    if options.tile_batch and not result.stats.tiles_flat and options.redraw_mode != "fused":
        assert sum(map(int, re.findall(r"(\d+) batch", told))) == result.stats.batches
