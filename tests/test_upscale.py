import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_usdu.embedded import DEFAULT_UPSCALER
from lib_usdu.enlarge.spandrel_model import SpandrelModel
from lib_usdu.enlarge.windows import resize, run_network
from lib_usdu.errors import ModelError, Stopped


class Repeat:
    """A "network" of any factor that repeats pixels, and counts its windows."""

    def __init__(self, scale):
        self.scale, self.windows = scale, 0

    def __call__(self, windows):
        self.windows += len(windows)
        return windows.repeat(self.scale, axis=1).repeat(self.scale, axis=2)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 200), height=st.integers(1, 200), factor=st.sampled_from([1, 2, 3, 4, 8]),
    scale=st.sampled_from([0.5, 1, 1.5, 2, 2.5, 3, 4, 6.3]), batch=st.integers(1, 5),
)  # fmt: skip
def test_windows_give_what_the_whole_gives(width, height, factor, scale, batch):
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([100 + 50 * np.sin(x / 9), 120 + 40 * np.cos(y / 7), 90 + (x + y) % 40], axis=2).astype(np.uint8)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    got = run_network(rgb, Repeat(factor), *size, window=64, batch=batch)
    whole = rgb
    while factor > 1 and (whole.shape[1] < size[0] or whole.shape[0] < size[1]):
        whole = Repeat(factor)(whole[None])[0]
    assert got.shape == (size[1], size[0], 3)
    assert np.abs(got.astype(int) - resize(whole, *size)).max() <= 3


@pytest.mark.parametrize(
    "factor, scale, runs", [(4, 4, 1), (4, 2, 1), (4, 5, 2), (2, 8, 3), (1, 3, 1), (8, 8, 1), (4, 1, 0), (1, 1, 1)]
)
def test_only_as_many_runs_as_the_size_needs(factor, scale, runs, monkeypatch):
    model = Repeat(factor)
    run_network(np.zeros((40, 40, 3), np.uint8), model, 40 * scale, 40 * scale, window=4096)
    assert model.windows == runs


def test_progress_and_stop():
    told = []
    run_network(np.zeros((130, 130, 3), np.uint8), Repeat(2), 260, 260, window=64, progress=lambda *p: told.append(p))
    assert told[-1] == (9, 9) and len(told) == 9
    with pytest.raises(Stopped):
        run_network(np.zeros((130, 130, 3), np.uint8), Repeat(2), 260, 260, window=64, stop=lambda: True)


def test_the_embedded_model_has_no_seams_between_windows(photo):
    model = SpandrelModel.load(DEFAULT_UPSCALER)
    assert model.scale == 4
    rgb = photo[100:228, 150:278]
    whole = model(rgb[None])[0]
    windows = run_network(rgb, model, 512, 512, window=48, overlap=16)
    assert np.abs(whole.astype(int) - windows).max() <= 1
    half = run_network(rgb, model, 256, 256, window=48)
    assert np.abs(half.astype(int) - resize(whole, 256, 256)).max() <= 2


class Small(Repeat):
    """Holds so many pixels at once and no more."""

    def __init__(self, scale, most):
        super().__init__(scale)
        self.most, self.refused = most, 0

    def __call__(self, windows):
        if windows[..., 0].size > self.most:
            self.refused += 1
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().__call__(windows)


@pytest.mark.parametrize(
    "most, refused",
    [(10**6, 0), (4 * 96 * 96, 1), (96 * 96, 2), (96 * 96 + 500, 2)],
)
def test_where_memory_runs_out_fewer_windows_then_pieces_give_the_same(photo, most, refused):
    rgb = photo[:300, :260]
    model = Small(2, most)
    got = run_network(rgb, model, 520, 600, window=64, batch=5)
    assert np.array_equal(got, run_network(rgb, Repeat(2), 520, 600, window=64)) and model.refused == refused


def test_windows_are_divided_as_often_as_it_takes(photo):
    model = Small(4, 100 * 100)
    got = run_network(photo[:300, :300], model, 1200, 1200, window=256, batch=2)
    assert np.array_equal(got, run_network(photo[:300, :300], Repeat(4), 1200, 1200))
    assert model.refused == 3  # two windows, one of 184 px, a piece of 128 px


def test_the_smallest_piece_that_does_not_fit_is_an_error(photo):
    with pytest.raises(RuntimeError, match="out of memory"):
        run_network(photo, Small(2, 1000), 1024, 1024)


def test_other_errors_are_not_tried_again(photo):
    class Broken(Repeat):
        def __call__(self, windows):
            self.windows += 1
            raise RuntimeError("no kernel image")

    model = Broken(2)
    with pytest.raises(RuntimeError, match="no kernel"):
        run_network(photo, model, 1024, 1024, batch=4)
    assert model.windows == 1


def test_the_embedded_model_in_bfloat16_is_the_same_to_the_eye(photo, monkeypatch):
    import torch

    plain = SpandrelModel.load(DEFAULT_UPSCALER)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    reduced = SpandrelModel.load(DEFAULT_UPSCALER)
    assert (plain.dtype, reduced.dtype) == (torch.float32, torch.bfloat16)
    window = photo[None, 100:228, 150:278]
    error = plain(window).astype(float) - reduced(window)
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 45 and abs(error.mean()) < 0.3
    for colour in ((255, 255, 255), (100, 150, 200)):  # flat surfaces stay flat
        paper = np.full_like(window, colour)
        assert (reduced(paper)[:, 64:-64, 64:-64] == colour).all()


def test_a_model_that_overflows_in_half_precision_goes_on_in_single(photo):
    import torch
    from torch import nn

    class Large(nn.Module):
        """Its values pass 65504 on the way."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            large = x * 1e5 * self.conv.weight.new_ones(1) / 1e5
            return large.repeat_interleave(2, 2).repeat_interleave(2, 3)

    class Descriptor:
        scale, input_channels, supports_half, supports_bfloat16, model = 2, 3, True, True, Large()

        def to(self, **where):
            self.model.to(**where)
            return self

        def eval(self):
            return self

        def __call__(self, x):
            return self.model(x)

    model = SpandrelModel("large", Descriptor(), "cpu")
    model.dtype = torch.float16
    model.descriptor.to(dtype=torch.float16)
    assert np.array_equal(model(photo[None, :64, :64]), Repeat(2)(photo[None, :64, :64]))
    assert model.dtype == torch.float32


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 half a zip"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_is_no_model(tmp_path, content, suffix):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"broken{suffix}"):
        SpandrelModel.load(path)
    with pytest.raises(ModelError, match="no such file"):
        SpandrelModel.load(tmp_path / "missing.pth")
