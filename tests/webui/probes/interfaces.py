"""Names and shapes: signatures, fields, attributes, options."""

import dataclasses
import json

from .harness import hooks, lookup, make, methods, module, photo, plain, run, signature

OPTIONS = """
    samples_save samples_format samples_filename_pattern save_images_add_number save_images_replace_action
    grid_save grid_format grid_only_if_multiple grid_save_to_dirs grid_extended_filename return_grid return_mask
    return_mask_composite save_mask save_mask_composite save_incomplete_images save_to_dirs
    directories_filename_pattern directories_max_prompt_words enable_pnginfo jpeg_quality webp_lossless
    img2img_color_correction img2img_background_color img2img_fix_steps img2img_extra_noise
    initial_noise_multiplier overlay_inpaint randn_source eta_noise_seed_delta face_restoration tiling
    upscaler_for_img2img ESRGAN_tile ESRGAN_tile_overlap CLIP_stop_at_last_layers live_previews_enable
    live_previews_image_format show_progress_every_n_steps show_progress_type no_dpmpp_sde_batch_determinism
    s_churn s_tmin s_tmax s_noise s_min_uncond add_model_name_to_info add_model_hash_to_info
    add_version_to_infotext interrupt_after_current sd_vae token_merging_ratio img2img_batch_show_results_limit
    img2img_batch_use_original_name save_init_img s_min_uncond_all skip_early_cond batch_cond_uncond eta_ancestral
    use_old_scheduling
""".split()  # noqa: SIM905
SIGNATURES = """
    processing.process_images processing.process_images_inner processing.create_infotext
    processing.get_fixed_seed processing.fix_seed processing.StableDiffusionProcessingImg2Img.init
    processing.StableDiffusionProcessingImg2Img.sample processing.Processed.__init__ processing.Processed.js
    processing.Processed.infotext processing.apply_overlay processing.decode_latent_batch images.save_image
    images.flatten images.resize_image images.image_grid scripts.ScriptRunner.run
    scripts.ScriptRunner.setup_scrips rng.ImageRNG.__init__ rng.ImageRNG.first rng.ImageRNG.next
    rng.create_generator upscaler.Upscaler.upscale upscaler.Upscaler.do_upscale upscaler.UpscalerData.__init__
    sd_samplers_common.Sampler.create_noise_sampler sd_samplers_common.Sampler.sample_img2img
    sd_samplers_common.Sampler.initialize sd_samplers_common.Sampler.launch_sampling sd_samplers.create_sampler
    processing.StableDiffusionProcessing.setup_conds processing.StableDiffusionProcessing.get_conds
    processing.StableDiffusionProcessing.cached_params processing.StableDiffusionProcessing.get_conds_with_caching
    prompt_parser.get_learned_conditioning prompt_parser.get_multicond_learned_conditioning
    prompt_parser.reconstruct_cond_batch prompt_parser.reconstruct_multicond_batch
    sd_samplers_common.store_latent
    sd_samplers_common.images_tensor_to_samples devices.torch_gc call_queue.wrap_queued_call
    call_queue.wrap_gradio_gpu_call script_callbacks.on_ui_settings script_callbacks.on_before_image_saved
    script_callbacks.on_extra_noise script_callbacks.on_cfg_denoiser script_callbacks.on_cfg_denoised
    script_callbacks.on_script_unloaded script_callbacks.on_infotext_pasted
""".split()  # noqa: SIM905


def probe_signatures():
    return {path: signature(lookup(path)) for path in SIGNATURES}


def probe_fields():
    def default(f):
        return plain(None if f.default is dataclasses.MISSING else f.default)

    cls = module("processing").StableDiffusionProcessingImg2Img
    return {f.name: {"default": default(f), "init": f.init} for f in dataclasses.fields(cls)}


def probe_attributes_of_new_p():
    skip = ("init_images", "cached_c", "cached_uc", "sd_model", "rng")
    return {k: plain(v) for k, v in sorted(vars(make()).items()) if k not in skip}


def probe_script():
    cls = module("scripts").Script
    values = {k: plain(v) for k, v in sorted(vars(cls).items()) if not k.startswith("_") and not callable(v)}
    return {
        "methods": methods(cls),
        "attributes": values,
        "hooks": hooks(),
        "runner": sorted(methods(module("scripts").ScriptRunner)),
    }


def probe_state():
    cls = module("shared_state").State
    values = {
        k: plain(v)
        for k, v in sorted(vars(cls).items())
        if not k.startswith("_") and not callable(v) and not isinstance(v, property)
    }
    return {"methods": methods(cls), "attributes": values, "dict": sorted(module("shared").state.dict())}


def probe_upscaler_classes():
    upscaler = module("upscaler")
    data = upscaler.UpscalerData("name", "path", None, 4)
    return {"data": {k: plain(v) for k, v in sorted(vars(data).items())}, "upscaler": methods(upscaler.Upscaler)}


def probe_options():
    opts = module("shared").opts

    def default(k):
        return opts.get_default(k) if k in opts.data_labels else None

    return {k: plain(default(k)) for k in OPTIONS}


def probe_processed():
    p = make(prompt=["a", "b"], seed=[3, 4], batch_size=2)
    bare = module("processing").Processed(make(), [photo(), photo()], 5, "text")
    done = run(p)
    return {
        "attributes": sorted(k for k in vars(bare) if k != "extra_images"),
        "js": sorted(json.loads(bare.js())),
        "bare": {
            k: plain(getattr(bare, k))
            for k in ("infotexts", "all_seeds", "all_prompts", "all_subseeds", "index_of_first_image", "info")
        },
        "done": {
            k: plain(getattr(done, k))
            for k in (
                "seed",
                "subseed",
                "all_seeds",
                "all_subseeds",
                "all_prompts",
                "all_negative_prompts",
                "prompt",
                "index_of_first_image",
                "batch_size",
                "width",
                "height",
            )
        },
        "images": [type(x).__module__.split(".")[0] for x in done.images],
        "infotexts": len(done.infotexts),
    }
