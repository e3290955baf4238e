"""What needs gradio but no browser: python inside.py, run by an environment with gradio 3 or 4."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import gradio as gr

sys.path.insert(0, str(Path(__file__).parents[2]))
from page import StandInHost  # noqa: E402

from lib_usdu.host import Abilities  # noqa: E402
from lib_usdu.options import LEGACY_ARGUMENTS, OWN_ARGUMENTS, VERSION_MARKER, Options  # noqa: E402
from lib_usdu.options.declaration import Control, Declaration  # noqa: E402
from lib_usdu.panel import build as panel  # noqa: E402


def built_anywhere() -> None:
    """Also outside of a Blocks, and every time anew."""
    outside = panel.build(StandInHost())
    assert gr.context.Context.root_block is None and gr.context.Context.block is None
    with gr.Blocks() as app:
        inside = [panel.build(StandInHost()) for _ in range(3)]
        assert gr.context.Context.block is app
    for made in (outside, *inside):
        assert len(made.inputs) == 1 + len(LEGACY_ARGUMENTS) + 1 + len(OWN_ARGUMENTS)
        assert [x.value for x in made.inputs[1:]] == [x.value for x in outside.inputs[1:]]
        assert made.inputs[18].value == VERSION_MARKER
    assert len({id(x) for made in inside for x in made.inputs}) == 3 * len(outside.inputs)


def saved_defaults() -> None:
    """A default from ui-config.json shows the controls that go with it."""
    made = dict(zip(LEGACY_ARGUMENTS, panel.build(StandInHost()).inputs[1:]))
    made["target_size_type"].init_field("Custom size")
    made["seams_fix_type"].init_field("Band pass")
    assert made["custom_width"].visible and made["custom_height"].visible and not made["custom_scale"].visible
    assert made["seams_fix_width"].visible and made["seams_fix_denoise"].visible
    inputs = panel.build(StandInHost()).inputs
    padding, automatic = inputs[1 + LEGACY_ARGUMENTS.index("padding")], inputs[19 + OWN_ARGUMENTS.index("auto_padding")]
    assert padding.interactive
    automatic.init_field(True)
    assert not padding.interactive


class Bare(StandInHost):
    """A webui without face restoration, ADetailer and DeepBooru."""

    def abilities(self) -> Abilities:
        return replace(super().abilities(), interrogators=("none", "clip"), finishes=("none",))


def what_works_is_offered() -> None:
    """The API still names the others; pasting one leaves the control alone."""
    made = panel.build(Bare())
    describe, finish = (made.inputs[19 + OWN_ARGUMENTS.index(name)] for name in ("interrogator", "finish"))
    assert [choice[-1] if isinstance(choice, tuple) else choice for choice in describe.choices] == ["None", "CLIP"]
    assert describe.visible and not finish.visible and finish.value == "None"
    paste = dict(zip(map(id, (component for component, _ in made.infotext_fields)), made.infotext_fields))
    for control, value, label in ((describe, "clip", "CLIP"), (describe, "deepbooru", None), (finish, "faces", None)):
        name = "interrogator" if control is describe else "finish"
        pasted = paste[id(control)][1]({f"Ultimate SD upscale {name}": value})
        assert (pasted and pasted["value"]) == label, (name, value)


def odd_pages() -> None:
    nothing = ((0, 0), (0, 0), 0.0)
    for text in ("", "null", "[]", "[1, 2]", '["a", 0, 0, 0, 0]', "[1e999, 0, 0, 0, 0]", '{"a": 1}', "[null,1,1,1,1]"):
        assert panel.read_page(text) == nothing, text
    assert panel.read_page("[1280, 720, 512, 640, 0.3]") == ((1280, 720), (512, 640), 0.3)
    assert panel.read_page("[-5, 1e12, 1, 1, 9]") == ((0, 10**6), (1, 1), 1.0)


def large_canvases() -> None:
    """The line is there in a moment, whatever the tiles."""
    for side, scale, tile in ((15000, 2.0, 64), (15000, 2.0, 256), (10000, 16.0, 512)):
        for mode in ("Linear", "Parallel"):
            given = {"tile_width": tile, "tile_height": tile, "redraw_mode": mode, "custom_scale": scale}
            names = ["upscaler" if name == "upscaler_index" else name for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)]
            values = [given.get(name, getattr(Options, name)) for name in names]
            started = time.perf_counter()
            line = panel.live_line(StandInHost(), 1000.0, json.dumps([side, side, 512, 512, 0.3]), *values)
            assert time.perf_counter() - started < 5, (side, tile, mode)
            assert "tiles" in line or "above the limit" in line, line


def an_automatic_padding() -> None:
    """The line tells the windows that the denoising strength in the tab asks for."""
    names = ["upscaler" if name == "upscaler_index" else name for name in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)]
    for automatic, denoise, window in ((False, 0.7, 576), (True, 0.3, 576), (True, 0.7, 768)):
        values = [{"auto_padding": automatic}.get(name, getattr(Options, name)) for name in names]
        line = panel.live_line(StandInHost(), 1000.0, json.dumps([1024, 1024, 512, 512, denoise]), *values)
        assert f"of {window}x{window}" in line, line


def untrusted_names() -> None:
    values = [getattr(Options, "upscaler" if n == "upscaler_index" else n) for n in (*LEGACY_ARGUMENTS, *OWN_ARGUMENTS)]
    values[LEGACY_ARGUMENTS.index("redraw_mode")] = "<img src=x onerror=alert(1)>"
    line = panel.live_line(StandInHost(), 1000.0, "[64, 64, 0, 0, 0]", *values)
    assert "<img" not in line and "&lt;img" in line


def what_the_webui_saves() -> None:
    """ui-config.json gets one key for each control that is seen at first, and none for presets and our own fields. The
    upscaler is remembered in another way: that file would hold on to the first one for good."""
    keys: list[str] = []

    def walk(block: object) -> None:  # as modules/ui_loadsave.py does
        for child in getattr(block, "children", ()):
            walk(child)
        name = getattr(block, "value", None) if isinstance(block, gr.Button) else getattr(block, "label", None)
        if not hasattr(block, "children") and name and not getattr(block, "do_not_save_to_config", False):
            keys.append(name)

    with gr.Blocks() as app:
        made = panel.build(StandInHost())
    walk(app)
    upscaler = made.inputs[1 + LEGACY_ARGUMENTS.index("upscaler_index")]
    passing = upscaler, made.inputs[19 + OWN_ARGUMENTS.index("try_tile")]  # that is of one run
    controls = [x for x in made.inputs if getattr(x, "label", None) and x.value != VERSION_MARKER and x not in passing]
    assert sorted(keys) == sorted(x.label for x in controls) and len(set(keys)) == len(keys)


def ids_of_our_own() -> None:
    """The original extension calls its controls ultimateupscale_...: both may stand on one page."""
    ids: list[str] = []

    def walk(block: object) -> None:
        ids.append(getattr(block, "elem_id", None) or "")
        for child in getattr(block, "children", ()):
            walk(child)

    with gr.Blocks() as app:
        panel.build(StandInHost())
    walk(app)
    found = [name for name in ids if name]
    assert len(found) > 40 and len(set(found)) == len(found) and all(name.startswith("usdu_") for name in found), found


def kinds() -> None:
    """A rule of a kind the panel does not know gets a text field, with as many lines as its control asks for."""

    class Words:
        allowed = "words"

        def read(self, option: str, value: str) -> str:
            return value

    several = Declaration(Words(), "one line per tile", "prompts", control=Control((1, 1), "Several", lines=3))
    one = Declaration(Words(), "a word", "prompts", control=Control((1, 2), "One", "Say a word"))
    prompts, other = panel._component(gr, "several", several, ""), panel._component(gr, "one", one, "x")
    assert isinstance(prompts, gr.Textbox) and prompts.lines == 3 and prompts.value == ""
    assert isinstance(other, gr.Textbox) and other.lines == 1 and other.value == "x"
    assert (prompts.label, prompts.info) == ("Several", "One line per tile")
    assert (other.label, other.info) == ("One", "Say a word")


if __name__ == "__main__":
    checks = [built_anywhere, saved_defaults, what_the_webui_saves, kinds, odd_pages, large_canvases]
    checks += [what_works_is_offered, ids_of_our_own]
    for check in (*checks, an_automatic_padding, untrusted_names):
        check()
        print(check.__name__)
