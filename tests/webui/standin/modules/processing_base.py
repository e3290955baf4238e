"""StableDiffusionProcessing: the fields of a p and what does not depend on the kind of job (processing.py:150-513)."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from . import prompt_parser, sd_samplers, shared, standin
from .shared import opts, state


def unset(default=None):
    return field(default=default, init=False)


@dataclass(repr=False)
class StableDiffusionProcessing:
    sd_model: object = None
    outpath_samples: str = None
    outpath_grids: str = None
    prompt: str = ""
    prompt_for_display: str = None
    negative_prompt: str = ""
    styles: list[str] = None
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    seed_enable_extras: bool = True
    sampler_name: str = None
    scheduler: str = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool = None
    tiling: bool = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    extra_generation_params: dict[str, Any] = None
    overlay_images: list = None
    eta: float = None
    do_not_reload_embeddings: bool = False
    denoising_strength: float = None
    ddim_discretize: str = None
    s_min_uncond: float = None
    s_churn: float = None
    s_tmax: float = None
    s_tmin: float = None
    s_noise: float = None
    override_settings: dict[str, Any] = None
    override_settings_restore_afterwards: bool = True
    sampler_index: int = None
    refiner_checkpoint: str = None
    refiner_switch_at: float = None
    disable_extra_networks: bool = False
    firstpass_image: Any = None
    scripts_value: Any = unset()
    script_args_value: list = unset()
    scripts_setup_complete: bool = unset(False)
    comments: dict = None
    sampler: Any = unset()
    is_using_inpainting_conditioning: bool = unset(False)
    paste_to: tuple = unset()
    is_hr_pass: bool = unset(False)
    c: tuple = unset()
    uc: tuple = unset()
    rng: Any = unset()
    step_multiplier: int = unset(1)
    color_corrections: list = unset()
    all_prompts: list = unset()
    all_negative_prompts: list = unset()
    all_seeds: list = unset()
    all_subseeds: list = unset()
    iteration: int = unset(0)
    main_prompt: str = unset()
    main_negative_prompt: str = unset()
    prompts: list = unset()
    negative_prompts: list = unset()
    seeds: list = unset()
    subseeds: list = unset()
    extra_network_data: dict = unset()
    user: str = unset()
    sd_model_name: str = unset()
    sd_model_hash: str = unset()
    sd_vae_name: str = unset()
    sd_vae_hash: str = unset()
    is_api: bool = unset(False)

    cached_c = [None, None]  # noqa: RUF012  of the class, as there (:188)
    cached_uc = [None, None]  # noqa: RUF012
    token_merging_ratio = 0
    token_merging_ratio_hr = 0

    def __post_init__(self):
        """:228; an empty script_args is {}, not a list."""
        if self.sampler_index is not None:
            print("sampler_index does not do anything; use sampler_name", file=sys.stderr)
        self.comments = {}
        self.styles = self.styles or []
        self.sampler_noise_scheduler_override = self.refiner_checkpoint_info = None
        self.extra_generation_params = self.extra_generation_params or {}
        self.override_settings = self.override_settings or {}
        self.script_args = self.script_args or {}
        if not self.seed_enable_extras:
            self.subseed, self.subseed_strength, self.seed_resize_from_h, self.seed_resize_from_w = -1, 0, 0, 0
        if standin.knobs.forge:  # Forge processing.py:250-253: once per p, never again
            self.distilled_cfg_scale = self.hr_distilled_cfg = 3.5
            self.extra_result_images, self.latents_after_sampling, self.pixels_after_sampling = [], [], []
            self.modified_noise = None

    @property
    def sd_model(self):  # noqa: F811  a property in place of the field, as there (:261)
        return shared.sd_model

    @sd_model.setter
    def sd_model(self, value):
        """What is loaded is set elsewhere."""

    @property
    def scripts(self):
        return self.scripts_value

    @scripts.setter
    def scripts(self, value):
        self.scripts_value = value
        self._setup_scripts_once()

    @property
    def script_args(self):
        return self.script_args_value

    @script_args.setter
    def script_args(self, value):
        self.script_args_value = value
        self._setup_scripts_once()

    def _setup_scripts_once(self):
        """:270-297: with both set for the first time the setup hooks run; a copy of p has had its turn."""
        if self.scripts_value and self.script_args_value and not self.scripts_setup_complete:
            self.setup_scripts()

    def setup_scripts(self):
        self.scripts_setup_complete = True
        self.scripts.setup_scrips(self, is_ui=not self.is_api)

    def comment(self, text):
        self.comments[text] = 1

    def fill_fields_from_opts(self):
        """:254"""
        for name in ("s_min_uncond", "s_churn", "s_tmin", "s_tmax", "s_noise"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(opts, name))
        self.s_tmax = self.s_tmax or float("inf")

    def init(self, all_prompts, all_seeds, all_subseeds):
        pass

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        raise NotImplementedError

    def close(self):
        self.sampler = self.c = self.uc = None

    def get_token_merging_ratio(self, for_hr=False):
        return self.token_merging_ratio or opts.token_merging_ratio

    def setup_prompts(self):
        """:418-438: one prompt for every image of the job, or a list with one for each."""
        if isinstance(self.prompt, list):
            self.all_prompts = self.prompt
        elif isinstance(self.negative_prompt, list):
            self.all_prompts = [self.prompt] * len(self.negative_prompt)
        else:
            self.all_prompts = [self.prompt] * (self.batch_size * self.n_iter)
        negative = self.negative_prompt
        self.all_negative_prompts = negative if isinstance(negative, list) else [negative] * len(self.all_prompts)
        counts = len(self.all_prompts), len(self.all_negative_prompts)
        if counts[0] != counts[1]:
            raise RuntimeError(
                f"Received a different number of prompts ({counts[0]}) and negative prompts ({counts[1]})"
            )
        styles = shared.prompt_styles
        self.all_prompts = [styles.apply_styles_to_prompt(x, self.styles) for x in self.all_prompts]
        self.all_negative_prompts = [
            styles.apply_negative_styles_to_prompt(x, self.styles) for x in self.all_negative_prompts
        ]
        self.main_prompt, self.main_negative_prompt = self.all_prompts[0], self.all_negative_prompts[0]

    def cached_params(self, required_prompts, steps, extra_network_data, hires_steps=None, use_old_scheduling=False):
        """:440: what the conditionings depend on."""
        return (
            required_prompts, steps, hires_steps, use_old_scheduling, opts.CLIP_stop_at_last_layers,
            shared.sd_model.sd_checkpoint_info, extra_network_data, self.width, self.height,
            self.init_latent.numpy().tobytes() if standin.knobs.neo else None,  # Neo processing.py:429
        )  # fmt: skip

    def get_conds_with_caching(self, function, required_prompts, steps, caches, extra_network_data, hires_steps=None):
        """:461: the last conditionings are kept, by the class, until another prompt, size or model comes."""
        params = self.cached_params(required_prompts, steps, extra_network_data, hires_steps, opts.use_old_scheduling)
        for cache in caches:
            if cache[0] is not None and params == cache[0]:
                return cache[1]
        caches[0][1] = function(shared.sd_model, required_prompts, steps, hires_steps, opts.use_old_scheduling)
        caches[0][0] = params
        return caches[0][1]

    def setup_conds(self):
        """:493: schedules of the negative prompts; parts of the prompts with theirs."""
        prompts = prompt_parser.SdConditioning(self.prompts, width=self.width, height=self.height)
        negatives = prompt_parser.SdConditioning(
            self.negative_prompts, width=self.width, height=self.height, is_negative_prompt=True
        )
        config = sd_samplers.find_sampler_config(self.sampler_name)
        steps = config.total_steps(self.steps) if config else self.steps
        self.step_multiplier, self.firstpass_steps = steps // self.steps, steps
        if standin.knobs.forge and self.cfg_scale == 1:  # Forge processing.py:499
            self.uc = None
        else:
            self.uc = self.get_conds_with_caching(
                prompt_parser.get_learned_conditioning, negatives, steps, [self.cached_uc], self.extra_network_data
            )
        self.c = self.get_conds_with_caching(
            prompt_parser.get_multicond_learned_conditioning, prompts, steps, [self.cached_c], self.extra_network_data
        )

    def get_conds(self):
        return self.c, self.uc

    def parse_extra_network_prompts(self):
        """:507; nothing is taken out of a prompt here."""
        self.extra_network_data = {}

    def save_samples(self):
        """:511"""
        complete = opts.save_incomplete_images or not (state.interrupted or state.skipped)
        return opts.samples_save and not self.do_not_save_samples and complete
