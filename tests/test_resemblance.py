"""Resemblance: each step of the sampler is held to the upscaled canvas."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import diffusers  # noqa: E402
from tiny_models import sd1  # noqa: E402

from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.run.resemblance import Hold, colours_of, held_to  # noqa: E402
from lib_usdu.standalone.families.resemblance import _prediction  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402

OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.6, upscaler="None", tone_lock=0)


ALL = torch.eye(4)
"""Holds every direction."""


def wave(period: float, side: int = 64) -> torch.Tensor:
    """(1, 1, side, side), a cosine along x; periods that fit meet their own mirror at the edges."""
    return torch.cos((torch.arange(side) + 0.5) * 2 * torch.pi / period)[None, None, None, :].expand(1, 1, side, side)


def held(period: float, resemblance: float) -> float:
    """How much of a difference of this period, latents, is taken away: 1 is all of it; inside, away from the edges."""
    x0 = wave(period)
    moved = held_to(x0, torch.zeros_like(x0), resemblance, torch.eye(1))[..., 16:-16]
    return float(-(moved * x0[..., 16:-16]).sum() / (x0[..., 16:-16] ** 2).sum())


def test_from_coarse_to_fine():
    assert held(64, 0.5) > 0.95 and held(3, 0.5) < 0.01 and held(4, 0.5) < 0.1
    assert 0.45 < held(64, 0.25) < 0.55
    for period in (6, 8, 12, 16):
        shares = [held(period, step / 10) for step in range(11)]
        assert shares[0] == 0 and all(a <= b + 1e-6 for a, b in zip(shares, shares[1:]))


def test_a_level_is_held_up_to_the_edges_and_windows_do_not_meet():
    canvas = torch.randn(3, 4, 9, 12)
    moved = held_to(canvas + 0.5, canvas, 0.5, ALL)
    assert torch.allclose(moved, torch.full_like(canvas, -0.5), atol=1e-5)
    x0 = torch.randn(3, 4, 9, 12)
    assert torch.allclose(held_to(x0, canvas, 0.7, ALL)[1:2], held_to(x0[1:2], canvas[1:2], 0.7, ALL), atol=1e-6)


def encoded(images: np.ndarray) -> torch.Tensor:
    """Four channels, two of them of mixed colours, two that know no colour; 16 px a latent, with an axis of frames."""
    means = torch.from_numpy(images[:, ::16, ::16].astype(np.float32)).permute(0, 3, 1, 2)
    mixed = torch.stack([means[:, 0] + means[:, 1], means[:, 2] - means[:, 0]], dim=1)
    return torch.cat([mixed, torch.ones_like(mixed) * 7], dim=1)[:, :, None]


def test_only_what_carries_colour_is_held():
    colours = colours_of(encoded)
    assert torch.allclose(colours, torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0])), atol=1e-6)
    x0, canvas = torch.ones(2, 4, 1, 9, 12), torch.zeros(2, 4, 1, 9, 12)
    moved = held_to(x0, canvas, 0.5, colours)
    assert torch.allclose(moved[:, :2], torch.tensor(-1.0), atol=1e-5) and (moved[:, 2:].abs() < 1e-6).all()


def test_the_directions_are_asked_for_only_where_something_is_held():
    def none():
        raise AssertionError("asked")

    Hold(torch.zeros(1, 4, 8, 8), 0, None, none)
    with pytest.raises(AssertionError, match="asked"):
        Hold(torch.zeros(1, 4, 8, 8), 0.1, None, none)


SCHEDULERS = ("EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete", "DPMSolverMultistep", "DPMSolverSDE", "DDIM",
              "UniPCMultistep", "LCM", "KDPM2Discrete", "DEISMultistep", "PNDM")  # fmt: skip


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_a_prediction_means(name, kind):
    """Of latents made by the scheduler's own add_noise: x0 comes back, and so does a change of it."""
    made = getattr(diffusers, f"{name}Scheduler")(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    scheduler = type(made).from_config(made.config, prediction_type=kind)
    scheduler.set_timesteps(10)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(4)
    time = scheduler.timesteps[4]
    x0, noise = torch.randn(1, 4, 8, 8, dtype=torch.float64), torch.randn(1, 4, 8, 8, dtype=torch.float64)
    sample = scheduler.add_noise(x0, noise, time[None])
    ratio = np.interp(float(time), np.arange(1000), ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt())
    alpha, sigma = 1 / (1 + ratio**2) ** 0.5, ratio / (1 + ratio**2) ** 0.5
    output = noise if kind == "epsilon" else alpha * noise - sigma * x0
    found, gain, _ = _prediction(scheduler, output, time, sample)
    assert (found - x0).abs().max() < 0.05
    again, _, _ = _prediction(scheduler, output + gain * 0.1, time, sample)
    assert (again - found - 0.1).abs().max() < 1e-3


def test_what_a_flow_means():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(10)
    time, x0, noise = scheduler.timesteps[4], torch.randn(1, 16, 8, 8), torch.randn(1, 16, 8, 8)
    sample = scheduler.scale_noise(x0, time[None], noise)
    found, gain, _ = _prediction(scheduler, noise - x0, time, sample)
    assert torch.allclose(found, x0, atol=1e-4)
    assert torch.allclose(_prediction(scheduler, noise - x0 + gain * 0.1, time, sample)[0], x0 + 0.1, atol=1e-4)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return sd1(tmp_path_factory.mktemp("model"))


def refined(pipeline, photo, sampler: str, **options) -> np.ndarray:
    host = LocalHost(DiffusersRefiner(pipeline, Sampling(sampler=sampler, steps=8, cfg_scale=1), "tiny"))
    return upscale(photo[:96, :128], OPTIONS.with_(**options), host).image.astype(float)


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M", "DDIM", "Heun"])
def test_the_latents_move_less(pipeline, photo, sampler):
    """What random weights draw is far away, and their autoencoder tells pixels nothing: the latents themselves."""

    def moved(resemblance: float) -> float:
        """Root mean square of what a Gaussian of two latents keeps of the way from the canvas to the result."""
        refiner = DiffusersRefiner(pipeline, Sampling(sampler=sampler, steps=8, cfg_scale=1), "tiny")
        seen = []
        encode, pictures = refiner.autoencoder.encode, refiner.autoencoder.pictures
        colours = colours_of(encode)
        refiner._of_colour = colours
        refiner.autoencoder.encode = lambda images: seen.append(encode(images)) or seen[-1]
        refiner.autoencoder.pictures = lambda latents, *size: seen.append(latents) or pictures(latents, *size)
        upscale(photo[:96, :96], OPTIONS.with_(tile_width=96, resemblance=resemblance), LocalHost(refiner))
        way = torch.einsum("ij,njhw->nihw", colours, seen[1] - seen[0]).numpy()
        return float(np.sqrt(np.mean(gaussian_filter(way, (0, 0, 2, 2)) ** 2)))

    free, half, whole = moved(0), moved(0.5), moved(1)
    assert half < 0.35 * free and whole < 0.35 * free


def test_nothing_held_is_the_picture_as_before_and_fused_holds_too(pipeline, photo):
    free, none = refined(pipeline, photo, "Euler"), refined(pipeline, photo, "Euler", resemblance=0)
    assert np.array_equal(free, none)
    fused, held_fused = (refined(pipeline, photo, "Euler", redraw_mode="fused", resemblance=r) for r in (0, 0.6))
    assert np.abs(fused - held_fused).max() > 2


def test_batches_of_held_tiles(pipeline, photo):
    one, four = (refined(pipeline, photo, "Euler", resemblance=0.5, tile_batch=n) for n in (1, 4))
    assert np.abs(one - four).max() <= 1


# --- Strength maps ----------------------------------------------------------------------------------------------------


def halves(height: int, width: int, left: int) -> np.ndarray:
    """Strengths (1, h, w): `left` in the left half, all in the right one."""
    strengths = np.full((1, height, width), 255, np.uint8)
    strengths[..., : width // 2] = left
    return strengths


def test_a_place_waits_until_the_noise_is_its_own():
    canvas, x0 = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    hold = Hold(canvas, 0, halves(8, 8, 128), None)
    for share, waits in ((0.6, True), (0.4, True), (0.3, False), (0.1, False), (0.6, True)):
        found = x0 + hold.moved(x0, share)
        assert torch.allclose(found[..., 4:], x0[..., 4:], atol=0)
        assert torch.allclose(found[..., :4], (canvas if waits else x0)[..., :4], atol=1e-6)


def test_the_whole_strength_waits_for_nothing_and_none_for_ever():
    canvas, x0 = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    hold = Hold(canvas, 0.5, halves(8, 8, 0), lambda: ALL)
    for share in (0.6, torch.tensor(0.6), 0.01, 1e-6):
        found = x0 + hold.moved(x0, share)
        assert torch.allclose(found[..., :4], canvas[..., :4], atol=1e-6)
        assert torch.equal(found[..., 4:], (x0 + held_to(x0, canvas, 0.5, ALL))[..., 4:])


def test_strengths_of_another_size_or_of_videos_fit():
    hold = Hold(torch.zeros(2, 4, 1, 8, 8), 0, np.repeat(halves(4, 4, 0), 2, axis=0), None)
    moved = hold.moved(torch.ones(2, 4, 1, 8, 8), 0.5)
    assert (moved[..., :4] == -1).all() and (moved[..., 4:] == 0).all()


def latents_of(pipeline, photo, sampler: str, strengths, **options):
    """(before, after, after without strengths): latents of one window."""
    found = []
    for given in (strengths, None):
        refiner = DiffusersRefiner(pipeline, Sampling(sampler=sampler, steps=8, cfg_scale=1), "tiny")
        encode, run = refiner.autoencoder.encode, refiner.steps.run
        refiner.autoencoder.encode = lambda images, encode=encode: found.append(encode(images)) or found[-1]

        def noted(*args, run=run, given=given, **kwargs):
            found.append(run(*args, **{**kwargs, "strengths": given}))
            return found[-1]

        refiner.steps.run = noted
        upscale(photo[:96, :96], OPTIONS.with_(tile_width=96, **options), LocalHost(refiner))
    return found[0], found[1], found[3]


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M", "DPM++ SDE", "DDIM", "Heun", "LCM", "UniPC"])
def test_with_every_sampler_a_place_of_no_strength_stays(pipeline, photo, sampler):
    strengths = halves(12, 12, 0)
    before, after, free = latents_of(pipeline, photo, sampler, strengths)
    assert (after - before)[..., :6].abs().max() < 0.02 < (free - before)[..., :6].abs().max()
    assert (after - before)[..., 6:].abs().mean() > 0.3 * (free - before)[..., 6:].abs().mean()


def test_half_the_strength_moves_less(pipeline, photo):
    moved = []
    for left in (255, 160, 80, 0):
        before, after, _ = latents_of(pipeline, photo, "Euler", halves(12, 12, left))
        moved.append(float((after - before)[..., :6].pow(2).mean().sqrt()))
    assert moved[0] > 1.1 * moved[1] > 1.2 * moved[2] and moved[2] > 10 * moved[3]


def test_mapped_tiles_in_batches_and_fused(pipeline, photo):
    """In batches as one by one; fused is another picture than without a map, and where that says nothing it stays."""
    rgb = photo.copy()
    rgb[:, :64] = 128
    one, four = (refined(pipeline, rgb, "Euler", strength_map="detail", tile_batch=n) for n in (1, 4))
    assert np.abs(one - four).max() <= 1
    fused = {"redraw_mode": "fused"}
    mapped, free = (refined(pipeline, rgb, "Euler", strength_map=kind, **fused) for kind in ("detail", "none"))
    assert np.abs(mapped - free)[:, :24].max() > 2
