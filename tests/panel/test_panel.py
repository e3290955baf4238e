"""The panel on a page in headless Chromium, with gradio 3 and with gradio 4."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from browser import PREFIX, Browser
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from server import Server, environment

from lib_usdu.noise_share import of_webui, share_of
from lib_usdu.options import (
    INFOTEXT_PREFIX,
    LEGACY_ARGUMENTS,
    OF_PICTURE,
    OWN_ARGUMENTS,
    SCRIPT_OPTIONS,
    VERSION_KEY,
    VERSION_MARKER,
    Choice,
    Flag,
    Number,
    Options,
    rule_of,
)
from lib_usdu.options.presets import PRESETS
from lib_usdu.panel.text import DRIFT, NO_PICTURE, PRESETS_HINT, SECTIONS, SMALL_FOR_XL
from lib_usdu.spacing import plain_webui

# A browser on a busy machine now and then misses a moment. What fails three times in a row is broken.
pytestmark = pytest.mark.flaky(reruns=2)
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ORDER = ("info", *LEGACY_ARGUMENTS, "marker", *OWN_ARGUMENTS)
DEFAULTS = {
    "tile_width": 0, "tile_height": 0, "mask_blur": 8, "padding": 32, "seams_fix_width": 64, "seams_fix_denoise": 0.35,
    "seams_fix_padding": 16, "upscaler_index": "4x-UltraSharp", "save_upscaled_image": True,
    "redraw_mode": "Parallel", "save_seams_fix_image": False, "seams_fix_mask_blur": 4, "seams_fix_type": "None",
    "target_size_type": rule_of("target_size_type").labels["scale"], "custom_width": 2048, "custom_height": 2048,
    "custom_scale": 2, "marker": VERSION_MARKER, "tile_batch": 0, "tone_lock": 1,
    "noise": rule_of("noise").labels["canvas"], "blend": rule_of("blend").labels["feather"],
    "auto_padding": False,
}  # fmt: skip
CHANGED = {
    "tile_width": 640, "tile_height": 768, "mask_blur": 12, "padding": 48, "seams_fix_width": 96,
    "seams_fix_denoise": 0.2, "seams_fix_padding": 24, "upscaler_index": "Lanczos", "save_upscaled_image": False,
    "redraw_mode": "Chess", "save_seams_fix_image": True, "seams_fix_mask_blur": 7, "seams_fix_type": "Band pass",
    "target_size_type": "Custom size", "custom_width": 1500, "custom_height": 1111, "custom_scale": 3.25,
    "tile_batch": 3, "noise": rule_of("noise").labels["tile"], "blend": rule_of("blend").labels["cut"],
    "tone_lock": 0.4, "seamless": True,
}  # fmt: skip


def shown_as(name: str, value: object) -> object:
    return getattr(rule_of(name), "labels", {}).get(value, value)


def another(name: str) -> object:
    """Some value that is not the default, as the panel shows it."""
    rule, default = rule_of(name), getattr(Options, name)
    if isinstance(rule, Flag):
        return not default
    if isinstance(rule, Choice):
        return next(label for key, label in rule.labels.items() if key != default)
    if isinstance(rule, Number):
        return next(value for value in (rule.low, rule.low + rule.step, rule.high) if value != default)
    return "1"


DEFAULTS |= {name: shown_as(name, getattr(Options, name)) for name in OWN_ARGUMENTS if name not in DEFAULTS}
CHANGED |= {name: another(name) for name in OWN_ARGUMENTS if name not in CHANGED}
FOLDED = [section.name for section in SECTIONS if section.heading]
DENOISING = "#img2img_denoising_strength"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[dict[str, Server]]:
    """Both pages, started together."""
    found = {}
    try:
        for gradio in ("4",) if pytestconfig.getoption("without_gradio3") else ("3", "4"):
            found[gradio] = Server.started(gradio, tmp_path_factory.mktemp("page") / "log")
        yield found
    finally:
        for server in found.values():
            server.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module", params=["3", "4"], ids=["gradio3", "gradio4"])
def server(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Server:
    servers[request.param].wait()
    return servers[request.param]


@pytest.fixture
def page(server: Server, chromium: Browser) -> Iterator[Browser]:
    """The page anew; nothing may go wrong in its JavaScript or on its server meanwhile."""
    chromium.open(server.url)
    yield chromium
    assert not chromium.complaints()
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.new("RGB", (1280, 720), (90, 120, 150)).save(path)
    return path


def control(name: str) -> str:
    return PREFIX + name


HIDDEN = ("try_tile",)
"""Nobody sees these: the page sets them."""


def open_all(page: Browser) -> None:
    """Opens every accordion."""
    for group in SECTIONS:
        if group.heading:
            page.unfold(control(group.name), control(group.rows[0][0]))


def change(page: Browser, name: str, value: object) -> None:
    if name in OWN_ARGUMENTS and not isinstance(rule_of(name), (Choice, Flag, Number)):
        page.type(f"{control(name)} textarea, {control(name)} input", value)
    elif isinstance(value, str):
        page.choose(control(name), value)
    elif isinstance(value, bool):
        page.tick(f"{control(name)} input", value)
    else:
        page.slide(control(name), value)


def numbers(page: Browser, name: str) -> float:
    return float(page.find(f"#img2img_{name} input[type=number]").get_property("value"))


@pytest.mark.parametrize("gradio", ["3", "4"])
def test_without_a_browser(gradio: str):
    python, variables = environment(gradio)
    command = [python, "-W", "ignore", str(HERE / "inside.py")]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_labels_ids_and_hints(server: Server):
    config = json.load(urllib.request.urlopen(f"{server.url}/config"))
    found = [x["props"] for x in config["components"] if (x["props"].get("elem_id") or "").startswith(PREFIX[1:])]
    for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS):
        assert [x["elem_id"] for x in found].count(PREFIX[1:] + name) == 1, name
    controls = [x for x in found if x["elem_id"].removeprefix(PREFIX[1:]) in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)]
    labels = [x["label"] for x in controls]
    assert len({label.casefold() for label in labels}) == len(labels) == len(LEGACY_ARGUMENTS) + len(OWN_ARGUMENTS)
    assert all(4 < len(x["info"]) < 105 for x in controls)  # one line of the panel, two at most


def test_every_control_reaches_its_position(page: Browser):
    before = dict(zip(ORDER, page.values(), strict=True))
    assert {name: before[name] for name in DEFAULTS} == DEFAULTS
    open_all(page)
    first = ("seams_fix_type", "target_size_type", "custom_scale")
    names = [name for name in CHANGED if name not in (*first, *HIDDEN)]
    for name in ("seams_fix_type", "custom_scale", "target_size_type", *names):
        if name.startswith(("seams_fix_", "custom_", "save_")):
            page.until(lambda name=name: page.shown(control(name)), name)
        change(page, "creativity_shown" if name == "creativity" else name, CHANGED[name])
    values = page.values()
    after = dict(zip(ORDER, values, strict=True))
    seen = {name: value for name, value in CHANGED.items() if name not in HIDDEN}
    assert {name: after[name] for name in seen} == seen
    options = Options.from_script_args(values)
    for name, value in seen.items():
        option = "upscaler" if name == "upscaler_index" else name
        assert getattr(options, option) == rule_of(option).read(option, value)


def test_only_what_counts_is_seen(page: Browser):
    open_all(page)

    def seen(*names: str) -> set[str]:
        return {name for name in names if page.shown(control(name))}

    sizes = ("custom_width", "custom_height", "custom_scale")
    labels = list(rule_of("target_size_type").labels.values())
    for label, expected in zip(labels, ((), sizes[:2], sizes[2:])):
        page.choose(control("target_size_type"), label)
        page.until(lambda expected=expected: seen(*sizes) == set(expected), f"{expected} with {label}")
    fix = ("seams_fix_width", "seams_fix_denoise", "seams_fix_padding", "seams_fix_mask_blur", "save_seams_fix_image")
    assert not seen(*fix)
    for label, expected in zip(rule_of("seams_fix_type").labels.values(), ((), fix, fix[1:], fix[1:])):
        page.choose(control("seams_fix_type"), label)
        page.until(lambda expected=expected: seen(*fix) == set(expected), f"{expected} with {label}")


def open_advanced(page: Browser) -> None:
    """Where padding stands."""
    page.click(f"{control('advanced')} .label-wrap")
    page.until(lambda: page.shown(control("padding")), "padding")


def test_automatic_padding_greys_the_slider_out(page: Browser):
    open_advanced(page)
    enabled = f"return !document.querySelector('{control('padding')} input[type=number]').disabled"
    assert page.js(enabled)
    page.tick(f"{control('auto_padding')} input", True)
    page.until(lambda: not page.js(enabled), "the slider is greyed out")
    page.tick(f"{control('auto_padding')} input", False)
    page.until(lambda: page.js(enabled), "the slider can be moved again")


def test_refresh_finds_new_upscalers(page: Browser):
    before = page.choices(control("upscaler_index"))
    assert page.find(control("refresh_upscalers")).text == "↻"  # plain fonts have it; an emoji is a box without its own
    page.click(control("refresh_upscalers"))
    page.until(lambda: len(page.choices(control("upscaler_index"))) == len(before) + 1, "one more")
    assert dict(zip(ORDER, page.values()))["upscaler_index"] == "4x-UltraSharp"
    new = page.choices(control("upscaler_index"))[-1]
    assert new.startswith("New model")
    page.choose(control("upscaler_index"), new)
    assert dict(zip(ORDER, page.values()))["upscaler_index"] == new


def test_the_live_line(page: Browser, photo: Path, tmp_path: Path):
    page.until_line(NO_PICTURE, "Denoising strength 0.3: 28 % noise with this model")  # the page asks once it is loaded
    page.drop(photo)
    page.until_line("1280x720 → 2560x1440: 5×3 = 15 tiles of 576x576, 4 batches")
    page.slide(control("tile_width"), 1024)
    page.until_line("3×2 = 6 tiles of 960x832, 2 batches")
    page.slide(control("tile_width"), 512)
    page.choose(control("redraw_mode"), "Linear")
    page.until_line("15 tiles of 576x576, 9 batches")
    open_advanced(page)
    page.slide(control("padding"), 0)
    page.until_line("5×3 = 15 tiles of 512x512, 4 batches")
    page.choose(control("redraw_mode"), "Fused")
    page.until_line("5×3 = 15 windows of 512x512, all together")
    page.choose(control("redraw_mode"), "None")
    page.until_line("2560x1440: enlarged, nothing redrawn")
    page.choose(control("seams_fix_type"), "Band pass")
    page.until_line("2560x1440: seams fix: 22 tiles, 6 batches")
    page.choose(control("redraw_mode"), "Parallel")
    page.until_line("15 tiles of 512x512, 4 batches; seams fix: 22 tiles, 6 batches")
    page.choose(control("seams_fix_type"), "None")
    other = tmp_path / "other.png"
    Image.new("RGB", (1001, 667)).save(other)
    page.drop(other)
    page.until_line("1001x667 → 2002x1334: 4×3 = 12 tiles")
    page.slide(control("custom_scale"), 1.5)
    page.until_line("1001x667 → 1502x1000: 3×2 = 6 tiles")
    page.choose(control("target_size_type"), rule_of("target_size_type").labels["img2img"])
    page.until_line("1001x667 → 512x512: 1×1 = 1 tile of 512x512, 1 batch")
    page.slide("#img2img_width", 1600)
    page.until_line("→ 1600x512: 4×1 = 4 tiles")


@pytest.mark.parametrize("picture", [False, True])
def test_an_idle_page_costs_nothing(page: Browser, photo: Path, picture: bool):
    """Under 2 % of a core, with the panel open, with the tiles on a picture and without (108 % in gradio 4 once)."""
    if picture:
        page.drop(photo)
        page.until_line("15 tiles")
        show_tiles(page)
    shares = []
    for _ in range(3):  # what the browser still tidies up after loading is no idle cost
        time.sleep(2)
        before, started = page.renderer_seconds(), time.monotonic()
        assert before > 0, "no renderer found"
        time.sleep(10)
        shares.append((page.renderer_seconds() - before) / (time.monotonic() - started))
        if shares[-1] < 0.02:
            return
    pytest.fail(f"{shares} of a core")


def test_warnings(page: Browser, photo: Path):
    amber = ".usdu_warning"
    page.drop(photo)
    page.until_line("15 tiles", without="Denoising strength above")
    assert not page.shown(amber)
    page.slide(DENOISING, 0.7)
    page.until_line("15 tiles", DRIFT)
    assert page.shown(amber)
    page.tick("#host_controlnet input")
    page.slide(DENOISING, 0.8)
    page.until_line("15 tiles", without="Denoising strength above")
    page.tick("#host_xl input")
    open_advanced(page)
    page.slide(control("padding"), 16)
    page.until_line("3×2 = 6 tiles", without="SDXL")  # automatic: 1024
    page.slide(control("tile_width"), 512)
    page.until_line("15 tiles", SMALL_FOR_XL)
    page.slide(control("custom_scale"), 16)
    page.until_line("20480x11520", "SDXL")
    page.choose(control("target_size_type"), "Custom size")
    page.until(lambda: page.shown(control("custom_width")), "custom_width")
    page.slide(control("custom_width"), 16000)
    page.slide(control("custom_height"), 16001)
    page.until_line("16000x16001 px is above the limit of 250 megapixels.")
    page.slide(control("custom_width"), 1000)
    page.slide(control("custom_height"), 1000)
    page.slide(control("padding"), 500)
    page.slide(control("tile_width"), 128)
    page.until_line("Padding: 500 is not allowed; allowed: 0 to the size of a tile, 128 px")
    assert len(page.driver.find_elements("css selector", amber)) == 1


def test_pasted_parameters_restore_every_control(page: Browser):
    options = Options.from_script_args([None, *(CHANGED[n] for n in LEGACY_ARGUMENTS), VERSION_MARKER]
                                       + [CHANGED[n] for n in OWN_ARGUMENTS])  # fmt: skip
    settings = {"upscaler_index" if name == "upscaler" else name for name in {*SCRIPT_OPTIONS} - {*OF_PICTURE}}
    every = {INFOTEXT_PREFIX + name: str(getattr(options, name)) for name in SCRIPT_OPTIONS}  # as older versions wrote
    ours = options.to_infotext()
    assert ours.items() <= {**every, VERSION_KEY: ours[VERSION_KEY]}.items()

    def paste(parameters: dict) -> dict:
        page.type("#parameters textarea", json.dumps(parameters))
        before = page.values()
        page.click("#paste")
        with_changes = page.until(lambda: (now := page.values()) != before and now, "the pasted values", 5)
        return dict(zip(ORDER, with_changes))

    start = dict(zip(ORDER, page.values()))
    expected = {name: start[name] if name in settings else value for name, value in CHANGED.items()}
    for parameters in (every, Options(upscaler="Lanczos").to_infotext(), ours):
        found = {name: value for name, value in paste(parameters).items() if name in CHANGED}
        # What our own parameters leave out had its default; settings of the panel are never the picture's.
        at_default = {name: start[name] for name in CHANGED} | {"upscaler_index": "Lanczos"}
        assert found == (expected if parameters in (every, ours) else at_default)
    page.until(lambda: page.shown(control("custom_width")) and not page.shown(control("custom_scale")), "visibility")
    # The original's parameters, one value out of range, one upscaler that is not here: the rest is left alone.
    keys = {"upscaler": "gone", "tile_width": "512", "tile_height": "0", "mask_blur": "99999", "padding": "32"}
    found = paste({INFOTEXT_PREFIX + name: value for name, value in keys.items()} | {"Steps": "20"})
    expected |= {"tile_width": 512, "tile_height": 0, "padding": 32}
    assert {name: value for name, value in found.items() if name in CHANGED} == expected


def test_everything_is_reached_by_the_keyboard(page: Browser):
    """In the order in which it is seen, and one always sees where one is."""
    closest = "const e = document.activeElement.closest('[id^=usdu_]'); return e ? e.id : ''"
    outline = "const s = getComputedStyle(document.activeElement); return [s.outlineStyle, parseFloat(s.outlineWidth)]"
    page.js("document.querySelector('#img2img_denoising_strength input[type=range]').focus()")
    page.press(Keys.ARROW_RIGHT)  # in the webui, choosing the script is what the panel notices first
    time.sleep(0.5)
    reached: list[str] = []
    for _ in range(120):
        page.press(Keys.TAB)
        at = page.js(closest).removeprefix(PREFIX[1:])
        if not at and reached:
            break
        if not at:
            continue
        style, width = page.js(outline)
        assert style != "none" and width >= 2, f"nobody sees that {at} has the focus"
        if at in FOLDED and at not in reached:  # the accordion's own button
            first = next(group.rows[0][0] for group in SECTIONS if group.name == at)
            page.press(Keys.SPACE if at == "results" else Keys.ENTER)
            page.until(lambda first=first: page.shown(control(first)), at)
        if at == "seams_fix_type" and at not in reached:
            page.choose(control(at), "Band pass", leave=False)
            page.until(lambda: page.shown(control("seams_fix_width")), "seams_fix_width")
        reached.append(at)
    wanted = ["creativity_shown", "resemblance", *(f"preset_{number}" for number in range(len(PRESETS)))]
    for group in SECTIONS:
        wanted += [group.name] * bool(group.heading)
        for name in (name for row in group.rows for name in row if name not in ("creativity", "resemblance")):
            several = {"upscaler": ["upscaler_index", "refresh_upscalers"], "try_tile": ["show_tiles", "try"]}
            wanted += several.get(name, [name])
    wanted = [name for name in wanted if name not in ("custom_width", "custom_height")]  # not seen: by scale
    assert list(dict.fromkeys(reached)) == wanted


def test_presets_set_the_controls(page: Browser):
    """What they decide is seen in the controls and in the tab; all else stays; none leaves a trace of another."""
    page.slide(control("custom_scale"), 3)
    page.choose(control("upscaler_index"), "Lanczos")
    page.choose(control("redraw_mode"), "Chess")
    page.click(f"{control('advanced')} .label-wrap")
    page.choose(control("seams_fix_type"), "Band pass")
    page.until(lambda: page.shown(control("seams_fix_width")), "seams_fix_width")
    before = dict(zip(ORDER, page.values()))
    hint = control("preset")
    assert PRESETS_HINT in page.find(hint).text
    for number in (2, 0, 3, 1):
        preset = PRESETS[number]
        page.js("arguments[0].focus()", page.find(control(f"preset_{number}")))
        page.press(Keys.ENTER)
        page.until(lambda preset=preset: page.find(hint).text.startswith(preset.name), preset.name)
        page.until(lambda preset=preset: numbers(page, "denoising_strength") == preset.denoise, "the strength")
        expected = before | {name: shown_as(name, value) for name, value in preset.values().items()}
        page.until(lambda expected=expected: dict(zip(ORDER, page.values())) == expected, f"{preset.name}'s values", 8)
        after = dict(zip(ORDER, page.values()))
        assert after["custom_scale"] == 3 and after["upscaler_index"] == "Lanczos"
        page.until(lambda: not page.shown(control("seams_fix_width")), "the seams fix is off")
    page.until(lambda: page.find(hint).text.startswith(PRESETS[1].name), "the preset that is chosen")
    page.slide(control("padding"), 40)  # and a person goes on from there
    page.until(lambda: PRESETS_HINT in page.find(hint).text, "no preset is chosen any more")
    assert dict(zip(ORDER, page.values()))["padding"] == 40


def test_with_a_checkpoint_of_few_steps_a_preset_sets_the_tab(page: Browser):
    """Steps, CFG scale and sampler; with another checkpoint they stay."""
    sampler = "#img2img_sampling input"
    page.click(control("preset_0"))
    page.until(lambda: page.find(control("preset")).text.startswith(PRESETS[0].name), PRESETS[0].name)
    assert (numbers(page, "steps"), numbers(page, "cfg_scale")) == (20, 7)
    page.tick("#host_few input")
    page.slide("#img2img_steps", 21)  # the line is written anew
    page.until(lambda: "LCM checkpoint" in page.find(control("plan")).text, "the line's warning")
    button = page.find(control("preset_1"))
    page.js("arguments[0].focus()", button)
    page.press(Keys.ENTER)
    page.until(lambda: (numbers(page, "steps"), numbers(page, "cfg_scale")) == (8, 1.5), "steps and CFG scale")
    page.until(lambda: page.find(sampler).get_property("value") == "LCM", "the sampler")
    page.until(lambda: page.driver.switch_to.active_element == button, "the keyboard where it was", 5)
    page.until(lambda: "LCM checkpoint" not in page.find(control("plan")).text, "a line without the warning")
    page.type("#img2img_prompt textarea", "a cat <lora:sdxl_lightning_4step_lora:1>")  # a LoRA goes before it
    page.slide("#img2img_cfg_scale", 7)
    page.until(lambda: "Lightning LoRA" in page.find(control("plan")).text, "the line's warning about the LoRA")
    page.click(control("preset_0"))
    page.until(lambda: (numbers(page, "steps"), numbers(page, "cfg_scale")) == (4, 1), "the LoRA's steps")
    page.until(lambda: page.find(sampler).get_property("value") == "Euler", "the sampler of the LoRA")


def pasted(page: Browser, parameters: dict) -> None:
    page.type("#parameters textarea", json.dumps(parameters))
    time.sleep(0.2)
    page.click("#paste")


def test_creativity_and_the_denoising_strength_move_each_other(page: Browser):
    """Creativity is the share of noise: another schedule has another strength for it. 0.3 begins with 28 %."""
    ways = {way: partial(plain_webui, way) for way in ("Karras", "Uniform")}
    known = {
        way: of_webui(lambda n, levels=levels: [share_of(x) for x in levels(n)], 20) for way, levels in ways.items()
    }

    def stand(strength: float, shown: float, option: float) -> None:
        page.until(lambda: numbers(page, "denoising_strength") == strength, f"strength {strength}", 8)
        slider = f"{control('creativity_shown')} input[type=number]"
        page.until(lambda: float(page.find(slider).get_property("value")) == shown, f"Creativity {shown}", 8)
        page.until(lambda: dict(zip(ORDER, page.values()))["creativity"] == option, f"the option {option}", 8)

    stand(0.3, round(known["Karras"].of(0.3), 2), 0)  # as nobody has asked for any
    page.slide(control("creativity_shown"), 0.52)
    stand(0.45, 0.52, 0.52)
    page.choose("#img2img_scheduler", "Uniform")
    stand(known["Uniform"].denoise(0.52), 0.52, 0.52)
    page.slide("#img2img_denoising_strength", 0.25)
    stand(0.25, round(known["Uniform"].of(0.25), 2), 0)
    pasted(page, {"Ultimate SD upscale creativity": "0.6", "Ultimate SD upscale version": "1"})
    stand(known["Uniform"].denoise(0.6), 0.6, 0.6)
    pasted(page, {"Ultimate SD upscale padding": "64", "Ultimate SD upscale version": "1"})
    strength = known["Uniform"].denoise(0.6)
    stand(strength, round(known["Uniform"].of(strength), 2), 0)  # those parameters ask for none


def test_a_preset_moves_the_live_line(page: Browser, photo: Path):
    page.drop(photo)
    page.until_line("15 tiles of 576x576")
    page.click(control("preset_2"))
    page.until_line("15 tiles of 768x768")
    assert not page.shown(".usdu_warning")


CONTRAST = """
    const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
    const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
    const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
    const behind = (node) => {
        if (!node) return [255, 255, 255, 1];
        const style = getComputedStyle(node), gradient = style.backgroundImage.match(/rgba?\\([^)]*\\)/);
        const own = parse(gradient ? gradient[0] : style.backgroundColor);
        return own[3] === 1 ? own : over(own, behind(node.parentElement));
    };
    const walk = document.createTreeWalker(document.querySelector('#usdu_panel'), NodeFilter.SHOW_TEXT);
    const found = [];
    for (let node; (node = walk.nextNode());) {
        const at = node.parentElement, text = node.textContent.trim();
        if (!text || !at.checkVisibility() || at.closest('style')) continue;
        const back = behind(at), ink = over(parse(getComputedStyle(at).color), back);
        const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
        found.push([text, (a + .05) / (b + .05)]);
    }
    return found;"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_can_be_read(server: Server, chromium: Browser, theme: str):
    """Text stands out from what is behind it at least 4.5 times (WCAG AA), with every accordion open."""
    chromium.open(server.url, theme)
    chromium.slide(DENOISING, 0.7)
    open_all(chromium)
    chromium.choose(control("seams_fix_type"), "Band pass")
    chromium.until_line("may stop matching")
    found = chromium.js(CONTRAST)
    assert len(found) > 2 * len(OWN_ARGUMENTS) + 20
    assert not [(text, round(ratio, 1)) for text, ratio in found if ratio < 4.5]


def test_hints_stand_below_the_box_they_explain(page: Browser):
    open_all(page)
    for name in (name for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS) if isinstance(DEFAULTS[name], bool)):
        if page.shown(control(name)):
            below = """const box = document.querySelector(arguments[0]), top = (x) => x.getBoundingClientRect();
                return top(box.querySelector(':scope > div:not(.wrap)')).top
                    >= top(box.querySelector('input')).bottom - 1;"""
            page.until(lambda: page.js(below, control(name)), name)  # noqa: B023  # sections are still opening


def test_translated_sentences_are_those_on_the_page(page: Browser):
    """The webui translates a text node that equals a key: each sentence must stand on the page as one."""
    texts = """const walk = document.createTreeWalker(document.querySelector('#usdu_panel'), 4), found = [];
        for (let node; (node = walk.nextNode());) found.push(node.textContent.trim());
        return [...found, ...[...document.querySelectorAll('#usdu_panel [title]')].map((x) => x.title)];"""
    page.slide(DENOISING, 0.31)  # as choosing the script does: buttons get their titles
    page.until(lambda: page.find(control("refresh_upscalers")).get_attribute("title"), "titles")
    open_all(page)
    for label in ("Custom size", "Scale from image size"):
        page.choose(control("target_size_type"), label)
        page.choose(control("seams_fix_type"), "Band pass")
    seen = set(page.js(texts))
    translated = set(json.loads((ROOT / "localizations" / "de_DE.json").read_text(encoding="utf-8")))
    labels = {text for text in seen if text in translated}
    hinted = [x for x in page.driver.find_elements("css selector", "#usdu_panel [id^=usdu_]")]
    assert hinted and len(labels) >= 50, sorted(seen - translated)
    assert {preset.about for preset in PRESETS} | {preset.name for preset in PRESETS} <= labels


def test_the_slider_in_the_gallery(page: Browser, photo: Path):
    """Before stands at the left of the line, the result at its right; other pictures of the gallery have none."""
    page.drop(photo)
    page.until_line("15 tiles")
    button, slider = ".usdu-compare-button", "#img2img_gallery .usdu-slider-root"
    page.click_until("#img2img_generate", lambda: page.shown(button), "the button over the result")
    page.click(button)
    root = page.until(lambda: page.find(slider), "the slider")
    sizes = "return ['before', 'after'].map((x) => document.querySelector(`.usdu-slider-${x}`).naturalWidth)"
    page.until(lambda: page.js(sizes) == [1280, 2560], "both pictures")
    before = page.find(".usdu-slider-line").location["x"]
    page.press(Keys.PAGE_DOWN)
    page.until(lambda: page.find(".usdu-slider-line").location["x"] > before + 20, "the line moves by a key")
    assert page.js("return document.activeElement") == root
    # The next result comes while somebody writes: the slider is there again, and takes nothing from them.
    place, address = page.find(".usdu-slider-line").location["x"], "return document.querySelector('{}').src"
    address = address.format(".usdu-slider-after")
    old, field = page.js(address), page.find("#parameters textarea")
    page.js("arguments[0].focus(); document.querySelector('#img2img_generate').click()", field)
    page.until(lambda: page.js(address) != old and page.js(sizes) == [1280, 2560], "the next result's slider")
    page.until(lambda: page.find(".usdu-slider-line").location["x"] == place, "the line where it was", 5)
    assert page.js("return document.activeElement") == field
    page.js("document.querySelectorAll('#img2img_gallery .thumbnail-item')[1].click()")
    page.until(lambda: not page.shown(button) and not page.shown(slider), "the sheet has no slider")
    page.js("document.querySelectorAll('#img2img_gallery .thumbnail-item')[0].click()")
    page.until(lambda: page.shown(slider), "the result has its slider again")
    page.click(button)
    page.until(lambda: not page.shown(slider) and page.shown(button), "the picture as it was")
    page.js("window.opts = {usdu_slider: false}; document.body.click()")
    page.until(lambda: not page.shown(button), "it is switched off in the settings")


LAYER = ".usdu-tiles"


def show_tiles(page: Browser) -> None:
    page.tick("#usdu_show_tiles input")
    page.until(lambda: page.shown(f"{LAYER} svg"), "the tiles on the picture")


def on_tile(page: Browser, number: int, *, shift: bool = False) -> None:
    """Moves to the middle of a tile and clicks."""
    page.js("arguments[0].scrollIntoView({block: 'center'})", page.find("#img2img_image"))
    at = ActionChains(page.driver).move_to_element(page.find(f"[data-tile='{number}']"))
    at = at.key_down(Keys.SHIFT).click().key_up(Keys.SHIFT) if shift else at.click()
    at.perform()


def test_the_tiles_lie_on_the_picture(page: Browser, photo: Path, tmp_path: Path):
    page.drop(photo)
    page.until_line("5×3 = 15 tiles")
    assert not page.shown(LAYER)
    show_tiles(page)
    box = "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()"
    over, tile = page.js(box, LAYER), page.js(box, "[data-tile='15'] rect")
    around = page.js(box, "#img2img_image img")
    assert abs(over["width"] / over["height"] - 1280 / 720) < 0.02
    middles = [area["left"] + area["width"] / 2 for area in (over, around)]
    assert abs(middles[0] - middles[1]) < 2 and over["height"] > around["height"] * 0.7
    assert abs(tile["right"] - over["right"]) < 2 and abs(tile["bottom"] - over["bottom"]) < 2
    clear = page.find("#img2img_image button[aria-label=Clear], #img2img_image button[aria-label='Remove Image']")
    square = tmp_path / "wide.png"  # as wide as the place: the buttons lie over it
    Image.new("RGB", (1600, 1000)).save(square)
    assert clear.is_displayed()
    page.drop(square)
    page.until(lambda: len(page.driver.find_elements("css selector", "[data-tile]")) == 28, "the tiles of the other")
    on_top = """const b = [...document.querySelectorAll('#img2img_image button')].find((x) =>
        ['Clear', 'Remove Image'].includes(x.ariaLabel)), at = b.getBoundingClientRect();
        return b.contains(document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2));"""
    page.js("document.querySelector('#img2img_image').scrollIntoView({block: 'center'})")
    assert page.js(on_top), "the picture can be taken out again"
    page.tick("#usdu_show_tiles input", False)
    page.until(lambda: not page.shown(LAYER), "the picture alone, for drawing tools")


def test_a_tile_is_redone_described_and_timed_by_a_click(page: Browser, photo: Path):
    page.drop(photo)
    page.slide(control("custom_scale"), 1)  # a finished picture
    page.until_line("3×2 = 6 tiles")
    show_tiles(page)
    redo = "return document.querySelector('#usdu_redo_tiles input, #usdu_redo_tiles textarea').value"
    dimmed = "return [...document.querySelectorAll('.usdu-left-out')].map((x) => x.dataset.tile).join()"
    assert page.js(redo) == "all" and page.js(dimmed) == ""
    for number, text in ((2, "2"), (3, "2-3"), (6, "2-3, 6"), (3, "2, 6")):
        on_tile(page, number)
        page.until(lambda text=text: page.js(redo) == text, text)
    page.until_line("1280x720 → 1280x720: 2 tiles")
    page.until(lambda: page.js(dimmed) == "1,3,4,5", "the others are dimmed")
    assert dict(zip(ORDER, page.values()))["redo_tiles"] == "2, 6"
    for number in (2, 6):
        on_tile(page, number)
    page.until(lambda: page.js(redo) == "all", "all")
    on_tile(page, 5, shift=True)
    area = page.find("#usdu_tile_prompts textarea")
    page.until(lambda: area.is_displayed() and page.driver.switch_to.active_element == area, "the prompt's line")
    page.press("a red roof")
    assert dict(zip(ORDER, page.values()))["tile_prompts"] == "5: a red roof"
    page.js("document.querySelector('.usdu-tiles svg').focus()")
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ENTER)
    page.until(lambda: page.js(redo) == "4", "by the keyboard")
    assert "4: 424×360, the model sees" in page.find(".usdu-tiles-told").text
    page.click_until("#img2img_generate", lambda: page.shown(".usdu-seconds"), "the seconds of each tile")
    assert [x.text for x in page.driver.find_elements("css selector", ".usdu-seconds")][:2] == ["1.5 s", "2.5 s"]
    page.js("window.opts = {usdu_tiles: false}; document.body.click()")
    page.until(lambda: not page.shown(LAYER) and not page.shown("#usdu_show_tiles"), "switched off in the settings")


def test_a_new_plan_keeps_the_keyboards_place_on_the_tiles(page: Browser, photo: Path):
    at = "return [document.activeElement === document.querySelector('.usdu-tiles svg'),"
    at += " document.querySelector('.usdu-at')?.dataset.tile]"
    count = "return document.querySelectorAll('[data-tile]').length"
    page.drop(photo)
    page.until_line("15 tiles")
    show_tiles(page)
    page.js("window.kept = document.querySelector('.usdu-tiles svg'); window.kept.focus()")
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert page.js(at) == [True, "2"]
    # As a person elsewhere, or the page itself, would change it: nothing else is focused.
    scale = "for (const x of document.querySelectorAll('#usdu_custom_scale input'))"
    scale += " { x.value = arguments[0]; x.dispatchEvent(new Event('input', {bubbles: true})); }"
    for value, tiles in ((3, 40), (1, 6)):
        page.js(scale, value)
        page.until(lambda tiles=tiles: page.js(count) == tiles, f"{tiles} tiles")
        assert page.js(at) == [True, "2"] and page.js("return window.kept.isConnected")
    page.press(Keys.ARROW_RIGHT, Keys.ENTER)
    page.until(lambda: page.js("return document.querySelectorAll('.usdu-left-out').length") == 5, "the others dimmed")
    assert page.js(at) == [True, "3"]
    look = "window.opts = {usdu_tiles: arguments[0]}; document.body.dispatchEvent(new Event('change', {bubbles: true}))"
    page.js(look, False)
    page.until(lambda: not page.shown(LAYER), "no tiles")
    page.js(look, True)
    page.until(lambda: page.shown(f"{LAYER} svg"), "the tiles again")
    assert page.js(at) == [True, "3"]


def test_the_tiles_lie_on_the_inpaint_tabs_picture(page: Browser, photo: Path):
    """Tiles that the mask leaves alone are dimmed, whatever the host draws it on and however it zooms."""
    page.js("document.querySelector('#inpaint_tab').classList.add('shown')")
    page.js("window.currentImg2imgSourceResolution = () => [1280, 720]")
    fields = page.driver.find_elements("css selector", "#img2maskimg input[type=file]")
    picture = "#img2maskimg canvas[key=interface]" if fields else "#img2maskimg canvas"
    if fields:  # gradio 3
        fields[0].send_keys(str(photo))
        page.until(lambda: page.find(picture).size["width"] > 100, "the picture")
        page.js("arguments[0].scrollIntoView({block: 'center'})", page.find("#img2maskimg"))
        stroke = ActionChains(page.driver).move_to_element_with_offset(page.find(picture), 5, 5).click_and_hold()
        for _ in range(4):
            stroke = stroke.move_by_offset(2, 1)
        stroke.release().perform()
    else:
        page.js("document.querySelector('#img2maskimg canvas').getContext('2d').fillRect(640, 360, 20, 20)")
    page.until_line("15 tiles")
    page.tick("#usdu_show_tiles input")
    dimmed = "return [...document.querySelectorAll('.usdu-left-out')].map((x) => x.dataset.tile)"
    page.until(lambda: 5 < len(page.js(dimmed)) < 15, "tiles without a mask are dimmed")
    page.js("arguments[0].scrollIntoView({block: 'center'})", page.find("#img2maskimg"))
    on_top = """const at = document.querySelector(arguments[0]).getBoundingClientRect();
        const found = document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2);
        return found.closest('[data-tile]')?.dataset.tile;"""
    page.until(lambda: page.js(on_top, picture) == "8", "the tile under the pointer")
    assert "8" not in page.js(dimmed)
    box = "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()"
    look = "document.body.dispatchEvent(new Event('change', {bubbles: true}))"
    page.js("document.querySelector('#img2maskimg').style.transform = 'scale(0.6)';" + look)
    sides = ("left", "top", "right", "bottom")
    apart = lambda: max(abs(page.js(box, picture)[x] - page.js(box, LAYER)[x]) for x in sides)  # noqa: E731
    page.until(lambda: apart() < 2, "the tiles on the zoomed picture")
    page.js("document.querySelectorAll('#img2img_mask_mode input')[1].click()")
    page.until(lambda: page.js(dimmed) == [], "the other way round every tile has something to draw")


def test_one_tile_is_tried(page: Browser, photo: Path):
    """Generate is pressed for it once, with its number or with auto, and the next Generate makes all."""

    def tried() -> str:
        made_with = json.loads(page.find("#dumped textarea").get_property("value") or "{}")
        return dict(zip(ORDER, made_with.get("values", ()))).get("try_tile", "")

    page.drop(photo)
    page.until_line("15 tiles")
    button = page.find("#usdu_try")
    page.click_until("#usdu_try", lambda: tried() == "auto", "the tile with the most detail")
    show_tiles(page)
    on_tile(page, 7)
    page.until(lambda: button.text == "Try tile 7", "the button names it")
    on_tile(page, 7)
    page.until(lambda: button.text == "Try one tile", "and not any more")
    on_tile(page, 9)
    page.until(lambda: button.text == "Try tile 9", "another one")
    page.click_until("#usdu_try", lambda: tried() == "9", "tile 9")
    time.sleep(1)
    page.click_until("#img2img_generate", lambda: tried() == "none", "all tiles")
    assert dict(zip(ORDER, page.values()))["redo_tiles"] == "all"


def test_the_button_under_the_gallery_sends_the_picture_and_selects_the_script(page: Browser):
    chosen = "#scripts_of_img2img input"
    assert page.find(chosen).get_property("value") == "None"
    sent = "return document.querySelector('#sent textarea').value"
    page.click_until("#usdu_upscale_txt2img", lambda: page.js(sent) == "sent", "what the webui sends")
    page.until(lambda: page.find(chosen).get_property("value") == "Ultimate SD Upscale", "the script", 10)


def test_a_drag_asks_the_server_once(page: Browser, photo: Path):
    open_advanced(page)
    page.drop(photo)
    page.until_line("15 tiles")
    page.js("""const send = window.fetch; window.asked = 0;
        window.fetch = (...rest) => { if (rest[1]?.method === 'POST') window.asked++; return send(...rest); };""")
    page.js("document.querySelector('#usdu_padding input[type=range]').focus()")
    page.press(*[Keys.ARROW_RIGHT] * 20)
    page.until_line("15 tiles of 640x640")
    time.sleep(0.7)
    assert page.js("return window.asked") <= 2
