"""Other extensions beside ours, in the stand-in webui: ControlNet, dynamic prompts, ADetailer, masks, interrogators."""

import base64
import io

import gradio
import numpy as np
import pytest
from controlnet import ControlNet, ControlNetUnit, ResizeMode
from modules import img2img, paths, processing, scripts, shared, standin
from panel_values import from_the_panel
from PIL import Image
from probes.harness import make

from lib_usdu.compose.mask import soften, through
from lib_usdu.geometry import Canvas
from lib_usdu.webui import script as webui
from lib_usdu.webui.controlnet import fitted

TILES = {"tile_width": 64, "padding": 16, "upscaler": "Nearest", "tone_lock": 0, "tile_batch": 4}


def photo(width=96, height=72, shift=0):
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 2 + shift, y * 3, (x * y) % 251], axis=2).astype(np.uint8))


@pytest.fixture
def make_runner(host, monkeypatch, tmp_path):
    """Our script beside these others, loaded as the webui does it."""
    from pathlib import Path

    monkeypatch.setattr(paths, "data_path", str(tmp_path / "data"))  # no tiles of another test
    def load(*classes):
        scripts.scripts_data.clear()
        standin.load_extension(Path(__file__).parents[2])
        for cls in classes:
            scripts.scripts_data.append(scripts.ScriptClassData(cls, "/x/scripts/n.py", "/x", None))
        runner = scripts.scripts_img2img = scripts.ScriptRunner()
        runner.initialize_scripts(True)
        with gradio.Blocks():
            runner.setup_ui()
        return runner

    yield load
    scripts.scripts_data.clear()
    scripts.scripts_img2img = None


def person(runner, units=(), **values):
    settings = {"init_images": [photo()], "denoising_strength": 0.5, "seed": 3}
    p = make(**{**settings, **values})
    args = [getattr(control, "value", None) for control in runner.inputs]
    script = runner.alwayson_scripts[0] if runner.alwayson_scripts else None
    for place, unit in enumerate(units):
        args[script.args_from + place] = unit
    p.scripts, p.script_args = runner, args
    return p


def run(runner, p, **options):
    return webui.run(p, runner.script("ultimate sd upscale"), [{**TILES, **options}])


def text(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def window(pixels, place):
    x, y, width, height, *_ = place
    return pixels[y : y + height, x : x + width]


# --- ControlNet -------------------------------------------------------------------------------------------------------


def test_a_unit_without_a_picture_sees_each_tile_alone(make_runner):
    runner = make_runner(ControlNet)
    controlnet = runner.alwayson_scripts[0]
    done = run(runner, person(runner, [ControlNetUnit(enabled=True, pixel_perfect=True)]))
    canvas = np.asarray(photo().resize((192, 144), Image.Resampling.NEAREST))
    assert len(controlnet.seen) == len(standin.log.calls) == 9  # one a call, though four at once were asked for
    for place, _, ((picture, _),) in controlnet.seen:
        assert np.array_equal(picture, window(canvas, place))
    assert len(done.images) == 1 and controlnet.kept_maps == 0


CONTROL = photo(192, 144, shift=77)
MASK = Image.fromarray((np.asarray(CONTROL)[:, :, 2] > 128).astype(np.uint8) * 255)
PIXELS, MASK_PIXELS = np.asarray(CONTROL), np.asarray(MASK)
FORMS = {
    "object, array": (lambda: ControlNetUnit(enabled=True, image=PIXELS), False),
    "object, array and mask": (lambda: ControlNetUnit(enabled=True, image=PIXELS, mask=MASK_PIXELS), True),
    "object, PIL": (lambda: ControlNetUnit(enabled=True, image=CONTROL), False),
    "object, dict": (lambda: ControlNetUnit(enabled=True, image={"image": PIXELS, "mask": MASK_PIXELS}), True),
    "object, pair": (lambda: ControlNetUnit(enabled=True, image=[PIXELS, MASK_PIXELS]), True),
    "object, merged": (lambda: ControlNetUnit(enabled=True, image=[{"image": PIXELS}, {"image": PIXELS}]), False),
    "dict, array": (lambda: {"enabled": True, "image": PIXELS}, False),
    "dict, base64": (lambda: {"image": text(CONTROL), "mask": text(MASK)}, True),
    "dict, base64 pair": (lambda: {"image": {"image": text(CONTROL), "mask": text(MASK)}}, True),
    "dict, data URL": (lambda: {"image": "data:image/png;base64," + text(CONTROL)}, False),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_units_own_picture_is_cropped_to_the_tile(make_runner, form):
    made, masked = FORMS[form]
    runner = make_runner(ControlNet)
    unit = made()
    before = dict(unit if isinstance(unit, dict) else vars(unit))
    p = person(runner, [ControlNetUnit(), unit])
    args = list(p.script_args)
    run(runner, p)
    seen = runner.alwayson_scripts[0].seen
    assert len(seen) == 9 and {place for _, place, _ in seen} == {1}
    for place, _, found in seen:
        for picture, mask in found:
            assert np.array_equal(picture, window(PIXELS, place))
            assert not masked or np.array_equal(mask[:, :, 0], window(MASK_PIXELS, place))
    after = unit if isinstance(unit, dict) else vars(unit)
    assert before.keys() == after.keys() and all(after[name] is value for name, value in before.items())
    assert all(a is b for a, b in zip(p.script_args, args, strict=True))


@pytest.mark.parametrize("mode", [ResizeMode.RESIZE, ResizeMode.INNER_FIT, ResizeMode.OUTER_FIT, 2, "Crop and Resize"])
def test_another_shape_is_fitted_as_the_unit_says(make_runner, mode):
    runner = make_runner(ControlNet)
    small = photo(60, 60)
    run(runner, person(runner, [ControlNetUnit(enabled=True, image=np.asarray(small), resize_mode=mode)]))
    if mode == ResizeMode.RESIZE:
        expected = np.asarray(small.resize((192, 144), Image.Resampling.LANCZOS))
    elif mode in (ResizeMode.OUTER_FIT, 2):
        inner = np.asarray(small.resize((144, 144), Image.Resampling.LANCZOS))
        expected = np.pad(inner, ((0, 0), (24, 24), (0, 0)), mode="edge")
    else:
        expected = np.asarray(small.resize((192, 192), Image.Resampling.LANCZOS))[24:168]
    for place, _, ((picture, _),) in runner.alwayson_scripts[0].seen:
        assert np.array_equal(picture, window(expected, place))


def test_a_map_of_few_colours_gets_no_others():
    edges = (np.asarray(photo())[:, :, 2:] > 200).astype(np.uint8) * 255
    assert set(np.unique(fitted(edges, Canvas(150, 111), 0))) == {0, 255}


def test_a_reference_stays_whole_and_tiles_share_calls(make_runner):
    runner = make_runner(ControlNet)
    unit = ControlNetUnit(enabled=True, module="ip-adapter_clip_sd15", image=PIXELS)
    run(runner, person(runner, [unit]))
    assert len(standin.log.calls) == 3
    assert all(np.array_equal(found[0][0], PIXELS) for _, _, found in runner.alwayson_scripts[0].seen)


def test_a_unit_that_is_off_changes_nothing(make_runner):
    runner = make_runner(ControlNet)
    p = person(runner, [ControlNetUnit(image=PIXELS), {"enabled": False, "image": "x"}])
    run(runner, p)
    assert len(standin.log.calls) == 3 and runner.alwayson_scripts[0].seen == []


# --- prompts ----------------------------------------------------------------------------------------------------------


class Rerolls(scripts.Script):
    """As dynamic prompts does it: the real prompts are drawn anew in each call, and it may ask for more pictures."""

    calls = 0

    def title(self):
        return "Rerolls"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def process(self, p, *args):
        type(self).calls += 1
        p.all_prompts = [f"cat {self.calls}-{number}" for number, _ in enumerate(p.all_prompts)]
        p.all_negative_prompts = ["dog"] * len(p.all_prompts)
        p.n_iter = 3


def test_dynamic_prompts_are_resolved_once(make_runner):
    runner = make_runner(Rerolls)
    first = Rerolls.calls + 1
    done = run(runner, person(runner, prompt="{cat|dog}"))
    prompts = {prompt for call in standin.log.calls for prompt in call.prompts}
    assert prompts == {f"cat {first}-0"} and len(standin.log.calls) == 3
    assert done.infotexts[0].startswith(f"cat {first}-0\nNegative prompt: dog\n") and done.all_prompts == [
        f"cat {first}-0"
    ]


def test_styles_are_applied_once(make_runner, monkeypatch):
    def apply(prompt, styles):
        return prompt + "".join(f", {name}" for name in styles)

    monkeypatch.setattr(shared.prompt_styles, "apply_styles_to_prompt", apply)
    runner = make_runner()
    done = run(runner, person(runner, prompt="boat", styles=["oil"]))
    assert {prompt for call in standin.log.calls for prompt in call.prompts} == {"boat, oil"}
    assert done.infotexts[0].startswith("boat, oil\n")


def test_prompts_of_tiles(make_runner):
    runner = make_runner()
    lines = "sky\n\n4-6: sea, calm\n3,3: rock\n8: sand\n8: shells"
    done = run(runner, person(runner, prompt="coast,"), tile_prompts=lines)
    drawn = [prompt for call in standin.log.calls for prompt in call.prompts]
    assert drawn == [
        "coast, sky", "coast,", "coast,", *["coast, sea, calm"] * 3, "coast,", "coast, sand, shells", "coast, rock",
    ]  # fmt: skip
    assert [len(call.prompts) for call in standin.log.calls] == [4, 4, 1]
    assert done.infotexts[0].startswith("coast,\n")


def test_extra_networks_of_a_tile_are_its_own(make_runner):
    """The host reads them from the first prompt of a call."""
    runner = make_runner()
    run(runner, person(runner), tile_prompts="2: <lora:rain:1>")
    assert [len(call.prompts) for call in standin.log.calls] == [1] * 9


def test_a_prompt_for_a_tile_that_is_not_there(make_runner):
    runner = make_runner()
    done = run(runner, person(runner), tile_prompts="10: moon")
    assert done.images == [] and "tiles 1 to 9 (rows 1-3, columns 1-3)" in done.comments and standin.log.calls == []


class Interrogator:
    """As the host's: it begins and ends a job of its own."""

    answer = "a {0} picture"

    def interrogate(self, picture):
        shared.state.begin(job="interrogate")
        shared.state.end()
        return self.answer.format(picture.width)


def test_the_hosts_interrogator_describes_each_tile(make_runner, monkeypatch):
    monkeypatch.setattr(shared, "interrogator", Interrogator(), raising=False)
    runner = make_runner()
    shared.state.begin(job="t")
    run(runner, person(runner, prompt="b"), interrogator="clip", tile_prompts="1: sky")
    drawn = [prompt for call in standin.log.calls for prompt in call.prompts]
    assert drawn == ["b, sky, a 128 picture"] + ["b, a 128 picture"] * 8
    assert (shared.state.job_count, shared.state.job_no) == (9, 9)


def test_an_interrogator_whose_model_is_missing_is_said(make_runner, monkeypatch):
    monkeypatch.setattr(shared, "interrogator", Interrogator(), raising=False)
    monkeypatch.setattr(Interrogator, "answer", "<error>")
    runner = make_runner()
    done = run(runner, person(runner, prompt="b"), interrogator="CLIP")
    assert "Tiles were not described" in done.comments and len(done.images) == 1
    assert {prompt for call in standin.log.calls for prompt in call.prompts} == {"b"}


def test_an_interrogator_that_is_not_there(make_runner):
    runner = make_runner()
    done = run(runner, person(runner), interrogator="deepbooru")
    assert done.images == [] and "Describe each tile: 'deepbooru' is not allowed; allowed: none" in done.comments


# --- the Inpaint tab's mask -------------------------------------------------------------------------------------------


def mask_of(*box, size=(96, 72)):
    mask = Image.new("L", size, 0)
    mask.paste(255, box)
    return mask


def canvas_and(done):
    return np.asarray(photo().resize((192, 144), Image.Resampling.NEAREST)), np.asarray(done.images[0])


def test_only_tiles_under_the_mask_are_redrawn(make_runner):
    runner = make_runner()
    whole = np.asarray(run(runner, person(runner)).images[0])
    standin.log.calls.clear()
    done = run(runner, person(runner, mask=mask_of(0, 0, 20, 12), mask_blur=0), mask_blur=0)
    canvas, ours = canvas_and(done)
    assert [len(call.seeds) for call in standin.log.calls] == [1]
    assert np.array_equal(ours[2:20, 2:36], whole[2:20, 2:36]) and not np.array_equal(ours[:24, :40], canvas[:24, :40])
    assert np.array_equal(ours[30:], canvas[30:]) and np.array_equal(ours[:, 46:], canvas[:, 46:])


@pytest.mark.parametrize("blur", [0, 4])
def test_inpaint_not_masked_is_the_rest(make_runner, blur):
    runner = make_runner()
    mask = mask_of(30, 20, 80, 60)
    done = run(runner, person(runner, mask=mask, mask_blur=blur, inpainting_mask_invert=1))
    canvas, ours = canvas_and(done)
    far = 1 + 5 * blur  # what is enlarged is soft by a pixel
    inner = np.s_[40 + far : 120 - far, 60 + far : 160 - far]
    assert np.array_equal(ours[inner], canvas[inner]) and not np.array_equal(ours[:, :50], canvas[:, :50])
    assert "Mask mode: Inpaint not masked" in done.infotexts[0]
    assert ("Mask blur" in done.infotexts[0]) == (blur == 4)


def test_the_blur_is_in_pixels_of_the_source(make_runner):
    """As the host softens it there, then enlarged."""
    runner = make_runner()
    mask = mask_of(0, 0, 48, 72)
    whole = np.asarray(run(runner, person(runner)).images[0])
    canvas, ours = canvas_and(run(runner, person(runner, mask=mask, mask_blur=4)))
    soft = Image.fromarray(soften(np.asarray(mask), 4, 4)).resize((192, 144), Image.Resampling.BILINEAR)
    assert np.array_equal(ours, through(np.asarray(soft), whole, canvas))
    changed = np.flatnonzero((ours != canvas).any(axis=(0, 2)))
    assert 96 + 8 < changed.max() <= 96 + 22


def test_a_folder_of_masks(make_runner, tmp_path):
    runner = make_runner()
    for name, picture in (("in", photo()), ("masks", mask_of(0, 0, 20, 12))):
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / "a.png")
    p = person(runner, do_not_save_samples=False)
    script = runner.script("ultimate sd upscale")
    p.script_args[0] = runner.selectable_scripts.index(script) + 1
    p.script_args[script.args_from : script.args_to] = from_the_panel(**TILES)
    shared.state.begin(job="batch")
    done = img2img.process_batch(p, str(tmp_path / "in"), str(tmp_path / "out"), str(tmp_path / "masks"), p.script_args)
    canvas, ours = canvas_and(done)
    assert np.array_equal(ours[40:], canvas[40:]) and not np.array_equal(ours, canvas)
    assert [len(call.seeds) for call in standin.log.calls] == [1]


@pytest.mark.parametrize("mask", [mask_of(0, 0, 0, 0), Image.new("RGBA", (96, 72), (255, 255, 255, 0))])
def test_an_empty_mask_redraws_nothing(make_runner, mask):
    runner = make_runner()
    done = run(runner, person(runner, mask=mask))
    canvas, ours = canvas_and(done)
    assert np.array_equal(ours, canvas) and standin.log.calls == []
    assert "The mask is empty" in done.comments


# --- finishing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def faces(monkeypatch):
    import types

    seen = []
    restoration = types.ModuleType("modules.face_restoration")
    restoration.restore_faces = lambda picture: seen.append(picture.shape) or 255 - picture
    monkeypatch.setitem(__import__("sys").modules, "modules.face_restoration", restoration)
    monkeypatch.setattr(__import__("modules"), "face_restoration", restoration, raising=False)
    monkeypatch.setattr(shared, "face_restorers", ["one"], raising=False)
    return seen


def test_faces_are_restored_once_on_the_final_picture(make_runner, faces):
    runner = make_runner()
    plain = np.asarray(run(runner, person(runner, restore_faces=True)).images[0])
    assert faces == []
    done = run(runner, person(runner, restore_faces=True), finish="faces")
    assert faces == [(144, 192, 3)] and np.array_equal(np.asarray(done.images[0]), 255 - plain)
    assert "finish: faces" in done.infotexts[0]


def test_a_finishing_pass_keeps_to_the_mask(make_runner, faces):
    runner = make_runner()
    canvas, ours = canvas_and(run(runner, person(runner, mask=mask_of(0, 0, 20, 12), mask_blur=0), finish="faces"))
    assert np.array_equal(ours[40:], canvas[40:])


class ADetailer(scripts.Script):
    """Its hooks as in adetailer 36189cb (scripts/!adetailer.py): a mark in the middle instead of a face."""

    def __init__(self):
        self.seen = []

    def title(self):
        return "ADetailer"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gradio.Checkbox(True, label="e"), gradio.Checkbox(False, label="skip"), gradio.State({"ad_model": "f"})]

    def process(self, p, *args):
        if not getattr(p, "_ad_disabled", False):
            p.extra_generation_params["ADetailer model"] = "f"

    def postprocess_image(self, p, pp, *args):
        if getattr(p, "_ad_disabled", False):
            return
        number = p.iteration * p.batch_size + p.batch_index
        self.seen.append((pp.image.size, p.all_prompts[number], p.all_seeds[number], p.width))
        pp.image.paste((255, 0, 0), (90, 70, 100, 80))


def test_adetailer_runs_once_on_the_final_picture(make_runner):
    runner = make_runner(ADetailer)
    p = person(runner, prompt="face")
    done = run(runner, p, finish="adetailer")
    assert runner.alwayson_scripts[0].seen == [((192, 144), "face", 3, 128)]
    assert done.images[0].getpixel((95, 75)) == (255, 0, 0)
    plain = run(runner, person(runner, prompt="face"))
    assert len(runner.alwayson_scripts[0].seen) == 1 and plain.images[0].getpixel((95, 75)) != (255, 0, 0)


def test_a_finishing_pass_that_fails_loses_nothing(make_runner, monkeypatch):
    runner = make_runner(ADetailer)
    plain = run(runner, person(runner))

    def broken(self, p, pp, *args):
        if not getattr(p, "_ad_disabled", False):
            raise RuntimeError("no model")

    monkeypatch.setattr(ADetailer, "postprocess_image", broken)
    done = run(runner, person(runner), finish="adetailer")
    assert "The finishing pass failed: RuntimeError: no model" in done.comments
    assert np.array_equal(np.asarray(done.images[0]), np.asarray(plain.images[0]))


class Tiled(scripts.Script):
    def title(self):
        return "Tiled Diffusion"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gradio.Checkbox(True, label="Enable")]


def test_what_does_not_go_together_is_said(make_runner):
    runner = make_runner(Tiled)
    assert "Tiled Diffusion is on" in run(runner, person(runner)).comments
    off = person(runner)
    off.script_args[runner.alwayson_scripts[0].args_from] = False
    assert "Tiled Diffusion" not in run(runner, off).comments


def test_the_tiles_place_is_published(make_runner, monkeypatch):
    seen, original = [], processing.process_images
    monkeypatch.setattr(processing, "process_images", lambda p: seen.extend(p.usdu_tiles) or original(p))
    runner = make_runner()
    run(runner, person(runner))
    assert seen[0] == (0, 0, 128, 128, 192, 144) and seen[-1] == (64, 16, 128, 128, 192, 144) and len(seen) == 9


# --- scripts that run in every call -----------------------------------------------------------------------------------


def always_on(name, *hooks):
    """A script of this title, on by its first argument, which counts the calls of these hooks."""

    class Always(scripts.Script):
        calls = 0

        def title(self):
            return name

        def show(self, is_img2img):
            return scripts.AlwaysVisible

        def ui(self, is_img2img):
            return [gradio.Checkbox(label="on", value=False)]

    def called(self, p, *args, **kwargs):
        if args[-1] is True:
            Always.calls += 1

    for hook in hooks:
        setattr(Always, hook, called)
    return Always


@pytest.mark.parametrize("name", ["PiD Integrated", "StyleAlign Integrated", "ReActor", "AnimateDiff"])
def test_what_never_belongs_in_a_tile_is_left_out_and_said(make_runner, name):
    left_out, kept = always_on(name, "post_sample"), always_on("Something", "process")
    runner = make_runner(left_out, kept)
    before = list(runner.alwayson_scripts)
    done = run(runner, person(runner, [True]))
    assert left_out.calls == 0 and f"{name} was left out of the tiles: it " in done.comments
    other = next(script for script in runner.alwayson_scripts if isinstance(script, kept))
    p = person(runner, [True])
    p.script_args[other.args_from] = True
    run(runner, p)
    assert left_out.calls == 0 and kept.calls == standin.log.process_images / 2
    assert runner.alwayson_scripts == before  # the person's own
    off = run(runner, person(runner))
    assert name not in off.comments


@pytest.mark.parametrize("hook", ["postprocess_image", "post_sample", "postprocess"])
def test_an_unknown_script_that_changes_finished_pictures_is_said(make_runner, hook):
    unknown, harmless = always_on("Watermark", hook), always_on("Slower", "process_batch")
    runner = make_runner(unknown, harmless)
    p = person(runner, [True])
    p.script_args[next(s for s in runner.alwayson_scripts if isinstance(s, harmless)).args_from] = True
    done = run(runner, p)
    assert "Watermark is on: it changes each tile, not the finished picture." in done.comments
    assert "Slower" not in done.comments and unknown.calls >= standin.log.process_images
    assert "Watermark" not in run(runner, person(runner)).comments
