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
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402
from lib_usdu.standalone.samplers import (  # noqa: E402
    SAMPLERS,
    SCHEDULES,
    WITHOUT_SCHEDULE,
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


@pytest.mark.parametrize("wrong", ["Restart", "DPM fast", "Euler a Karras", "Karras", "DPM++ 2M Karras Beta", ""])
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
