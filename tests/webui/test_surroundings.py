"""In a webui, too, the network is shown a tile's surroundings before it sees the tile (fused/overviews.py)."""

import numpy as np
import pytest
import torch
from modules import sd_models, shared, standin
from test_extension import ask, extension, person, photo  # noqa: F401
from test_phases import NINE, phases, pixels  # noqa: F401

from lib_usdu.fused.overviews import Overviews
from lib_usdu.webui.host import WebuiHost


class Normed(torch.nn.Module):
    """As the stand-in's, with a scale and a shift of its own."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.GroupNorm(3, 3)

    def forward(self, latents):
        return torch.cat([self.norm(latents[:, :3]), torch.zeros_like(latents[:, :1])], 1)


@pytest.fixture
def looks(monkeypatch):
    """The stand-in has a network whose norms can be moved; yields the sizes of what it looked at."""
    seen, looking = [], []
    looked, model = Overviews._looked, sd_models.Painting
    before, under, answered = model.look, model.under, model.answered

    def look_marked(self, overview, look):
        looking.append(overview)
        try:
            return looked(self, overview, look)
        finally:
            seen.append(looking.pop().picture.shape[:2])

    monkeypatch.setattr(sd_models, "Network", Normed)
    monkeypatch.setattr(Overviews, "_looked", look_marked)
    # What the stand-in knows of a picture it knows of the batch being drawn: an overview is none of it.
    monkeypatch.setattr(model, "look", lambda self, x, sigma: None if looking else before(self, x, sigma))
    monkeypatch.setattr(model, "under", lambda self, row: row if looking else under(self, row))
    monkeypatch.setattr(model, "answered", lambda self, said: None if looking else answered(self, said))
    standin.load("sd1")
    vars(standin.knobs).update(norm_gain=30, prompt_gain=6)
    yield seen
    standin.load("sd1")


@pytest.mark.parametrize("values", [{}, {"sampler_name": "DDIM"}, {"sampler_name": "DPM++ SDE"}], ids=str)
def test_parts_of_a_call_know_their_own(extension, phases, looks, values, monkeypatch):  # noqa: F811
    tile_by_tile = pixels(ask([{**NINE, "tile_batch": 1}], **values))
    assert len(looks) == 4 and len(set(looks)) == 1  # each two by two tiles, the odd ones with those before
    looks.clear()
    phases(2)
    looks.clear()
    assert np.array_equal(pixels(ask([NINE], **values)), tile_by_tile)
    assert [len(call.seeds) for call in standin.log.calls] == [9] and len(looks) == 4
    monkeypatch.setattr(WebuiHost, "looks_over", lambda self: False)
    assert np.abs(pixels(ask([NINE], **values)).astype(int) - tile_by_tile).max() > 2
    assert "forward" not in vars(shared.sd_model.network.norm)


def test_each_prompt_of_a_tile_is_looked_with(extension, phases, looks):  # noqa: F811
    given = {**NINE, "tile_prompts": "2: cat"}
    tile_by_tile = pixels(ask([{**given, "tile_batch": 1}]))
    assert len(looks) == 5
    phases()
    assert np.array_equal(pixels(ask([given])), tile_by_tile)


@pytest.mark.parametrize("values", [{"prompt": "a AND b"}, {"cfg_scale": 1}], ids=str)
def test_other_prompts(extension, looks, values):  # noqa: F811
    """Joined by AND, rows of the network are not windows in order: it is not told what is for others."""
    ask([NINE], **values)
    assert len(looks) == (0 if "AND" in values.get("prompt", "") else 4)


@pytest.mark.parametrize("given", [
    {"redraw_mode": "linear"}, {"redraw_mode": "fused"}, {"noise": "tile"}, {"seamless": True}, {"tile_width": 512},
    {"overviews": False},
], ids=str)  # fmt: skip
def test_where_there_is_nothing_to_show(extension, looks, given):  # noqa: F811
    ask([{**NINE, "padding": 16, **given}])
    assert not looks


@pytest.mark.parametrize("speed", ["fast", "fastest"])
def test_speed_sees_none_of_it(extension, looks, speed):  # noqa: F811
    """What guidance moved, by part of the batch, is that of the windows."""
    given = {**NINE, "speed": speed}
    one = pixels(ask([{**given, "tile_batch": 1}], steps=6, cfg_scale=5, prompt="a cat"))
    both = pixels(ask([{**given, "tile_batch": 3}], steps=6, cfg_scale=5, prompt="a cat"))
    assert len(looks) == 8 and np.abs(one.astype(int) - both).max() <= 1
