"""Callbacks of the whole webui (script_callbacks.py): on_x registers, x_callback calls."""

import dataclasses
import os
import sys
from collections.abc import Callable

from . import errors


class ImageSaveParams:
    """script_callbacks.py:18"""

    def __init__(self, image, p, filename, pnginfo):
        self.image, self.p, self.filename, self.pnginfo = image, p, filename, pnginfo


class ExtraNoiseParams:
    """script_callbacks.py:33"""

    def __init__(self, noise, x, xi):
        self.noise, self.x, self.xi = noise, x, xi


class CFGDenoiserParams:
    """script_callbacks.py:45"""

    def __init__(
        self, x, image_cond, sigma, sampling_step, total_sampling_steps, text_cond, text_uncond, denoiser=None
    ):
        self.x, self.image_cond, self.sigma = x, image_cond, sigma
        self.sampling_step, self.total_sampling_steps = sampling_step, total_sampling_steps
        self.text_cond, self.text_uncond, self.denoiser = text_cond, text_uncond, denoiser


class CFGDenoisedParams:
    """script_callbacks.py:72"""

    def __init__(self, x, sampling_step, total_sampling_steps, inner_model):
        self.x, self.sampling_step, self.total_sampling_steps = x, sampling_step, total_sampling_steps
        self.inner_model = inner_model


class AfterCFGCallbackParams:
    """script_callbacks.py:87"""

    def __init__(self, x, sampling_step, total_sampling_steps):
        self.x, self.sampling_step, self.total_sampling_steps = x, sampling_step, total_sampling_steps


@dataclasses.dataclass
class ScriptCallback:
    script: str
    callback: Callable
    name: str = "unnamed"


# What was registered, by kind, for everyone to see (script_callbacks.py:219).
_KINDS = (
    "app_started", "model_loaded", "ui_tabs", "ui_train_tabs", "ui_settings", "before_image_saved", "image_saved",
    "extra_noise", "cfg_denoiser", "cfg_denoised", "cfg_after_cfg", "before_component", "after_component", "image_grid",
    "infotext_pasted", "script_unloaded", "before_ui", "on_reload", "list_optimizers", "list_unets",
    "before_token_counter",
)  # fmt: skip
callback_map = {f"callbacks_{kind}": [] for kind in _KINDS}


def _pair(kind):
    def register(callback, *, name=None):
        script = sys._getframe(1).f_code.co_filename
        known = f"base/{os.path.basename(script)}/{kind}" + (f"/{name}" if name else "")
        callback_map[f"callbacks_{kind}"].append(ScriptCallback(script, callback, known))

    def call(*args, **kwargs):
        for registered in list(callback_map[f"callbacks_{kind}"]):
            try:
                registered.callback(*args, **kwargs)
            except Exception:  # noqa: BLE001  a webui goes on after any error of a callback (script_callbacks.py:14)
                errors.report(f"Error executing callback {kind} for {registered.script}", exc_info=True)

    return register, call


def remove_callbacks_for_function(callback_func):
    """script_callbacks.py:447"""
    for registered in callback_map.values():
        registered[:] = [one for one in registered if one.callback != callback_func]


on_app_started, app_started_callback = _pair("app_started")
on_before_reload, app_reload_callback = _pair("on_reload")
on_model_loaded, model_loaded_callback = _pair("model_loaded")
on_ui_tabs, ui_tabs_callback = _pair("ui_tabs")
on_ui_settings, ui_settings_callback = _pair("ui_settings")
on_before_ui, before_ui_callback = _pair("before_ui")
on_before_component, before_component_callback = _pair("before_component")
on_after_component, after_component_callback = _pair("after_component")
on_before_image_saved, before_image_saved_callback = _pair("before_image_saved")
on_image_saved, image_saved_callback = _pair("image_saved")
on_extra_noise, extra_noise_callback = _pair("extra_noise")
on_cfg_denoiser, cfg_denoiser_callback = _pair("cfg_denoiser")
on_cfg_denoised, cfg_denoised_callback = _pair("cfg_denoised")
on_cfg_after_cfg, cfg_after_cfg_callback = _pair("cfg_after_cfg")
on_infotext_pasted, infotext_pasted_callback = _pair("infotext_pasted")
on_script_unloaded, script_unloaded_callback = _pair("script_unloaded")


def clear_callbacks():
    for registered in callback_map.values():
        registered.clear()
