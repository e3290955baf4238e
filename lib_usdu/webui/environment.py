"""The webui's `modules` package: every import of it, and what differs between hosts.

A difference is detected by the feature, never by the name of a host. The five modules imported at the top exist in
every fork; all others are imported where they are used, because a fork may lack them. The rest of this folder imports
from here. File:line references are to AUTOMATIC1111 v1.10.1.
"""

# The package is there in a webui only; protocols.py says what we use of it.
# pyright: reportMissingImports=false

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from modules import devices as _devices
from modules import errors as _errors
from modules import images as _images
from modules import processing as _processing
from modules import shared as _shared
from PIL import Image

from ..errors import OptionError
from .protocols import Devices, Errors, Images, ProcessingModule, Shared

devices: Devices = _devices
errors: Errors = _errors
images: Images = _images
processing: ProcessingModule = _processing
shared: Shared = _shared


def max_megapixels() -> float:
    """The largest result; --usdu-max-megapixels changes it."""
    return float(getattr(shared.cmd_opts, "usdu_max_megapixels", None) or 1000.0)


def upscalers_in_half() -> bool:
    """Whether upscalers may run in half precision: not with --no-half, nor with --upcast-sampling, which says that this
    card breaks numbers down there."""
    return not any(getattr(shared.cmd_opts, name, False) for name in ("no_half", "upcast_sampling"))


def journal_folder() -> Path | None:
    """In the webui's own data folder, beside its other caches; None where it does not say which that is."""
    with suppress(ImportError, AttributeError, TypeError):
        from modules import paths

        return Path(paths.data_path) / "cache" / "ultimate-sd-upscale"
    return None


def chosen_checkpoint() -> Any:
    """What the host knows of it; nothing is loaded. Raises whatever a fork's own kind of loading raises."""
    from modules import sd_models
    return sd_models.select_checkpoint()


def model_files() -> dict[str, Any]:
    """The checkpoint's and the VAE's file."""
    files = {}
    with suppress(Exception):  # a fork's own kind of loading
        from modules import sd_models

        chosen = getattr(sd_models, "select_checkpoint", lambda: shared.sd_model.sd_checkpoint_info)()
        files["checkpoint"] = getattr(chosen, "filename", None) or chosen.name
    with suppress(Exception):
        from modules import sd_vae

        files["vae"] = sd_vae.loaded_vae_file
    return files


def check_settings(values: Mapping[str, Any]) -> None:
    """Raises OptionError for settings, checkpoints and VAEs that this host does not know, and values of a wrong kind.

    The host passes over an unknown checkpoint (processing.py:829) and takes the first of its list in other places.
    """
    for name, value in values.items():
        label = shared.opts.data_labels.get(name)
        if label is None:
            raise OptionError("override_settings", name, "settings this webui knows")
        same_type = getattr(shared.opts, "same_type", lambda default, value: True)
        if not same_type(label.default, value):
            raise OptionError(f"override_settings {name}", value, f"a value like {label.default!r}")
        known = _known_models(name)
        if known is not None and value is not None and not known(_plain(value)):
            raise OptionError(f"override_settings {name}", value, "names in this webui's list")


def _known_models(setting: str) -> Callable[[Any], bool] | None:
    """Whether a value of this setting is one of the host's models; None for other settings, and other hosts."""
    with suppress(ImportError, AttributeError):
        if setting == "sd_model_checkpoint":
            from modules import sd_models

            return sd_models.checkpoint_aliases.__contains__
        if setting == "sd_vae":
            from modules import sd_vae

            return {"Automatic", "auto", "None", *sd_vae.vae_dict}.__contains__
    return None


def apply_settings(values: Mapping[str, Any]) -> None:
    """Sets settings for the run, and loads the checkpoint and the VAE where they are among them."""
    set_config = None
    with suppress(ImportError, AttributeError):  # Forge's own way for checkpoints and memory (sysinfo.py:218)
        from modules import sysinfo

        set_config = sysinfo.set_config
    for name, value in values.items():
        try:
            if set_config is not None:
                set_config({name: _plain(value)}, is_api=True, run_callbacks=False, save_config=False)
            else:
                shared.opts.set(name, _plain(value), is_api=True, run_callbacks=False)
        except (KeyError, AssertionError) as error:  # --freeze-settings
            raise OptionError("override_settings", name, str(error) or "settings this webui knows") from None
    if set_config is not None:
        return
    if "sd_model_checkpoint" in values:
        from modules import sd_models

        getattr(sd_models, "reload_model_weights", lambda: None)()
    if "sd_vae" in values:
        with suppress(ImportError):
            from modules import sd_vae

            getattr(sd_vae, "reload_vae_weights", lambda: None)()


def _plain(value: Any) -> Any:
    """The Batch tab hands over a checkpoint's description instead of its title (img2img.py:112)."""
    return value if isinstance(value, str) else getattr(value, "title", value)


# Sections of the settings page (shared_options.py). None: settings without one.
_PICTURE_SECTIONS = {"sd", "sdxl", "sd3", "vae", "img2img", "optimizations", "compatibility", "sampler-params", None}
_OTHER_SECTIONS = {
    "saving-images", "saving-paths", "saving-to-dirs", "system", "profiler", "API", "training", "ui_prompt_editing",
    "ui_gallery", "ui_alternatives", "ui", "infotext", "callbacks",
}  # fmt: skip
_OF_THE_CHECKPOINT = {"sd_model_checkpoint", "sd_checkpoint_hash"}  # written by the host when it loads one


def picture_settings() -> list[str]:
    """Names of the host's settings that change what a model draws; the checkpoint's own name is left out."""
    return [name for name, section in _sections().items() if section in _PICTURE_SECTIONS]


def settings_of_identity(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that may change a picture, extensions' settings among them."""
    sections = _sections()
    return {
        name: value
        for name, value in values.items()
        if name not in _OF_THE_CHECKPOINT and sections.get(name) not in _OTHER_SECTIONS
    }


def _sections() -> dict[str, str | None]:
    labels = shared.opts.data_labels.items()
    return {name: (label.section or (None,))[0] for name, label in labels if name not in _OF_THE_CHECKPOINT}


def model_data() -> Any:
    """The host's record of what is loaded. Raises ImportError or AttributeError where it has none."""
    from modules import sd_models

    return sd_models.model_data


def model_in_use() -> dict[str, str]:
    """What is loaded or chosen to be loaded next, by kind; to notice that another client has changed it."""
    used = {}
    with suppress(Exception):
        info = shared.sd_model.sd_checkpoint_info
        used["checkpoint"] = str(getattr(info, "filename", None) or info.name)
    with suppress(Exception):
        from modules import sd_vae

        used["VAE"] = str(sd_vae.loaded_vae_file)
    with suppress(Exception):  # Forge loads by these at the next call (sd_models.py:473)
        chosen = model_data().forge_loading_parameters
        names = {name: getattr(value, "filename", value) for name, value in chosen.items()}
        used["choice of models"] = str(names)
    return used


def needs_cross_attention_only() -> bool:
    """Whether the checkpoint is conditioned by the prompt alone: no inpainting, edit or depth checkpoint."""
    if hasattr(shared.sd_model, "forge_objects"):
        return not getattr(shared.sd_model, "is_inpaint", False)
    return getattr(getattr(shared.sd_model, "model", None), "conditioning_key", None) == "crossattn"


def guidance_is_watched() -> bool:
    """Whether an extension has a callback in classifier-free guidance; true where that cannot be seen."""
    from modules import script_callbacks

    callbacks = getattr(script_callbacks, "callback_map", {"callbacks_cfg_denoiser": [None]})
    return any(callbacks.get(f"callbacks_{name}") for name in ("cfg_denoiser", "cfg_denoised"))


def samplers() -> tuple[Any, Any]:
    """The host's modules sd_samplers and sd_samplers_common."""
    from modules import sd_samplers, sd_samplers_common

    return sd_samplers, sd_samplers_common


def img2img_scripts() -> Any:
    """The host's `scripts` module."""
    from modules import scripts

    return scripts


def restore_faces(picture: Any) -> Any:
    """uint8 (h, w, 3) with its faces restored by the host."""
    from modules import face_restoration

    return face_restoration.restore_faces(picture)


def deepbooru() -> Any:
    """The host's model. Raises ImportError or AttributeError where there is none."""
    from modules import deepbooru

    return deepbooru.model


def interrogators() -> list[str]:
    """Values of the option `interrogator` that work in this host."""
    names = ["none"]
    if getattr(shared, "interrogator", None) is not None:
        names.append("clip")
    with suppress(ImportError, AttributeError):
        deepbooru()
        names.append("deepbooru")
    return names


def words_for(picture: Image.Image, interrogator: str) -> str:
    """What the interrogator, "clip" or "deepbooru", sees in the picture; "" where its model cannot be had."""
    with suppress(Exception):
        return shared.interrogator.interrogate(picture) if interrogator == "clip" else deepbooru().tag(picture)
    return ""


def refresh_upscalers() -> None:
    """Looks for upscaler files again, where the host can (modelloader.load_upscalers)."""
    with suppress(ImportError, AttributeError):
        from modules import modelloader

        modelloader.load_upscalers()


def add_gallery_switch(name: str, label: str) -> None:
    """A switch, on at first, among the gallery's on the settings page; the page's scripts read it as `opts[name]`."""
    with suppress(ImportError, AttributeError):
        from modules import options, script_callbacks

        switch = options.OptionInfo(True, label, section=("ui_gallery", "Gallery"))
        script_callbacks.on_ui_settings(lambda: shared.opts.add_option(name, switch))


def page_modules() -> tuple[Any, Any]:
    """The host's modules for callbacks and for sending pictures from tab to tab. Raises ImportError without them."""
    from modules import infotext_utils, script_callbacks

    return script_callbacks, infotext_utils


def own_generators() -> Any:
    """A context in which torch's global generators may be used; they are put back afterwards."""
    return torch.random.fork_rng(devices=[devices.device] if torch.device(devices.device).type == "cuda" else [])


@contextmanager
def reports_heard() -> Iterator[list[str]]:
    """The errors that the host reports on its console and then swallows, one line each with their reason."""
    lines: list[str] = []
    report = errors.report

    def heard(message: Any, *args: Any, **kwargs: Any) -> None:
        reason = sys.exc_info()[1]
        lines.append(f"{message}" if reason is None else f"{message} ({type(reason).__name__}: {reason})")
        report(message, *args, **kwargs)

    errors.report = heard
    try:
        yield lines
    finally:
        errors.report = report
