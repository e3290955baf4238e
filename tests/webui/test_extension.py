"""The extension in the stand-in webui: what an API client, a person at the panel and a folder get."""

import base64
import copy
import json
from pathlib import Path

import client
import numpy as np
import pytest
import torch
from modules import img2img, paths, processing, script_callbacks, scripts, shared, standin, upscaler
from modules.api import api
from modules.api.api import Api
from panel_values import from_the_panel
from PIL import Image
from probes.harness import make, options

from lib_usdu import noise
from lib_usdu.embedded import DEFAULT_UPSCALER
from lib_usdu.enlarge import spandrel_model
from lib_usdu.errors import plural
from lib_usdu.geometry import Region
from lib_usdu.options import OWN_ARGUMENTS, VERSION_MARKER, Options
from lib_usdu.webui import model_kind
from lib_usdu.webui import script as webui
from lib_usdu.webui.panel_host import PanelHost
from lib_usdu.webui.upscaler_files import SESSION, preselected, ready_names

ROOT = Path(__file__).parents[2]
LEGACY = [None, 64, 0, 8, 16, 64, 0.35, 16, 0, True, 0, False, 8, 0, 2, 2048, 2048, 2]


class Model4x(upscaler.Upscaler):
    """An upscaler only the host knows: it repeats pixels, and counts how often it is asked."""

    name, runs = "Model4x", 0

    def do_upscale(self, img, selected_model):
        type(self).runs += 1
        return img.resize((img.width * 4, img.height * 4), Image.Resampling.NEAREST)


class Other(scripts.Script):
    """The script after ours, whose values a short list brings into our arguments."""

    def title(self):
        return "Zzz other"

    def ui(self, is_img2img):
        import gradio

        return [gradio.Slider(label="z", minimum=0, maximum=9, value=5), gradio.Textbox(label="y", value="foreign")]


@pytest.fixture
def extension(host, monkeypatch, tmp_path):
    """The script as the webui loads it, in a runner with another script after it."""
    monkeypatch.chdir(tmp_path)  # where p names no folder, pictures are saved here
    monkeypatch.setattr(paths, "data_path", str(tmp_path / "data"))
    scripts.scripts_data.clear()
    standin.load_extension(ROOT)
    scripts.scripts_data.append(scripts.ScriptClassData(Other, "/x/scripts/o.py", "/x", None))
    runner = scripts.scripts_img2img = scripts.ScriptRunner()
    runner.initialize_scripts(True)
    import gradio

    with gradio.Blocks():
        runner.setup_ui()
    scaler = Model4x()
    known = [
        upscaler.UpscalerData("None", None, upscaler.UpscalerNone()),
        upscaler.UpscalerData("Lanczos", None, upscaler.UpscalerLanczos()),
        upscaler.UpscalerData("Nearest", None, upscaler.UpscalerNearest()),
        upscaler.UpscalerData("SPAN", str(DEFAULT_UPSCALER), scaler),
        upscaler.UpscalerData("Model4x", None, scaler),
    ]
    monkeypatch.setattr(shared, "sd_upscalers", known)
    Model4x.runs = 0
    yield runner.script("ultimate sd upscale")
    scripts.scripts_data.clear()
    scripts.scripts_img2img = None


def photo(width=96, height=72, mode="RGB"):
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 2, y * 3, (x + y) % 200], axis=2).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def ask(args, image=None, **values):
    """POST /sdapi/v1/img2img, as JSON text."""
    request = {
        "init_images": [image or photo()], "prompt": "a", "sampler_name": "Euler", "width": 64, "height": 64,
        "steps": 4, "seed": 3, "denoising_strength": 0.5, "script_name": "ultimate sd upscale", "script_args": args,
        "alwayson_scripts": {},
    }  # fmt: skip
    return client.img2img(**{**request, **values})


def refused(args, **values):
    with pytest.raises(client.Refused) as caught:
        ask(args, **values)
    return caught.value


# --- the API ----------------------------------------------------------------------------------------------------------


def test_the_originals_18_values(extension):
    done = ask(LEGACY)
    assert done.images[0].size == (192, 144)
    assert len(standin.log.calls) == 9 and {call.size for call in standin.log.calls} == {(128, 128)}
    assert {call.denoise for call in standin.log.calls} == {0.5}
    assert "Ultimate SD upscale redraw_mode: linear" in done.infotexts[0]


def test_one_dict(extension):
    done = ask([{"tile_width": 64, "padding": 16, "custom_scale": 1.5, "upscaler": "nearest", "redraw_mode": "Chess"}])
    assert done.images[0].size == (144, 108)
    assert "Ultimate SD upscale redraw_mode: chess" in done.info and "upscaler: nearest" in done.info


def test_an_empty_list_is_all_defaults(extension):
    done = ask([])
    assert done.images[0].size == (192, 144) and len(standin.log.calls) == 1
    assert "Ultimate SD upscale tile: 512x512" in done.info


def test_a_short_list_takes_nothing_from_the_next_script(extension):
    done = ask([None, 64])
    assert done.images[0].size == (192, 144)
    assert "tile_width: 64" in done.info and "Ultimate SD upscale padding: 32" in done.info


def test_more_values_than_there_are_is_refused(extension):
    full = [*LEGACY, VERSION_MARKER, *(getattr(Options, name) for name in OWN_ARGUMENTS)]
    error, most = refused([*full, 1, 2]), len(full)
    assert error.status_code == 422
    assert error.detail == f"script_args: 'a list of {most + 2}' is not allowed; allowed: at most {most} values"


def test_values_after_the_originals_without_the_marker_are_refused(extension):
    """They would be passed over without a word."""
    error = refused([*LEGACY, 4, "tile"])
    assert error.status_code == 422 and "script_args[18]: 4 is not allowed; allowed: 'usdu:" in error.detail
    assert standin.log.calls == []


def test_an_unknown_option_is_answered_with_those_it_is_like(extension):
    error = refused([{"tile_widht": 512, "Padding": 8}])
    assert error.status_code == 422
    assert "there is no 'tile_widht', 'Padding'; did you mean tile_width, padding? allowed: " in error.detail


def test_where_nothing_is_redrawn_no_model_is_named(extension):
    text = ask([{"redraw_mode": "none"}]).infotexts[0]
    assert not [name for name in ("Sampler", "Steps", "Model", "CFG scale", "Denoising strength") if name in text]
    assert "Ultimate SD upscale redraw_mode: none" in text and "Size: 64x64" in text and "Script: " in text
    assert "Sampler: Euler" in ask([{}]).infotexts[0]


def test_a_client_is_told_which_of_its_options_change_nothing(extension):
    said = "padding is not used: nothing is redrawn"
    assert said in ask([{"redraw_mode": "none", "padding": 48}]).comments
    assert "not used" not in ask([{"padding": 48}]).comments
    in_a_list = [*LEGACY[:10], "None", *LEGACY[11:]]  # the panel's values stand there whether they count or not
    assert "not used" not in ask(in_a_list).comments


def test_the_answer_has_what_the_page_shows_below_the_pictures(extension):
    body = {
        "init_images": [client.as_base64(photo())], "denoising_strength": 0.5, "script_name": "ultimate sd upscale",
        "script_args": [{"redraw_mode": "none", "padding": 48}], "alwayson_scripts": {},
    }  # fmt: skip
    status, answer = api.post("/sdapi/v1/img2img", json.dumps(body))
    info = json.loads(json.loads(answer)["info"])
    assert status == 200 and info["comments"] == ["padding is not used: nothing is redrawn"]
    assert {"infotexts", "all_seeds", "seed"} <= set(info)


def test_a_full_list_with_our_own_options(extension):
    own = {"tile_batch": 3, "noise": "tile", "blend": "cut", "tone_lock": 0.5, "seamless": True,
           "auto_padding": True}  # fmt: skip
    parallel = [*LEGACY[:10], "Parallel", *LEGACY[11:]]
    done = ask([*parallel, VERSION_MARKER, *(own.get(name, getattr(Options(), name)) for name in OWN_ARGUMENTS)])
    assert "tile_batch: 3" in done.info and "blend: cut" in done.info
    assert max(len(call.seeds) for call in standin.log.calls) > 1


@pytest.mark.parametrize(
    "args, message",
    [
        ([{"tile_widht": 64}], "tile_widht"),
        ([{"padding": -1}], "padding: -1 is not allowed; allowed: a whole number from 0 to 512 px"),
        (
            [{"upscaler": "9x"}],
            "upscaler: '9x' is not allowed; allowed: None, Lanczos, Nearest, SPAN, Model4x, SPAN x4",
        ),
        ([None, 64, 0, 8, 16, 64, 0.35, 16, 99], "upscaler_index: 99"),
        ([{"custom_scale": float("nan")}], "custom_scale: nan"),
        ([{"max_megapixels": 1e9}], "max_megapixels"),
        ([{"custom_scale": 64, "tile_width": 64}], "megapixels"),
    ],
)
def test_a_wrong_option_is_a_422_that_names_it(extension, args, message, monkeypatch):
    monkeypatch.setattr(shared.cmd_opts, "usdu_max_megapixels", 10, raising=False)
    error = refused(args)
    assert error.status_code == 422 and message in error.detail and "\n" not in error.detail
    assert standin.log.calls == [] and standin.log.reports == []


ONE_HOST = pytest.mark.parametrize("host", ["a1111"], indirect=True)  # no host is asked about what is tested


@ONE_HOST
@pytest.mark.parametrize(
    "scale, size", [(2, (2560, 1440)), (1.5, (1920, 1080)), (2.5, (3200, 1800)), (10, (12800, 7200))]
)
def test_exact_sizes_of_a_hd_picture(extension, scale, size):
    assert ask([{"custom_scale": scale, "redraw_mode": "none"}], photo(1280, 720)).images[0].size == size


@ONE_HOST
@pytest.mark.parametrize("scale, size", [(2, (2002, 1334)), (1.5, (1502, 1000)), (2.5, (2502, 1668))])
def test_exact_sizes_of_an_odd_picture(extension, scale, size):
    assert ask([{"custom_scale": scale}], photo(1001, 667)).images[0].size == size


CUSTOM = {"target_size_type": "Custom size", "custom_width": 120, "custom_height": 120}


@pytest.mark.parametrize("size", [{"target_size_type": "img2img"}, CUSTOM], ids=["tab", "custom"])
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_the_tabs_size_and_resize_mode(extension, mode, size):
    standin.knobs.noise_gain = 0
    done = ask([{**size, "upscaler": "Nearest"}], width=120, height=120, resize_mode=mode)
    picture = np.asarray(done.images[0])
    assert picture.shape == (120, 120, 3)
    if mode == 2:  # filled above and below with the outermost rows
        assert np.array_equal(picture[0], picture[10]) and not np.array_equal(picture[0], picture[60])
    if mode == 1:  # cropped at the sides
        assert picture[60, 0, 0] > 10


def test_nothing_is_saved_unless_asked(extension):
    ask([{"tile_width": 64}])
    assert standin.log.saved == []
    ask([{"tile_width": 64}], save_images=True)
    assert len(standin.log.saved) == 1
    saved = Image.open(standin.log.saved[0])
    assert saved.size == (192, 144) and "Script: Ultimate SD Upscale" in saved.info["parameters"]


def test_seamless_output_reaches_around_the_edges(extension):
    """The result laid side by side is that of the picture laid side by side, with an upscaler of the host too."""
    standin.knobs.noise_gain = 0
    args = {"tile_width": 192, "tile_height": 144, "padding": 16, "seamless": True, "upscaler": "Model4x"}
    once = np.asarray(ask([args], tiling=True).images[0])
    assert [call.size for call in standin.log.calls] == [(256, 192)]  # larger than the canvas
    four = np.asarray(ask([args], Image.fromarray(np.tile(np.asarray(photo()), (2, 2, 1)))).images[0])
    assert once.shape == (144, 192, 3) and np.array_equal(four, np.tile(once, (2, 2, 1)))


def test_what_cannot_be_seamless_is_named(extension):
    wrong = refused([{"seamless": True, "custom_scale": 1.3}])
    assert wrong.status_code == 422 and "multiples of 8" in wrong.detail
    square = {"seamless": True, "target_size_type": "img2img"}
    wrong = refused([square], resize_mode=1)
    assert wrong.status_code == 422 and "Just resize" in wrong.detail
    assert ask([square], resize_mode=0).images[0].size == (64, 64)


# --- tiles ------------------------------------------------------------------------------------------------------------


def test_identity_is_the_upscaled_picture_to_the_bit(extension):
    standin.knobs.noise_gain = 0
    for args in ({"tile_width": 64}, {"tile_width": 64, "blend": "cut"}, {"tile_width": 64, "seams_fix_type": "band"},
                 {"tile_width": 64, "redraw_mode": "linear", "tile_batch": 3}):  # fmt: skip
        done = ask([args])
        expected = photo().resize((192, 144), Image.Resampling.LANCZOS)
        assert np.array_equal(np.asarray(done.images[0]), np.asarray(expected)), args


def test_tiles_get_windows_of_the_canvas_noise(extension):
    ask([{"tile_width": 64, "padding": 16}])
    for call in standin.log.calls:
        assert call.noise.shape[2:] == (16, 16) and call.size == (128, 128)
    whole = noise.window_noise(3, 0, 4, 18, 24, Region(0, 0, 24, 18))
    assert np.array_equal(standin.log.calls[0].noise[0].numpy(), whole[:, :16, :16])
    assert np.array_equal(standin.log.calls[1].noise[0].numpy(), whole[:, :16, 4:20])


def test_one_tile_is_plain_img2img_with_the_nv_source(extension):
    picture = photo(128, 128)
    with options(randn_source="NV"):
        plain = ask([], picture, script_name=None, width=128, height=128).images[0]
    ours = ask([{"custom_scale": 1, "tone_lock": 0}], picture).images[0]
    assert np.array_equal(np.asarray(plain), np.asarray(ours))


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M", "DPM++ SDE"])
def test_step_noise_is_the_canvass_too(extension, sampler):
    standin.knobs.step_gain = 30
    picture = photo(128, 128)
    pictures = [
        np.asarray(
            ask(
                [{"custom_scale": 1, "tile_width": tile, "tile_batch": n, "tone_lock": 0}],
                picture,
                sampler_name=sampler,
            ).images[0]
        )
        for tile, n in ((64, 1), (64, 4))
    ]
    assert np.array_equal(*pictures)


def test_batches_hold_different_tiles(extension):
    alone = ask([{"tile_width": 64, "padding": 16}])
    calls = len(standin.log.calls)
    standin.log.calls.clear()
    together = ask([{"tile_width": 64, "padding": 16, "tile_batch": 4}])
    assert [len(call.seeds) for call in standin.log.calls] == [4, 4, 1] and calls == 9
    assert np.array_equal(np.asarray(alone.images[0]), np.asarray(together.images[0]))


def test_what_the_host_draws_besides_repeats(extension, monkeypatch):
    """It encodes with noise of torch's global generator: the same request must give the same picture."""
    original, drawn = processing.process_images, []
    monkeypatch.setattr(processing, "process_images", lambda p: drawn.append(torch.randn(4).tolist()) or original(p))
    before = torch.get_rng_state()
    ask([])
    ask([])
    assert drawn[0] == drawn[1] and torch.equal(before, torch.get_rng_state())


def test_per_tile_extras_are_off(extension, monkeypatch):
    mask, seen, original = Image.new("L", (96, 72), 255), set(), processing.process_images

    def watched(p):
        settings = shared.opts.img2img_color_correction, shared.opts.save_init_img, shared.opts.return_mask
        seen.add((p.tiling, p.restore_faces, p.image_mask, p.do_not_save_samples, *settings))
        return original(p)

    monkeypatch.setattr(processing, "process_images", watched)
    with options(
        img2img_color_correction=True, save_init_img=True, return_mask=True, face_restoration=True, tiling=True
    ):
        done = ask([{"tile_width": 64}], save_images=True, mask=mask, mask_blur=4, tiling=True, restore_faces=True)
        assert shared.opts.data["img2img_color_correction"] and shared.opts.data["save_init_img"]
    assert len(done.images) == 1 and len(standin.log.saved) == 1
    assert seen == {(False, False, None, True, False, False, False)}


def test_overrides_hold_for_the_run_and_are_put_back(extension, monkeypatch):
    seen = []
    original = processing.process_images

    def watched(p):
        seen.append((shared.opts.CLIP_stop_at_last_layers, dict(p.override_settings)))
        return original(p)

    monkeypatch.setattr(processing, "process_images", watched)
    before = dict(shared.opts.data)
    done = ask([{"tile_width": 64}], override_settings={"CLIP_stop_at_last_layers": 2})
    assert set(map(str, seen)) == {str((2, {}))} and "Clip skip: 2" in done.info
    assert shared.opts.data == before
    standin.knobs.fail_on, standin.knobs.fail_times = standin.log.process_images, 99
    assert refused([{"tile_width": 64}], override_settings={"CLIP_stop_at_last_layers": 2}).status_code == 500
    assert shared.opts.data == before
    assert refused([], override_settings={"no_such_setting": 2}).status_code == 422


LEAKING = ("pixels_after_sampling", "latents_after_sampling", "extra_result_images")


def test_lists_that_leak_in_some_forks_stay_empty(extension, monkeypatch):
    """Forge's ControlNet adds its detected map to `extra_result_images` in every call (controlnet.py:358)."""
    original, tiles = processing.process_images, []

    def with_a_detected_map(p):
        tiles.append(p)
        getattr(p, "extra_result_images", []).append(photo())
        return original(p)

    monkeypatch.setattr(processing, "process_images", with_a_detected_map)
    p = person()
    done = webui.run(p, extension, [{"tile_width": 64}])
    assert len(done.images) == 1 and getattr(done, "extra_images", []) == []
    assert len(tiles) > 1
    for left in (p, *tiles):  # the host's pictures of thousands of tiles would fill the memory
        assert [getattr(left, name, []) for name in LEAKING] == [[], [], []]


# --- a person at the panel --------------------------------------------------------------------------------------------


def person(**values):
    """p as the img2img tab makes it."""
    settings = {"init_images": [photo()], "denoising_strength": 0.5, "seed": 3, "do_not_save_samples": False}
    return make(**{**settings, **values})


def snapshot(p):
    return {name: copy.copy(value) for name, value in vars(p).items()}


@pytest.mark.parametrize("args", [[{"tile_width": 64, "seams_fix_type": "half"}], [{"padding": -4}], []])
def test_p_is_left_as_it_was(extension, args, tmp_path):
    p = person(outpath_samples=str(tmp_path), override_settings={"CLIP_stop_at_last_layers": 2}, styles=["x"], seed=-1)
    p.overlay_images, p.paste_to = [photo()], (0, 0, 9, 9)
    before = snapshot(p)
    webui.run(p, extension, args)
    after = snapshot(p)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert after[name] == value or after[name] is value, name


def test_a_bad_option_at_the_panel_is_said_not_raised(extension):
    done = webui.run(person(), extension, [{"padding": -4}])
    assert done.images == [] and "Padding: -4 is not allowed" in done.comments and standin.log.reports == []


def test_the_final_picture_comes_first_and_files_follow_the_two_flags(extension, tmp_path):
    def saved(**flags):
        standin.log.saved.clear()
        args = {"tile_width": 64, "seams_fix_type": "half", "seams_fix_denoise": 0.9, **flags}
        done = webui.run(person(outpath_samples=str(tmp_path)), extension, [args])
        # Forge hides the infotext in an alpha of its own.
        files = [np.asarray(Image.open(name).convert("RGB")) for name in standin.log.saved]
        return [np.asarray(image) for image in done.images], files

    images, files = saved(save_upscaled_image=True, save_seams_fix_image=True)
    assert len(images) == 2 and not np.array_equal(*images)
    assert np.array_equal(files[0], images[1]) and np.array_equal(files[1], images[0])
    assert len(saved(save_upscaled_image=False, save_seams_fix_image=False)[1]) == 0
    assert np.array_equal(saved(save_upscaled_image=True)[1][0], images[1])
    with options(samples_save=False):
        assert saved(save_seams_fix_image=True)[1] == []
    with options(samples_format="jpg"):
        saved(save_seams_fix_image=True)
        assert standin.log.saved[0].endswith(".jpg")


def test_before_and_after_come_second_and_are_not_saved(extension, tmp_path):
    given = {"tile_width": 64, "custom_scale": 2, "upscaler": "Nearest"}
    plain = webui.run(person(outpath_samples=str(tmp_path)), extension, [given])
    standin.log.saved.clear()
    done = webui.run(person(outpath_samples=str(tmp_path)), extension, [{**given, "compare": True}])
    final, both = (np.asarray(picture) for picture in done.images)
    assert np.array_equal(final, np.asarray(plain.images[0])) and len(plain.images) == 1
    assert len(done.infotexts) == len(done.all_seeds) == 2 and done.images[1].info == {}
    (saved,) = standin.log.saved
    assert np.array_equal(np.asarray(Image.open(saved).convert("RGB")), final)
    assert done.images[0].already_saved_as == saved  # the page shows the file, and saves no other
    upscaled = np.asarray(photo().resize((192, 144), Image.Resampling.NEAREST))
    middle = both.shape[1] // 2
    assert contains(both[:, :middle], upscaled) and contains(both[:, middle:], final)


def contains(sheet, picture):
    """Whether the picture stands somewhere in the sheet, pixel for pixel."""
    h, w = picture.shape[:2]
    corners = sheet[: sheet.shape[0] - h + 1, : sheet.shape[1] - w + 1]
    places = zip(*np.nonzero((corners == picture[0, 0]).all(axis=-1)))
    return any(np.array_equal(sheet[y : y + h, x : x + w], picture) for y, x in places)


def test_batch_count_gives_consecutive_seeds(extension):
    done = webui.run(person(n_iter=3), extension, [{"tile_width": 64}])
    assert (
        len(done.images) == 3
        and [f"Seed: {seed}" in text for seed, text in zip((3, 4, 5), done.infotexts)] == [True] * 3
    )
    assert not np.array_equal(np.asarray(done.images[0]), np.asarray(done.images[1]))
    assert done.all_seeds == [3, 4, 5] and len(done.all_prompts) == 3


def test_infotext_is_the_persons_own(extension):
    done = webui.run(person(), extension, [{"tile_width": 64, "seams_fix_type": "half", "seams_fix_denoise": 0.9}])
    text = done.infotexts[0]
    assert "Denoising strength: 0.5" in text and "Size: 64x64" in text and "Script: Ultimate SD Upscale" in text
    for absent in ("Mask blur", "Inpaint area", "Denoising strength: 0.9"):
        assert absent not in text
    for key in ("upscaler: None", "tile_width: 64", "tile_height: 64", "mask_blur: 8", "padding: 32"):
        assert f"Ultimate SD upscale {key}" in text
    assert done.images[0].info["parameters"] == text


def test_the_five_keys_are_there_before_the_first_tile(extension):
    seen = []
    runner = scripts.scripts_img2img

    class Watcher(scripts.Script):
        alwayson, args_from, args_to = True, 1, 1

        def process(self, p, *args):
            seen.append(dict(p.extra_generation_params))

    runner.alwayson_scripts.append(Watcher())
    p = person()
    p.scripts, p.script_args = runner, [0] * 60
    webui.run(p, extension, [{"tile_width": 64}])
    runner.alwayson_scripts.pop()
    assert seen and all("Ultimate SD upscale upscaler" in parameters for parameters in seen)


def test_every_infotext_value_comes_back(extension):
    values = dict(tile_width=128, tile_height=96, mask_blur=3, padding=24, redraw_mode="chess", upscaler="Lanczos",
                  seams_fix_type="band", seams_fix_width=32, custom_scale=1.25, tile_batch=2, noise="tile",
                  blend="cut", tone_lock=0.25)  # fmt: skip
    done = webui.run(person(), extension, [values])
    last = done.infotexts[0].splitlines()[-1]
    pairs = dict(pair.split(": ", 1) for pair in last.split(", "))
    assert Options.from_infotext(pairs) == Options(**values)


def test_alpha_is_kept(extension):
    picture = photo(mode="RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    done = webui.run(person(init_images=[picture]), extension, [{"tile_width": 64}])
    assert done.images[0].mode == "RGBA" and done.images[0].size == (192, 144)
    alpha = np.asarray(done.images[0].getchannel("A"))
    assert alpha[0].max() < 5 and alpha[-1].min() > 250


def test_an_alpha_without_a_transparent_pixel_is_none(extension):
    """The page makes every picture RGBA, and Forge hides the infotext in the last bit of the alpha of its files."""
    picture = photo(mode="RGBA")
    assert webui.run(person(init_images=[picture]), extension, [{}]).images[0].mode == "RGB"
    picture.putpixel((5, 7), (1, 2, 3, 254))
    assert webui.run(person(init_images=[picture]), extension, [{}]).images[0].mode == "RGB"
    picture.putpixel((5, 7), (1, 2, 3, 253))
    assert webui.run(person(init_images=[picture]), extension, [{}]).images[0].mode == "RGBA"


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "CMYK", "I"])
def test_other_picture_modes(extension, mode):
    picture = photo().convert("L").convert(mode) if mode in ("LA", "I") else photo().convert(mode)
    done = webui.run(person(init_images=[picture]), extension, [{"tile_width": 64}])
    assert done.images and done.images[0].size == (192, 144)


def test_no_picture(extension):
    done = webui.run(person(init_images=[None]), extension, [])
    assert done.images == [] and "no picture" in done.comments


# --- upscalers --------------------------------------------------------------------------------------------------------


def test_files_go_through_our_loader_and_the_rest_through_the_host(extension):
    ask([{"upscaler": "SPAN", "redraw_mode": "none"}])
    assert Model4x.runs == 0
    done = ask([{"upscaler": "Model4x", "redraw_mode": "none"}])
    assert Model4x.runs == 1 and done.images[0].size == (192, 144)


def test_the_upscaler_that_comes_with_the_extension(extension):
    done = ask([{"upscaler": "span x4", "redraw_mode": "none"}])
    same = ask([{"upscaler": "SPAN", "redraw_mode": "none"}])
    assert np.array_equal(np.asarray(done.images[0]), np.asarray(same.images[0])) and Model4x.runs == 0
    bundled = ["SPAN x4", "SPAN x4 clean", "SPAN x4 JPEG", "SPAN x4 noise"]
    assert [name for name in PanelHost().upscalers() if name in bundled] == bundled
    assert ready_names() == ["SPAN", *bundled] and preselected() == "SPAN x4"


def test_an_upscaler_is_loaded_once_for_a_folder(extension, monkeypatch):
    loads = []
    original = spandrel_model.SpandrelModel.load
    SESSION.forget_network()
    load = lambda *args, **given: loads.append(1) or original(*args, **given)  # noqa: E731
    monkeypatch.setattr(spandrel_model.SpandrelModel, "load", load)
    for _ in range(3):
        ask([{"upscaler": "SPAN", "redraw_mode": "none"}])
    assert len(loads) == 1


# --- stopping ---------------------------------------------------------------------------------------------------------


def stop_at(monkeypatch, call, flag):
    """Sets a flag of the host while the n-th call of process_images samples."""
    original, calls = processing.process_images, []

    def watched(p):
        calls.append(1)
        if len(calls) == call:
            setattr(shared.state, flag, True)
        return original(p)

    monkeypatch.setattr(processing, "process_images", watched)
    return calls


@pytest.mark.parametrize("flag, kept", [("interrupted", 2), ("stopping_generation", 2)])
def test_a_stop_in_tile_3(extension, monkeypatch, flag, kept):
    calls = stop_at(monkeypatch, 3, flag)
    shared.state.begin(job="t")
    done = webui.run(person(), extension, [{"tile_width": 64, "padding": 16}])
    assert len(calls) == 3 and done.images[0].size == (192, 144)
    assert f"Ultimate SD upscale unfinished: {kept} of 9 tiles" in done.infotexts[0]


def test_stop_after_the_current_tile_keeps_it(extension, monkeypatch):
    original = processing.process_images

    def then_stop(p):
        done = original(p)
        shared.state.stopping_generation = True
        return done

    monkeypatch.setattr(processing, "process_images", then_stop)
    shared.state.begin(job="t")
    done = webui.run(person(), extension, [{"tile_width": 64, "padding": 16}])
    assert "unfinished: 1 of 9 tiles" in done.infotexts[0]


@pytest.mark.parametrize("flag", ["interrupted", "stopping_generation"])
def test_a_stop_before_tile_1_and_while_upscaling(extension, flag):
    for name in ("None", "SPAN", "Model4x"):
        shared.state.begin(job="t")
        setattr(shared.state, flag, True)
        done = webui.run(person(), extension, [{"tile_width": 64, "padding": 16, "upscaler": name}])
        assert done.images[0].size == (192, 144) and "unfinished: 0 of 9 tiles" in done.infotexts[0]
    assert standin.log.calls == []


@pytest.mark.parametrize("tile_batch", [1, 3])
def test_skip_leaves_the_tile_as_upscaled(extension, tile_batch):
    """Pressed in the first step of the second call: before it, the host forgets it when the call begins."""
    given = {"tile_width": 64, "padding": 16, "mask_blur": 0, "tone_lock": 0, "tile_batch": tile_batch}
    whole = np.asarray(webui.run(person(), extension, [given]).images[0])
    standin.log.calls.clear()
    script_callbacks.on_cfg_after_cfg(
        lambda _: len(standin.log.calls) == 2 and setattr(shared.state, "skipped", True)
    )
    shared.state.begin(job="t")
    done = webui.run(person(), extension, [given])
    assert shared.state.skipped is False and "unfinished" not in done.infotexts[0]
    assert f"Ultimate SD upscale skipped: {plural(tile_batch, 'tile')}" in done.infotexts[0]
    expected = whole.copy()  # the second call's tiles: the second of the first row, or all three of the second
    tiles = np.s_[:48, 64:128] if tile_batch == 1 else np.s_[48:96, :]
    expected[tiles] = np.asarray(photo().resize((192, 144), Image.Resampling.LANCZOS))[tiles]
    assert np.array_equal(np.asarray(done.images[0]), expected)
    assert not np.array_equal(whole[tiles], expected[tiles])


# --- progress and folders ---------------------------------------------------------------------------------------------


def test_progress_counts_batches_of_tiles(extension):
    shared.state.begin(job="t")
    webui.run(person(), extension, [{"tile_width": 64, "padding": 16, "tile_batch": 2}])
    # 9 tiles are 4.5 jobs of two; the last call is the 9th of 9 jobs of one.
    assert (shared.state.job_count, shared.state.job_no) == (9, 9)
    assert [call.job_no for call in standin.log.calls] == [0, 1, 2, 3, 8]
    assert "Tile 9 of 9" in shared.state.textinfo and shared.state.current_image is not None


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    photo(96, 72).save(place / "a.png")
    (place / "b_broken.png").write_bytes(base64.b64decode(b"iVBORw0KGgoAAAA="))
    photo(60, 80).save(place / "c.jpg")
    clear = photo(70, 70, "RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(place / "d_alpha.png")
    photo(50, 90, "L").save(place / "e_grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(100, 40).save(place / "f_turned.jpg", exif=exif)
    return place


def batch(extension, folder, out, persons=None, **values):
    """The Batch tab: `persons` are values of its p, `values` the panel's."""
    p = person(outpath_samples="", **(persons or {}))
    p.scripts = scripts.scripts_img2img
    vector = Api().init_default_script_args(p.scripts)
    vector[extension.args_from : extension.args_to] = from_the_panel(**values)
    vector[0] = scripts.scripts_img2img.selectable_scripts.index(extension) + 1
    p.script_args = vector
    shared.state.begin(job="batch")
    return img2img.process_batch(p, str(folder), str(out), "", vector)


def test_a_folder_keeps_its_names_and_settings(extension, folder, tmp_path):
    out = tmp_path / "out"
    with options(save_images_add_number=False):
        done = batch(extension, folder, out, tile_width=64)
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "c.png", "d_alpha.png", "e_grey.png", "f_turned.png"]
    sizes = {p.name: Image.open(p).size for p in out.iterdir()}
    assert sizes["a.png"] == (192, 144) and sizes["c.png"] == (120, 160) and sizes["f_turned.png"] == (80, 200)
    alphas = {p.name: Image.open(p).convert("RGBA").getchannel("A").getextrema() for p in out.iterdir()}
    assert alphas.pop("d_alpha.png")[0] < 5 and min(low for low, _ in alphas.values()) >= 254  # Forge's infotext
    assert [picture.mode for picture in done.images] == ["RGB", "RGB", "RGBA", "RGB", "RGB"]
    settings = {text.split("Denoising strength")[1] for text in done.infotexts}
    assert len(done.infotexts) == 5 and len(settings) == 1  # nothing leaks from picture to picture
    assert len({call.denoise for call in standin.log.calls}) == 1


def test_the_share_of_noise_is_asked_for_once_for_a_folder(extension, folder, tmp_path, monkeypatch):
    asked, shares = [], model_kind._shares_of_steps
    monkeypatch.setattr(model_kind, "_shares_of_steps", lambda *given: asked.append(given[3]) or shares(*given))
    with options(save_images_add_number=False):
        done = batch(extension, folder, tmp_path / "out", tile_width=512)
    assert len(done.images) == 5 and len(asked) == 1


def test_a_picture_that_fails_does_not_lose_the_others(extension, folder, tmp_path, monkeypatch):
    standin.knobs.fail_on, standin.knobs.fail_times = 2, 2  # the third picture's tile, and its second try
    with options(save_images_add_number=False):
        batch(extension, folder, tmp_path / "out", tile_width=512)
    assert len(list((tmp_path / "out").iterdir())) == 4
    assert any("told to fail" in report for report in standin.log.reports)


def test_progress_in_a_folder_is_picture_k_of_m(extension, folder, tmp_path):
    batch(extension, folder, tmp_path / "out", tile_width=64, padding=16)
    assert shared.state.job_count == 6 and shared.state.job_no == 5
    assert standin.log.calls[0].job_no == 0
    first = [call.job_no for call in standin.log.calls[:9]]
    assert first == list(range(9))
    assert shared.state.textinfo.startswith("Picture 6 out of 6: Tile 8 of 8")  # the time left may follow


def test_the_api_asks_for_the_panel_twice_and_nothing_happens(extension):
    runner = scripts.scripts_img2img
    before = len(runner.scripts)
    default = Api().init_default_script_args(runner)
    assert len(runner.scripts) == before
    values = default[extension.args_from : extension.args_to]
    panel = Options.from_script_args(values, upscalers=[known.name for known in shared.sd_upscalers])
    assert panel.with_(upscaler="None") == Options()  # the panel's defaults are the defaults
