"""What all samplers share (sd_samplers_common.py): who draws noise, when, and through what."""

import inspect
from collections import namedtuple

import k_diffusion.sampling
import torch
from PIL import Image

from . import shared, standin


class SamplerData(namedtuple("SamplerData", ["name", "constructor", "aliases", "options"])):
    def total_steps(self, steps):
        return steps * 2 if self.options.get("second_order", False) else steps


class InterruptedException(BaseException):
    pass


def setup_img2img_steps(p, steps=None):
    """:22-31: steps of the schedule, and how many of them img2img runs less one."""
    strength = min(p.denoising_strength, 0.999)
    if shared.opts.img2img_fix_steps or steps is not None:
        wanted = steps or p.steps
        return (int(wanted / strength) if strength > 0 else 0), wanted - 1
    return p.steps, int(strength * p.steps)


def images_tensor_to_samples(image, approximation=None, model=None):
    """:87: pictures of 0..1 to latents."""
    return (model or shared.sd_model).encode(image)


def decode_first_stage(model, x):
    return model.decode(x)


def sample_to_image(samples, index=0, approximation=None):
    pixels = (shared.sd_model.preview(samples[index : index + 1])[0].clamp(-1, 1) + 1) / 2 * 255
    return Image.fromarray(pixels.movedim(0, 2).byte().numpy())


def store_latent(decoded):
    """:140: the preview comes from here."""
    shared.state.current_latent = decoded


class TorchHijack:
    """:205-226: the step noise is p.rng's, as p.rng is when the sampler is initialised; all else is torch's."""

    def __init__(self, p):
        self.rng = p.rng

    def __getattr__(self, item):
        return getattr(torch, item)

    def randn_like(self, x):
        return self.rng.next()


class Sampler:
    """One sampler of one call; its noise comes from p.rng or from create_noise_sampler and nowhere else."""

    def __init__(self, funcname):
        self.funcname = self.func = funcname
        self.extra_params, self.options, self.sampler_noises, self.stop_at = [], {}, None, None
        self.p = self.config = self.last_latent = self.model_wrap_cfg = self.sampler_extra_args = None
        self.eta, self.s_min_uncond, self.s_churn, self.s_tmin, self.s_noise = None, None, 0.0, 0.0, 1.0
        self.s_tmax, self.eta_default, self.eta_option_field, self.eta_infotext_field = (
            float("inf"), 1.0, "eta_ancestral", "Eta",
        )  # fmt: skip
        self.conditioning_key = getattr(getattr(shared.sd_model, "model", None), "conditioning_key", "crossattn")

    def callback_state(self, d):
        if self.stop_at is not None and d["i"] > self.stop_at:
            raise InterruptedException
        shared.state.sampling_step = d["i"]
        shared.total_tqdm.update()

    def launch_sampling(self, steps, func):
        """:265: stopped in the middle, the answer is what there is."""
        self.model_wrap_cfg.steps, self.model_wrap_cfg.total_steps = steps, self.config.total_steps(steps)
        shared.state.sampling_steps, shared.state.sampling_step = steps, 0
        try:
            return func()
        except InterruptedException:
            return self.last_latent

    def initialize(self, p):
        """:286-332: the noise of this call, and what the sampler's function takes of p and of the settings."""
        cfg, opts, takes = self.model_wrap_cfg, shared.opts, inspect.signature(self.func).parameters
        self.p = cfg.p = p
        cfg.mask, cfg.nmask, cfg.step = getattr(p, "mask", None), getattr(p, "nmask", None), 0
        cfg.image_cfg_scale = getattr(p, "image_cfg_scale", None)
        self.eta = getattr(opts, self.eta_option_field, 0.0) if p.eta is None else p.eta
        self.s_min_uncond = getattr(p, "s_min_uncond", 0.0)
        k_diffusion.sampling.torch = TorchHijack(p)
        given = {name: getattr(p, name) for name in self.extra_params if hasattr(p, name) and name in takes}
        if "eta" in takes:
            given["eta"] = self.eta
            if self.eta != self.eta_default:
                p.extra_generation_params[self.eta_infotext_field] = self.eta
        # The settings, not p's own values (:310-331): an attribute that settings always have
        for name, label in (("s_churn", "churn"), ("s_tmin", "tmin"), ("s_tmax", "tmax"), ("s_noise", "noise")):
            value = getattr(opts, name)
            value = (value or self.s_tmax) if name == "s_tmax" else value
            if name in given and value != getattr(self, name):
                given[name] = value
                setattr(p, name, value)
                p.extra_generation_params[f"Sigma {label}"] = value
        return given

    def create_noise_sampler(self, x, sigmas, p):
        """:334: seeded by p.all_seeds, not by p.rng."""
        if shared.opts.no_dpmpp_sde_batch_determinism:
            return None
        seeds = p.all_seeds[p.iteration * p.batch_size : (p.iteration + 1) * p.batch_size]
        return k_diffusion.sampling.BrownianTreeNoiseSampler(x, sigmas[sigmas > 0].min(), sigmas.max(), seed=seeds)

    def sample_img2img(
        self, p, x, noise, conditioning, unconditional_conditioning, steps=None, image_conditioning=None
    ):
        raise NotImplementedError


def remember(p, noise, steps):
    """One batch, into the log of a test."""
    standin.log.calls.append(
        standin.Call(
            seeds=list(p.seeds), prompts=list(p.prompts), denoise=p.denoising_strength, size=(p.width, p.height),
            sampler=p.sampler_name, noise=noise.clone(), images=shared.sd_model.encoded(),
            job_no=shared.state.job_no, steps=steps,
        )  # fmt: skip
    )
