"""Fused: a window's places ask those of the whole canvas, by what other windows had in the step before."""

import pytest
import torch

from lib_usdu.fused import attention
from lib_usdu.fused.attention import CanvasAttention
from lib_usdu.fused.windows import over_windows, patches
from lib_usdu.geometry import Canvas
from lib_usdu.latents import Latents

CHANNELS = 8


class Attends(torch.nn.Module):
    """Self-attention over places of 8x8 px, or over squares of them; it keeps how many places each was asked with."""

    def __init__(self, square=1):
        super().__init__()
        torch.manual_seed(0)
        self.attn1, self.square, self.asked = torch.nn.Module(), square, []
        for name in ("to_q", "to_k", "to_v"):
            setattr(self.attn1, name, torch.nn.Linear(CHANNELS, CHANNELS, bias=False))

    def forward(self, x):
        small = torch.nn.functional.avg_pool2d(x, self.square)
        tokens = small.flatten(2).transpose(1, 2)
        query, keys, values = self.attn1.to_q(tokens), self.attn1.to_k(tokens), self.attn1.to_v(tokens)
        self.asked.append(keys.shape[1])
        made = torch.nn.functional.scaled_dot_product_attention(query, keys, values)
        made = made.transpose(1, 2).unflatten(2, small.shape[2:])
        return torch.nn.functional.interpolate(made, scale_factor=self.square)


def windows_of(width, height=None, *, wraps=False):
    canvas = Canvas(width, height or width, wraps)
    return patches(canvas.divide(128, 128, 32), canvas, Latents(), (16, 16))


@torch.no_grad()
def over(network, places, canvases, limit=3, *, rows_first=False, beside=None):
    """What the network says of these canvases, at a level of noise each."""
    beside, found = beside or CanvasAttention(network, places), []

    def predict(cut, _conditions):
        if not rows_first:
            return network(cut)
        rows = len(canvases[0])  # a host that has all windows of an entry together
        answers = network(cut.unflatten(0, (-1, rows)).transpose(0, 1).flatten(0, 1))
        return answers.unflatten(0, (rows, -1)).transpose(0, 1).flatten(0, 1)

    with beside.put_in():
        for step, canvas in enumerate(canvases):
            level = 9.0 - step
            found.append(
                over_windows(canvas, places, limit, lambda: None, predict, beside, level, rows_first=rows_first)
            )
    return found


def canvas_like(size, entries=2):
    torch.manual_seed(1)
    return 3 * torch.randn(entries, CHANNELS, size, size) + torch.linspace(-3, 3, size)


@pytest.fixture
def all_places(monkeypatch):
    monkeypatch.setattr(attention, "MOST", 1000)


@pytest.mark.parametrize("square", [1, 2, 4])
@pytest.mark.parametrize("rows_first", [False, True])
def test_from_the_second_step_on_a_window_asks_the_whole_canvas(all_places, rows_first, square):
    network, places, canvas = Attends(square), windows_of(512), canvas_like(64)
    first, second = over(network, places, [canvas, canvas], rows_first=rows_first)
    whole = network(canvas).detach()
    assert (first - whole).abs().max() > 0.05
    assert torch.allclose(second, whole, atol=1e-4)


def test_each_place_is_asked_once_where_the_canvas_joins_itself(all_places):
    network, places, canvas = Attends(), windows_of(512, wraps=True), canvas_like(64)
    second = over(network, places, [canvas, canvas])[1]
    assert torch.allclose(second, network(canvas).detach(), atol=1e-4)
    assert network.asked[-2] == 64 * 64


@pytest.mark.parametrize("size", [320, 512, 1024, 2048])
def test_what_a_window_costs_does_not_grow_with_the_canvas(size):
    network, places = Attends(), windows_of(size)
    canvas = canvas_like(size // 8, 1)
    over(network, places, [canvas, canvas])
    own = places[0].share.numel()
    assert own < max(network.asked) <= (attention.MOST + 0.5) * own


def test_what_a_window_becomes_does_not_depend_on_the_group():
    network, places, canvas = Attends(), windows_of(500), canvas_like(63)
    one, many = (over(network, places, [canvas, canvas], limit)[1] for limit in (1, 16))
    assert torch.allclose(one, many, atol=1e-5)


def test_answers_that_are_asked_for_apart_have_places_of_their_own(all_places):
    """With and without the prompt, two calls at one level of noise."""
    network, places = Attends(), windows_of(512)
    beside, answers = CanvasAttention(network, places), []
    prompted, plain = canvas_like(64, 1), 2 * canvas_like(64, 1) - 3
    with beside.put_in(), torch.no_grad():
        for level in (9.0, 8.0):
            for canvas in (prompted, plain):
                predict = lambda cut, _conditions: network(cut)  # noqa: E731
                answers.append(over_windows(canvas, places, 4, lambda: None, predict, beside, level))
    for answer, canvas in zip(answers[2:], (prompted, plain)):
        assert torch.allclose(answer, network(canvas).detach(), atol=1e-4)


def test_afterwards_outside_of_windows_and_in_one_window_the_network_is_as_it_was():
    network, places, canvas = Attends(), windows_of(512), canvas_like(64)
    before = network(canvas)
    beside = CanvasAttention(network, places)
    with beside.put_in():
        assert torch.equal(network(canvas), before) and "forward" in vars(network.attn1.to_k)
    assert "forward" not in vars(network.attn1.to_k)
    with CanvasAttention(network, windows_of(128)).put_in():
        assert "forward" not in vars(network.attn1.to_k)


def test_a_call_that_is_stopped_leaves_nothing_half_known(all_places):
    network, places, canvas = Attends(), windows_of(512), canvas_like(64)
    beside, seen = CanvasAttention(network, places), []

    def stop():
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt

    predict = lambda cut, _conditions: network(cut)  # noqa: E731
    with beside.put_in(), torch.no_grad():
        with pytest.raises(KeyboardInterrupt):
            over_windows(canvas, places, 2, stop, predict, beside, 9.0)
        assert len(set(network.asked)) == 1
        over_windows(canvas, places, 2, lambda: None, predict, beside, 8.0)
        found = over_windows(canvas, places, 2, lambda: None, predict, beside, 7.0)
    assert torch.allclose(found, network(canvas).detach(), atol=1e-4)
