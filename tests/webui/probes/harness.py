"""What every probe needs: reaching the host's modules, making a p, running it as a job, hooks and tracing."""

import contextlib
import inspect

import numpy as np
from PIL import Image

SIZE = 64


def module(name):
    try:
        return __import__(f"modules.{name}", fromlist=[name])
    except ModuleNotFoundError:
        return None


def lookup(path):
    name, *rest = path.split(".")
    value = module(name)
    for part in rest:
        value = getattr(value, part, None)
    return value


def plain(value):
    """A JSON form of a default value; objects become the name of their type."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value if value != float("inf") else "inf"
    if isinstance(value, (list, tuple)):
        return [plain(x) for x in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return f"<{type(value).__name__}>"


def signature(function):
    if function is None:
        return None
    s = inspect.signature(function)
    return str(
        s.replace(parameters=[x.replace(annotation=x.empty) for x in s.parameters.values()], return_annotation=s.empty)
    )


def methods(cls):
    return {
        k: signature(v)
        for k, v in sorted(vars(cls).items())
        if callable(v) and (not k.startswith("_") or k == "__init__")
    }


# --- running things --------------------------------------------------------------------------------------------------


def photo(width=SIZE, height=SIZE, shift=0):
    y, x = np.mgrid[0:height, 0:width]
    a = np.stack([x * 255 / max(width - 1, 1), y * 255 / max(height - 1, 1), (x + y) * 255 / (width + height)], -1)
    return Image.fromarray(((a + shift) % 256).astype(np.uint8))


def hole(width=SIZE, height=SIZE):
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (8, 8, width // 2, height // 2))
    return mask


def make(**changes):
    processing, shared = module("processing"), module("shared")
    values = {
        "sd_model": shared.sd_model,
        "outpath_samples": "",
        "outpath_grids": "",
        "prompt": "a",
        "negative_prompt": "",
        "sampler_name": "Euler",
        "seed": 1,
        "subseed": 2,
        "batch_size": 1,
        "n_iter": 1,
        "steps": 4,
        "cfg_scale": 7,
        "width": SIZE,
        "height": SIZE,
        "denoising_strength": 0.5,
        "init_images": [photo()],
        "mask_blur": 0,
        "inpainting_fill": 1,
        "do_not_save_samples": True,
        "do_not_save_grid": True,
    }
    return processing.StableDiffusionProcessingImg2Img(**{**values, **changes})


@contextlib.contextmanager
def options(**values):
    """Options set for the block; None takes an option out of opts.data, as in a config.json that never had it."""
    data = module("shared").opts.data
    before = {k: data[k] for k in values if k in data}
    for k, v in values.items():
        data.pop(k, None) if v is None else data.__setitem__(k, v)
    try:
        yield
    finally:
        for k in values:
            data.pop(k, None)
        data.update(before)


@contextlib.contextmanager
def patched(owner, name, value):
    had, before = name in vars(owner), getattr(owner, name, None)
    setattr(owner, name, value)
    try:
        yield before
    finally:
        setattr(owner, name, before) if had else delattr(owner, name)


def run(p, begin=True, runner=None, **state):
    """process_images inside a job, as the webui's own callers do it; the answer is the Processed object."""
    processing, shared = module("processing"), module("shared")
    if runner is not None:
        p.scripts, p.script_args = runner, (0,)
    if begin:
        shared.state.begin(job="probe")
    for key, value in state.items():
        setattr(shared.state, key, value)
    try:
        return processing.process_images(p)
    finally:
        if begin:
            shared.state.end()


def hooks():
    scripts = module("scripts")
    skip = {"before_component", "after_component", "script"}
    return [k for k in methods(scripts.Script) if k not in skip and hasattr(scripts.ScriptRunner, k) and k != "run"]


def runner_of(**callbacks):
    """A ScriptRunner with one always-on script that has these hooks."""
    scripts = module("scripts")
    script = type("Probe", (scripts.Script,), {k: staticmethod(v) for k, v in callbacks.items()})()
    script.filename, script.args_from, script.args_to, script.alwayson = __file__, 1, 1, True
    runner = scripts.ScriptRunner()
    runner.scripts, runner.alwayson_scripts = [script], [script]
    return runner


@contextlib.contextmanager
def traced():
    """Yields (calls, runner): the names of what is called, in order, while the block runs."""
    processing, images, rng, shared = (module(x) for x in ("processing", "images", "rng", "shared"))
    calls = []

    def wrap(owner, name, label):
        function = getattr(owner, name, None)
        if function is None:
            return

        def call(*args, **kwargs):
            calls.append(label)
            return function(*args, **kwargs)

        stack.enter_context(patched(owner, name, call))

    def hook(name):
        return lambda *args, **kwargs: calls.append(f"script.{name}")

    with contextlib.ExitStack() as stack:
        cls = processing.StableDiffusionProcessingImg2Img
        for name in ("init", "setup_conds", "parse_extra_network_prompts", "sample", "save_samples"):
            wrap(cls, name, f"p.{name}")
        for name in (
            "process_images_inner",
            "create_infotext",
            "decode_latent_batch",
            "images_tensor_to_samples",
            "apply_overlay",
        ):
            wrap(processing, name, name)
        wrap(rng.ImageRNG, "__init__", "ImageRNG()")
        wrap(rng.ImageRNG, "next", "rng.next")
        wrap(images, "save_image", "save_image")
        wrap(images, "image_grid", "image_grid")
        wrap(type(shared.state), "nextjob", "state.nextjob")
        wrap(processing.Processed, "__init__", "Processed()")
        create = processing.sd_samplers.create_sampler

        def create_sampler(*args, **kwargs):
            calls.append("create_sampler")
            sampler = create(*args, **kwargs)
            for name in ("sample_img2img", "initialize", "create_noise_sampler", "launch_sampling"):
                wrap(sampler, name, f"sampler.{name}")
            return sampler

        stack.enter_context(patched(processing.sd_samplers, "create_sampler", create_sampler))
        yield calls, runner_of(**{name: hook(name) for name in hooks()})
