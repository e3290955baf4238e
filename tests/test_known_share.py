"""The share of noise stand-alone: what the schedulers do, what is said before a model is loaded, and the run's own."""

import json

import numpy as np
import pytest

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import diffusers  # noqa: E402
import tiny_flow  # noqa: E402
import tiny_models  # noqa: E402
from hosts import NoisyRefiner  # noqa: E402
from PIL import Image  # noqa: E402
from test_sources import safetensors  # noqa: E402

from lib_usdu.cli.main import main  # noqa: E402
from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.geometry import Canvas  # noqa: E402
from lib_usdu.noise_share import share_of  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.spacing import levels  # noqa: E402
from lib_usdu.standalone import steps as steps_module  # noqa: E402
from lib_usdu.standalone.families import known_share as known_share_module  # noqa: E402
from lib_usdu.standalone.families.known_share import known_share  # noqa: E402
from lib_usdu.standalone.families.table import named  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402
from lib_usdu.standalone.samplers import (  # noqa: E402
    SAMPLERS,
    SCHEDULES,
    SPACINGS,
    WITHOUT_SCHEDULE,
    scheduler_for,
    split_name,
)

TRAINED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, tone_lock=0, upscaler="None")
WITH_SCHEDULES = [f"{name} {way}" for name in SAMPLERS if name not in WITHOUT_SCHEDULE for way in SCHEDULES]
CONFIGS = [
    {"timestep_spacing": "linspace", "steps_offset": 1}, {"timestep_spacing": "leading", "steps_offset": 1},
    {"timestep_spacing": "trailing"}, {"steps_offset": 1}, {"steps_offset": 1, "prediction_type": "v_prediction"},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_levels_are_those_of_diffusers(number):
    """Of every sampler with every spacing of steps, of every schedule with one; few steps and many; 0.02 would do."""
    config = CONFIGS[number]
    own = {name: value for name, value in config.items() if name != "timestep_spacing"}
    model = diffusers.PNDMScheduler(**TRAINED, skip_prk_steps=True, **own)
    if "timestep_spacing" in config:
        model = diffusers.EulerDiscreteScheduler(**TRAINED, **config)
    for name in (*SAMPLERS, *WITH_SCHEDULES[number :: len(CONFIGS)]):
        scheduler = scheduler_for(name, model)
        for steps in (4, 40):
            scheduler.set_timesteps(steps)
            count = -(-len(scheduler.timesteps) // scheduler.order)
            real = [steps_module._share_at(scheduler, step) for step in range(count)]
            ours = [share_of(level) for level in levels(*split_name(name), steps, {**TRAINED, **config})]
            assert np.allclose(real[:steps], ours[:steps], atol=0.01), (name, steps)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return tiny_models.sd1(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M Karras", "Heun", "DDIM", "DPM++ SDE", "LCM"])
def test_the_share_is_what_the_windows_begin_with(pipeline, photo, sampler, monkeypatch):
    """Correlation and spread of the first latents with the noise: read off the tensors themselves."""
    refiner = DiffusersRefiner(pipeline, Sampling(sampler=sampler, steps=11, cfg_scale=1), "tiny")
    begun = []
    make = type(pipeline.scheduler).add_noise

    def noted(self, latents, noise, time):
        made = make(self, latents, noise, time)
        if latents.numel() > 1:
            (picture, level), *_ = np.linalg.lstsq(
                np.stack([latents.flatten().numpy(), noise.flatten().numpy()], 1), made.flatten().numpy(), rcond=None
            )[:1]
            begun.append(level / (picture + level))
        return made

    monkeypatch.setattr(type(pipeline.scheduler), "add_noise", noted)
    for denoise in (0.25, 0.6):
        begun.clear()
        result = upscale(photo[:64, :64], OPTIONS.with_(denoise=denoise), LocalHost(refiner))
        assert begun[0] == pytest.approx(result.stats.noise_share, abs=1e-3)


def test_the_share_of_flow_models_is_their_sigma(tmp_path, photo, monkeypatch):
    """Of one whose schedule depends on the canvas, whose pipeline hands over sigmas of its own."""
    refiner = DiffusersRefiner(tiny_flow.flux(tmp_path), Sampling(prompt="a", steps=7, cfg_scale=1), "tiny")
    seen = []
    make = steps_module.flow.noised
    monkeypatch.setattr(
        steps_module.flow, "noised",
        lambda scheduler, *rest: seen.append(float(scheduler.sigmas[scheduler.begin_index])) or make(scheduler, *rest),
    )  # fmt: skip
    for denoise in (0.3, 0.7):
        result = upscale(photo[:64, :96], OPTIONS.with_(denoise=denoise), LocalHost(refiner))
        assert seen[-1] == pytest.approx(result.stats.noise_share, abs=1e-3)


def test_pictures_of_a_folder_ask_once(pipeline, tmp_path, monkeypatch, capsys):
    """The sampler for its schedule, where the size of the picture has no part in it; the checkpoint's files once a list
    of plans."""
    plain = DiffusersRefiner(pipeline, Sampling(steps=11, cfg_scale=1), "tiny")
    assert plain.noise_share(Canvas(64, 64)) is plain.noise_share(Canvas(128, 64))
    flux = DiffusersRefiner(tiny_flow.flux(tmp_path), Sampling("a", steps=7, cfg_scale=1), "tiny")
    assert flux.noise_share(Canvas(64, 64)) is flux.noise_share(Canvas(64, 64))
    small, large = (flux.noise_share(Canvas(side, side)).of(0.5) for side in (64, 1024))
    assert small < large
    (tmp_path / "in").mkdir()
    for name in "abc":
        Image.new("RGB", (64, 64)).save(tmp_path / "in" / f"{name}.png")
    read, config = [], known_share_module._config
    monkeypatch.setattr(known_share_module, "_config", lambda source: read.append(source) or config(source))
    assert main([str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--dry-run", "--creativity", "0.5"]) == 0
    assert capsys.readouterr().out.count("50 % noise") == 3 and len(read) == 2  # once for plans, once for their lines


def test_before_a_model_is_loaded(tmp_path):
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    config = tmp_path / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps({**TRAINED, "timestep_spacing": "leading", "steps_offset": 1}))
    canvas = Canvas(1024, 1024)
    known = known_share(str(tmp_path), "Euler Karras", 20, canvas)
    assert not known.guessed and known.of(0.25) == pytest.approx(0.162, abs=0.01)
    config.unlink()
    assert known_share(str(tmp_path), "Euler Karras", 20, canvas).guessed
    assert known_share("owner/name", None, 20, canvas) is None
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    config.write_text(json.dumps({"use_dynamic_shifting": True, "shift": 3.0}))
    flux = known_share(str(tmp_path), None, 20, canvas)
    assert flux.guessed and flux.of(0.25) == pytest.approx(0.513, abs=0.01)
    assert named("FluxImg2ImgPipeline").flow


def test_the_embedded_model_is_known_as_it_runs():
    from lib_usdu.embedded import load_pipeline

    refiner = DiffusersRefiner(load_pipeline(), Sampling(steps=20), "embedded")
    canvas = Canvas(512, 512)
    assert known_share("embedded", None, 20, canvas).curve == pytest.approx(refiner.noise_share(canvas).curve, abs=0.01)


def test_where_nothing_is_denoised_nothing_is_said(photo):
    assert upscale(photo[:64, :64], OPTIONS, LocalHost(NoisyRefiner())).stats.noise_share is None


def test_creativity_is_a_run_with_the_strength_that_has_this_share(pipeline, photo):
    refiner = DiffusersRefiner(pipeline, Sampling(sampler="Euler", steps=11, cfg_scale=1), "tiny")
    known = refiner.noise_share(Canvas(64, 64))
    made = {name: upscale(photo[:64, :64], OPTIONS.with_(denoise=0.9, **options), LocalHost(refiner))
            for name, options in {"asked": {"creativity": 0.4}, "none": {}}.items()}  # fmt: skip
    strength = known.denoise(0.4)
    plain = upscale(photo[:64, :64], OPTIONS.with_(denoise=strength), LocalHost(refiner))
    assert np.array_equal(made["asked"].image, plain.image) and not np.array_equal(made["none"].image, plain.image)
    assert made["asked"].parameters["Denoising strength"] == f"{strength:g}"
    assert made["asked"].parameters["Ultimate SD upscale creativity"] == "0.4"
    assert made["asked"].stats.noise_share == known.of(strength) and made["none"].stats.noise_share == known.of(0.9)


def test_the_command_line_says_which_strength_creativity_is(tmp_path, capsys):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    assert main([str(tmp_path / "a.png"), "--dry-run", "--creativity", "0.5", "-d", "0.9"]) == 0
    said = capsys.readouterr()
    strength = known_share("embedded", None, 20, Canvas(128, 128)).denoise(0.5)
    assert f"denoise {strength:g}: 50 % noise" in said.out and "--denoise 0.9 is not used" in said.err
    assert main([str(tmp_path / "a.png"), "--dry-run", "-d", "0.9"]) == 0
    assert "denoise 0.9: 89 % noise" in capsys.readouterr().out
    assert main([str(tmp_path / "a.png"), "--dry-run", "--creativity", "1.2"]) == 2
    assert "--creativity: 1.2 is not allowed; allowed: a number from 0 to 1" in capsys.readouterr().err


FLOWS = {
    "sd3": {"shift": 3.0}, "flux": {"shift": 3.0, "use_dynamic_shifting": True},
    "qwen-image": {"shift": 1.0, "use_dynamic_shifting": True, "max_shift": 0.9, "max_image_seq_len": 8192,
                   "shift_terminal": 0.02},
    "chroma": {"shift": 1.0, "use_beta_sigmas": True}, "z-image": {"shift": 3.0},
}  # fmt: skip


@pytest.mark.parametrize("kind", FLOWS)
def test_what_is_said_of_flow_models_is_what_they_begin_with(kind, tmp_path):
    """Within 0.02, of each one's real schedule: few steps and many, every way to space them, two sizes."""
    pipeline = tiny_flow.KINDS[kind](tmp_path / "words")
    plain = diffusers.FlowMatchEulerDiscreteScheduler(**FLOWS[kind])
    (tmp_path / "scheduler").mkdir()
    plain.save_pretrained(tmp_path / "scheduler")
    name = type(pipeline).__name__.replace("Img2Img", "")
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": name}))
    for sampler in ("Euler", "Euler a", "Heun Karras", "DPM++ 2M Exponential", "UniPC Beta", "Euler Simple"):
        for steps, canvas in ((4, Canvas(160, 128)), (9, Canvas(1024, 1536)), (40, Canvas(160, 128))):
            pipeline.scheduler = plain
            told = Sampling("a", sampler=sampler, steps=steps, cfg_scale=1)
            real = DiffusersRefiner(pipeline, told, "x").noise_share(canvas).curve
            assert known_share(str(tmp_path), sampler, steps, canvas).curve == pytest.approx(real, abs=0.02)


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M Karras", "DDIM", "UniPC", "Euler Uniform", "DPM++ 2M Simple"])
def test_levels_that_end_in_pure_noise(sampler):
    """Zero terminal SNR."""
    config = {**TRAINED, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    scheduler = scheduler_for(sampler, diffusers.EulerDiscreteScheduler(**config))
    for steps in (4, 20, 40):
        scheduler.set_timesteps(steps)
        real = [steps_module._share_at(scheduler, step) for step in range(len(scheduler.timesteps))]
        name, way = split_name(sampler)
        spaced = {**config, "timestep_spacing": SPACINGS.get(way, "trailing")}
        assert np.allclose(real, [share_of(level) for level in levels(name, way, steps, spaced)], atol=0.02)


def test_a_file_that_says_how_its_noise_ends(tmp_path):
    """NoobAI's way: a tensor of this name."""
    for name, more in (("plain", []), ("zero", ["v_pred", "ztsnr"])):
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(safetensors("conditioner.embedders.0.x", *more))
        known = known_share(str(file), "Euler", 20, Canvas(64, 64))
        assert known.guessed and (known.of(1.0) > 0.99 if more else known.of(1.0) < 0.94)
