"""What the panel says: groups, presets, translations and the live line. Needs no gradio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_usdu.batch_size import BatchLimits
from lib_usdu.errors import OptionError
from lib_usdu.geometry import Canvas
from lib_usdu.host import Abilities
from lib_usdu.options import (
    LEGACY_ARGUMENTS,
    OPTION_NAMES,
    OWN_ARGUMENTS,
    SCRIPT_OPTIONS,
    Number,
    Options,
    declared,
    rule_of,
)
from lib_usdu.options.declaration import GROUPS
from lib_usdu.options.presets import DECIDED, PRESETS, chosen
from lib_usdu.panel import live_line as panel_plan
from lib_usdu.panel import text as panel_text
from lib_usdu.panel.text import SECTIONS, SHOWN, message
from lib_usdu.passes import plan_passes
from lib_usdu.plan import make_plan

LANGUAGES = sorted((Path(__file__).parents[2] / "localizations").glob("*.json"))
NAMES = ["upscaler" if name == "upscaler_index" else name for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)]
OF_THE_WEBUI = {"Upscaler", "Scale", "Mask blur", "Denoising strength", "None"}
"""Words on the webui's own controls: a main translation has them, and ours would change them everywhere."""


SMALL = Abilities(batch_limits=lambda width, height: BatchLimits(4, 4), why_not_fused=str)


def test_every_option_of_the_script_stands_in_the_panel_once():
    placed = [name for section in SECTIONS for row in section.rows for name in row]
    assert sorted(placed) == sorted(NAMES) == sorted(SCRIPT_OPTIONS)


def test_what_most_people_set_is_seen_and_the_rest_stands_behind_two_headings():
    seen, *folded = SECTIONS
    assert not seen.heading and all(section.heading for section in folded) and len(folded) == 2
    shown = [name for row in seen.rows for name in row]
    assert {"custom_scale", "upscaler", "redraw_mode", "tile_width"} <= set(shown)
    assert not {"padding", "auto_padding", "mask_blur"} & set(shown)
    assert len(shown) < len(NAMES) / 2


def test_every_group_has_its_options_and_its_place():
    assert {declared(name).group for name in OPTION_NAMES} == set(GROUPS)
    titles = [group.title for section in SECTIONS for group in section.groups]
    assert sorted(titles) == sorted(GROUPS.values())


def test_two_controls_never_share_a_place():
    places = [(declared(name).group, declared(name).control.place) for name in NAMES]
    assert len(set(places)) == len(places)


def test_controls_that_count_for_some_values_name_real_ones():
    for dropdown, controls in SHOWN.items():
        for name, values in controls.items():
            assert name in NAMES and set(values) <= set(rule_of(dropdown).labels) and values


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(rule_of(name), Number)])
def test_a_slider_moves_within_the_rule(name):
    control, rule, default = declared(name).control, rule_of(name), getattr(Options, name)
    low = rule.low if control.low is None else control.low
    high = rule.high if control.high is None else control.high
    assert rule.low <= low <= default <= high <= rule.high


def test_errors_in_the_panel_bear_the_label():
    with pytest.raises(OptionError) as caught:
        Options(redo_tiles="3,x")
    assert message(caught.value).startswith("Redo these tiles: '3,x' is not allowed; allowed: numbers of tiles such as")
    assert message(OptionError("size", "9x9", "less")).startswith("size: ")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_presets_are_good_options(preset):
    options = Options(**preset.values(), denoise=preset.denoise)
    assert set(preset.changes) <= set(DECIDED)
    assert {name: getattr(options, name) for name in preset.values()} == preset.values()
    assert 2.5 * options.mask_blur <= options.padding  # the blur reaches 2.5 times as far, at most the padding
    assert options.denoise <= 0.5  # above it tiles drift apart


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_is_chosen_until_something_it_sets_is_changed(preset):
    options = Options(**preset.values(), denoise=preset.denoise, custom_scale=3, upscaler="Lanczos")
    assert chosen(options) is preset
    assert chosen(options.with_(denoise=0.31)) is preset, "Creativity decides"
    assert all(chosen(options.with_(**{name: 0.4})) is None for name in ("creativity", "resemblance"))
    assert chosen(options.with_(padding=41)) is None


def test_presets_differ_and_set_the_same():
    assert len({json.dumps(preset.values()) for preset in PRESETS}) == len(PRESETS) == 4
    assert {tuple(preset.values()) for preset in PRESETS} == {tuple(name for name in DECIDED if name in OPTION_NAMES)}


def test_fast_does_less_than_max_detail():
    work = {}
    for preset in PRESETS:
        options = Options(**preset.values()).with_tile(512)
        (found,) = plan_passes(options, Canvas(2560, 1440), 64)
        work[preset.name] = sum(tile.window.area for tile in found.tiles) * preset.denoise
    assert work["Fast"] == min(work.values()) and work["Max detail"] == max(work.values())


def sentences() -> set[str]:
    """Everything the panel says, as far as it is this extension's own."""
    said = {panel_text.INTRODUCTION, panel_text.PRESETS_HINT, panel_text.REFRESH, panel_text.NO_PICTURE,
            panel_text.DRIFT, panel_text.SMALL_FOR_XL, panel_text.TAB_DEFAULT, panel_text.DISTORTED,
            panel_text.SMALLER, panel_text.FOLDER, *panel_text.COMPARE.values(),
            panel_text.SEND, panel_text.SHOW_TILES, panel_text.TRY_ABOUT, *panel_text.TILES.values()}  # fmt: skip
    said |= {text for preset in PRESETS for text in (preset.name, preset.about)}
    said |= {section.heading for section in SECTIONS if section.heading}
    said |= {group.title for section in SECTIONS if section.heading for group in section.groups}
    said |= {text for name in NAMES for text in (declared(name).control.label, declared(name).hint)}
    return said - OF_THE_WEBUI


@pytest.mark.parametrize("file", LANGUAGES, ids=lambda file: file.stem)
def test_translations_are_whole(file: Path):
    texts = json.loads(file.read_text(encoding="utf-8"))
    assert set(texts) == sentences()
    assert all(isinstance(text, str) and text.strip() == text != "" for text in texts.values())


def test_there_are_translations():
    assert [file.stem for file in LANGUAGES] == ["de_DE", "ja_JP", "zh_CN"]  # the names the main translations have


def test_windows_all_together():
    """In the redraw mode in which all tiles take each step together there are no batches to count."""
    options = Options(redraw_mode="fused", custom_scale=1)
    assert panel_plan._work(make_plan(options, (2560, 1440), SMALL), SMALL) == (
        "5×3 = 15 windows of 576x576, all together"
    )
    assert panel_plan._work(make_plan(options, (512, 512), SMALL), SMALL) == "1×1 = 1 window of 512x512"


def test_choices_have_names_that_no_translation_changes():
    """They are what the API and the documentation call them, and a closed dropdown is never translated."""
    labels = {label for name in NAMES for label in getattr(rule_of(name), "labels", {}).values()}
    for file in LANGUAGES:
        assert not labels & set(json.loads(file.read_text(encoding="utf-8")))
