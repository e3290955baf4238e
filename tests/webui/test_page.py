"""What a person at the webui's page sees of a run: progress, folders, controls that fit what is installed."""

import time
from types import SimpleNamespace

from modules import infotext_utils, processing, script_callbacks, scripts, shared, standin
from probes.harness import options
from test_extension import Model4x, ask, batch, extension, folder, person, photo  # noqa: F401

from lib_usdu.options import Options
from lib_usdu.plan import make_plan
from lib_usdu.webui import script as webui
from lib_usdu.webui.environment import journal_folder, settings_of_identity
from lib_usdu.webui.panel_host import PanelHost, add_send_buttons

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
    assert seen[0] == "Drawing tiles 1-4 of 9" and seen[-1].startswith("Drawing tile 9 of 9")
    seen.clear()
    webui.run(person(seed=4), extension, [{**TILES, "upscaler": "SPAN", "tile_batch": 4}])
    assert seen[0] == "Drawing tiles 1-4 of 9, under 1 s left"  # it was done before


def test_the_time_left_does_not_count_the_upscaling(extension, monkeypatch):  # noqa: F811
    def slowly(self, img, selected_model):
        time.sleep(1.5)
        return img.resize((img.width * 4, img.height * 4))

    monkeypatch.setattr(Model4x, "do_upscale", slowly)
    seen = watched(monkeypatch, lambda: time.time() - shared.state.time_start)
    shared.state.begin(job="t")
    webui.run(person(), extension, [{**TILES, "upscaler": "Model4x"}])
    assert seen[0] < 1.2


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


def test_buttons_under_the_galleries_send_by_the_webuis_own_way(extension, monkeypatch):  # noqa: F811
    """From txt2img picture, prompt and settings; from img2img the picture: the rest stands there already."""
    sent = []
    monkeypatch.setattr(infotext_utils, "ParamBinding", SimpleNamespace, raising=False)
    monkeypatch.setattr(infotext_utils, "register_paste_params_button", sent.append, raising=False)
    monkeypatch.setattr(scripts, "scripts_txt2img", SimpleNamespace(paste_field_names=["Hires"]), raising=False)
    monkeypatch.setattr(scripts, "scripts_current", None, raising=False)
    add_send_buttons("Ultimate SD Upscale")
    galleries = [SimpleNamespace(elem_id=f"{tab}_gallery") for tab in ("txt2img", "img2img")]
    for tab, gallery in zip(("txt2img", "img2img"), galleries):
        for component in (gallery, SimpleNamespace(elem_id=f"{tab}_send_to_extras"), SimpleNamespace(elem_id=None)):
            script_callbacks.after_component_callback(component)
    assert [(x.tabname, x.source_tabname, x.paste_field_names) for x in sent] == [
        ("img2img", "txt2img", ["Hires"]), ("img2img", None, []),
    ]  # fmt: skip
    assert [x.source_image_component for x in sent] == galleries
    assert [x.paste_button.elem_id for x in sent] == ["usdu_upscale_txt2img", "usdu_upscale_img2img"]


def test_a_webui_that_cannot_send_has_no_button(extension):  # noqa: F811
    before = list(script_callbacks.callback_map["callbacks_after_component"])
    add_send_buttons("Ultimate SD Upscale")  # the stand-in has none of it
    assert script_callbacks.callback_map["callbacks_after_component"] == before


def test_the_line_says_the_time_that_the_same_work_took(extension):  # noqa: F811
    """With other steps, too; not with another sampler."""
    options = {"tile_width": 64, "tile_height": 64, "upscaler": "Lanczos"}
    plan = make_plan(Options(**options, denoise=0.5), photo().size, PanelHost().abilities())
    assert PanelHost().seconds(plan, 20, "Euler a", 7.0) is None
    ask([options], steps=20, sampler_name="Euler a", cfg_scale=7.0)
    once = PanelHost().seconds(plan, 20, "Euler a", 7.0)
    assert once is not None and PanelHost().seconds(plan, 40, "Euler a", 7.0) > once > 0
    assert PanelHost().seconds(plan, 20, "Heun", 7.0) is None
