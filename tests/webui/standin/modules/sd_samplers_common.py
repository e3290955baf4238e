"""Samplers (sd_samplers_common.py, sd_samplers_kdiffusion.py): who draws noise, when, and through what."""

import torch
from PIL import Image

from . import devices, script_callbacks, sd_models, shared, standin


class InterruptedException(BaseException):
    pass


def setup_img2img_steps(p, steps=None):
    """sd_samplers_common.py:22-31: steps of the schedule, and how many of them img2img runs less one."""
    strength = min(p.denoising_strength, 0.999)
    if shared.opts.img2img_fix_steps or steps is not None:
        wanted = steps or p.steps
        return (int(wanted / strength) if strength > 0 else 0), wanted - 1
    return p.steps, int(strength * p.steps)


def images_tensor_to_samples(image, approximation=None, model=None):
    """sd_samplers_common.py:87: pictures of 0..1 to latents."""
    return (model or shared.sd_model).encode(image)


def decode_first_stage(model, x):
    return model.decode(x)


def sample_to_image(samples, index=0, approximation=None):
    pixels = (shared.sd_model.decode(samples[index : index + 1])[0].clamp(-1, 1) + 1) / 2 * 255
    return Image.fromarray(pixels.movedim(0, 2).byte().numpy())


def store_latent(decoded):
    shared.state.current_latent = decoded


class TorchHijack:
    """sd_samplers_common.py:205-226: the step noise is p.rng's, as p.rng is when the sampler is initialised."""

    def __init__(self, p):
        self.rng = p.rng

    def randn_like(self, x):
        return self.rng.next()


class BrownianTreeNoiseSampler:
    """Noise of an interval of sigmas, one seed an image (k_diffusion/sampling.py); here without the tree."""

    def __init__(self, x, sigma_min, sigma_max, seed=None, transform=lambda x: x):
        self.shape, self.seeds, self.transform = x.shape[1:], seed, transform

    def __call__(self, sigma, sigma_next):
        a, b = (int(torch.as_tensor(self.transform(s)) * 1e6) for s in (sigma, sigma_next))
        draw = [torch.Generator().manual_seed(int(seed) * 1_000_003 + a * 7919 + b) for seed in self.seeds]
        return torch.stack([torch.randn(self.shape, generator=g) for g in draw])


class Sampler:
    """One sampler of one call; its noise comes from p.rng or from create_noise_sampler and nowhere else."""

    def __init__(self, funcname):
        self.funcname, self.p, self.config, self.last_latent = funcname, None, None, None
        self.eta, self.s_churn, self.s_tmin, self.s_tmax, self.s_noise, self.s_min_uncond = (
            None,
            0.0,
            0.0,
            float("inf"),
            1.0,
            None,
        )
        self.conditioning_key = shared.sd_model.model.conditioning_key
        self.torch = None

    def get_sigmas(self, p, steps):
        return torch.cat([torch.linspace(14.6, 0.03, steps), torch.zeros(1)])

    def initialize(self, p):
        """sd_samplers_common.py:286-296"""
        self.p, self.torch = p, TorchHijack(p)
        return {}

    def create_noise_sampler(self, x, sigmas, p):
        """sd_samplers_common.py:334: seeded by p.all_seeds, not by p.rng."""
        if shared.opts.no_dpmpp_sde_batch_determinism:
            return None
        seeds = p.all_seeds[p.iteration * p.batch_size : (p.iteration + 1) * p.batch_size]
        return BrownianTreeNoiseSampler(x, sigmas[sigmas > 0].min(), sigmas.max(), seed=seeds)

    def launch_sampling(self, steps, func):
        """sd_samplers_common.py:265: stopped in the middle, the answer is what there is."""
        shared.state.sampling_steps, shared.state.sampling_step = steps, 0
        try:
            return func()
        except InterruptedException:
            return self.last_latent

    def sample_img2img(
        self, p, x, noise, conditioning, unconditional_conditioning, steps=None, image_conditioning=None
    ):
        """sd_samplers_kdiffusion.py:134-190. Here a step moves the latents by an equal part of the noise."""
        steps, t_enc = setup_img2img_steps(p, steps)
        sigmas = self.get_sigmas(p, steps)
        schedule = sigmas[steps - t_enc - 1 :]
        extra = shared.opts.img2img_extra_noise
        if extra > 0:
            p.extra_generation_params["Extra noise"] = extra
            params = script_callbacks.ExtraNoiseParams(noise, x, x + noise * schedule[0])
            script_callbacks.extra_noise_callback(params)
            noise = noise + params.noise * extra
        self.initialize(p)
        brownian = self.create_noise_sampler(x, sigmas, p) if self.config.noise == "brownian" else None
        if brownian is None:

            def brownian(sigma, sigma_next):
                return self.torch.randn_like(x)

        self.last_latent = x
        _remember(p, noise, t_enc + 1)
        return self.launch_sampling(t_enc + 1, lambda: self._run(p, x, noise, schedule, brownian))

    def _run(self, p, x, noise, schedule, brownian):
        knobs, count, drawn = standin.knobs, len(schedule) - 1, []
        target = p.denoising_strength * sd_models.levels(knobs.noise_gain) * _colour(noise)
        lift = sd_models.levels(knobs.seed_gain) * torch.tensor([seed % 8 for seed in p.seeds[: len(x)]]).reshape(
            -1, 1, 1, 1
        )
        for i in range(count):
            if shared.state.interrupted or shared.state.skipped:  # sd_samplers_cfg_denoiser.py:157
                raise InterruptedException
            shared.state.sampling_step = i
            shared.total_tqdm.update()
            store_latent(self.last_latent)
            last = float(schedule[i + 1]) == 0
            if self.config.noise == "brownian" and not last:
                middle = (schedule[i] * schedule[i + 1]).sqrt()
                drawn += [brownian(schedule[i], middle), brownian(schedule[i], schedule[i + 1])]
            elif self.config.noise == "every step" or (self.config.noise == "ancestral" and not last):
                drawn.append(self.torch.randn_like(x))
            step_noise = sum(drawn) / len(drawn) if drawn and knobs.step_gain else torch.zeros_like(x)
            moved = (
                target
                + sd_models.levels(knobs.step_gain) * p.denoising_strength * _colour(step_noise)
                + _colour(lift.expand_as(x))
            )
            self.last_latent = x + moved * ((i + 1) / count)
        return self.last_latent


def _colour(latents):
    """The three channels that show; the fourth stays as it is."""
    return torch.cat([latents[:, :3], torch.zeros_like(latents[:, :1])], 1).to(devices.dtype)


def _remember(p, noise, steps):
    images = shared.sd_model.encoded(len(noise))
    standin.log.calls.append(
        standin.Call(
            seeds=list(p.seeds),
            prompts=list(p.prompts),
            denoise=p.denoising_strength,
            size=(p.width, p.height),
            sampler=p.sampler_name,
            noise=noise.clone(),
            images=images,
            job_no=shared.state.job_no,
            steps=steps,
        )
    )
