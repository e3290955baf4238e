"""A tile of Parallel is shown its surroundings: the network sees them once, made small, before it sees the tile."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

from tiny_models import sd1, sdxl  # noqa: E402

from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.fused import overviews as known_overviews  # noqa: E402
from lib_usdu.fused.overviews import Overviews, can_know  # noqa: E402
from lib_usdu.geometry import Canvas  # noqa: E402
from lib_usdu.host import Batch  # noqa: E402
from lib_usdu.latents import Latents  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.resume.digest import digest  # noqa: E402
from lib_usdu.run.overview import overviews_of  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner  # noqa: E402
from lib_usdu.standalone.sampling import Sampling  # noqa: E402

SIDE = 192
MODELS = {"sd1": sd1, "sdxl": sdxl}


@pytest.fixture(scope="module")
def picture():
    """Dark on the left, bright on the right: windows and the whole have other statistics."""
    random = np.random.default_rng(0)
    return (random.integers(0, 90, (SIDE, SIDE, 3)) + np.linspace(0, 160, SIDE)[None, :, None]).astype(np.uint8)


@pytest.fixture(scope="module")
def pipes(tmp_path_factory):
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MODELS.items()}


def run(pipe, picture, *, sampler="Euler", cfg=1.0, sampling=None, host=None, **options):
    given = {"custom_scale": 1, "tile_width": 96, "padding": 16, "denoise": 0.6, "tone_lock": 0, "resume": False}
    told = sampling or Sampling(prompt="a cat", sampler=sampler, steps=6, cfg_scale=cfg)
    host = host or LocalHost(DiffusersRefiner(pipe, told, "tiny"))
    return upscale(picture, Options(upscaler="None", **{**given, **options}), host).image.astype(int)


def overviews(width, height, tile=96, padding=16, base=None):
    canvas = Canvas(width, height)
    tiles = canvas.divide(tile, tile, padding)
    base = np.zeros((height, width, 3), np.uint8) if base is None else base
    of = overviews_of(tiles, canvas, base, Latents(), seed=1, number=0, align=64)
    return tiles, [of(tile) for tile in tiles]


@pytest.mark.parametrize(("width", "height"), [(192, 192), (288, 192), (480, 480), (96 * 7, 200), (1000, 130)])
def test_an_overview_shows_all_that_its_tiles_see(width, height):
    tiles, found = overviews(width, height)
    canvas = Canvas(width, height).region
    for tile, overview in zip(tiles, found):
        assert overview.region.contains(tile.window.intersect(canvas)) and canvas.contains(overview.region)
        assert tile.window in overview.windows
        shape = overview.picture.shape
        assert shape == found[0].picture.shape and not (shape[0] % 64 or shape[1] % 64)
        assert shape[0] <= tile.window.height and shape[1] <= tile.window.width  # no dearer than a tile
        assert (overview.noise.region.height, overview.noise.region.width) == (shape[0] // 8, shape[1] // 8)
    assert len({overview.content for overview in found}) <= -(-len(tiles) // 2)


def test_a_window_that_sees_it_all_has_none():
    assert overviews(96, 96)[1] == [None]
    assert overviews(128, 128, padding=64)[1] == [None] * 4


def test_an_overview_of_other_pixels_is_another_one():
    base = np.zeros((192, 192, 3), np.uint8)
    one, same = overviews(192, 192, base=base)[1][0], overviews(192, 192, base=base.copy())[1][0]
    base[100, 100] = 255
    other = overviews(192, 192, base=base)[1][0]
    assert one.content == same.content != other.content
    assert digest(one) == digest(same) != digest(other)


def test_content_of_any_other_thing_does_not_stand_for_all_of_it():
    """Such an object of another extension would be taken for another one with the same text."""
    one, other = (SimpleNamespace(content="a", weight=weight) for weight in (0.5, 1.0))
    assert digest(one) != digest(other)


class Norms(torch.nn.Module):
    """A norm, and keys of self-attention at half the size."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.attn1 = torch.nn.GroupNorm(2, 4), torch.nn.Module()
        self.attn1.to_k = torch.nn.Linear(4, 4, bias=False)
        with torch.no_grad():
            self.norm.weight.copy_(torch.rand(4) + 0.5)
            self.norm.bias.copy_(torch.randn(4))

    def forward(self, x):
        made = self.norm(x)
        small = torch.nn.functional.avg_pool2d(made, 2).flatten(2).transpose(1, 2)
        return made, self.attn1.to_k(small)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_window_is_normed_by_all_that_the_overview_shows(rows):
    """Where the overview shows what there is, at its size, that is the norm of all of it."""
    network, known, (tiles, found) = Norms(), Overviews(), overviews(256, 256, tile=128, padding=0)
    size = found[0].picture.shape[0] // 8
    whole = torch.randn(1, 4, size, size) + torch.linspace(-2, 2, size)
    half = size // 2
    batch = Batch(tuple(tiles), np.zeros((4, 96, 96, 3), np.uint8), (), 0.5, Canvas(192, 192), overviews=tuple(found))
    cut = [(slice(y, y + half), slice(x, x + half)) for y in (0, half) for x in (0, half)]
    windows = torch.cat([whole[..., down, across] for down, across in cut]).repeat(rows, 1, 1, 1)
    looks = []
    with torch.no_grad(), known.put_in(network):
        known.learn(batch, range(4), lambda number: looks.append(network(whole)))
        known.sees(0, 4)
        made, keys = network(windows)
        expected = looks[0][0]
        for at, one in enumerate(made):
            assert torch.allclose(one, expected[0][(slice(None), *cut[at % 4])], atol=1e-4)
        assert len(looks) == 1 and keys.shape[1] == half**2 // 4 + size**2 // 4
        assert torch.equal(keys[:, half**2 // 4 :], looks[0][1].expand(4 * rows, -1, -1))
        known.sees(1, 2)
        part = network(windows[1:3])[0]
        assert torch.equal(part, made[1:3])
    plain = network(windows)[0]
    assert (plain - made).abs().max() > 0.3


def test_layers_that_see_a_window_in_parts_are_left_alone():
    """HyperTile gives self-attention each window in pieces, as rows."""
    network, known, (tiles, found) = Norms(), Overviews(), overviews(192, 192)
    batch = Batch(tuple(tiles), np.zeros((4, 96, 96, 3), np.uint8), (), 0.5, Canvas(192, 192), overviews=tuple(found))
    size, pieces = found[0].picture.shape[0] // 8, torch.randn(16, 9, 4)
    plain = network.attn1.to_k(pieces)
    with torch.no_grad(), known.put_in(network):
        known.learn(batch, range(4), lambda number: network(torch.randn(1, 4, size, size)))
        known.sees(0, 4)
        assert torch.equal(network.attn1.to_k(pieces), plain)
        assert network.attn1.to_k(pieces[:8]).shape[1] > 9
        many = Overviews()
        with many.put_in(network):
            many.learn(batch, range(4), lambda number: network.attn1.to_k(torch.randn(4, size**2 // 4, 4)))
    assert not any(seen.asked for seen in many._known.values())


def test_broken_numbers_are_not_learned():
    network, known, (tiles, found) = Norms(), Overviews(), overviews(192, 192)
    batch = Batch(tuple(tiles), np.zeros((4, 96, 96, 3), np.uint8), (), 0.5, Canvas(192, 192), overviews=tuple(found))
    x = torch.randn(4, 4, 8, 8)
    with torch.no_grad(), known.put_in(network):
        known.learn(batch, range(4), lambda number: network(torch.full((1, 4, 16, 16), torch.nan)))
        known.sees(0, 4)
        assert torch.equal(network(x)[0], torch.nn.functional.group_norm(x, 2, network.norm.weight, network.norm.bias))
        assert known.new(batch) == [found[0]], "in single precision it may be whole: it is looked at again"


def test_what_is_remembered_has_its_room(monkeypatch):
    """The least lately used go first, those of the present batch never; of a large one fewer places are asked."""
    network, known, (tiles, found) = Norms(), Overviews(), overviews(480, 480)
    looked, small = [], torch.randn(1, 4, 2, 2)

    def see(at):
        picked = [(tiles[one], found[one]) for one in at]
        some, shown = zip(*picked)
        batch = Batch(some, np.zeros((len(at), 96, 96, 3), np.uint8), (), 0.5, Canvas(480, 480), overviews=shown)
        new = {one.content for one in known.new(batch)}
        with torch.no_grad(), known.put_in(network):
            known.learn(batch, range(len(at)), lambda one: (looked.append(shown[one].content), network(small)))
        assert set(looked[-len(new) :] if new else ()) == new

    see([0])
    known._known[next(iter(known._known))].asked[-1] = torch.zeros(100)
    monkeypatch.setattr(known_overviews, "ROOM", 800)  # two of them
    see([2]), see([0, 1]), see([24])
    assert looked == [found[at].content for at in (0, 2, 24)], "400 bytes have room"
    monkeypatch.setattr(known_overviews, "ROOM", 300)
    see([2, 24]), see([0])
    assert looked[3:] == [found[0].content], "the large one had to go"
    monkeypatch.setattr(known_overviews, "MOST", 4)
    seen = Overviews()
    batch = Batch((tiles[0],), np.zeros((1, 96, 96, 3), np.uint8), (), 0.5, Canvas(480, 480), overviews=(found[0],))
    size = found[0].picture.shape[0] // 8
    with torch.no_grad(), seen.put_in(network):
        seen.learn(batch, range(1), lambda one: network(torch.randn(1, 4, size, size)))
    (only,) = seen._known.values()
    assert only.asked[-1].shape == (4, 4) and only.size() == 4 * (16 + 4 * 2 * 2)


def test_without_room_it_is_the_same_picture(pipes, picture, monkeypatch):
    expected = run(pipes["sd1"], picture, tile_batch=1)
    monkeypatch.setattr(known_overviews, "ROOM", 0)
    assert np.array_equal(run(pipes["sd1"], picture, tile_batch=1), expected)


def test_what_has_no_norms_is_not_asked():
    assert can_know(Norms()) and not can_know(torch.nn.Linear(2, 2)) and not can_know(None)
    assert not can_know(torch.nn.GroupNorm(1, 2, affine=False))


@pytest.mark.parametrize("cfg", [1.0, 5.0])
@pytest.mark.parametrize("kind", list(MODELS))
def test_it_counts_and_batches_change_nothing(pipes, picture, kind, cfg, monkeypatch):
    one_by_one = run(pipes[kind], picture, cfg=cfg, tile_batch=1)
    assert np.abs(run(pipes[kind], picture, cfg=cfg, tile_batch=3) - one_by_one).max() <= 1
    without = run(pipes[kind], picture, cfg=cfg, tile_batch=1, overviews=False)
    assert np.abs(without - one_by_one).max() > 2
    monkeypatch.setattr(DiffusersRefiner, "looks_over", lambda self: False)
    assert np.array_equal(run(pipes[kind], picture, cfg=cfg, tile_batch=1), without)


def test_the_network_is_as_it_was_afterwards(pipes, picture):
    unet = pipes["sd1"].unet
    run(pipes["sd1"], picture)
    assert not any("forward" in vars(part) for part in unet.modules() if part is not unet)


def test_a_tile_alone_is_what_it_is_in_all(pipes, picture):
    """Chosen by its number, tried, and continued after a stop: each time with the same surroundings."""
    whole = run(pipes["sd1"], picture)
    third = run(pipes["sd1"], picture, redo_tiles="4")
    middle = np.s_[130:, 130:]
    assert np.array_equal(third[middle], whole[middle])
    assert np.array_equal(third[:60, :60], picture[:60, :60])


def test_a_stopped_run_goes_on_to_the_same_picture(pipes, picture, tmp_path):
    def host():
        told = Sampling(prompt="a cat", sampler="Euler", steps=6, cfg_scale=1)
        return LocalHost(DiffusersRefiner(pipes["sd1"], told, "tiny"), journal_folder=tmp_path)

    whole, stopped = run(pipes["sd1"], picture), host()
    stopped.on_progress = lambda progress: setattr(stopped, "stop", progress.done >= 2)
    half = run(pipes["sd1"], picture, host=stopped, resume=True, tile_batch=1)
    assert not np.array_equal(half, whole)
    assert np.array_equal(run(pipes["sd1"], picture, host=host(), resume=True, tile_batch=1), whole)


@pytest.mark.parametrize("speed", ["fast", "fastest"])
def test_speed_goes_with_it(pipes, picture, speed):
    one_by_one = run(pipes["sd1"], picture, cfg=5, speed=speed, tile_batch=1)
    assert np.abs(run(pipes["sd1"], picture, cfg=5, speed=speed, tile_batch=4) - one_by_one).max() <= 1
