"""process_images: everything between an extension's call and the p's own init and sample (processing.py).

Not reproduced: txt2img and hires fix, inpainting fills, face restoration, extra networks, styles, seed-resize, the
refiner.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from . import devices, forge_backend, images, paths, rng, scripts, sd_models, sd_samplers, shared, standin
from .processed import DecodedSamples, Processed, create_infotext, decode_latent_batch, get_model_names, program_version  # noqa: F401
from .processing_base import StableDiffusionProcessing  # noqa: F401
from .processing_img2img import StableDiffusionProcessingImg2Img  # noqa: F401
from .sd_samplers_common import images_tensor_to_samples  # noqa: F401
from .shared import opts, state

opt_C, opt_f = 4, 8


def get_fixed_seed(seed):
    """:675; a list passes through."""
    try:
        seed = -1 if seed in ("", None) else int(seed) if isinstance(seed, str) else seed
    except ValueError:
        seed = -1
    return int(random.randrange(4294967294)) if seed == -1 else seed


def fix_seed(p):
    p.seed, p.subseed = get_fixed_seed(p.seed), get_fixed_seed(p.subseed)


def apply_color_correction(correction, original_image):
    """:49; here only the means of the channels are matched."""
    pixels = np.asarray(original_image).astype(np.float32)
    pixels += correction.mean((0, 1)) - pixels.mean((0, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def uncrop(image, dest_size, paste_loc):
    """:65"""
    x, y, w, h = paste_loc
    base = Image.new("RGBA", dest_size)
    base.paste(images.resize_image(1, image, w, h), (x, y))
    return base


def apply_overlay(image, paste_loc, overlay):
    """:75-88"""
    if overlay is None:
        return image, image.copy()
    if paste_loc is not None:
        image = uncrop(image, overlay.size, paste_loc)
    original = image.copy()
    image = image.convert("RGBA")
    image.alpha_composite(overlay)
    return image.convert("RGB"), original


def process_images(p):
    """:819-860: overrides are set and restored around every call; one not in opts.data is not restored (:823)."""
    standin.log.process_images += 1
    if p.scripts is not None:
        p.scripts.before_process(p)
    stored = {k: opts.data[k] for k in p.override_settings if k in opts.data}
    try:
        known = getattr(shared.sd_model, "sd_checkpoint_info", None)
        if known is None or p.override_settings.get("sd_model_checkpoint") != known.name:
            p.override_settings.pop("sd_model_checkpoint", None)
        if standin.knobs.neo:  # Neo processing.py:892
            p.override_settings.pop("sd_vae", None)
        for key, value in p.override_settings.items():
            opts.set(key, value, is_api=True, run_callbacks=False)
        if standin.knobs.forge:  # loaded here, not before
            forge_backend.manage_model_and_prompt_cache(p)
        sd_samplers.fix_p_invalid_sampler_and_scheduler(p)
        return process_images_inner(p)
    finally:
        if p.override_settings_restore_afterwards:
            for key, value in stored.items():
                setattr(opts, key, value)


def process_images_inner(p):
    """:863-1150"""
    if not isinstance(p.prompt, str) and not p.prompt:
        raise AssertionError
    devices.torch_gc()
    shared.sd_model.begin()
    seed, subseed = get_fixed_seed(p.seed), get_fixed_seed(p.subseed)
    p.restore_faces = opts.face_restoration if p.restore_faces is None else p.restore_faces
    p.tiling = opts.tiling if p.tiling is None else p.tiling
    get_model_names(p)
    p.fill_fields_from_opts()
    p.setup_prompts()
    count, same = range(len(p.all_prompts)), p.subseed_strength != 0
    p.all_seeds = seed if isinstance(seed, list) else [int(seed) + (0 if same else i) for i in count]
    p.all_subseeds = subseed if isinstance(subseed, list) else [int(subseed) + i for i in count]
    if p.scripts is not None:
        p.scripts.process(p)

    texts, results = [], []
    with torch.inference_mode() if standin.knobs.forge else torch.no_grad():
        p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
        if state.job_count == -1:
            state.job_count = p.n_iter
        for n in range(p.n_iter):
            p.iteration = n
            state.skipped = False
            if state.interrupted or state.stopping_generation:
                break
            if not _one_batch(p, n, results, texts):
                break
    if not texts:  # :1112
        texts.append(Processed(p, []).infotext(p, 0))
    p.color_corrections = None
    first = _grid(p, results, texts)
    done = Processed(
        p,
        images_list=results,
        seed=p.all_seeds[0],
        info=texts[0],
        subseed=p.all_subseeds[0],
        index_of_first_image=first,
        infotexts=texts,
    )
    if standin.knobs.forge:
        done.extra_images = p.extra_result_images
    if p.scripts is not None:
        p.scripts.postprocess(p, done)
    return done


def _the_model(p):
    """:941; Forge processing.py:937: what a call changes of the model's objects ends with it."""
    if standin.knobs.forge:
        sd_models.forge_model_reload()
        p.sd_model.forge_objects = p.sd_model.forge_objects_original.shallow_copy()
    else:
        sd_models.reload_model_weights()


def _write_params(p):
    """:973: the person's last settings, from a p whose call has just begun; Neo has no such file."""
    if shared.cmd_opts.no_prompt_history or standin.knobs.neo or not hasattr(paths, "data_path"):
        return
    Path(paths.data_path).mkdir(parents=True, exist_ok=True)
    (Path(paths.data_path) / "params.txt").write_text(Processed(p, []).infotext(p, 0), encoding="utf8")


def _one_batch(p, n, results, texts):
    """:941-1110; False where there is nothing left to do."""
    _the_model(p)
    part = slice(n * p.batch_size, (n + 1) * p.batch_size)
    p.prompts, p.negative_prompts = p.all_prompts[part], p.all_negative_prompts[part]
    p.seeds, p.subseeds = p.all_seeds[part], p.all_subseeds[part]
    p.rng = rng.ImageRNG(
        (opt_C, p.height // opt_f, p.width // opt_f),
        p.seeds,
        subseeds=p.subseeds,
        subseed_strength=p.subseed_strength,
        seed_resize_from_h=p.seed_resize_from_h,
        seed_resize_from_w=p.seed_resize_from_w,
    )
    batch = {"batch_number": n, "prompts": p.prompts, "seeds": p.seeds, "subseeds": p.subseeds}
    if p.scripts is not None:
        p.scripts.before_process_batch(p, **batch)
    if not p.prompts:
        return False
    p.parse_extra_network_prompts()
    if p.scripts is not None:
        if not p.disable_extra_networks:
            p.scripts.after_extra_networks_activate(p, **batch, extra_network_data=p.extra_network_data)
        p.scripts.process_batch(p, **batch)
    p.setup_conds()
    if n == 0:
        _write_params(p)
    if p.n_iter > 1:
        state.job = f"Batch {n + 1} out of {p.n_iter}"
    standin.fail_if_told()
    # :988: by keywords, and through the instance: an attribute set on p is called
    samples = p.sample(
        conditioning=p.c,
        unconditional_conditioning=p.uc,
        seeds=p.seeds,
        subseeds=p.subseeds,
        subseed_strength=p.subseed_strength,
        prompts=p.prompts,
    )
    if standin.knobs.forge:
        p.latents_after_sampling.extend(samples)
    if p.scripts is not None:
        args = scripts.PostSampleArgs(samples)
        p.scripts.post_sample(p, args)
        samples = args.samples
    if not getattr(samples, "already_decoded", False):
        samples = decode_latent_batch(p.sd_model, samples, target_device=devices.cpu, check_for_nans=True)
    pixels = ((torch.stack(list(samples)).float() + 1) / 2).clamp(0, 1)
    devices.torch_gc()
    state.nextjob()
    if p.scripts is not None:
        p.scripts.postprocess_batch(p, pixels, batch_number=n)
        p.prompts, p.negative_prompts = p.all_prompts[part], p.all_negative_prompts[part]
        args = scripts.PostprocessBatchListArgs(list(pixels))
        p.scripts.postprocess_batch_list(p, args, batch_number=n)
        pixels = args.images
    save = p.save_samples()
    for i, picture in enumerate(pixels):
        p.batch_index = i
        # :1034-1035: levels are cut, not rounded
        _one_image(
            p,
            i,
            Image.fromarray((255 * np.moveaxis(picture.cpu().numpy(), 0, 2)).astype(np.uint8)),
            save,
            results,
            texts,
        )
    return True


def _one_image(p, i, image, save, results, texts):
    """:1044-1108"""

    def text():
        return create_infotext(p, p.prompts, p.seeds, p.subseeds, index=i, all_negative_prompts=p.negative_prompts)

    def hook(name, image):
        args = scripts.PostprocessImageArgs(image, i) if standin.knobs.forge else scripts.PostprocessImageArgs(image)
        if p.scripts is not None:
            getattr(p.scripts, name)(p, args)
        return args.image

    def keep(image, suffix=""):
        images.save_image(
            image, p.outpath_samples, "", p.seeds[i], p.prompts[i], opts.samples_format, info=text(), p=p, suffix=suffix
        )

    image = hook("postprocess_image", image)
    there = opts.overlay_inpaint and p.overlay_images is not None and i < len(p.overlay_images)
    args = scripts.PostProcessMaskOverlayArgs(i, p.mask_for_overlay, p.overlay_images[i] if there else None)
    if p.scripts is not None:
        p.scripts.postprocess_maskoverlay(p, args)
    if p.color_corrections is not None and i < len(p.color_corrections):
        image = apply_color_correction(p.color_corrections[i], image)
    image, original = apply_overlay(image, p.paste_to, args.overlay_image)
    image = hook("postprocess_image_after_composite", image)
    if standin.knobs.forge:
        p.pixels_after_sampling.append(image)
    if save:
        keep(image)
    texts.append(text())
    if opts.enable_pnginfo:
        image.info["parameters"] = texts[-1]
    results.append(image)
    if args.mask_for_overlay is None:
        return
    if opts.return_mask or opts.save_mask:
        mask = args.mask_for_overlay.convert("RGB")
        if save and opts.save_mask:
            keep(mask, "-mask")
        if opts.return_mask:
            results.append(mask)
    if opts.return_mask_composite or opts.save_mask_composite:
        mask = images.resize_image(2, args.mask_for_overlay, *image.size).convert("L")
        composite = Image.composite(
            original.convert("RGBA").convert("RGBa"), Image.new("RGBa", image.size), mask
        ).convert("RGBA")
        if save and opts.save_mask_composite:
            keep(composite, "-mask-composite")
        if opts.return_mask_composite:
            results.append(composite)


def _grid(p, results, texts):
    """:1117-1130: put before the images; the answer is the index of the first image."""
    if (
        not (opts.return_grid or opts.grid_save)
        or p.do_not_save_grid
        or (len(results) < 2 and opts.grid_only_if_multiple)
    ):
        return 0
    grid = images.image_grid(results, p.batch_size)
    text = create_infotext(
        p, p.prompts, p.seeds, p.subseeds, use_main_prompt=True, index=0, all_negative_prompts=p.negative_prompts
    )
    if opts.grid_save:
        images.save_image(
            grid,
            p.outpath_grids,
            "grid",
            p.all_seeds[0],
            p.all_prompts[0],
            opts.grid_format,
            info=text,
            short_filename=not opts.grid_extended_filename,
            p=p,
            grid=True,
        )
    if not opts.return_grid:
        return 0
    if opts.enable_pnginfo:
        grid.info["parameters"] = text
    results.insert(0, grid)
    texts.insert(0, text)
    return 1
