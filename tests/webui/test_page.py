"""What a person at the webui's page sees of a run: progress, folders, controls that fit what is installed."""

import time

from modules import processing, script_callbacks, scripts, shared, standin
from probes.harness import options
from test_extension import Model4x, ask, batch, extension, folder, person  # noqa: F401

from lib_usdu.webui import script as webui
from lib_usdu.webui.environment import journal_folder, settings_of_identity
from lib_usdu.webui.panel_host import PanelHost

TILES = {"tile_width": 64, "padding": 16}


def watched(monkeypatch, look):
    """What `look` gives in each call of process_images."""
    original, seen = processing.process_images, []

    def call(p):
        seen.append(look())
        return original(p)

    monkeypatch.setattr(processing, "process_images", call)
    return seen


# --- progress ---------------------------------------------------------------------------------------------------------


def test_the_text_says_which_tile_is_drawn(extension, monkeypatch):  # noqa: F811
    seen = watched(monkeypatch, lambda: shared.state.textinfo)
    shared.state.begin(job="t")
    webui.run(person(), extension, [{**TILES, "upscaler": "SPAN", "tile_batch": 4}])
    assert seen[0] == "Drawing tiles 1-4 of 9" and seen[-1] == "Drawing tile 9 of 9"


def test_the_time_left_does_not_count_the_upscaling(extension, monkeypatch):  # noqa: F811
    def slowly(self, img, selected_model):
        time.sleep(0.4)
        return img.resize((img.width * 4, img.height * 4))

    monkeypatch.setattr(Model4x, "do_upscale", slowly)
    seen = watched(monkeypatch, lambda: time.time() - shared.state.time_start)
    shared.state.begin(job="t")
    webui.run(person(), extension, [{**TILES, "upscaler": "Model4x"}])
    assert seen[0] < 0.3


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_prompt_of_a_tile_that_a_smaller_picture_has_not_does_not_stop_the_folder(
    extension, folder, tmp_path  # noqa: F811
):  # fmt: skip
    args = {**TILES, "tile_prompts": "1: sky\n8: sea\n9: sand"}
    with options(save_images_add_number=False):
        done = batch(extension, folder, tmp_path / "out", **args)
    assert len(done.images) == 5 and len(list((tmp_path / "out").iterdir())) == 5
    prompts = [prompt for call in standin.log.calls for prompt in call.prompts]
    assert prompts.count("a, sky") == 5 and 0 < prompts.count("a, sand") < 5


def test_one_picture_alone_is_still_refused_a_tile_it_has_not(extension):  # noqa: F811
    done = webui.run(person(), extension, [{**TILES, "tile_prompts": "99: sky"}])
    assert done.images == [] and "99: sky" in done.comments and scripts.scripts_img2img is not None


# --- the upscaler that stands in the panel ----------------------------------------------------------------------------


def test_the_persons_choice_is_there_again_at_the_next_start(extension):  # noqa: F811
    assert PanelHost().preselected_upscaler() == "SPAN x4"
    webui.run(person(), extension, [{**TILES, "upscaler": "SPAN", "redraw_mode": "none"}])
    assert PanelHost().preselected_upscaler() == "SPAN"
    webui.run(person(), extension, [{**TILES, "upscaler": "Lanczos", "redraw_mode": "none"}])
    assert PanelHost().preselected_upscaler() == "Lanczos"
    ask([{"upscaler": "SPAN", "redraw_mode": "none"}])  # an API client chooses for itself
    assert PanelHost().preselected_upscaler() == "Lanczos"


def test_a_choice_that_is_gone_or_unreadable_is_forgotten(extension, monkeypatch):  # noqa: F811
    webui.run(person(), extension, [{**TILES, "upscaler": "SPAN", "redraw_mode": "none"}])
    monkeypatch.setattr(shared, "sd_upscalers", [x for x in shared.sd_upscalers if x.name != "SPAN"])
    assert PanelHost().preselected_upscaler() == "SPAN x4"
    journal_folder().with_suffix(".json").write_bytes(b"\xff")
    assert PanelHost().preselected_upscaler() == "SPAN x4"


# --- network ----------------------------------------------------------------------------------------------------------


def test_a_run_opens_no_connection(extension, network):  # noqa: F811
    assert ask([{**TILES, "upscaler": "SPAN"}]).images[0].size == (192, 144)
    assert not network


def test_the_slider_has_a_switch_on_the_settings_page(extension):  # noqa: F811
    """On at first. Whether somebody looks at before and after is nothing that makes another picture."""
    script_callbacks.ui_settings_callback()
    assert shared.opts.usdu_slider is True and shared.opts.data_labels["usdu_slider"].section[0] == "ui_gallery"
    assert settings_of_identity({"usdu_slider": False}) == {}