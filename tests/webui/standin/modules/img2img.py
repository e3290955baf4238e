"""The Batch tab of img2img (img2img.py:20-149): one p for every file of a folder."""

from pathlib import Path

from PIL import UnidentifiedImageError

from . import images, processing, scripts, shared, standin
from .shared import state


def process_batch(
    p,
    input,
    output_dir,
    inpaint_mask_dir,
    args,
    to_scale=False,
    scale_by=1.0,
    use_png_info=False,
    png_info_props=None,
    png_info_dir=None,
):
    """Settings from PNG info and masks by name are not reproduced; one mask for all is."""
    processing.fix_seed(p)
    files = sorted(
        x for x in Path(input).iterdir() if x.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
    )
    masks = sorted(Path(inpaint_mask_dir).iterdir()) if inpaint_mask_dir else []
    state.job_count = len(files) * p.n_iter
    results, limit = None, shared.opts.img2img_batch_show_results_limit
    for i, image in enumerate(map(str, files)):
        state.job = f"{i + 1} out of {len(files)}"
        state.skipped = False
        if state.interrupted or state.stopping_generation:
            break
        try:
            img = images.fix_image(images.read(image))
        except UnidentifiedImageError as error:
            print(error)
            continue
        if to_scale:
            p.width, p.height = int(img.width * scale_by), int(img.height * scale_by)
        if standin.knobs.neo:  # Neo img2img.py:81: to whole steps of its "Resolution Step", before a script sees it
            img = images.resize_image(1, img, *(max(64, round(side / 64) * 64) for side in img.size))
        p.init_images = [img] * p.batch_size
        if masks:
            p.image_mask = images.read(masks[0])
        if output_dir:
            several = p.n_iter > 1 or p.batch_size > 1
            stem = Path(image).stem
            pattern = f"{stem}-[generation_number]" if several else stem
            p.outpath_samples = output_dir
            p.override_settings["save_to_dirs"] = False
            if not standin.knobs.forge:
                p.override_settings.update(
                    save_images_replace_action="Add number suffix", samples_filename_pattern=pattern
                )
            elif shared.opts.img2img_batch_use_original_name:  # Forge img2img.py:126
                p.override_settings["samples_filename_pattern"] = pattern
        done = scripts.scripts_img2img.run(p, *args)
        if done is None:
            p.override_settings.pop("save_images_replace_action", None)
            done = processing.process_images(p)
        if results is None:
            results = done
        elif limit < 0 or len(results.images) < limit:
            results.images.extend(done.images)
            results.infotexts.extend(done.infotexts)
    return results
