"""Fused with transformers: Stable Diffusion 3, Flux, Chroma, Qwen-Image and Z-Image, tiny and random."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import tiny_flow  # noqa: E402

from lib_usdu.cli import flags, models  # noqa: E402
from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import ModelError  # noqa: E402
from lib_usdu.geometry import plan_tiles  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.standalone.families.table import FAMILIES  # noqa: E402
from lib_usdu.standalone.families.windows import SPREADS, Windows  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402

FUSED = Options(
    redraw_mode="fused", custom_scale=1, tile_width=64, padding=16, denoise=0.4, tone_lock=0, upscaler="None",
    tile_batch=1,
)  # fmt: skip
WHOLE = {"tile_width": 512, "tile_height": 512, "redraw_mode": "parallel"}


@pytest.fixture(scope="module", params=list(tiny_flow.ALL))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def refiner(kind, tmp_path_factory):
    pipeline = tiny_flow.ALL[kind](tmp_path_factory.mktemp(kind))
    return DiffusersRefiner(pipeline, Sampling("a cat", "a dog", None, 6, 3.0), kind)


@pytest.fixture(scope="module")
def fused(refiner, photo):
    return upscale(small(photo), FUSED, LocalHost(refiner))


@pytest.fixture(scope="module")
def whole(refiner, photo):
    """One un-tiled pass."""
    return upscale(small(photo), FUSED.with_(**WHOLE), LocalHost(refiner))


def small(photo):
    return photo[100:228, 150:310]


def distance(one, other):
    return np.abs(one.image.astype(int) - other.image).max()


def decibels(picture, whole):
    """How far two results are apart, over the contrast of the second."""
    wanted = whole.image.astype(float)
    return 10 * np.log10(wanted.var() / ((picture.image - wanted) ** 2).mean())


def test_every_transformer_has_a_way():
    assert set(SPREADS) == {family.network for family in FAMILIES if family.flow}


def test_the_command_line_asks_for_it(kind, refiner, tmp_path):
    refiner.pipeline.save_pretrained(tmp_path)
    args = flags.parser().parse_args(["in.png", "--checkpoint", str(tmp_path)])
    assert models.abilities(args).why_not_fused() == ""


def test_one_window_is_the_plain_pass(refiner, whole, photo):
    one = upscale(small(photo), FUSED.with_(tile_width=512, tile_height=512), LocalHost(refiner))
    assert distance(one, whole) == 0
    assert (one.image != one.upscaled).mean() > 0.5


def test_batch_sizes_give_the_same(refiner, fused, photo):
    together = upscale(small(photo), FUSED.with_(tile_batch=4), LocalHost(refiner))
    assert distance(fused, together) <= 1  # float order inside torch


def test_a_seamless_canvas_has_no_first_column_to_count_from(refiner, photo):
    """Its windows begin at 0, several in one call."""
    options, forward, asked = FUSED.with_(seamless=True), refiner.network.forward, []

    def noted(*given, **named):
        rows = given[0] if given else named["hidden_states"]
        asked.append(len(rows))
        return forward(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refiner.network, "forward", noted)
        alone = upscale(small(photo), options, LocalHost(refiner))
        most = max(asked)
        together = upscale(small(photo), options.with_(tile_batch=4), LocalHost(refiner))
    assert distance(alone, together) <= 1 and max(asked) == 4 * most


def test_a_window_that_knows_where_it_lies_is_nearer_to_the_un_tiled_pass(
    kind, refiner, fused, whole, photo, monkeypatch
):
    """Than one that begins at 0. Random weights of Flux and Qwen-Image look at places too little to tell."""
    over = Windows.over
    beginning = lambda self, *given: over(dataclasses.replace(self, placed=False), *given)  # noqa: E731
    monkeypatch.setattr(Windows, "over", beginning)
    at_zero = upscale(small(photo), FUSED, LocalHost(refiner))
    assert decibels(fused, whole) > 18
    gained = decibels(fused, whole) - decibels(at_zero, whole)
    assert gained > {"sd3": 0.5, "chroma": 1, "z-image": 0.7}.get(kind, -0.2)
    assert distance(fused, at_zero) > 0


def test_a_window_has_its_part_of_the_canvass_places(photo, tmp_path, monkeypatch):
    """Flux is told them as they are."""
    pipeline = tiny_flow.flux(tmp_path)
    told, forward = [], pipeline.transformer.forward
    monkeypatch.setattr(
        pipeline.transformer, "forward", lambda **given: told.append(given["img_ids"]) or forward(**given)
    )
    made = DiffusersRefiner(pipeline, Sampling("a cat", "", None, 6, 1.0), "flux")
    upscale(photo[:192, :160], FUSED, LocalHost(made))
    corners = {tuple(places[0].int().tolist()) for places in told}
    windows = [tile.window for tile in plan_tiles(160, 192, 64, 64, 16)]
    assert corners == {(0, window.y // 16, window.x // 16) for window in windows} and len(corners) > 6
    assert torch.cat(told)[:, 1:].amax(0).tolist() == [11, 9]


def test_a_canvas_past_the_models_last_place_begins_at_0(photo, tmp_path):
    """Where one pass cannot be."""
    pipeline = tiny_flow.z_image(tmp_path)  # which knows 64 places along a side
    host = LocalHost(DiffusersRefiner(pipeline, Sampling("a cat", "", None, 4, 1.0), "z-image"))
    long = np.tile(photo[:64, :128], (1, 9, 1))
    with pytest.raises(ModelError, match="index 64 is out of bounds"):
        upscale(long, FUSED.with_(**{**WHOLE, "tile_width": 2048, "tile_height": 64}), host)
    made = upscale(long, FUSED.with_(tile_width=256, tile_height=64), host)
    assert made.finished and made.image.shape == (64, 1152, 3) and (made.image != made.upscaled).mean() > 0.5


def test_a_stopped_run_is_continued(refiner, fused, photo, tmp_path):
    host = LocalHost(refiner, journal_folder=tmp_path)
    host.on_progress = lambda progress: setattr(host, "stop", progress.stage == "redraw")
    stopped = upscale(small(photo), FUSED, host)
    assert not stopped.finished and np.array_equal(stopped.image, stopped.upscaled)
    again = upscale(small(photo), FUSED, LocalHost(refiner, journal_folder=tmp_path))
    assert again.finished and distance(again, fused) == 0


def test_the_parameters_say_so(kind, fused):
    text = fused.infotext
    assert "Ultimate SD upscale redraw_mode: fused" in text and f"Model: {kind}, Size: 160x128" in text
