"""The tone lock in a whole run: what a person sees at tile borders and hard edges, and after run on run."""

import numpy as np
import pytest

from lib_usdu.compose import tone
from lib_usdu.engine import upscale
from lib_usdu.options import BLENDS, Options
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

SIDE, TILE = 384, 128
Y, X = np.mgrid[0:SIDE, 0:SIDE]
EDGES = {  # distance of each pixel from the edge: black below 0, white from 0 on
    "on a tile border": X - TILE,
    "inside an overlap": X - TILE - 12,
    "across tile borders": Y - 200,
    "diagonal": (X + Y - SIDE) / np.sqrt(2),
}
LEVELS = [(0, 255), (60, 195)]


class Drifting(IdentityRefiner):
    """A model that shifts each tile's colours its own way: a constant of up to 8 levels and a slope of up to 6."""

    def refine(self, batch, stop):
        drifts = [self._drift(tile.index, image.shape) for tile, image in zip(batch.tiles, batch.images)]
        return batch.images + np.stack(drifts)

    def _drift(self, index, shape):
        rng = np.random.default_rng(index)
        along = [np.linspace(-6, 6, length) * rng.uniform(-1, 1) for length in shape[:2]]
        slope = along[0][:, None, None] + along[1][None, :, None]
        return (rng.uniform(-8, 8, 3) + slope).astype(np.float32)


class Smoothing(IdentityRefiner):
    """A model that softens what it is given, hard edges first."""

    def refine(self, batch, stop):
        images = batch.images.astype(np.float32)
        for axis in (1, 2):
            for _ in range(4):
                lower, upper = np.roll(images, 1, axis), np.roll(images, -1, axis)
                first, last = [slice(None)] * 4, [slice(None)] * 4
                first[axis], last[axis] = 0, -1
                lower[tuple(first)], upper[tuple(last)] = images[tuple(first)], images[tuple(last)]
                images = images / 2 + (lower + upper) / 4
        return images


class Paling(IdentityRefiner):
    """A model whose whites lose 20 levels: a drift that stops at the picture's edge."""

    def refine(self, batch, stop):
        return batch.images - np.float32(20) * (batch.images > 128)


def edge_picture(edge, low, high):
    return np.where(EDGES[edge] >= 0, high, low).astype(np.uint8)[..., None].repeat(3, axis=2)


def refined(picture, refiner, **options):
    chosen = Options(**{"custom_scale": 1, "tile_width": TILE, "padding": 32} | options)
    return upscale(picture, chosen, LocalHost(refiner)).image.astype(int)


@pytest.mark.parametrize("blend", list(BLENDS.labels))
@pytest.mark.parametrize("edge", list(EDGES))
def test_tiles_that_drift_apart_come_back_to_within_a_level(edge, blend):
    """No ringing, no halo, no step at a black and white edge, wherever tile borders lie."""
    for low, high in LEVELS:
        picture = edge_picture(edge, low, high)
        drifted = np.abs(refined(picture, Drifting(), blend=blend, tone_lock=0) - picture)
        locked = np.abs(refined(picture, Drifting(), blend=blend) - picture)
        assert drifted.max() >= 8 and locked.max() <= 1 and locked.mean() < 0.1


@pytest.mark.parametrize("edge", list(EDGES))
def test_an_edge_the_model_softens_gets_no_ring(edge):
    """Black stays black and white white up to the edge itself: at most a level more than without the lock."""
    for low, high in LEVELS:
        picture = edge_picture(edge, low, high)
        without, locked = refined(picture, Smoothing(), tone_lock=0), refined(picture, Smoothing())
        assert np.abs(without - picture).max() > 20
        assert np.abs(locked - without).max() <= 1
        assert locked.min() >= low - 1 and locked.max() <= high + 1


@pytest.mark.parametrize("edge", list(EDGES))
def test_a_drift_that_stops_at_an_edge_fades_out_beside_it(edge):
    """The lock is a low-pass: it cannot follow a jump. It overshoots nothing: what it leaves is about half of the
    drift at most, and beyond 64 px of the edge nothing."""
    for low, high in LEVELS:
        picture = edge_picture(edge, low, high)
        locked = refined(picture, Paling()) - picture
        assert np.abs(locked).max() <= 11 and np.abs(locked).mean() < 1
        distance = EDGES[edge]
        # Black is lifted and white dimmed, never the other way.
        assert locked[distance < 0].min() >= 0 and locked[distance >= 0].max() <= 0
        assert np.abs(locked[np.abs(distance) > 64]).max() == 0


def test_half_the_strength_takes_half_of_the_drift(photo):
    half = refined(photo[:256, :256], Paling(), tone_lock=0.5) - photo[:256, :256].astype(int)
    none = refined(photo[:256, :256], Paling(), tone_lock=0) - photo[:256, :256].astype(int)
    full = refined(photo[:256, :256], Paling(), tone_lock=1) - photo[:256, :256].astype(int)
    assert np.abs(half - (none + full) / 2).max() <= 1


@pytest.mark.parametrize("blend", list(BLENDS.labels))
def test_ten_passes_that_change_nothing_leave_every_byte(photo, blend):
    picture = photo[:200, :232]
    for strength in (0, 0.5, 1):
        again = picture
        for seams_fix in ("none", "band", "half", "half+intersections", "none") * 2:
            options = Options(custom_scale=1, tile_width=96, blend=blend, tone_lock=strength, seams_fix_type=seams_fix)
            again = upscale(again, options, LocalHost(IdentityRefiner())).image
        assert np.array_equal(again, picture)


def test_ten_passes_of_rounding_noise_do_not_drift(photo):
    """A model that is right but for a fraction of a level, ten times: each run is rounded once, so no error adds up."""

    class Nearly(IdentityRefiner):
        def refine(self, batch, stop):
            return batch.images + np.float32(0.4)

    again = photo[:200, :232]
    for _ in range(10):
        again = upscale(again, Options(custom_scale=1, tile_width=96, tone_lock=0), LocalHost(Nearly())).image
    assert np.array_equal(again, photo[:200, :232])


@pytest.mark.parametrize("size", [(8, 8), (40, 24), (72, 136)])
def test_rows_a_few_at_a_time_are_all_rows_at_once(size):
    """To the bit: which rows are in the processor's cache does not count."""
    random = np.random.default_rng(0)
    picture = random.uniform(-20, 280, (*size, 3)).astype(np.float32)
    cells = random.normal(0, 5, (size[0] // 8, size[1] * 3)).astype(np.float32)
    wanted = picture.reshape(size[0] // 8, 8, size[1] * 3).copy()
    for phase, low, high in tone._interpolated(cells):
        wanted[:, phase] += low
        wanted[:, phase] += high
    assert np.array_equal(tone._with_rows(picture, cells), wanted.reshape(picture.shape))
