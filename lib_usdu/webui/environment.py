"""The webui's `modules` package: every import of it, and what differs between hosts.

A difference is detected by the feature, never by the name of a host. The five modules imported at the top exist in
every fork; all others are imported where they are used, because a fork may lack them. The rest of this folder imports
from here. File:line references are to AUTOMATIC1111 v1.10.1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from modules import devices, errors, images, processing, shared

__all__ = ["devices", "errors", "images", "processing", "shared"]


def max_megapixels() -> float:
    """The largest result; --usdu-max-megapixels changes it."""
    return float(getattr(shared.cmd_opts, "usdu_max_megapixels", None) or 1000.0)


def loaded_model() -> Any:
    """The checkpoint in memory; None where none is loaded yet, or the host keeps it elsewhere."""
    with suppress(Exception):
        from modules import sd_models

        return sd_models.model_data.sd_model
    return None


def default_tile() -> int:
    """512 for Stable Diffusion 1 and 2, 1024 for SDXL and later; does not load a model that is not loaded yet."""
    with suppress(Exception):
        model = loaded_model()
        small = getattr(model, "is_sd1", False) or getattr(model, "is_sd2", False)
        large = getattr(model, "is_sdxl", False) or getattr(model, "is_sd3", False)
        if not small and (large or getattr(model, "latent_channels", 4) == 16):
            return 1024
    return 512


def journal_folder() -> Path | None:
    """In the webui's own data folder, beside its other caches; None where it does not say which that is."""
    with suppress(ImportError, AttributeError, TypeError):
        from modules import paths

        return Path(paths.data_path) / "cache" / "ultimate-sd-upscale"
    return None


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


def reload_models(overrides: Mapping[str, Any]) -> None:
    """Loads the checkpoint and the VAE that the settings now name, where `overrides` holds such a setting."""
    if "sd_model_checkpoint" in overrides:
        from modules import sd_models

        getattr(sd_models, "reload_model_weights", lambda: None)()
    if "sd_vae" in overrides:
        with suppress(ImportError):
            from modules import sd_vae

            getattr(sd_vae, "reload_vae_weights", lambda: None)()


def needs_cross_attention_only() -> bool:
    """Whether the checkpoint is conditioned by the prompt alone: no inpainting, edit or depth checkpoint."""
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


def refresh_upscalers() -> None:
    """Looks for upscaler files again, where the host can (modelloader.load_upscalers)."""
    with suppress(ImportError, AttributeError):
        from modules import modelloader

        modelloader.load_upscalers()


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
