"""What a card makes of a window's output is what Pillow makes of it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lib_usdu.enlarge.parts import part_of
from lib_usdu.enlarge.sparing import Sparing
from lib_usdu.enlarge.windows import resize, run_network
from lib_usdu.geometry import plan_tiles


def one_axis_after_the_other(output, part):
    """Pillow's Lanczos along rows, then along columns, as `Image.resize` did it up to Pillow 12. Later ones take the
    axes in the other order for some sizes; since they round and clip in between, that is another picture on noise."""
    image, lanczos = Image.fromarray(output[: part.valid[1], : part.valid[0]]), Image.Resampling.LANCZOS
    left, upper, right, lower = part.box
    image = image.resize((part.place.width, part.valid[1]), lanczos, box=(left, 0, right, part.valid[1]))
    image = image.resize((part.place.width, part.place.height), lanczos, box=(0, upper, part.place.width, lower))
    return np.asarray(image)


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(9, 90), st.integers(9, 90)), scale=st.sampled_from([2, 4]),
    target=st.tuples(st.floats(0.2, 4), st.floats(0.2, 4)), seed=st.integers(0, 99),
)  # fmt: skip
def test_the_resize_on_a_device_is_pillows_to_a_level(size, scale, target, seed):
    """On noise, the hardest picture there is."""
    canvas = tuple(round(length * min(factor, scale)) or 1 for length, factor in zip(size, target))
    random = np.random.default_rng(seed)
    for tile in plan_tiles(*size, 40, 40, 8, align=8):
        part = part_of(tile, scale, size, canvas)
        if part is None:
            continue
        output = random.integers(0, 256, (tile.window.height * scale, tile.window.width * scale, 3), dtype=np.uint8)
        expected = part.of(output) if part.exact else one_axis_after_the_other(output, part)
        found = part.on_device(torch.from_numpy(output).permute(2, 0, 1))
        assert found.shape == expected.shape == part.shape and found.is_contiguous() and found.dtype == torch.uint8
        assert np.abs(found.numpy().astype(int) - expected).max() <= 1


def test_on_a_picture_it_is_within_two_levels_whatever_pillows_order(photo):
    for size in ((120, 70), (70, 120), (128, 128)):
        tile = plan_tiles(*size, 200, 200, 0, align=8)[0]
        part = part_of(tile, 4, size, (size[0] * 2, size[1] * 2))
        output = resize(photo[: size[1], : size[0]], size[0] * 4, size[1] * 4)
        output = np.pad(output, ((0, tile.window.height * 4 - len(output)), (0, 0), (0, 0)))
        error = np.abs(part.on_device(torch.from_numpy(output).permute(2, 0, 1)).numpy().astype(int) - part.of(output))
        assert error.max() <= 2 and (error > 1).mean() < 1e-3


class Ahead:
    """A network of factor 4 with a device of its own, which counts what is begun and waited for."""

    scale = 4

    def __init__(self):
        self.begun = self.finished = 0
        self.most_at_once = 0

    def begin(self, windows, parts):
        self.begun += 1
        self.most_at_once = max(self.most_at_once, self.begun - self.finished)
        outputs = torch.from_numpy(windows.repeat(4, axis=1).repeat(4, axis=2)).permute(0, 3, 1, 2)

        def finish():
            self.finished += 1
            return [part and part.on_device(output).numpy() for part, output in zip(parts, outputs)]

        return finish

    def __call__(self, windows):
        return windows.repeat(4, axis=1).repeat(4, axis=2)


@pytest.mark.parametrize("target", [1200, 600, 433])
def test_a_device_works_on_one_batch_while_the_one_before_is_fetched(photo, target):
    rgb, model = photo[:300, :300], Ahead()
    found = run_network(rgb, model, target, target, window=64, batch=3)
    assert model.begun == model.finished == 9 and model.most_at_once == 2

    class Plain:
        scale, __call__ = 4, Ahead.__call__

    plain = Plain()
    assert np.abs(found.astype(int) - run_network(rgb, plain, target, target, window=64, batch=3)).max() <= 1


def test_memory_that_runs_out_on_a_device_goes_on_with_fewer_windows(photo):
    class Small(Ahead):
        def __call__(self, windows):
            if len(windows) > 1:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().__call__(windows)

        def begin(self, windows, parts):
            outputs = self(windows)
            return lambda: [part.of(output) for part, output in zip(parts, outputs)]

    rgb, model = photo[:200, :200], Small()
    sparing = Sparing(model, 4, 16)
    tiles = plan_tiles(200, 200, 64, 64, 16, align=8)[:4]
    parts = [part_of(tile, 4, (200, 200), (800, 800)) for tile in tiles]
    windows = np.stack([np.ascontiguousarray(rgb[:96, :96])] * 4)
    assert len(sparing.begin(windows, parts)()) == 4 and sparing.most == 1
    assert np.array_equal(run_network(rgb, model, 800, 800, batch=4), rgb.repeat(4, axis=0).repeat(4, axis=1))
