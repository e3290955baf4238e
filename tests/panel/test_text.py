"""What the panel says: groups, presets, translations and the live line. Needs no gradio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_usdu.batch_size import BatchLimits
from lib_usdu.host import Abilities
from lib_usdu.options import LEGACY_ARGUMENTS, OPTION_NAMES, OWN_ARGUMENTS, Options, about, rule_of
from lib_usdu.options.presets import DECIDED, PRESETS
from lib_usdu.panel import live_line as panel_plan
from lib_usdu.panel import text as panel_text
from lib_usdu.panel.text import LOOKS, groups
from lib_usdu.passes import plan_passes
from lib_usdu.plan import make_plan

LANGUAGES = sorted((Path(__file__).parents[2] / "localizations").glob("*.json"))
NAMES = ["upscaler" if name == "upscaler_index" else name for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)]
OF_THE_WEBUI = {"Upscaler", "Scale", "Mask blur", "Denoising strength", "None"}
"""Words on the webui's own controls: a main translation has them, and ours would change them everywhere."""


SMALL = Abilities(batch_limits=lambda width, height: BatchLimits(4, 4), why_not_fused=str)


def test_every_option_stands_in_one_group():
    placed = [name for group in groups(NAMES) for row in group.rows for name in row]
    assert sorted(placed) == sorted(NAMES)


def test_groups_take_options_to_come_and_leave_out_others():
    found = {group.name: group.rows for group in groups(["padding", "tile_prompts", "of_tomorrow", "b", "c"])}
    assert found == {
        "redraw": (("padding",),), "prompts": (("tile_prompts",),), "more": (("of_tomorrow", "b"), ("c",)),
    }  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_presets_are_good_options(preset):
    options = Options(**preset.values(), denoise=preset.denoise)
    assert set(preset.changes) <= set(DECIDED)
    assert {name: getattr(options, name) for name in preset.values()} == preset.values()
    assert 2.5 * options.mask_blur <= options.padding  # the blur reaches 2.5 times as far, at most the padding
    assert options.denoise <= 0.5  # above it tiles drift apart


def test_presets_differ_and_set_the_same():
    assert len({json.dumps(preset.values()) for preset in PRESETS}) == len(PRESETS) == 4
    assert {tuple(preset.values()) for preset in PRESETS} == {tuple(name for name in DECIDED if name in OPTION_NAMES)}


def test_fast_does_less_than_max_detail():
    work = {}
    for preset in PRESETS:
        options = Options(**preset.values()).with_tile(512)
        (found,) = plan_passes(options, 2560, 1440, 64)
        work[preset.name] = sum(tile.window.area for tile in found.tiles) * preset.denoise
    assert work["Fast"] == min(work.values()) and work["Max detail"] == max(work.values())


def sentences() -> set[str]:
    """Everything the panel says, as far as it is this extension's own."""
    said = {panel_text.INTRODUCTION, panel_text.PRESETS_HINT, panel_text.REFRESH, panel_text.NO_PICTURE,
            panel_text.DRIFT, panel_text.SMALL_FOR_XL}  # fmt: skip
    said |= {text for preset in PRESETS for text in (preset.name, preset.about)}
    said |= {group.heading for group in groups([*NAMES, *LOOKS]) if group.heading}
    for name in {*NAMES, *LOOKS}:
        look = LOOKS.get(name, {})
        said.add(look.get("label") or name.replace("_", " ").capitalize())
        if "info" in look:
            said.add(look["info"])
        elif name in NAMES:
            said.add(about(name)[:1].upper() + about(name)[1:])
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
