"""All windows of a canvas take each sampler step together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hosts import NoisyRefiner

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import tiny_models  # noqa: E402

from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import OptionError  # noqa: E402
from lib_usdu.fused.norms import CanvasNorms  # noqa: E402
from lib_usdu.fused.windows import (  # noqa: E402
    assemble,
    over_windows,
    patches,
    through_the_patcher,
    unet_in_windows,
)
from lib_usdu.geometry import Canvas, plan_tiles  # noqa: E402
from lib_usdu.latents import Latents  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.standalone.checkpoints import EMBEDDED, load_checkpoint  # noqa: E402
from lib_usdu.standalone.host import LocalHost, Refiner  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402
from lib_usdu.standalone.samplers import SAMPLERS  # noqa: E402

FUSED = Options(redraw_mode="fused", custom_scale=1, tile_width=64, padding=16, denoise=0.3, tone_lock=0)


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def folder(request, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    getattr(tiny_models, request.param)(place).save_pretrained(place / "model")
    return place / "model"


def refiner(folder, **sampling):
    pipeline, name = load_checkpoint(str(folder), torch.device("cpu"))
    return DiffusersRefiner(pipeline, Sampling(**{"prompt": "a cat", "steps": 10, "cfg_scale": 3, **sampling}), name)


def small(photo):
    return photo[100:196, 150:278]


def distance(one, other):
    return np.abs(one.image.astype(int) - other.image)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("width,height,reach", [(128, 96, 16), (133, 77, 16), (64, 64, 0), (200, 64, 9)])
def test_shares_sum_to_one(width, height, reach, wrap):
    if wrap:
        width, height = width // 8 * 8, height // 8 * 8
    canvas = Canvas(width, height, wrap)
    places = patches(canvas.divide(64, 64, 16), canvas, Latents(), (reach, reach))
    like = torch.zeros(1, 4, -(-height // 8), -(-width // 8))
    ones = (torch.ones(1, 4, *place.share.shape) for place in places)
    assert torch.allclose(assemble(ones, places, like), torch.ones_like(like), atol=1e-6)


def test_a_model_that_sees_single_pixels_notices_nothing_of_windows():
    """Conditions stay with their entry, however many windows go at once."""
    tiles = plan_tiles(160, 96, 64, 64, 16)
    places = patches(tiles, Canvas(160, 96), Latents(), (16, 16))
    sample, states = torch.randn(2, 4, 12, 20), torch.tensor([[[2.0]], [[3.0]]])
    asked = []

    def model(sample, timestep, encoder_hidden_states, added_cond_kwargs, return_dict):
        asked.append(len(sample))
        assert len(added_cond_kwargs["time_ids"]) == len(sample) and not return_dict
        return (sample * encoder_hidden_states[:, :, :, None] + timestep,)

    for limit in (1, 4, 100):
        fused = unet_in_windows(model, places, limit, lambda: None)
        added = {"time_ids": torch.zeros(2, 6)}
        (seen,) = fused(sample, 5, encoder_hidden_states=states, added_cond_kwargs=added, return_dict=False)
        assert torch.allclose(seen, sample * states[:, :, :, None] + 5, atol=1e-5)
    assert max(asked) == 2 * len(tiles)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_and_batch_size(folder, sampler, photo):
    made = refiner(folder, sampler=sampler)
    alone = upscale(small(photo), FUSED.with_(tile_batch=1), LocalHost(made))
    together = upscale(small(photo), FUSED.with_(tile_batch=3), LocalHost(made))
    assert distance(alone, together).max() <= 1  # float order inside torch
    assert (alone.image != alone.upscaled).mean() > 0.5
    assert alone.finished and alone.stats.tiles_done == alone.stats.tiles == 4


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M"])
def test_one_window_is_the_plain_pass(folder, sampler, photo):
    one = FUSED.with_(tile_width=512, tile_height=512)
    made = refiner(folder, sampler=sampler)
    fused, plain = (
        upscale(small(photo), one.with_(redraw_mode=mode), LocalHost(made)) for mode in ("fused", "parallel")
    )
    assert distance(fused, plain).max() <= 1


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M"])
def test_the_embedded_model_draws_the_un_tiled_pass_fused_and_in_tiles(sampler, photo):
    """It looks no further than padding reaches: both are within rounding, and far nearer than what it draws."""
    pipeline, name = load_checkpoint(EMBEDDED, torch.device("cpu"))
    host = LocalHost(DiffusersRefiner(pipeline, Sampling(sampler=sampler, steps=10), name))

    def redrawn(mode, tile):
        options = FUSED.with_(tile_width=tile, tile_height=tile, redraw_mode=mode, denoise=0.5)
        return upscale(photo[100:228, 100:292], options, host).image.astype(float)

    whole = redrawn("parallel", 512)
    fused, tiles = (np.mean((redrawn(mode, 64) - whole) ** 2) for mode in ("fused", "parallel"))
    drawn = np.mean((whole - photo[100:228, 100:292]) ** 2)
    assert max(fused, tiles) < 0.02 and drawn > 0.2


def test_a_stop_between_steps_keeps_the_canvas(photo):
    host = LocalHost(NoisyRefiner())
    host.on_progress = lambda progress: setattr(host, "stop", progress.stage == "redraw")
    result = upscale(small(photo), FUSED, host)
    assert not result.finished and np.array_equal(result.image, result.upscaled)
    assert "0 of 4 tiles" in str(result.parameters)


def test_a_stop_inside_the_model(folder, photo):
    host = LocalHost(refiner(folder))
    host.on_progress = lambda progress: setattr(host, "stop", progress.stage == "redraw")
    result = upscale(small(photo), FUSED, host)
    assert not result.finished and np.array_equal(result.image, result.upscaled)
    host.stop, host.on_progress = False, lambda progress: None
    assert upscale(small(photo), FUSED, host).finished, "the model is whole again after a stop"


def test_seamless(folder, photo):
    """Rolled by a tile, the picture comes out rolled by a tile (with noise that is the same everywhere)."""
    rgb = photo[100:228, 150:278]
    made = refiner(folder, sampler="Euler")
    options = FUSED.with_(seamless=True, tile_width=64, tile_height=64)
    noise = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        repeated = lambda self, number, channels: np.tile(noise, (1, self.canvas_h // 8, self.canvas_w // 8))  # noqa: E731
        patch.setattr("lib_usdu.noise.TileNoise.draw", repeated)
        plain = upscale(rgb, options, LocalHost(made)).image.astype(int)
        rolled = upscale(np.roll(rgb, (64, 64), (0, 1)), options, LocalHost(made)).image
    assert np.abs(np.roll(plain, (64, 64), (0, 1)) - rolled).max() <= 1


def test_seams_are_fixed_after_it(photo):
    result = upscale(small(photo), FUSED.with_(seams_fix_type="band"), LocalHost(NoisyRefiner()))
    assert result.finished and result.stats.tiles_done == result.stats.tiles > 4


def test_where_it_cannot_be():
    class Plain(LocalHost):
        def why_not_fused(self):
            return "this host has no fused"

    with pytest.raises(OptionError, match="redraw_mode.*fused.*linear, chess, none, parallel"):
        upscale(np.zeros((64, 64, 3), np.uint8), FUSED, Plain(NoisyRefiner()))
    with pytest.raises(OptionError, match="noise.*tile.*canvas"):
        upscale(np.zeros((64, 64, 3), np.uint8), FUSED.with_(noise="tile"), LocalHost(NoisyRefiner()))


def test_indices_go_to_the_device_once_not_for_each_window_and_step(folder, photo, monkeypatch):
    moved, original = [], torch.Tensor.to

    def noted(self, *given, **named):
        moved.append(self.dtype)
        return original(self, *given, **named)

    monkeypatch.setattr(torch.Tensor, "to", noted)
    # Which asks the scheduler for its steps once more, outside the run.
    monkeypatch.setattr(DiffusersRefiner, "noise_share", Refiner.noise_share)
    made = refiner(folder)
    upscale(small(photo), FUSED, LocalHost(made))
    few = moved.count(torch.int64)
    made.sampling = Sampling("a cat", steps=20, cfg_scale=3)
    moved.clear()
    upscale(small(photo), FUSED, LocalHost(made))
    steps = 3  # more of them: each may move what the scheduler has, and no window's rows and columns
    assert moved.count(torch.int64) <= few + 3 * steps


# --- GroupNorm by the canvas's statistics -----------------------------------------------------------------------------


class Norm(torch.nn.Module):
    """A network of one GroupNorm, with scales and shifts of its own."""

    def __init__(self, channels=8, groups=2):
        super().__init__()
        self.norm = torch.nn.GroupNorm(groups, channels)
        torch.nn.init.normal_(self.norm.weight)
        torch.nn.init.normal_(self.norm.bias)

    def forward(self, x):
        return self.norm(x)


def windows_of(side, tile=64, reach=(16, 16)):
    canvas = Canvas(side, side)
    return patches(canvas.divide(tile, tile, 16), canvas, Latents(8), reach)


@torch.no_grad()
def asked(network, places, canvas, levels, limit=3, *, forge=False):
    """What the network says of a canvas at these levels of noise, one after the other."""
    norms, found = CanvasNorms(network, places), []
    with norms.put_in():
        for level in levels:
            if forge:
                def over(x, predict, seen):
                    return over_windows(x, places, limit, lambda: None, predict, norms, seen, rows_first=True)

                told = {"input": canvas, "timestep": torch.full((len(canvas),), level), "c": {},
                        "cond_or_uncond": list(range(len(canvas)))}  # fmt: skip
                found.append(through_the_patcher(lambda one: network(one["input"]), told, over))
            else:
                predict = lambda cut, _conditions: network(cut)  # noqa: E731
                found.append(over_windows(canvas, places, limit, lambda: None, predict, norms, level))
    return found


@pytest.mark.parametrize("forge", [False, True])
def test_from_the_second_step_on_windows_normalise_by_the_canvas(forge):
    """Levels that differ from left to right and between the entries: a window alone would take them away."""
    network, places = Norm(), windows_of(256)
    canvas = torch.randn(2, 8, 32, 32) + torch.linspace(-3, 3, 32) + torch.tensor([0.0, 5.0])[:, None, None, None]
    first, second, third = asked(network, places, canvas, [9.0, 8.0, 7.0], forge=forge)
    whole = network(canvas).detach()
    assert (first - whole).abs().max() > 0.5
    assert torch.allclose(second, whole, atol=1e-4) and torch.allclose(third, whole, atol=1e-4)


def test_a_change_everywhere_is_followed_at_once():
    """The canvas becomes brighter and livelier from one step to the next, everywhere alike: statistics of the step
    before alone would be wrong by that."""
    network, places = Norm(), windows_of(256)
    norms, before = CanvasNorms(network, places), torch.randn(1, 8, 32, 32)
    before = before + torch.linspace(-2, 2, 32)
    after = 1.5 * before + 2
    with norms.put_in(), torch.no_grad():
        for level, canvas in ((9.0, before), (8.0, after)):
            predict = lambda cut, _conditions: network(cut)  # noqa: E731
            found = over_windows(canvas, places, 4, lambda: None, predict, norms, level)
    assert torch.allclose(found, network(after).detach(), atol=1e-3)


def test_what_a_window_becomes_does_not_depend_on_the_group():
    network, places, canvas = Norm(), windows_of(256), torch.randn(2, 8, 32, 32).cumsum(-1)
    one, many = (asked(network, places, canvas, [9.0, 8.0], limit=limit)[1] for limit in (1, 16))
    assert torch.allclose(one, many, atol=1e-5)


def test_answers_that_are_asked_for_apart_have_statistics_of_their_own():
    """With and without the prompt, two calls at one level of noise."""
    network, places = Norm(), windows_of(256)
    prompted, plain = torch.randn(1, 8, 32, 32), torch.randn(1, 8, 32, 32) * 4 + 3
    norms, found = CanvasNorms(network, places), []
    with norms.put_in(), torch.no_grad():
        for level in (9.0, 8.0):
            for canvas in (prompted, plain):
                predict = lambda cut, _conditions: network(cut)  # noqa: E731
                found.append(over_windows(canvas, places, 4, lambda: None, predict, norms, level))
    for one, canvas in zip(found[2:], (prompted, plain)):
        assert torch.allclose(one, network(canvas).detach(), atol=1e-4)


def test_afterwards_and_outside_of_windows_the_network_is_as_it_was():
    network, places, x = Norm(), windows_of(256), torch.randn(2, 8, 8, 8)
    before = network(x)
    norms = CanvasNorms(network, places)
    with norms.put_in():
        assert torch.equal(network(x), before) and "forward" in vars(network.norm)
    assert "forward" not in vars(network.norm) and torch.equal(network(x), before)


def test_a_call_that_is_stopped_leaves_nothing_half_known():
    network, places, canvas = Norm(), windows_of(256), torch.randn(1, 8, 32, 32)
    norms, seen = CanvasNorms(network, places), []

    def stop():
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt

    predict = lambda cut, _conditions: network(cut)  # noqa: E731
    with norms.put_in(), torch.no_grad():
        with pytest.raises(KeyboardInterrupt):
            over_windows(canvas, places, 2, stop, predict, norms, 9.0)
        over_windows(canvas, places, 2, lambda: None, predict, norms, 8.0)
        found = over_windows(canvas, places, 2, lambda: None, predict, norms, 7.0)
    assert torch.allclose(found, network(canvas).detach(), atol=1e-4)
