"""Samplers by their names in the webui."""

from __future__ import annotations

import json
import types

import numpy as np
import pytest
import torch

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import diffusers  # noqa: E402
import tiny_models  # noqa: E402

from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import OptionError  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.standalone.checkpoints import load_checkpoint  # noqa: E402
from lib_usdu.standalone.families.restart import RestartScheduler, restarted  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402
from lib_usdu.standalone.samplers import (  # noqa: E402
    SAMPLERS,
    SCHEDULES,
    SPACINGS,
    WITHOUT_SCHEDULE,
    full_name,
    scheduler_for,
    split_name,
)

SPACED = [name for name in SAMPLERS if name not in WITHOUT_SCHEDULE]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return tiny_models.sd1(tmp_path_factory.mktemp("sd1"))


@pytest.fixture(scope="module")
def plain(pipeline):
    """As it comes, whatever a test makes of it."""
    return pipeline.scheduler


def redrawn(pipeline, plain, photo, sampler, options, **sampling):
    pipeline.scheduler = plain
    made = DiffusersRefiner(pipeline, Sampling("a cat", "", sampler, 12, 3.0, 1), "tiny")
    return upscale(photo[100:164, 150:278], options, LocalHost(made)).image.astype(float)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_canvas_noise_holds_with_every_sampler(sampler, pipeline, plain, photo):
    """Nearer to the un-tiled pass than tiles that each have their own noise, its steps' noise too."""
    options = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5, tone_lock=0, upscaler="None")
    whole = redrawn(pipeline, plain, photo, sampler, options.with_(tile_width=512))
    shared = redrawn(pipeline, plain, photo, sampler, options)
    own = redrawn(pipeline, plain, photo, sampler, options.with_(noise="tile"))
    assert np.isfinite(whole).all() and (whole != photo[100:164, 150:278]).mean() > 0.5
    assert ((shared - whole) ** 2).mean() < 0.5 * ((own - whole) ** 2).mean()


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", SPACED)
def test_a_schedule_may_follow_the_name(sampler, schedule, plain):
    assert split_name(f"{sampler} {schedule}".upper()) == (sampler, schedule)
    made, usual = scheduler_for(f"{sampler} {schedule}", plain), scheduler_for(sampler, plain)
    for scheduler in (made, usual):
        scheduler.set_timesteps(10)
    assert made.config[SCHEDULES[schedule]] and not any(usual.config.get(name) for name in SCHEDULES.values())
    assert not torch.allclose(made.sigmas, usual.sigmas)


@pytest.mark.parametrize(
    "wrong",
    ["DPM adaptive", "DPM fast", "DPM++ 2S a Simple", "k_karras", "Euler a Karras", "Karras", "Euler Karras Beta", ""],
)
def test_an_unknown_name_is_answered_with_the_known_ones(wrong):
    with pytest.raises(OptionError, match="Karras, Exponential or Beta may follow, but not after Euler a"):
        Sampling(sampler=wrong)


def test_a_checkpoint_of_velocities_stays_one_with_every_sampler(plain):
    velocities = type(plain).from_config(plain.config, prediction_type="v_prediction")
    assert {scheduler_for(name, velocities).config.prediction_type for name in SAMPLERS} == {"v_prediction"}


def test_pure_noise_at_the_start_is_kept_or_the_sampler_is_refused(plain):
    """Zero terminal SNR: a sampler that does not know it would begin from another noise than the model was told of."""
    zero = type(plain).from_config(plain.config, rescale_betas_zero_snr=True, timestep_spacing="trailing")
    refused = []
    for name in SAMPLERS:
        try:
            assert scheduler_for(name, zero).config.rescale_betas_zero_snr
        except OptionError as error:
            assert "zero-terminal-SNR" in str(error) and "DPM++ 2M" in str(error)
            refused.append(name)
    assert {"Heun", "LMS", "DPM2"} <= set(refused) and not {"Euler", "DPM++ 2M", "DDIM"} & set(refused)


@pytest.mark.parametrize(
    "names, said, prediction, zero",
    [
        ((), {}, "epsilon", False),
        (("v_pred",), {}, "v_prediction", False),
        (("v_pred", "ztsnr"), {}, "v_prediction", True),
        ((), {"modelspec.prediction_type": "v", "ss_zero_terminal_snr": "True"}, "v_prediction", True),
    ],
)
def test_what_a_file_says_of_its_noise_is_heard(names, said, prediction, zero, plain, tmp_path, monkeypatch):
    """As SDXL models that predict velocities (NoobAI) say it: by tensors of these names, or in the header."""
    loaded = types.SimpleNamespace(scheduler=plain)
    monkeypatch.setattr(diffusers.StableDiffusionXLImg2ImgPipeline, "from_single_file", lambda path, **told: loaded)
    tensors = ("model.diffusion_model.input_blocks.0.0.weight", "conditioner.embedders.0.x", *names)
    header = {name: {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]} for name in tensors}
    text = json.dumps({**header, "__metadata__": said}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    pipeline, _ = load_checkpoint(str(tmp_path / "model.safetensors"), torch.device("cpu"), placed=False)
    config = scheduler_for("DPM++ 2M", pipeline.scheduler).config
    assert (config.prediction_type, config.rescale_betas_zero_snr) == (prediction, zero)
    assert config.timestep_spacing == ("trailing" if zero else plain.config.timestep_spacing)


@pytest.mark.parametrize(
    "written, name",
    [("dpmpp_2m", "DPM++ 2M"), ("k_dpmpp_2m_ka", "DPM++ 2M Karras"), ("DPM++ 2m KARRAS", "DPM++ 2M Karras"),
     ("k_euler_a", "Euler a"), ("euler_ancestral", "Euler a"), ("k_lms", "LMS"), ("k_dpm_2_a", "DPM2 a"),
     ("k_dpmpp_2s_a_ka", "DPM++ 2S a Karras"), ("dpmpp_3m_sde_exponential", "DPM++ 3M SDE Exponential"),
     ("restart", "Restart"), ("unipc", "UniPC"), ("plms", "PLMS"), ("k_lcm", "LCM"), ("ddim", "DDIM"),
     ("k_dpmpp_2m_sde_heun_exp", "DPM++ 2M SDE Heun Exponential"), ("euler sgm uniform", "Euler SGM Uniform")],
)  # fmt: skip
def test_other_ways_to_write_a_name(written, name):
    """Those of the webui's API, and of other programs. The parameters have the name as the webui writes it."""
    assert full_name(written) == name and split_name(written) == split_name(name)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_spacing_may_follow_the_name(spacing, plain):
    leading = type(plain).from_config(plain.config, timestep_spacing="leading")
    for sampler in [name for name in SPACED if name != "DPM++ 2S a"]:
        made = scheduler_for(f"{sampler} {spacing}", leading)
        assert made.config.timestep_spacing == SPACINGS[spacing]
        assert scheduler_for(sampler, leading).config.timestep_spacing == "leading"


def restart_of_the_webui(sample, sigmas, denoised, noise):
    """Heun's steps over the levels, as AUTOMATIC1111's restart_sampler makes them, of one number."""
    pairs = restarted(sigmas) or list(zip(sigmas, [*sigmas[1:], 0.0]))
    last = pairs[0][0]
    for old, new in pairs:
        if last < old:
            sample = sample + noise() * (old**2 - last**2) ** 0.5
        slope = (sample - denoised(sample, old)) / old
        ahead = sample + slope * (new - old)
        if new > 0:
            slope = (slope + (ahead - denoised(ahead, new)) / new) / 2
        sample, last = sample + slope * (new - old), new
    return sample


@pytest.mark.parametrize("steps, begin, again", [(20, 0, 1), (40, 0, 2), (40, 12, 1), (40, 30, 0), (12, 0, 0)])
def test_restart_goes_back_to_more_noise_as_in_the_webui(steps, begin, again, plain, monkeypatch):
    scheduler = scheduler_for("Restart Karras", plain)
    assert isinstance(scheduler, RestartScheduler)
    drawn = []
    monkeypatch.setattr(
        "lib_usdu.standalone.families.restart.randn_tensor",
        lambda shape, **_: drawn.append(1) or torch.full(shape, 0.7),
    )
    scheduler.set_timesteps(steps)
    levels = scheduler.sigmas[2 * begin :: 2].tolist()
    times = scheduler.timesteps[2 * begin :]
    scheduler.set_begin_index(2 * begin)
    sample = torch.full((1, 1), 5.0, dtype=torch.float64)
    pairs = restarted(levels)
    seen = iter([level for pair in pairs for level in pair] if pairs else scheduler.sigmas[2 * begin :].tolist())
    for time in times:
        level = next(seen)
        scheduler.scale_model_input(sample, time)
        noise = (sample - 0.9 * sample / (1 + level)) / level  # of a stand-in for a model, which knows the level
        sample = scheduler.step(noise, time, sample, return_dict=False)[0]
    wanted = restart_of_the_webui(5.0, levels, lambda x, level: 0.9 * x / (1 + level), lambda: 0.7)
    assert float(sample) == pytest.approx(wanted, rel=1e-4) and len(drawn) == again
    trained = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod) ** 0.5
    found = np.interp(times.numpy(), np.arange(len(trained)), trained.numpy())
    assert np.allclose(found, scheduler.sigmas[2 * begin : -1], rtol=0.02), "the model is told the level it is asked at"
