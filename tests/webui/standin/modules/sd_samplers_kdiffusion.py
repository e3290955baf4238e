"""Samplers of k-diffusion (sd_samplers_kdiffusion.py)."""

import inspect

import k_diffusion.sampling
import torch

from . import forge_backend, script_callbacks, sd_models, sd_samplers_common, shared, standin
from .sd_samplers_cfg_denoiser import CFGDenoiser

_CHURN = ["s_churn", "s_tmin", "s_tmax", "s_noise"]
sampler_extra_params = {"sample_euler": _CHURN, "sample_heun": _CHURN, "sample_dpmpp_sde": ["s_noise"]}
_NEO_EXTRA_PARAMS = {
    **sampler_extra_params, "sample_dpmpp_sde": ["eta", "s_noise", "r"], "sample_euler_ancestral": ["eta", "s_noise"],
}  # fmt: skip


class CFGDenoiserKDiffusion(CFGDenoiser):
    @property
    def inner_model(self):
        """:54: made when it is first asked for, this sampler's own."""
        if self.model_wrap is None:
            self.model_wrap = sd_models.Denoiser(shared.sd_model)
        return self.model_wrap


denoiser = CFGDenoiserKDiffusion  # the host's kind of it: see standin.become


class KDiffusionSampler(sd_samplers_common.Sampler):
    def __init__(self, funcname, sd_model, options=None):
        super().__init__(funcname)
        extra = _NEO_EXTRA_PARAMS if standin.knobs.neo else sampler_extra_params
        self.extra_params, self.options = extra.get(funcname, []), options or {}
        self.func = funcname if callable(funcname) else getattr(k_diffusion.sampling, funcname)
        self.model_wrap_cfg = denoiser(self)
        self.model_wrap = self.model_wrap_cfg.inner_model

    def get_sigmas(self, p, steps):
        """Evenly from the model's greatest to its least, then 0: schedules are not reproduced."""
        sigmas = self.model_wrap.sigmas
        return torch.cat([torch.linspace(float(sigmas[-1]), float(sigmas[0]), steps), torch.zeros(1)])

    def sample_img2img(
        self, p, x, noise, conditioning, unconditional_conditioning, steps=None, image_conditioning=None
    ):
        """:134-190"""
        if standin.knobs.forge:
            forge_backend.sampling_prepare(shared.sd_model.forge_objects.unet, x)
        steps, t_enc = sd_samplers_common.setup_img2img_steps(p, steps)
        sigmas = self.get_sigmas(p, steps)
        schedule = sigmas[steps - t_enc - 1 :]
        noisy = x + noise * schedule[0]
        extra = shared.opts.img2img_extra_noise
        if extra > 0:
            p.extra_generation_params["Extra noise"] = extra
            params = script_callbacks.ExtraNoiseParams(noise, x, noisy)
            script_callbacks.extra_noise_callback(params)
            noise = params.noise
            noisy = noisy + noise * extra
        given = self.initialize(p)
        takes = inspect.signature(self.func).parameters
        if "sigmas" in takes:
            given["sigmas"] = schedule
        if self.config.options.get("brownian_noise", False):
            given["noise_sampler"] = self.create_noise_sampler(x, sigmas, p)
        self.model_wrap_cfg.init_latent = self.last_latent = x
        self.sampler_extra_args = {
            "cond": conditioning, "image_cond": image_conditioning, "uncond": unconditional_conditioning,
            "cond_scale": p.cfg_scale, "s_min_uncond": self.s_min_uncond,
        }  # fmt: skip
        shared.sd_model.paint(p, x, noise)
        sd_samplers_common.remember(p, noise, t_enc + 1)

        def run():
            return self.func(
                self.model_wrap_cfg, noisy, extra_args=self.sampler_extra_args, disable=False,
                callback=self.callback_state, **given,
            )  # fmt: skip

        return self.launch_sampling(t_enc + 1, run)


samplers_data_k_diffusion = [
    sd_samplers_common.SamplerData(name, lambda model, of=of: KDiffusionSampler(of, model), [alias], options)
    for name, of, alias, options in (
        ("DPM++ 2M", "sample_dpmpp_2m", "k_dpmpp_2m", {"scheduler": "karras"}),
        ("DPM++ SDE", "sample_dpmpp_sde", "k_dpmpp_sde",
         {"scheduler": "karras", "second_order": True, "brownian_noise": True}),
        ("Euler a", "sample_euler_ancestral", "k_euler_a", {"uses_ensd": True}),
        ("Euler", "sample_euler", "k_euler", {}),
        ("Heun", "sample_heun", "k_heun", {"second_order": True}),
    )  # fmt: skip
]
