"""The seams fix where seams show, and only there."""

import numpy as np
import pytest

from lib_usdu.engine import upscale
from lib_usdu.geometry import Region, crop
from lib_usdu.options import Options
from lib_usdu.passes import plan_passes
from lib_usdu.select.visible import VISIBLE, only_along, seams_of, visibility, visible_seams
from lib_usdu.standalone.host import IdentityRefiner, LocalHost

SIDE, TILE = 512, 128
FIELD = np.random.default_rng(5).normal(0, 4, (SIDE, SIDE, 3))


class SeamRefiner(IdentityRefiner):
    """Adds detail that all tiles agree on; some tiles come out brighter at their left edge, so that it shows."""

    alignment = 8

    def __init__(self, bright):
        self.bright, self.fixed = bright, []

    def refine(self, batch, stop):
        results = []
        for tile, image in zip(batch.tiles, batch.images):
            result = image + crop(FIELD, tile.window, wrap=True)
            if batch.denoise == 0.5:  # a seams fix
                self.fixed.append(tile.core)
                result = image + 40
            elif tile.index in self.bright:
                y, x = np.mgrid[0 : tile.window.height, 0 : tile.window.width]
                x, y = x + tile.window.x - tile.core.x, y + tile.window.y - tile.core.y
                fade = np.clip(1 - np.maximum(x, 0) / (tile.core.width - 20), 0, 1)
                result += 24 * (fade * np.clip(np.sin(np.pi * y / tile.core.height), 0, 1))[..., None]
            results.append(result)
        return np.stack(results)


class CountingHost(LocalHost):
    def announce(self, parameters, tiles):
        self.calls = tiles

    def leave_out(self, tiles):
        self.calls -= tiles


def run(fix, bright=(), **options):
    told = []
    host = CountingHost(SeamRefiner(bright), on_progress=told.append)
    given = {"mask_blur": 0, "tone_lock": 0, "seams_fix_only_visible": True, **options}
    rgb = np.full((SIDE, SIDE, 3), 100, np.uint8)
    result = upscale(
        rgb, Options(tile_width=TILE, custom_scale=1, seams_fix_type=fix, seams_fix_denoise=0.5, **given), host
    )
    return result, host, told


@pytest.mark.parametrize(
    "fix, expected",
    [
        ("band", ["64x128+96+128"]),
        ("half", ["64x128+96+128"]),
        ("half+intersections", ["64x128+96+128", "64x64+96+96", "64x64+96+224"]),
    ],
)
def test_one_visible_seam_gets_exactly_its_tiles(fix, expected):
    result, host, told = run(fix, bright=[5])
    assert [str(core) for core in host.refiner.fixed] == expected
    whole = sum(len(work.tiles) for work in plan_passes(Options(tile_width=TILE, seams_fix_type=fix), SIDE, SIDE, 8))
    stats = result.stats
    assert stats.tiles == stats.tiles_done == 16 + len(expected) and stats.tiles + stats.tiles_left_out == whole
    assert result.parameters["Ultimate SD upscale seams fix left out"] == f"{whole - stats.tiles} tiles"
    assert host.calls == stats.batches and result.finished
    assert told[-1].done == told[-1].total == stats.tiles and {p.total for p in told[16:]} == {stats.tiles}


def test_what_is_left_out_stays_as_it_was_and_the_rest_is_as_in_a_whole_pass():
    some, _, _ = run("band", bright=[5])
    every, _, _ = run("band", bright=[5], seams_fix_only_visible=False)
    assert every.stats.tiles_left_out == 0 and np.array_equal(some.redrawn, every.redrawn)
    seen = Region(96, 128, 64, 128).grow(10)  # with the seams fix's blur of 4
    outside = np.ones((SIDE, SIDE), bool)
    outside[seen.slices] = False
    assert np.array_equal(some.image[outside], some.redrawn[outside])
    inner = Region(96, 128, 64, 128).grow(-10)
    inner = Region.between(inner.x, 128 + 42, inner.right, 256 - 42)  # clear of the bands that run across
    assert np.array_equal(some.image[inner.slices], every.image[inner.slices])
    assert (some.image[inner.slices] != some.redrawn[inner.slices]).all()
    fading = some.image[192, 80:120, 0].astype(int) - some.redrawn[192, 80:120, 0]
    assert fading[0] == 0 and fading[-1] == 40 and (np.diff(fading) >= 0).all() and np.diff(fading).max() <= 3


@pytest.mark.parametrize("redraw", ["parallel", "linear", "chess"])
def test_nothing_or_everything_to_fix(redraw):
    result, host, _ = run("half+intersections", redraw_mode=redraw)
    assert not host.refiner.fixed and np.array_equal(result.image, result.redrawn)
    assert result.stats.tiles == 16 and result.stats.tiles_left_out == 12 + 12 + 9 and host.calls == 16
    result, host, _ = run("half", bright=range(16), redraw_mode=redraw)
    assert len(host.refiner.fixed) == 12  # every seam that runs down, none that runs across


def test_without_a_redraw_every_seam_is_fixed():
    result, host, _ = run("band", redraw_mode="none")
    assert len(host.refiner.fixed) == 24 and result.stats.tiles_left_out == 0
    assert "left out" not in result.infotext


def test_the_seam_at_the_edge_of_a_seamless_canvas():
    _, host, _ = run("band", bright=[4], seamless=True)
    assert [str(core) for core in host.refiner.fixed] == ["64x128+-32+128"]
    _, host, _ = run("half+intersections", bright=[4], seamless=True)
    assert {str(core) for core in host.refiner.fixed} == {"64x128+-32+128", "64x64+-32+96", "64x64+-32+224"}


def test_visibility_by_numbers():
    before = np.full((SIDE, SIDE, 3), 128, np.uint8)
    (redraw,) = plan_passes(Options(tile_width=256), SIDE, SIDE, 64)
    upright = next(seam for seam in seams_of(redraw) if seam.upright)
    assert len(seams_of(redraw)) == 4 and upright.line == Region(256, 0, 0, 256)
    assert visibility(upright, before, before, redraw.reach) == 0
    step = before.copy()
    step[:, 256:] += 1
    assert visibility(upright, before, step, redraw.reach) == 2  # one level where nothing else changed
    rng = np.random.default_rng(0)
    noisy = (before + rng.normal(0, 5, before.shape)).astype(np.uint8)
    assert visibility(upright, before, noisy, redraw.reach) < 1.25 < VISIBLE
    noisy[:, 256:] += 12
    assert [seam.upright for seam in visible_seams(redraw, before, noisy)] == [True, True]
    assert only_along(redraw, []).tiles == ()
