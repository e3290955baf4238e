"""Results and their texts: Processed and create_infotext of processing.py."""

import json

from . import devices, errors, infotext_utils, shared, standin
from .shared import opts, state


def program_version():
    return "v1.10.1"


def create_infotext(
    p,
    all_prompts,
    all_seeds,
    all_subseeds,
    comments=None,
    iteration=0,
    position_in_batch=0,
    use_main_prompt=False,
    index=None,
    all_negative_prompts=None,
):
    """processing.py:705-816: p.extra_generation_params may hold strings, lists (one entry an image) and functions."""
    if use_main_prompt:
        index = 0
    elif index is None:
        index = position_in_batch + iteration * p.batch_size
    negatives = p.all_negative_prompts if all_negative_prompts is None else all_negative_prompts
    ratio = p.get_token_merging_ratio()
    values = {
        "Steps": p.steps,
        "Sampler": p.sampler_name,
        "Schedule type": getattr(p, "scheduler", None),
        "CFG scale": p.cfg_scale,
        "Image CFG scale": getattr(p, "image_cfg_scale", None),
        "Seed": p.all_seeds[0] if use_main_prompt else all_seeds[index],
        "Face restoration": opts.face_restoration_model if p.restore_faces else None,
        "Size": f"{p.width}x{p.height}",
        "Model hash": p.sd_model_hash if opts.add_model_hash_to_info else None,
        "Model": p.sd_model_name if opts.add_model_name_to_info else None,
        "Variation seed": all_subseeds[index] if p.subseed_strength else None,
        "Variation seed strength": p.subseed_strength or None,
        "Denoising strength": p.extra_generation_params.get("Denoising strength"),
        "Clip skip": opts.CLIP_stop_at_last_layers if opts.CLIP_stop_at_last_layers > 1 else None,
        "Token merging ratio": ratio or None,
        "RNG": opts.randn_source if opts.randn_source != "GPU" else None,
        "Tiling": "True" if p.tiling else None,
        **p.extra_generation_params,
        "Version": program_version() if opts.add_version_to_infotext else None,
    }
    for key, value in values.items():
        try:
            if isinstance(value, list):
                values[key] = value[index]
            elif callable(value):
                values[key] = value(**locals())
        except Exception:  # noqa: BLE001  processing.py:808: any error leaves the value out
            errors.report(f'Error creating infotext for key "{key}"', exc_info=True)
            values[key] = None
    prompt = p.main_prompt if use_main_prompt else all_prompts[index]
    negative = p.main_negative_prompt if use_main_prompt else negatives[index]
    line = ", ".join(k if k == v else f"{k}: {infotext_utils.quote(v)}" for k, v in values.items() if v is not None)
    return f"{prompt}{f'{chr(10)}Negative prompt: {negative}' if negative else ''}\n{line}".strip()


def _first(value):
    return value[0] if isinstance(value, list) else value


class Processed:
    """processing.py:516-571"""

    _COPIED = """
        subseed_strength width height sampler_name cfg_scale steps batch_size restore_faces sd_model_name
        sd_model_hash sd_vae_name sd_vae_hash seed_resize_from_w seed_resize_from_h extra_generation_params
        styles eta ddim_discretize s_churn s_tmin s_tmax s_noise s_min_uncond sampler_noise_scheduler_override
        is_using_inpainting_conditioning
    """.split()  # noqa: SIM905
    _IN_JS = """
        all_prompts all_negative_prompts seed all_seeds subseed all_subseeds subseed_strength width height
        sampler_name cfg_scale steps batch_size restore_faces face_restoration_model sd_model_name sd_model_hash
        sd_vae_name sd_vae_hash seed_resize_from_w seed_resize_from_h denoising_strength extra_generation_params
        index_of_first_image infotexts styles job_timestamp clip_skip is_using_inpainting_conditioning version
    """.split()  # noqa: SIM905

    def __init__(
        self,
        p,
        images_list,
        seed=-1,
        info="",
        subseed=None,
        all_prompts=None,
        all_negative_prompts=None,
        all_seeds=None,
        all_subseeds=None,
        index_of_first_image=0,
        infotexts=None,
        comments="",
    ):
        for name in self._COPIED:
            setattr(self, name, getattr(p, name))
        self.images, self.info, self.index_of_first_image = images_list, info, index_of_first_image
        self.comments = "".join(f"{comment}\n" for comment in p.comments)
        self.prompt, self.negative_prompt = _first(p.prompt), _first(p.negative_prompt)
        self.seed, self.subseed = (-1 if x is None else int(_first(x)) for x in (seed, subseed))
        self.denoising_strength = getattr(p, "denoising_strength", None)
        self.image_cfg_scale = getattr(p, "image_cfg_scale", None)
        self.face_restoration_model = opts.face_restoration_model if p.restore_faces else None
        self.token_merging_ratio, self.token_merging_ratio_hr = p.token_merging_ratio, p.token_merging_ratio_hr
        self.job_timestamp, self.clip_skip, self.version = (
            state.job_timestamp,
            opts.CLIP_stop_at_last_layers,
            program_version(),
        )
        self.all_prompts = all_prompts or p.all_prompts or [self.prompt]
        self.all_negative_prompts = all_negative_prompts or p.all_negative_prompts or [self.negative_prompt]
        self.all_seeds = all_seeds or p.all_seeds or [self.seed]
        self.all_subseeds = all_subseeds or p.all_subseeds or [self.subseed]
        self.infotexts = infotexts or [info] * len(images_list)
        if standin.knobs.forge:
            self.extra_images = []  # process_images gives it p's (Forge processing.py:1152)

    def js(self):
        """processing.py:571: what the API returns as `info`; anything that is not JSON becomes null."""
        values = {"prompt": self.all_prompts[0], "negative_prompt": self.all_negative_prompts[0]}
        return json.dumps({**values, **{name: getattr(self, name) for name in self._IN_JS}}, default=lambda value: None)

    def infotext(self, p, index):
        from . import processing  # its names are the ones that are patched

        return processing.create_infotext(
            p,
            self.all_prompts,
            self.all_seeds,
            self.all_subseeds,
            comments=[],
            position_in_batch=index % self.batch_size,
            iteration=index // self.batch_size,
        )

    def get_token_merging_ratio(self, for_hr=False):
        return self.token_merging_ratio_hr if for_hr else self.token_merging_ratio


def decode_latent_batch(model, batch, target_device=None, check_for_nans=False):
    """processing.py:625: one picture after the other; Forge decodes the batch at once. The detail of each picture is
    the model's.
    """
    if check_for_nans:
        devices.test_for_nans(batch, "unet")
    samples = DecodedSamples(model.decode(batch))
    return samples


class DecodedSamples(list):
    already_decoded = True


def get_model_names(p):
    """processing.py:890-893"""
    info = shared.sd_model.sd_checkpoint_info
    p.sd_model_name, p.sd_model_hash, p.sd_vae_name, p.sd_vae_hash = (
        info.name_for_extra,
        shared.sd_model.sd_model_hash,
        None,
        None,
    )
