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
    step_gain: float = 0.0  # the same for the mean of the noise drawn at the steps (ancestral and SDE samplers)
    seed_gain: float = 0.0  # levels a picture is lifted for each of seed % 8
    forge: bool = False  # shaped like Forge: see `become`
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
    process_images: int = 0  # calls of process_images
    saved: list = field(default_factory=list)  # full file names
    reports: list = field(default_factory=list)  # messages of errors.report, which a webui only prints


knobs, log = Knobs(), Log()


def reset():
    """Knobs, log, options and state as after a start."""
    from . import script_callbacks, shared

    for target, fresh in ((knobs, Knobs()), (log, Log())):
        vars(target).update(vars(fresh))
    shared.opts.data.clear()
    shared.state.__init__()
    script_callbacks.clear_callbacks()


def become(shape):
    """A fresh start as a host of this shape: "a1111" or "forge".

    Forge's: lists that leak on a reused p, inference mode, `modified_noise`, an index in PostprocessImageArgs, extra
    images in a Processed, the Batch tab's names only by an option. Parameters that Forge adds are not declared.
    """
    from . import options, shared

    reset()
    knobs.forge = shape == "forge"
    if knobs.forge:  # Forge shared_options.py:234
        shared.opts.data_labels["img2img_batch_use_original_name"] = options.OptionInfo(False)
    else:
        shared.opts.data_labels.pop("img2img_batch_use_original_name", None)


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
