"""The stand-in for the webui's `modules` answers as the real ones did (recorded by record_facts.py).

facts.json: A1111 v1.10.1. facts-forge.json: Forge dfdcbab. facts-neo.json: Forge Neo 2.26. The stand-in takes the
shape of each when it is told to.
"""

import json
import sys
from pathlib import Path

import client
import probes
import pytest
from modules import errors, images, processing, scripts, shared, standin
from probes.harness import make, photo, plain, run, runner_of

RECORDED = {
    shape: json.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))
    for shape, name in (("a1111", "facts.json"), ("forge", "facts-forge.json"), ("neo", "facts-neo.json"))
}
FACTS = RECORDED["a1111"]
QUESTIONS = probes.questions()
# Compared by their own tests below: here the stand-in has less than the webui, or other pixels.
PARTIAL = {"script", "upscaler_classes", "images"}


# What the stand-in declares once, in A1111's form: others add parameters and fields, see below.
DECLARED = {"signatures", "fields"}
# What it has in A1111's form though Neo's is another: question to parts of its answer, or to None for all of it.
NOT_NEOS = {
    "signatures": ("images.resize_image", "processing.Processed.__init__", "prompt_parser.get_learned_conditioning",
                   "processing.StableDiffusionProcessing.cached_params",
                   "prompt_parser.get_multicond_learned_conditioning"),
    "fields": ("distilled_cfg_scale", "init_latent", "mask_blur", "mask_blur_x", "mask_blur_y"),
    "attributes_of_new_p": ("hr_distilled_cfg", "init_latent", "mask_blur", "mask_blur_x", "mask_blur_y"),
    "state": ("attributes",),  # preview_step
    "options": ("batch_cond_uncond", "no_dpmpp_sde_batch_determinism", "upscaler_for_img2img", "use_old_scheduling"),
    "processed": ("attributes",),  # video_path
    "hook_order": None, "hook_order_sde": None, "hook_order_masked": None,  # params.txt is written at the end
    "model_data": ("kind",),  # without is_sd2 and is_sd3
    "noise_sampler": ("off",),
    "upscale": ("names",),  # models before the resamplers
}  # fmt: skip
# Recorded from A1111 alone so far.
ONLY_A1111 = {"api", "conditionings"}
pytestmark = pytest.mark.usefixtures("host")


def shape_of(host):
    return "neo" if host.knobs.neo else "forge" if host.knobs.forge else "a1111"


@pytest.fixture
def facts(host):
    return RECORDED[shape_of(host)]


def answer(name):
    return json.loads(json.dumps(QUESTIONS[name]()))


def parted(name, given):
    """The answer without what is not Neo's; None for all of it."""
    left_out = NOT_NEOS.get(name, ())
    return None if left_out is None else {k: v for k, v in given.items() if k not in left_out} if left_out else given


@pytest.mark.parametrize("name", sorted(set(FACTS) - {"host"} - PARTIAL))
def test_same_answer(name, facts):
    if name not in facts:
        assert name in ONLY_A1111
        return
    real = (FACTS if name in DECLARED and facts is not RECORDED["neo"] else facts)[name]
    if facts is RECORDED["neo"]:
        assert parted(name, answer(name)) == parted(name, real)
    else:
        assert answer(name) == real


@pytest.mark.parametrize("host", ["neo"], indirect=True)
def test_what_is_not_neos_is_said_exactly(facts):
    for name, parts in NOT_NEOS.items():
        ours, real = answer(name), facts[name]
        for part in [None] if parts is None else parts:
            same = ours == real if part is None else ours.get(part, "absent") == real.get(part, "absent")
            assert not same, (name, part)


def test_forge_only_adds_to_what_is_declared():
    ours, forge = RECORDED["a1111"], RECORDED["forge"]
    for name, signature in ours["signatures"].items():
        real = forge["signatures"][name]
        added = real.startswith(signature[:-1] + ", ") and real.count("=") > signature.count("=")
        assert real == signature or added, name
    assert ours["fields"].items() <= forge["fields"].items()


def test_every_question_was_recorded(facts):
    assert set(QUESTIONS) == set(facts) - {"host"} | (set() if facts is FACTS else ONLY_A1111)


def test_script_and_runner(facts):
    ours, real = answer("script"), facts["script"]
    assert ours["methods"] == real["methods"]
    assert ours["attributes"].items() <= real["attributes"].items()
    assert ours["hooks"] == real["hooks"]
    assert set(ours["runner"]) <= set(real["runner"])


@pytest.mark.parametrize("host", ["a1111", "forge"], indirect=True)  # Neo's lacks a field and a method
def test_upscaler_classes(facts):
    ours, real = answer("upscaler_classes"), facts["upscaler_classes"]
    assert ours["data"].items() <= real["data"].items()
    assert ours["upscaler"] == real["upscaler"]


def test_image_helpers(facts):
    ours, real = answer("images"), facts["images"]
    assert ours["flatten"] == real["flatten"]
    assert (ours["grid"], ours["grid 4"]) == (real["grid"], real["grid 4"])
    for mode, (width, height, pixel) in real["resize"].items():
        assert ours["resize"][mode][:2] == [width, height]
        assert max(abs(a - b) for a, b in zip(ours["resize"][mode][2], pixel, strict=True)) <= 1


def test_identity_changes_nothing():
    standin.knobs.noise_gain = 0
    picture = photo(96, 72)
    for sampler in ("Euler", "DPM++ SDE"):
        assert (
            run(make(init_images=[picture], width=96, height=72, sampler_name=sampler)).images[0].tobytes()
            == picture.tobytes()
        )


def test_noise_seed_and_strength_show_in_the_pixels():
    grey = processing.Image.new("RGB", (64, 64), (100, 100, 100))

    def pixels(**changes):
        return [
            list(x.getdata()) if not hasattr(x, "get_flattened_data") else list(x.get_flattened_data())
            for x in run(make(init_images=[grey], **changes)).images
        ]

    one, two = pixels(batch_size=2, seed=[3, 4])
    assert pixels(seed=3)[0] == one != two == pixels(seed=4)[0]

    def spread(data):
        return sum(abs(x[0] - 100) for x in data)

    assert spread(pixels(denoising_strength=0.2)[0]) < spread(pixels(denoising_strength=0.8)[0])
    call = standin.log.calls[-1]
    expected = 100 + 8 * 0.8 * call.noise[0, :3, 0, 0].double() + 0.01
    assert pixels(denoising_strength=0.8)[0][0] == tuple(int(x) for x in expected)


def test_the_log_names_what_reached_a_batch():
    run(make(batch_size=2, seed=[3, 4], prompt=["a", "b"], denoising_strength=0.25))
    call = standin.log.calls[0]
    assert (call.seeds, call.prompts, call.denoise, call.size) == ([3, 4], ["a", "b"], 0.25, (64, 64))
    assert tuple(call.noise.shape) == (2, 4, 8, 8)
    assert tuple(call.images.shape) == (2, 3, 64, 64)


@pytest.mark.parametrize("host", ["forge", "neo"], indirect=True)
def test_forges_shape():
    seen = []
    p = make(batch_size=2)
    for _ in range(2):
        run(p, runner=runner_of(postprocess_image=lambda p, pp: seen.append(pp.index)))
    assert (len(p.latents_after_sampling), len(p.pixels_after_sampling), seen) == (4, 4, [0, 1, 0, 1])
    assert p.latents_after_sampling[0].is_inference()
    p.modified_noise = processing.torch.zeros(2, 4, 8, 8)
    assert run(p).images[0].tobytes() == photo().tobytes()
    assert (p.modified_noise, run(p).extra_images) == (None, [])


def test_told_to_fail():
    standin.knobs.fail_on = 1
    run(make())
    with pytest.raises(RuntimeError, match="told to fail"):
        run(make())


def test_errors_of_hooks_are_reported_not_raised():
    def process(p, *args):
        raise ValueError("no")

    assert len(run(make(), runner=runner_of(process=process)).images) == 1
    assert "ValueError: no" in standin.log.reports[0]
    assert errors.report.__module__ == "modules.errors"


def test_jpeg_keeps_its_text(tmp_path):
    run(make(do_not_save_samples=False, outpath_samples=str(tmp_path), override_settings={"samples_format": "jpg"}))
    saved = images.Image.open(standin.log.saved[0])
    assert saved.getexif().get_ifd(0x8769)[0x9286].decode("utf-16-be", "ignore").endswith("Version: v1.10.1")


def test_extension_is_loaded_as_the_webui_does(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "only_while_loading.py").write_text("VALUE = 7\n")
    (tmp_path / "scripts" / "s.py").write_text(
        "import modules.scripts as scripts\nfrom only_while_loading import VALUE\n"
        "class Mine(scripts.Script):\n    def title(self):\n        return f'Mine {VALUE}'\n"
    )
    found = standin.load_extension(tmp_path)
    runner = scripts.ScriptRunner()
    runner.initialize_scripts(True)
    assert [x.title() for x in runner.selectable_scripts] == ["Mine 7"]
    assert str(tmp_path) not in sys.path
    assert found[0].module.__name__ not in sys.modules
    scripts.scripts_data.clear()


def test_the_api_from_request_to_result():
    class Mine(scripts.Script):
        def title(self):
            return "Mine"

        def ui(self, is_img2img):
            import gradio

            return [gradio.Checkbox(value=True, label="a"), gradio.Textbox(value="x", label="b")]

        def run(self, p, *args):
            done = processing.process_images(p)
            done.infotexts = [json.dumps(plain(args))]
            return done

    scripts.scripts_data.append(scripts.ScriptClassData(Mine, "/x/s.py", "/x", None))
    try:
        runner = scripts.scripts_img2img = scripts.ScriptRunner()
        runner.initialize_scripts(True)
        with __import__("gradio").Blocks():
            runner.setup_ui()
        done = client.img2img(
            init_images=[photo()], prompt="", sampler_name="Euler", width=64, height=64, steps=4, script_name="MINE",
            script_args=[False, "y"],
        )  # fmt: skip
    finally:
        scripts.scripts_data.clear()
        scripts.scripts_img2img = None
    assert done.info == '[false, "y"]' and done.images[0].size == (64, 64)
    assert shared.state.job_count == 0
    assert standin.log.saved == []
