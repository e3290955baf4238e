"""POST /sdapi/v1/img2img from the request's values to Processed (api/api.py)."""

import contextlib

from .. import processing, scripts, shared
from ..call_queue import queue_lock


class HTTPException(Exception):
    def __init__(self, status_code, detail=""):
        super().__init__(detail)
        self.status_code, self.detail = status_code, detail


class Api:
    """The answers to script_name and script_args; `runner` is scripts_img2img where there is one."""

    def get_selectable_script(self, script_name, script_runner):
        """api.py:286: by title, whatever its case."""
        if not script_name:
            return None, None
        titles = [script.title().lower() for script in script_runner.selectable_scripts]
        if script_name.lower() not in titles:
            raise HTTPException(422, f"Script '{script_name}' not found")
        index = titles.index(script_name.lower())
        return script_runner.selectable_scripts[index], index

    def init_default_script_args(self, script_runner):
        """api.py:315-333: ui() is called two more times for every script, for the controls' values."""
        import gradio as gr

        args = [None] * max([1, *(script.args_to for script in script_runner.scripts)])
        args[0] = 0
        with gr.Blocks():
            for script in script_runner.scripts:
                if script.ui(script.is_img2img):
                    args[script.args_from : script.args_to] = [
                        control.value for control in script.ui(script.is_img2img)
                    ]
        return args

    def init_script_args(
        self, request, default_script_args, selectable_scripts, selectable_idx, script_runner, *, input_script_args=None
    ):
        """api.py:335-371: the request's list takes the place of our slice whatever its length, and so moves what
        follows.
        """
        args = default_script_args.copy()
        for index, value in (input_script_args or {}).items():
            args[index] = value
        if selectable_scripts:
            args[selectable_scripts.args_from : selectable_scripts.args_to] = request.script_args
            args[0] = selectable_idx + 1
        for name, given in (request.alwayson_scripts or {}).items():
            script = script_runner.script(name)
            if script is None:
                raise HTTPException(422, f"always on script {name} not found")
            for i, value in enumerate(given.get("args", [])[: script.args_to - script.args_from]):
                args[script.args_from + i] = value
        return args

    def img2imgapi(self, request):
        """api.py:492-565; request has init_images (pictures), script_name, script_args, alwayson_scripts, save_images
        and fields of p.
        """
        values = dict(vars(request))
        runner = scripts.scripts_img2img
        script, index = self.get_selectable_script(values.pop("script_name", None), runner)
        args = self.init_script_args(request, self.init_default_script_args(runner), script, index, runner)
        for name in ("script_args", "alwayson_scripts"):
            values.pop(name, None)
        save = values.pop("save_images", False)
        values.update(sd_model=shared.sd_model, do_not_save_samples=not save, do_not_save_grid=not save)
        with queue_lock, contextlib.closing(processing.StableDiffusionProcessingImg2Img(**values)) as p:
            p.is_api, p.scripts = True, runner
            p.outpath_grids, p.outpath_samples = shared.opts.outdir_img2img_grids, shared.opts.outdir_img2img_samples
            try:
                shared.state.begin(job="scripts_img2img")
                p.script_args = args if script else tuple(args)
                return runner.run(p, *p.script_args) if script else processing.process_images(p)
            finally:
                shared.state.end()
                shared.total_tqdm.clear()
