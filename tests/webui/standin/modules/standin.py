"""Knobs and log of the stand-in: the only module without a counterpart in a webui."""

import contextlib
import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Knobs:
    """What the pretended model does, and which host is pretended. Levels are of 0..255."""

    noise_gain: float = (
        8.0  # levels a pixel moves for one unit of its starting noise, at denoising strength 1; 0: identity
    )
    step_gain: float = 0.0  # the same for the noise that the sampler added since (ancestral and SDE samplers, churn)
    seed_gain: float = 0.0  # levels a picture is lifted for each of seed % 8
    prompt_gain: float = 0.0  # levels a picture is lifted by a prompt's meaning (-1..1), before guidance
    prompt_by_noise: bool = False  # that lift times the noise of the step
    size_gain: float = 0.0  # levels for each 1024 px of the size that SDXL's conditioning names
    norm_gain: float = 0.0  # levels by which its answer shows a norm over what it sees in one piece
    window_gain: float = 0.0  # levels by which what the model sees in one piece tilts from its left to its right
    forge: bool = False  # shaped like Forge and Forge Neo: see `become`
    neo: bool = False  # shaped like Forge Neo, on top of that
    unloadable: bool = False  # no checkpoint can be loaded
    checkpoint: str = "sd1.safetensors"  # what Forge and Neo load where the settings name none
    fail_on: int = -1  # the n-th call of process_images (from 0) raises RuntimeError in sampling
    fail_times: int = 1  # and so many calls from there on
    error: type = RuntimeError  # what is raised instead


@dataclass
class Call:
    """One batch as the sampler saw it."""

    seeds: list
    prompts: list
    denoise: float
    size: tuple
    sampler: str
    noise: object  # the starting noise, (B, 4, h, w)
    images: object  # what was encoded, (B, 3, H, W), 0..1
    job_no: int
    steps: int


@dataclass
class Log:
    calls: list = field(default_factory=list)
    encoded: list = field(default_factory=list)  # texts that went through the text encoder
    loads: list = field(default_factory=list)  # names of checkpoints that were loaded, or tried to be
    asked: list = field(default_factory=list)  # of each call of the model: rows, and (height, width) in latents
    decoded: list = field(default_factory=list)  # of each call of the decoder: pictures
    wanted: list = field(default_factory=list)  # models the memory manager was asked for (Forge and Neo): name, room
    process_images: int = 0  # calls of process_images
    processed: list = field(default_factory=list)  # what the API's requests came to
    saved: list = field(default_factory=list)  # full file names
    reports: list = field(default_factory=list)  # messages of errors.report, which a webui only prints


knobs, log = Knobs(), Log()


def fail_if_told():
    if 0 <= knobs.fail_on < log.process_images <= knobs.fail_on + knobs.fail_times:
        raise knobs.error("the stand-in was told to fail here")


def reset():
    """Knobs, log, options, state and model as after a start, in the present shape."""
    from . import processing, script_callbacks, shared

    shape = {"forge": knobs.forge, "neo": knobs.neo}
    for target, fresh in ((knobs, Knobs(**shape)), (log, Log())):
        vars(target).update(vars(fresh))
    shared.opts.data.clear()
    shared.state.__init__()
    script_callbacks.clear_callbacks()
    load("sd1")
    for cache in (processing.StableDiffusionProcessing.cached_c, processing.StableDiffusionProcessing.cached_uc):
        cache[:] = [None, None]


def load(kind):
    """A checkpoint of this kind, "sd1" or "sdxl", is chosen and loaded; None: none is loaded yet.

    The Forge family then has a stand-in for a model and loads `knobs.checkpoint` in the first call.
    """
    from . import forge_backend, sd_models

    if knobs.forge:
        knobs.checkpoint = f"{kind}.safetensors" if kind else knobs.checkpoint
        sd_models.model_data = forge_backend.ForgeModelData()
        forge_backend.refresh_model_loading_parameters()
        if kind:
            forge_backend.forge_model_reload()
            log.loads.clear()
        return
    sd_models.model_data = sd_models.SdModelData()
    if kind:
        sd_models.model_data.set_sd_model(sd_models.Model(kind))


def become(shape):
    """A fresh start as a host of this shape: "a1111", "forge" or "neo".

    Forge's: lists that leak on a reused p, inference mode, `modified_noise`, an index in PostprocessImageArgs, extra
    images in a Processed, the Batch tab's names only by an option, infotexts in alpha (not Neo's), the model behind
    `forge_objects`, asked through a patcher and loaded in the first call, no negative prompt at guidance 1. Neo's on
    top of that: conditionings that are made anew for other latents, NaN that becomes zero, no `--no-half`, other
    defaults, no params.txt. Parameters that these hosts add are not declared.
    """
    import k_diffusion.sampling

    from . import forge_backend, options, processing, sd_models, sd_samplers_kdiffusion, shared

    knobs.forge, knobs.neo = shape in ("forge", "neo"), shape == "neo"
    forge_backend.show(knobs.forge)
    sd_samplers_kdiffusion.denoiser = {
        "forge": forge_backend.ForgeDenoiser, "neo": forge_backend.NeoDenoiser
    }.get(shape, sd_samplers_kdiffusion.CFGDenoiserKDiffusion)  # fmt: skip
    processing.__dict__.pop("manage_model_and_prompt_cache", None)
    if knobs.forge:
        processing.manage_model_and_prompt_cache = forge_backend.manage_model_and_prompt_cache
        sd_models.forge_model_reload = forge_backend.forge_model_reload
        sd_models.__dict__.pop("reload_model_weights", None)
        # Forge shared_options.py:234
        shared.opts.data_labels["img2img_batch_use_original_name"] = options.OptionInfo(False)
    else:
        sd_models.__dict__.pop("forge_model_reload", None)
        sd_models.reload_model_weights = sd_models.reload_weights
        shared.opts.data_labels.pop("img2img_batch_use_original_name", None)
    shared.opts.data_labels.pop("stealth_pnginfo_option", None)
    if knobs.forge and not knobs.neo:  # shared_options.py:361
        shared.opts.data_labels["stealth_pnginfo_option"] = options.OptionInfo("Alpha")
    if knobs.neo:
        vars(shared.cmd_opts).pop("no_half", None)
    else:
        shared.cmd_opts.no_half = False
    for name, default in shared.DEFAULTS.items():
        shared.opts.data_labels[name].default = shared.NEO_DEFAULTS.get(name, default) if knobs.neo else default
    k_diffusion.sampling.draws_in_vain = not knobs.neo
    reset()


@contextlib.contextmanager
def loading(root):
    """While an extension's script loads, and only then, its root comes first in sys.path (scripts.py:509-523)."""
    before = list(sys.path)
    sys.path = [str(root), *sys.path]
    try:
        yield
    finally:
        sys.path = before


def load_extension(root):
    """Runs an extension's scripts/*.py and registers their Script classes; the module is not in sys.modules
    (script_loading.py:10).
    """
    from . import scripts

    root, found = Path(root), []
    for path in sorted((root / "scripts").glob("*.py")):
        spec = importlib.util.spec_from_file_location(path.name, path)
        module = importlib.util.module_from_spec(spec)
        with loading(root):
            spec.loader.exec_module(module)
        # every subclass in the module's namespace, imported ones too (scripts.py:497-505)
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, scripts.Script):
                found.append(scripts.ScriptClassData(cls, str(path), str(root), module))
    scripts.scripts_data.extend(found)
    return found
