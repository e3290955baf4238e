"""The webui's globals: options, state, model, upscalers, command line."""

import os
import sys
import tempfile
import types
from pathlib import Path

from . import devices, options, sd_models, shared_state

data_path = script_path = tempfile.gettempdir()
models_path = str(Path(data_path) / "models")
device = devices.device
parallel_processing_allowed = True
progress_print_out = None

cmd_opts = types.SimpleNamespace(
    no_half=False,
    api=True,
    upcast_sampling=False,
    no_prompt_history=False,
    lowvram=False,
    medvram=False,
    embeddings_dir=data_path,
    esrgan_models_path=str(Path(models_path) / "ESRGAN"),
    realesrgan_models_path=str(Path(models_path) / "RealESRGAN"),
    dat_models_path=str(Path(models_path) / "DAT"),
    filenames_max_length=128,
    use_cpu=[],
    disable_safe_unpickle=False,
)

# Defaults of v1.10.1 (shared_options.py); outdir_* as shared_options.py:80-90, in a temporary folder.
DEFAULTS = {
    "samples_save": True,
    "samples_format": "png",
    "samples_filename_pattern": "",
    "save_images_add_number": True,
    "save_images_replace_action": "Replace",
    "grid_save": True,
    "grid_format": "png",
    "grid_only_if_multiple": True,
    "grid_save_to_dirs": True,
    "grid_extended_filename": False,
    "return_grid": True,
    "return_mask": False,
    "return_mask_composite": False,
    "save_mask": False,
    "save_mask_composite": False,
    "save_incomplete_images": False,
    "save_to_dirs": True,
    "save_txt": False,
    "directories_filename_pattern": "[date]",
    "directories_max_prompt_words": 8,
    "enable_pnginfo": True,
    "jpeg_quality": 80,
    "webp_lossless": False,
    "img2img_color_correction": False,
    "img2img_background_color": "#ffffff",
    "img2img_fix_steps": False,
    "img2img_extra_noise": 0.0,
    "initial_noise_multiplier": 1.0,
    "overlay_inpaint": True,
    "randn_source": "GPU",
    "eta_noise_seed_delta": 0,
    "face_restoration": False,
    "face_restoration_model": "CodeFormer",
    "tiling": False,
    "upscaler_for_img2img": None,
    "ESRGAN_tile": 192,
    "ESRGAN_tile_overlap": 8,
    "CLIP_stop_at_last_layers": 1,
    "live_previews_enable": True,
    "live_previews_image_format": "png",
    "show_progress_every_n_steps": 10,
    "show_progress_type": "Approx NN",
    "no_dpmpp_sde_batch_determinism": False,
    "s_churn": 0.0,
    "s_tmin": 0.0,
    "s_tmax": 0.0,
    "s_noise": 1.0,
    "s_min_uncond": 0.0,
    "s_min_uncond_all": False,
    "skip_early_cond": 0.0,
    "batch_cond_uncond": True,
    "eta_ancestral": 1.0,
    "use_old_scheduling": False,
    "add_model_name_to_info": True,
    "add_model_hash_to_info": True,
    "add_version_to_infotext": True,
    "interrupt_after_current": True,
    "sd_vae": "Automatic",
    "sd_model_checkpoint": None,
    "token_merging_ratio": 0.0,
    "token_merging_ratio_img2img": 0.0,
    "token_merging_ratio_hr": 0.0,
    "img2img_batch_show_results_limit": 32,
    "save_init_img": False,
    "sd_vae_encode_method": "Full",
    "sd_vae_decode_method": "Full",
    "persistent_cond_cache": True,
    "outdir_samples": "",
    "outdir_grids": "",
    **{
        f"outdir_{x}": os.path.join(data_path, "outputs", x)
        for x in ("img2img_samples", "img2img_grids", "txt2img_samples", "init_images")
    },
}

# Where Neo's differ (2.26).
NEO_DEFAULTS = {
    "CLIP_stop_at_last_layers": 2, "ESRGAN_tile": 256, "ESRGAN_tile_overlap": 16, "grid_format": "jpg",
    "img2img_background_color": "#808080", "interrupt_after_current": False, "jpeg_quality": 85,
    "live_previews_image_format": "jpeg", "randn_source": "CPU", "save_images_replace_action": "Override",
    "show_progress_every_n_steps": 1, "show_progress_type": "RGB",
}  # fmt: skip

opts = options.Options(DEFAULTS)
state = shared_state.State()
sd_upscalers = []  # filled by upscaler.py
prompt_styles = types.SimpleNamespace(
    apply_styles_to_prompt=lambda text, styles: text, apply_negative_styles_to_prompt=lambda text, styles: text
)


class _Shared(types.ModuleType):
    """shared_items.py:163: `shared.sd_model` is what sd_models has loaded, loaded when it is first asked for."""

    @property
    def sd_model(self):
        return sd_models.model_data.get_sd_model()

    @sd_model.setter
    def sd_model(self, value):
        sd_models.model_data.set_sd_model(value)


sys.modules[__name__].__class__ = _Shared


class _TotalTqdm:
    """shared_total_tqdm.py; counts for a test instead of printing."""

    total = done = 0

    def reset(self):
        self.total = self.done = 0

    def update(self):
        self.done += 1

    def updateTotal(self, new_total):
        self.total = new_total

    def clear(self):
        self.reset()


total_tqdm = _TotalTqdm()

from . import upscaler  # noqa: E402, F401  fills sd_upscalers; needs what is above
