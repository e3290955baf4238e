"""The extension in a real webui: the scenarios of test_extension.py, over HTTP and in a browser.

    python -m pytest tests/webui/test_real.py --webui-url http://127.0.0.1:7861 \\
        [--webui-log FILE] [--photos DIR] [--slow]

The webui needs --api, a checkpoint of Stable Diffusion 1 (a tiny one does) and nobody else at work in it; this machine
needs webuiapi, selenium and Debian's chromium and chromium-driver. Settings are put back after each test.
"""

from __future__ import annotations

import statistics
import time
import urllib.parse
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from live import TITLE, Running, Webui, psnr
from PIL import Image, ImageOps

from lib_usdu.options import LEGACY_ARGUMENTS, OWN_ARGUMENTS, VERSION_MARKER, Choice, Options, rule_of

LEGACY = [None, 64, 0, 8, 16, 64, 0.35, 16, 0, True, 0, False, 8, 0, 2, 2048, 2048, 2]
NINE_TILES = {"tile_width": 128, "padding": 32, "mask_blur": 0, "tone_lock": 0, "upscaler": "Lanczos", "tile_batch": 1,
              "resume": False}  # fmt: skip
DISTINCT = dict(
    tile_width=128, tile_height=192, mask_blur=3, padding=24, redraw_mode="chess", upscaler="Lanczos",
    seams_fix_type="band", seams_fix_width=32, seams_fix_denoise=0.2, seams_fix_padding=8, seams_fix_mask_blur=2,
    target_size_type="custom", custom_width=176, custom_height=132, tile_batch=2, noise="tile", blend="cut",
    tone_lock=0.25,
)  # fmt: skip


@pytest.fixture(scope="module")
def server(webui_url) -> Webui:
    return Webui(webui_url)


@pytest.fixture(autouse=True)
def _nothing_left_behind(server, request):
    """Every test leaves the webui's settings as they were, and no exception in its console."""
    log = request.config.getoption("--webui-log")
    before, length = server.get("/sdapi/v1/options"), log.stat().st_size if log else 0
    yield
    after = server.get("/sdapi/v1/options")
    assert {name: value for name, value in after.items() if before[name] != value} == {}
    assert not log or "Traceback" not in log.read_bytes()[length:].decode(errors="replace")


@pytest.fixture(scope="module")
def photos(request) -> dict[str, Image.Image]:
    """512 x 512, by name."""
    folder = request.config.getoption("--photos")
    files = sorted(folder.glob("*.jpg"))
    return {path.stem: ImageOps.fit(Image.open(path).convert("RGB"), (512, 512)) for path in files}


@pytest.fixture(scope="module")
def face() -> Image.Image:
    """192 x 144."""
    return Image.open(Path(__file__).parents[1] / "photos/astronaut.jpg").convert("RGB").crop((150, 60, 342, 204))


@pytest.fixture
def small(face) -> Image.Image:
    """96 x 72."""
    return face.resize((96, 72))


# --- the API ----------------------------------------------------------------------------------------------------------


def test_the_webui_lists_the_script_with_labels_that_are_unique(server):
    scripts = server.get("/sdapi/v1/scripts")
    assert TITLE in scripts["img2img"] and TITLE not in scripts["txt2img"]
    (info,) = (found for found in server.get("/sdapi/v1/script-info") if found["name"] == TITLE)
    labels = [arg["label"] for arg in info["args"]]
    assert len(labels) == 18 + 1 + len(OWN_ARGUMENTS) and max(Counter(labels).values()) == 1, labels
    assert info["args"][18]["value"] == VERSION_MARKER
    names = [None, *LEGACY_ARGUMENTS, None, *OWN_ARGUMENTS]
    for name, arg in zip(names, info["args"]):
        if name and isinstance(rule := rule_of(name.removesuffix("_index")), Choice):
            works = name in ("interrogator", "finish")  # of these the panel offers what this webui has
            offered = [label for label in rule.labels.values() if not works or label in arg["choices"]]
            assert arg["choices"] == offered and rule.labels[getattr(Options, name)] in offered, name
        elif name and name != "upscaler_index":
            assert arg["value"] == getattr(Options, name), name


def test_the_originals_18_values(server, small):
    done = server.ask(LEGACY, small)
    assert done.status == 200 and done.images[0].size == (192, 144)
    assert "Ultimate SD upscale redraw_mode: linear" in done.text and "Ultimate SD upscale upscaler: None" in done.text


def test_a_dict_means_what_the_list_means(server, small):
    named = dict(zip(LEGACY_ARGUMENTS, LEGACY[1:]))
    assert np.array_equal(server.ask([named], small).pixels, server.ask(LEGACY, small).pixels)


def test_an_empty_list_and_a_short_one_are_defaults(server, small):
    done = server.ask([], small)
    assert done.images[0].size == (192, 144) and "Ultimate SD upscale tile: 512x512" in done.text
    done = server.ask([None, 64], small)
    assert "tile_width: 64" in done.text and "Ultimate SD upscale padding: 32" in done.text


def test_a_full_list_with_our_own_options(server, small):
    own = {"tile_batch": 3, "noise": "tile", "blend": "cut", "tone_lock": 0.5, "seamless": True,
           "auto_padding": True}  # fmt: skip
    values = [own.get(name, getattr(Options, name)) for name in OWN_ARGUMENTS]
    done = server.ask([*LEGACY, VERSION_MARKER, *values], small)
    assert "tile_batch: 3" in done.text and "blend: cut" in done.text and "noise: tile" in done.text


@pytest.mark.parametrize(
    "args, message",
    [
        ([{"tile_widht": 64}], "tile_widht"),
        ([{"padding": -1}], "padding: -1 is not allowed; allowed: a whole number from 0 to 512 px"),
        ([{"upscaler": "9x"}], "upscaler: '9x' is not allowed; allowed: None, Lanczos, Nearest"),
        ([None, 64, 0, 8, 16, 64, 0.35, 16, 999], "upscaler_index: 999"),
        ([{"custom_scale": float("nan")}], "custom_scale: nan"),
        ([{"custom_scale": float("inf")}], "custom_scale: inf"),
        ([{"tile_width": "wide"}], "tile_width: 'wide'"),
        ([{"redraw_mode": 9}], "redraw_mode: 9"),
        ([{"target_size_type": "custom", "custom_width": 65536, "custom_height": 65536}], "megapixels"),
        ([{"padding": 8}, 64], "script_args"),
        ([{"padding": [8]}], "padding"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_a_422_that_names_it(server, small, args, message):
    refused = server.ask(args, small)
    assert refused.status == 422 and message in refused.body, refused
    assert "Traceback" not in refused.body and 'File \\"' not in refused.body


def test_a_setting_the_webui_does_not_know_is_a_422(server, small):
    refused = server.ask(LEGACY, small, override_settings={"no_such_setting": 2})
    assert refused.status == 422 and "Traceback" not in refused.body


@pytest.mark.parametrize(
    "size, scale, wanted",
    [
        ((1280, 720), 2, (2560, 1440)), ((1280, 720), 1.5, (1920, 1080)), ((1280, 720), 2.5, (3200, 1800)),
        ((1280, 720), 10, (12800, 7200)), ((1001, 667), 2, (2002, 1334)), ((1001, 667), 1.5, (1502, 1000)),
        ((1001, 667), 2.5, (2502, 1668)), ((1001, 667), 10, (10010, 6670)),
    ],
)  # fmt: skip
def test_exact_sizes(server, size, scale, wanted):
    done = server.ask([{"custom_scale": scale, "redraw_mode": "none"}], Image.new("RGB", size, "teal"))
    assert done.images[0].size == wanted


def test_exact_size_of_an_odd_picture_that_is_redrawn(server, face):
    picture = face.resize((333, 221))
    done = server.ask([{"custom_scale": 1.5, "tile_width": 192}], picture, denoising_strength=0.25)
    assert done.images[0].size == (500, 332) and "unfinished" not in done.text


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_the_tabs_size_and_resize_mode(server, small, mode):
    args = {"target_size_type": "img2img", "upscaler": "Nearest", "redraw_mode": "none"}
    done = server.ask([args], small, width=120, height=120, resize_mode=mode)
    host = server.ask(None, small, width=120, height=120, resize_mode=mode, denoising_strength=0)
    assert done.images[0].size == host.images[0].size == (120, 120)
    low = [np.asarray(Image.fromarray(image.pixels).resize((12, 12))) for image in (done, host)]
    assert psnr(*low) > 18, "not the part of the picture that the webui itself takes"


def test_the_python_client_webuiapi_drives_it(webui_url, small):
    from webuiapi import WebUIApi

    address = urllib.parse.urlsplit(webui_url)
    api = WebUIApi(host=address.hostname, port=address.port)
    for args in (LEGACY, [{"tile_width": 64, "padding": 16}], []):
        done = api.img2img(
            images=[small], script_name="Ultimate SD Upscale", script_args=args, steps=4, seed=7, sampler_name="Euler",
            denoising_strength=0.5,
        )  # fmt: skip
        assert done.image.size == (192, 144) and "Script: Ultimate SD Upscale" in done.info["infotexts"][0]


# --- pictures ---------------------------------------------------------------------------------------------------------


def tiled(server, canvas, tile=256, **values):
    args = {"custom_scale": 1, "tile_width": tile, "padding": 32, "tone_lock": 0, "upscaler": "None"}
    return server.ask([args], canvas, denoising_strength=0.35, **{"steps": 20, **values})


def untiled(server, canvas, **values):
    settings = {"width": canvas.width, "height": canvas.height, "steps": 20, "denoising_strength": 0.35}
    return server.ask(None, canvas, **{**settings, **values})


@pytest.fixture(scope="module")
def canvases(server, photos, request) -> dict[str, Image.Image]:
    """1024 x 1024 with --slow, else 512 x 512: sixteen tiles of 256 or four."""
    side = 512 if request.config.getoption("--slow") else 256
    return {name: server.canvas(photo.resize((side, side))) for name, photo in photos.items()}


# What an un-tiled pass is matched with, in dB. The webui draws an SDE sampler's step noise from a tree of the whole
# picture: there the reference is our own run with one tile.
AGREEMENT = {"Euler": 39, "Euler a": 31, "DPM++ 2M SDE": 35, "DPM++ SDE": 35}


@pytest.mark.parametrize("sampler", AGREEMENT)
def test_tiles_share_the_noise_of_one_untiled_pass(server, canvases, sampler):
    agreement = {}
    with server.options(randn_source="NV"):
        for name, canvas in canvases.items():
            if "SDE" in sampler:
                whole = tiled(server, canvas, canvas.width, sampler_name=sampler)
            else:
                whole = untiled(server, canvas, sampler_name=sampler)
            agreement[name] = round(psnr(tiled(server, canvas, sampler_name=sampler).pixels, whole.pixels), 2)
    print(sampler, agreement)
    assert statistics.median(agreement.values()) >= AGREEMENT[sampler], agreement


def test_denoise_0_resamples_nothing(server, face):
    """What is left is the VAE's own loss, once."""
    canvas = server.canvas(face)
    whole = untiled(server, canvas, denoising_strength=0, steps=4).pixels
    args = {**NINE_TILES, "custom_scale": 1, "upscaler": "None"}
    ours = server.ask([args], canvas, denoising_strength=0).pixels
    print("to the canvas: un-tiled", psnr(whole, canvas), "tiles", psnr(ours, canvas))
    assert psnr(ours, canvas) > psnr(whole, canvas) - 0.5
    nothing = server.ask([{**args, "redraw_mode": "none"}], canvas).pixels
    assert np.array_equal(nothing, np.asarray(canvas))


def test_requests_leave_no_trace(server, small):
    # How many tiles the model sees at once is learned by timing, and tells in the last rounding.
    args = [{"tile_width": 64, "padding": 16, "upscaler": "Lanczos", "tile_batch": 1}]
    first = server.ask(args, small)
    other = {"tile_width": 128, "seams_fix_type": "half+intersections", "noise": "tile", "tile_batch": 4}
    between = server.ask(
        [other], small, sampler_name="DPM++ SDE", denoising_strength=0.8, tiling=True, styles=["x"],
        override_settings={"CLIP_stop_at_last_layers": 2, "randn_source": "NV", "img2img_color_correction": True},
    )  # fmt: skip
    assert between.status == 200 and "Clip skip: 2" in between.text
    assert server.ask([{"padding": -1}], small, override_settings={"CLIP_stop_at_last_layers": 2}).status == 422
    again = server.ask(args, small)
    assert np.array_equal(first.pixels, again.pixels) and first.text == again.text


def test_alpha_is_kept(server, small):
    picture = small.convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(small.size))
    done = server.ask([{"tile_width": 64}], picture)
    assert done.images[0].mode == "RGBA" and done.images[0].size == (192, 144)


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M", "DPM++ SDE"])
def test_many_tiles_in_one_call_are_tile_by_tile(server, face, sampler):
    """The call holds all; how many of them the model sees at a time grows by measurement: to the bit for that many."""
    request = dict(prompt="photo", steps=8, sampler_name=sampler)
    automatic = {**NINE_TILES, "tile_batch": 0}
    server.ask([automatic], face, **request)  # a tile is timed
    done = server.ask([automatic], face, **request)
    each = [server.ask([{**NINE_TILES, "tile_batch": n}], face, **request).pixels for n in (1, 2, 4)]
    assert done.status == 200 and min(np.abs(done.pixels.astype(int) - one).max() for one in each) == 0
    assert all(np.abs(done.pixels.astype(int) - one).max() <= 1 for one in each)


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M"])
def test_fused_of_two_windows_that_see_all_is_the_pass_without_tiles(server, face, sampler):
    """Windows as large as the picture say the same of it, and so their mean is the answer to the whole. The host cuts
    levels off where Fused rounds them: 1 level."""
    request = dict(prompt="photo", steps=8, sampler_name=sampler)
    args = {**NINE_TILES, "custom_scale": 1, "padding": 128, "redraw_mode": "fused"}
    fused = server.ask([args], face, **request)
    whole = server.ask([{**args, "tile_width": 512, "padding": 0, "redraw_mode": "parallel"}], face, **request)
    assert fused.status == whole.status == 200, fused.body or whole.body
    assert np.abs(fused.pixels.astype(int) - whole.pixels).max() <= 1


# --- progress and stopping --------------------------------------------------------------------------------------------


def test_progress_grows_in_tiles_and_shows_the_canvas(server, face):
    running = Running(server, [NINE_TILES], face, steps=10)
    seen = running.polled()
    assert running.answer().status == 200
    values = [found["progress"] for found in seen if found["state"]["job"]]
    assert values[0] < 0.2 and values[-1] > 0.85 and len(set(values)) > 8
    assert all(later > earlier - 0.02 for earlier, later in zip(values, values[1:])), values
    assert {found["state"]["job_count"] for found in seen[2:-2]} <= {-1, 9}
    texts = {str(found["textinfo"]).partition(",")[0] for found in seen}  # what is left follows
    assert len(texts & {f"Drawing tile {k} of 9" for k in range(1, 10)}) > 5
    assert sum(found["current_image"] is not None for found in seen) > 3


def in_tile(number, seen) -> bool:
    """Whether this tile of nine is in its steps."""
    drawn = str(seen["textinfo"]).partition(",")[0]  # what is left follows
    return drawn == f"Drawing tile {number} of 9" and seen["state"]["sampling_step"] > 0


def left_as_upscaled(answer, canvas) -> list[bool]:
    """For each of the nine tiles' middles, row by row, whether it is the upscaled picture's."""
    same = np.all(answer.pixels == np.asarray(canvas), axis=2)
    return [bool(same[y : y + 24, x : x + 24].all()) for y in (36, 132, 228) for x in (52, 180, 308)]


@pytest.mark.parametrize("done", [0, 2])
def test_interrupt(server, face, done):
    """Before tile 1 and in tile 3."""
    running = Running(server, [NINE_TILES], face, steps=20)
    if done:
        running.until(lambda seen: in_tile(done + 1, seen))
    else:
        running.until(lambda seen: seen["state"]["job"])
    server.post("/sdapi/v1/interrupt")
    answer = running.answer()
    assert answer.status == 200 and answer.images[0].size == (384, 288)
    assert f"Ultimate SD upscale unfinished: {done} of 9 tiles" in answer.text
    assert left_as_upscaled(answer, server.canvas(face)) == [False] * done + [True] * (9 - done)
    assert server.ask([{"tile_width": 64}], face.resize((64, 64))).status == 200  # the next is not interrupted


def test_an_interrupted_run_goes_on_where_it_was(server, face):
    args, values = [{**NINE_TILES, "resume": True}], dict(steps=20, seed=time.time_ns() % 2**31)
    running = Running(server, args, face, **values)
    running.until(lambda seen: in_tile(3, seen))
    server.post("/sdapi/v1/interrupt")
    assert "unfinished: 2 of 9 tiles" in running.answer().text
    resumed, undisturbed = server.ask(args, face, **values), server.ask([NINE_TILES], face, **values)
    assert "unfinished" not in resumed.text and np.array_equal(resumed.pixels, undisturbed.pixels)


@pytest.mark.parametrize("endpoint", ["interrupt", "skip"])
def test_a_stop_while_upscaling(server, face, endpoint):
    """Interrupt ends the run; Skip ends the stage, and the tiles follow."""
    known = [found for found in server.get("/sdapi/v1/upscalers") if Path(found["model_path"] or "").is_file()]
    names = [found["name"] for found in known if "anime" in found["name"].lower() and "6b" in found["name"].lower()]
    assert names, "the webui needs the model of R-ESRGAN 4x+ Anime6B, which takes its time"
    picture = face.resize((768, 576))
    args = {"upscaler": names[0], "tile_width": 1024, "redraw_mode": "none" if endpoint == "skip" else "parallel"}
    running = Running(server, [args], picture)
    running.until(lambda seen: "Upscaling" in (seen["textinfo"] or ""))
    server.post(f"/sdapi/v1/{endpoint}")
    answer = running.answer()
    assert np.array_equal(answer.pixels, np.asarray(server.canvas(picture)))
    assert ("Ultimate SD upscale unfinished: 0 of 4 tiles" in answer.text) == (endpoint == "interrupt")


def test_skip_leaves_one_tile_as_upscaled(server, face):
    running = Running(server, [NINE_TILES], face, steps=20)
    running.until(lambda seen: in_tile(2, seen))
    server.post("/sdapi/v1/skip")
    answer = running.answer()
    assert "unfinished" not in answer.text and "Ultimate SD upscale skipped: 1 tile" in answer.text
    assert left_as_upscaled(answer, server.canvas(face)) == [False, True] + [False] * 7


# --- a person at the page ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    from tab import Tab

    tab = Tab()
    yield tab
    tab.close()


@pytest.fixture
def tab(browser, webui_url):
    browser.open(webui_url)
    return browser


def test_paste_restores_every_control(server, tab, small):
    request = dict(steps=6, denoising_strength=0.45, seed=12345, sampler_name="DPM++ 2M", prompt="photo", cfg_scale=5)
    text = server.ask([DISTINCT], small, **request).text
    tab.fill("#img2img_prompt", text)
    tab.click("#img2img_tools #paste")
    script = "#img2img_script_container #script_list"
    tab.until(lambda: tab.value(script) == "Ultimate SD Upscale", "the Script dropdown")
    tab.until(lambda: tab.value("#img2img_seed") == 12345, "the seed")
    for name, value in DISTINCT.items():
        control = "#usdu_" + ("upscaler_index" if name == "upscaler" else name)
        assert tab.value(control) == getattr(rule_of(name), "labels", {}).get(value, value), name
    # Not the prompt: a fresh Forge Neo, whose box has no value yet, leaves the text in it (infotext_utils.py:92).
    assert tab.value("#img2img_sampling") == "DPM++ 2M"
    assert [tab.value(f"#img2img_{name}") for name in ("steps", "denoising_strength", "cfg_scale")] == [6, 0.45, 5]


@pytest.fixture
def folder(tmp_path, face):
    place = tmp_path / "in"
    place.mkdir()
    face.resize((96, 72)).save(place / "a.png")
    (place / "b_broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    face.resize((60, 80)).save(place / "c.jpg")
    clear = face.resize((70, 70)).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize((70, 70)))
    clear.save(place / "d_alpha.png")
    face.convert("L").resize((50, 90)).save(place / "e_grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    face.resize((100, 40)).save(place / "f_turned.jpg", exif=exif, quality=95)
    return place


SIZES = {"a": (192, 144), "c": (120, 160), "d_alpha": (140, 140), "e_grey": (100, 180), "f_turned": (80, 200)}


def prepare(tab) -> None:
    """Script and settings by hand: nine tiles of 128 where the picture is 192x144."""
    tab.choose_script()
    for name, value in (("upscaler_index", "Lanczos"), ("redraw_mode", "Parallel")):
        tab.choose(f"#usdu_{name}", value)
    if not tab.shown("#usdu_tile_batch"):
        tab.unfold("#usdu_advanced", "#usdu_tile_batch")
    tiles = {"tile_width": 128, "tile_height": 128, "padding": 32, "mask_blur": 0, "tile_batch": 1}
    for name, value in tiles.items():
        tab.slide(f"#usdu_{name}", value)
    tab.settings(steps=20, denoising_strength=0.5)
    tab.type("#img2img_seed input", 7)


@pytest.mark.parametrize("numbered", [True, False])
def test_a_folder_keeps_its_names_and_settings(server, tab, folder, tmp_path, numbered):
    out = tmp_path / "out"
    prepare(tab)
    tab.settings(steps=4)
    tab.press_tab("#mode_img2img", "Batch")
    tab.press_tab("#img2img_batch_source", "From directory")
    tab.fill("#img2img_batch_input_dir", str(folder))
    tab.fill("#img2img_batch_output_dir", str(out))
    with server.options(save_images_add_number=numbered):
        tab.generate()
        tab.finished()
    names = {f"{number:05}-{stem}.png" if numbered else f"{stem}.png": stem for number, stem in enumerate(SIZES)}
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    pictures = {stem: Image.open(out / name) for name, stem in names.items()}
    assert {stem: picture.size for stem, picture in pictures.items()} == SIZES
    # Forge hides the infotext in the last bit of an opaque alpha, where its setting says so.
    alphas = {stem: picture.convert("RGBA").getchannel("A").getextrema() for stem, picture in pictures.items()}
    assert alphas.pop("d_alpha")[0] < 5 and min(low for low, _ in alphas.values()) >= 254
    assert pictures["a"].info["parameters"] == pictures["f_turned"].info["parameters"]
    args = {"tile_width": 128, "padding": 32, "mask_blur": 0, "upscaler": "Lanczos", "tile_batch": 1}
    last = pictures["a"].info["parameters"].splitlines()[-1]
    drawn = dict(pair.split(": ", 1) for pair in last.split(", ") if ": " in pair)
    page = dict(sampler_name=drawn["Sampler"], scheduler=drawn["Schedule type"], cfg_scale=float(drawn["CFG scale"]))
    for stem, name in (("a", "a.png"), ("f_turned", "f_turned.jpg")):  # as if each were alone
        alone = server.ask([args], ImageOps.exif_transpose(Image.open(folder / name)), **page)
        assert np.array_equal(alone.pixels, np.asarray(pictures[stem].convert("RGB"))), stem


@pytest.mark.parametrize("clicks", [1, 2])
def test_stop_after_the_current_tile(server, tab, face, tmp_path, clicks):
    """The first click on Interrupt says: stop after the current; the second: stop now."""
    face.save(tmp_path / "face.png")
    prepare(tab)
    tab.type("#img2img_seed input", time.time_ns() % 2**31)  # tiles of a run before are remembered
    tab.drop(tmp_path / "face.png")
    tab.until(lambda: "9 tiles" in tab.line(), "the live line", 30)
    # Forge Neo has the setting off ("Don't Interrupt in the middle"): its first click stops at once.
    with server.options(interrupt_after_current=True):
        tab.generate()
        tab.until(lambda: in_tile(3, server.progress()), "tile 3", 60)
        tab.click("#img2img_interrupt")
        if clicks == 2:
            tab.click("#img2img_interrupting")
        tab.finished()
    done = int(tab.infotext("unfinished").partition("unfinished: ")[2].partition(" of 9 tiles")[0])
    assert (3 if clicks == 1 else 2) <= done < 9
    size = "return (({naturalWidth: w, naturalHeight: h}) => [w, h])(document.querySelector('#img2img_gallery img'))"
    tab.until(lambda: tab.js(size) == [384, 288], "the picture")


def test_a_bad_option_is_said_on_the_page(server, tab, face, tmp_path):
    face.save(tmp_path / "face.png")
    prepare(tab)
    tab.slide("#usdu_padding", 512)
    tab.drop(tmp_path / "face.png")
    tab.generate()
    tab.finished()
    tab.until(lambda: "Padding: 512 is not allowed" in tab.find("#tab_img2img").text, "the reason")
