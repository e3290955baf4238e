"""Selectable scripts: the panel's values, the API's script_args, ScriptRunner.run. Needs some gradio."""

import os
import tempfile
import types

from .harness import SIZE, make, module, options, patched, photo, plain, runner_of


def probe_script_runner():
    """The API's way to a selectable script: default values, slice assignment, ScriptRunner.run."""
    scripts, gradio = module("scripts"), __import__("gradio")
    got = {}

    def script(name, title, values, visible=True, type_index=False):
        def ui(self, is_img2img):
            first = gradio.Dropdown(label="D", choices=["p", "q"], value="q", type="index")
            return [first] + [gradio.Slider(label=f"{title}{v}", minimum=0, maximum=9, value=v) for v in values]

        def run(self, p, *args):
            got[title] = list(args)
            return "ran"

        return type(
            name,
            (scripts.Script,),
            {"title": lambda self: title, "ui": ui, "run": run, "show": lambda self, is_img2img: visible},
        )

    def data(cls):
        return scripts.ScriptClassData(cls, "/x/extensions/e/scripts/s.py", "/x/extensions/e", "s")

    ours = [
        data(script("First", "First", [1])),
        data(script("Mine", "Mine Is", [3, 4])),
        data(script("Next", "Next", [5, 6])),
        data(script("Always", "Always", [7], scripts.AlwaysVisible)),
        data(script("Hidden", "Hidden", [8], False)),
    ]
    runner = scripts.ScriptRunner()
    with patched(scripts, "scripts_data", ours):
        runner.initialize_scripts(True)
    # the host's own built-in always-on scripts are not the question
    runner.scripts = [x for x in runner.scripts if x.filename.startswith("/x/")]
    runner.alwayson_scripts = [x for x in runner.alwayson_scripts if x.filename.startswith("/x/")]
    with gradio.Blocks():
        runner.setup_ui()
    api_class = module("api.api").Api
    api = api_class.__new__(api_class)
    default = api.init_default_script_args(runner)
    mine = runner.script("mine is")
    found, index = api.get_selectable_script("MINE is", runner)

    def ask(args):
        got.clear()
        request = types.SimpleNamespace(script_args=args, alwayson_scripts={})
        vector = api.init_script_args(request, default, found, index, runner)
        answer = runner.run(make(), *vector)
        return {"vector": plain(vector), "run": plain(got), "returned": answer}

    return {
        "titles": runner.titles,
        "selectable": [x.title() for x in runner.selectable_scripts],
        "always": [x.title() for x in runner.alwayson_scripts],
        "places": {x.title(): [x.args_from, x.args_to] for x in runner.scripts},
        "inputs": len(runner.inputs),
        "default": plain(default),
        "name": mine.name,
        "elem_id": mine.elem_id("thing"),
        "is_img2img": mine.is_img2img,
        "tabname": mine.tabname,
        "full": ask([0, 30, 40]),
        "short": ask([0]),
        "empty": ask([]),
        "long": ask([0, 30, 40, 50]),
        "dict": ask([{"a": 1}]),
        "not chosen": plain(runner.run(make(), 0)),
    }


def probe_batch_tab():
    """What a selectable script finds on p for each file of the Batch tab, and what the tab saves without one."""
    scripts, processing = module("scripts"), module("processing")
    kept = {"save_to_dirs": True, "save_images_replace_action": "Replace", "samples_filename_pattern": ""}

    def ask(script, **changes):
        seen, same = [], []

        def run(p, *args):
            seen.append(
                [
                    plain(p.override_settings),
                    os.path.basename(p.outpath_samples),
                    len(p.init_images),
                    list(p.init_images[0].size),
                    p.seed,
                    p.init_images[0].filename if hasattr(p.init_images[0], "filename") else None,
                    list(args),
                ]
            )
            same.append(p)
            return processing.Processed(p, [p.init_images[0]], p.seed, "text") if script else None

        runner = runner_of()
        with (
            tempfile.TemporaryDirectory() as source,
            tempfile.TemporaryDirectory(suffix="out") as target,
            options(**kept),
        ):
            for name in ("one.png", "two.png"):
                photo(SIZE, SIZE + 8).save(os.path.join(source, name))
            module("shared").state.begin(job="probe")
            p = make(do_not_save_samples=False, **changes)
            p.scripts, p.script_args = runner, (0,)
            with patched(scripts, "scripts_img2img", types.SimpleNamespace(run=run)):
                done = module("img2img").process_batch(p, source, target, "", [1, "x"])
            state = module("shared").state
            answer = {
                "seen": [[x[0], x[1] == os.path.basename(target), *x[2:]] for x in seen],
                "one p": len({id(x) for x in same}) == 1,
                "files": sorted(os.listdir(target)),
                "images": len(done.images),
                "infotexts": len(done.infotexts),
                "job": state.job,
                "job_count": state.job_count,
            }
            state.end()
        return answer

    return {"script": ask(True), "no script": ask(False), "batch 2": ask(False, batch_size=2)}
