"""Callbacks of the whole webui (script_callbacks.py): on_x registers, x_callback calls."""

from . import errors


class ImageSaveParams:
    """script_callbacks.py:18"""

    def __init__(self, image, p, filename, pnginfo):
        self.image, self.p, self.filename, self.pnginfo = image, p, filename, pnginfo


class ExtraNoiseParams:
    """script_callbacks.py:33"""

    def __init__(self, noise, x, xi):
        self.noise, self.x, self.xi = noise, x, xi


_registered = {}


def _pair(kind):
    def register(callback, *, name=None):
        _registered.setdefault(kind, []).append(callback)

    def call(*args, **kwargs):
        for callback in _registered.get(kind, []):
            try:
                callback(*args, **kwargs)
            except Exception:  # noqa: BLE001  a webui goes on after any error of a callback (script_callbacks.py:14)
                errors.report(f"Error executing callback {kind}", exc_info=True)

    return register, call


on_app_started, app_started_callback = _pair("app_started")
on_before_reload, app_reload_callback = _pair("before_reload")
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
    _registered.clear()
