"""Scripts: the base class, the panel's list of inputs, and the runner of hooks (scripts.py)."""

import os
import re
from collections import namedtuple

from . import errors, shared

AlwaysVisible = object()
ScriptClassData = namedtuple("ScriptClassData", ["script_class", "path", "basedir", "module"])
scripts_data = []
scripts_txt2img = scripts_img2img = None


class MaskBlendArgs:
    def __init__(self, current_latent, nmask, init_latent, mask, blended_latent, denoiser=None, sigma=None):
        self.current_latent, self.nmask, self.init_latent, self.mask = current_latent, nmask, init_latent, mask
        self.blended_latent, self.denoiser, self.sigma, self.is_final_blend = (
            blended_latent,
            denoiser,
            sigma,
            denoiser is None,
        )


class PostSampleArgs:
    def __init__(self, samples):
        self.samples = samples


class PostprocessImageArgs:
    """Forge's has an index, too."""

    def __init__(self, image, index=None):
        self.image = image
        if index is not None:
            self.index = index


class PostProcessMaskOverlayArgs:
    def __init__(self, index, mask_for_overlay, overlay_image):
        self.index, self.mask_for_overlay, self.overlay_image = index, mask_for_overlay, overlay_image


class PostprocessBatchListArgs:
    def __init__(self, images):
        self.images = images


def basedir():
    """scripts.py:369, while an extension loads."""
    return shared.script_path


class Script:
    """scripts.py:52-363; every hook does nothing."""

    name = section = filename = args_from = args_to = tabname = group = infotext_fields = paste_field_names = (
        api_info
    ) = controls = None
    on_before_component_elem_id = on_after_component_elem_id = None
    alwayson = is_txt2img = is_img2img = setup_for_ui_only = False
    create_group = True

    def title(self):
        raise NotImplementedError

    def ui(self, is_img2img):
        pass

    def show(self, is_img2img):
        return True

    def describe(self):
        return ""

    def elem_id(self, item_id):
        """scripts.py:334: with the tab's name only where the script shows in both tabs alike."""
        tab = ("img2img_" if self.is_img2img else "txt2img_") if self.show(True) == self.show(False) else ""
        title = re.sub(r"[^a-z_0-9]", "", re.sub(r"\s", "_", self.title().lower()))
        return f"script_{tab}{title}_{item_id}"

    def on_before_component(self, callback, *, elem_id):
        self.on_before_component_elem_id = [*(self.on_before_component_elem_id or []), (elem_id, callback)]

    def on_after_component(self, callback, *, elem_id):
        self.on_after_component_elem_id = [*(self.on_after_component_elem_id or []), (elem_id, callback)]

    def run(self, p, *args): ...
    def setup(self, p, *args): ...
    def before_process(self, p, *args): ...
    def process(self, p, *args): ...
    def before_process_batch(self, p, *args, **kwargs): ...
    def after_extra_networks_activate(self, p, *args, **kwargs): ...
    def process_before_every_sampling(self, p, *args, **kwargs): ...
    def process_batch(self, p, *args, **kwargs): ...
    def postprocess_batch(self, p, *args, **kwargs): ...
    def postprocess_batch_list(self, p, pp, *args, **kwargs): ...
    def on_mask_blend(self, p, mba, *args): ...
    def post_sample(self, p, ps, *args): ...
    def postprocess_image(self, p, pp, *args): ...
    def postprocess_maskoverlay(self, p, ppmo, *args): ...
    def postprocess_image_after_composite(self, p, pp, *args): ...
    def postprocess(self, p, processed, *args): ...
    def before_component(self, component, **kwargs): ...
    def after_component(self, component, **kwargs): ...
    def before_hr(self, p, *args): ...


def _hook(name):
    """A ScriptRunner method that calls this hook of every always-on script; an error is printed and the next one
    called (:819-940).
    """

    def call(self, p, *objects, **kwargs):
        for script in self.alwayson_scripts:
            if getattr(type(script), name, None) is getattr(Script, name):
                continue
            try:
                getattr(script, name)(p, *objects, *p.script_args[script.args_from : script.args_to], **kwargs)
            except Exception:  # noqa: BLE001
                errors.report(f"Error running {name}: {script.filename}", exc_info=True)

    return call


class ScriptRunner:
    """scripts.py:542-1020"""

    def __init__(self):
        self.scripts, self.selectable_scripts, self.alwayson_scripts = [], [], []
        self.titles, self.title_map, self.infotext_fields, self.paste_field_names, self.inputs = [], {}, [], [], [None]

    def initialize_scripts(self, is_img2img):
        """scripts.py:578: a fresh instance of every registered class; show() decides where it goes."""
        for found in (self.scripts, self.selectable_scripts, self.alwayson_scripts):
            found.clear()
        for data in scripts_data:
            script = data.script_class()
            script.filename, script.is_img2img, script.is_txt2img = data.path, is_img2img, not is_img2img
            script.tabname = "img2img" if is_img2img else "txt2img"
            visibility = script.show(is_img2img)
            script.alwayson = visibility == AlwaysVisible
            if visibility:
                self.scripts.append(script)
                (self.alwayson_scripts if script.alwayson else self.selectable_scripts).append(script)

    def prepare_ui(self):
        self.inputs = [None]

    def create_script_ui(self, script):
        """scripts.py:634-687: the script's values are inputs[args_from:args_to]."""
        script.args_from = script.args_to = len(self.inputs)
        try:
            script.controls = controls = script.ui(script.is_img2img)
            if controls is None:
                return
            script.name = script.title().lower()
            for control in controls:
                control.custom_script_source = os.path.basename(script.filename)
            self.infotext_fields += script.infotext_fields or []
            self.paste_field_names += script.paste_field_names or []
            self.inputs += controls
            script.args_to = len(self.inputs)
        except Exception:  # noqa: BLE001  :641
            errors.report(f"Error creating UI for {script.name}: ", exc_info=True)

    def setup_ui_for_section(self, section, scriptlist=None):
        import gradio as gr

        for script in self.alwayson_scripts if scriptlist is None else scriptlist:
            if script.alwayson and script.section != section:
                continue
            with gr.Group(visible=script.alwayson) as group:
                self.create_script_ui(script)
            script.group = group

    def setup_ui(self):
        """scripts.py:708-766: always-on scripts first, then the dropdown (input 0), then the others in groups that it
        shows.
        """
        import gradio as gr

        self.title_map = {script.title().lower(): script for script in self.scripts}
        self.titles = [script.title() for script in self.selectable_scripts]
        self.setup_ui_for_section(None)
        dropdown = gr.Dropdown(
            label="Script", elem_id="script_list", choices=["None", *self.titles], value="None", type="index"
        )
        self.inputs[0] = dropdown
        self.setup_ui_for_section(None, self.selectable_scripts)
        groups = [script.group for script in self.selectable_scripts]
        dropdown.change(
            fn=lambda index: [gr.update(visible=index == i + 1) for i in range(len(groups))],
            inputs=[dropdown],
            outputs=groups,
        )
        self.infotext_fields.append((dropdown, lambda x: gr.update(value=x.get("Script", "None"))))
        return self.inputs

    def run(self, p, *args):
        """scripts.py:768-784: args[0] is the place in the dropdown; the script gets its own slice and nothing checks
        its length.
        """
        if not args[0]:
            return None
        script = self.selectable_scripts[args[0] - 1]
        processed = script.run(p, *args[script.args_from : script.args_to])
        shared.total_tqdm.clear()
        return processed

    def script(self, title):
        return self.title_map.get(title.lower())

    def setup_scrips(self, p, *, is_ui=True):
        """scripts.py:987"""
        for script in self.alwayson_scripts:
            if is_ui or not script.setup_for_ui_only:
                script.setup(p, *p.script_args[script.args_from : script.args_to])

    before_process, process, postprocess = _hook("before_process"), _hook("process"), _hook("postprocess")
    before_process_batch, process_batch = _hook("before_process_batch"), _hook("process_batch")
    after_extra_networks_activate = _hook("after_extra_networks_activate")
    process_before_every_sampling = _hook("process_before_every_sampling")
    postprocess_batch_list, post_sample, on_mask_blend = (
        _hook("postprocess_batch_list"),
        _hook("post_sample"),
        _hook("on_mask_blend"),
    )
    postprocess_image, postprocess_maskoverlay = _hook("postprocess_image"), _hook("postprocess_maskoverlay")
    postprocess_image_after_composite, before_hr = _hook("postprocess_image_after_composite"), _hook("before_hr")
    _postprocess_batch = _hook("postprocess_batch")

    def postprocess_batch(self, p, images, **kwargs):
        """scripts.py:876: the images go by keyword."""
        self._postprocess_batch(p, images=images, **kwargs)
