"""Samplers as functions of a denoiser: Euler and Heun (Karras et al. 2022), ancestral Euler, DPM-Solver++ (Lu et al.).

Our own writing. Names, parameters and the draws of each are the library's: a webui looks at the signatures, and
takes the noise of those without a `noise_sampler` by replacing this module's `torch` (sd_samplers_common.py:294).
"""

import torch

draws_in_vain = True
"""Euler and Heun draw in every step, whether they use it or not; Neo's draw where they do."""


def _gamma(sigma, steps, s_churn, s_tmin, s_tmax):
    return min(s_churn / steps, 2**0.5 - 1) if s_tmin <= sigma <= s_tmax else 0.0


def _churned(x, sigma, steps, s_churn, s_tmin, s_tmax, s_noise):
    """x with a little noise more, and its sigma then."""
    sigma_hat = sigma * (_gamma(sigma, steps, s_churn, s_tmin, s_tmax) + 1)
    eps = torch.randn_like(x) * s_noise if draws_in_vain or sigma_hat > sigma else 0
    return (x + eps * (sigma_hat**2 - sigma**2) ** 0.5 if sigma_hat > sigma else x), sigma_hat


def _ancestral(sigma, sigma_next, eta):
    """How far a step goes down and how much noise comes back: two sigmas whose squares sum to that of `sigma_next`."""
    up = min(sigma_next, eta * (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2) ** 0.5)
    return (sigma_next**2 - up**2) ** 0.5, up


class _Steps:
    """The model asked at a sigma, and the callback told of it."""

    def __init__(self, model, x, sigmas, extra_args, callback):
        self.model, self.sigmas, self.args, self.callback = model, sigmas, extra_args or {}, callback
        self.ones = x.new_ones([len(x)])

    def __iter__(self):
        yield from enumerate(zip(self.sigmas[:-1], self.sigmas[1:]))

    def ask(self, x, sigma, i=None):
        denoised = self.model(x, sigma * self.ones, **self.args)
        if i is not None and self.callback is not None:
            self.callback({"x": x, "i": i, "sigma": self.sigmas[i], "sigma_hat": sigma, "denoised": denoised})
        return denoised


def sample_euler(model, x, sigmas, extra_args=None, callback=None, disable=None, s_churn=0.0, s_tmin=0.0,
                 s_tmax=float("inf"), s_noise=1.0):  # fmt: skip
    steps = _Steps(model, x, sigmas, extra_args, callback)
    for i, (sigma, sigma_next) in steps:
        x, sigma_hat = _churned(x, sigma, len(sigmas) - 1, s_churn, s_tmin, s_tmax, s_noise)
        denoised = steps.ask(x, sigma_hat, i)
        x = x + (x - denoised) / sigma_hat * (sigma_next - sigma_hat)
    return x


def sample_heun(model, x, sigmas, extra_args=None, callback=None, disable=None, s_churn=0.0, s_tmin=0.0,
                s_tmax=float("inf"), s_noise=1.0):  # fmt: skip
    steps = _Steps(model, x, sigmas, extra_args, callback)
    for i, (sigma, sigma_next) in steps:
        x, sigma_hat = _churned(x, sigma, len(sigmas) - 1, s_churn, s_tmin, s_tmax, s_noise)
        slope = (x - steps.ask(x, sigma_hat, i)) / sigma_hat
        ahead = x + slope * (sigma_next - sigma_hat)
        if sigma_next == 0:
            x = ahead
        else:
            slope_ahead = (ahead - steps.ask(ahead, sigma_next)) / sigma_next
            x = x + (slope + slope_ahead) / 2 * (sigma_next - sigma_hat)
    return x


def sample_euler_ancestral(
    model, x, sigmas, extra_args=None, callback=None, disable=None, eta=1.0, s_noise=1.0, noise_sampler=None
):
    noise_sampler = noise_sampler or (lambda sigma, sigma_next: torch.randn_like(x))
    steps = _Steps(model, x, sigmas, extra_args, callback)
    for i, (sigma, sigma_next) in steps:
        denoised = steps.ask(x, sigma, i)
        down, up = _ancestral(sigma, sigma_next, eta)
        x = x + (x - denoised) / sigma * (down - sigma)
        if sigma_next > 0:
            x = x + noise_sampler(sigma, sigma_next) * s_noise * up
    return x


def sample_dpmpp_2m(model, x, sigmas, extra_args=None, callback=None, disable=None):
    steps, before = _Steps(model, x, sigmas, extra_args, callback), None
    for i, (sigma, sigma_next) in steps:
        denoised = steps.ask(x, sigma, i)
        towards = denoised
        if before is not None and sigma_next > 0:
            ratio = (sigmas[i - 1] / sigma).log() / (sigma / sigma_next).log()
            towards = (1 + 1 / (2 * ratio)) * denoised - 1 / (2 * ratio) * before
        x = sigma_next / sigma * x + (1 - sigma_next / sigma) * towards
        before = denoised
    return x


def sample_dpmpp_sde(
    model, x, sigmas, extra_args=None, callback=None, disable=None, eta=1.0, s_noise=1.0, noise_sampler=None, r=0.5
):
    if noise_sampler is None:
        noise_sampler = BrownianTreeNoiseSampler(x, sigmas[sigmas > 0].min(), sigmas.max())
    steps = _Steps(model, x, sigmas, extra_args, callback)
    for i, (sigma, sigma_next) in steps:
        denoised = steps.ask(x, sigma, i)
        if sigma_next == 0:
            x = x + (x - denoised) / sigma * (sigma_next - sigma)
            continue
        middle = (sigma.log() * (1 - r) + sigma_next.log() * r).exp()
        down, up = _ancestral(sigma, middle, eta)
        halfway = down / sigma * x + (1 - down / sigma) * denoised + noise_sampler(sigma, middle) * s_noise * up
        there = steps.ask(halfway, middle)
        towards = (1 - 1 / (2 * r)) * denoised + 1 / (2 * r) * there
        down, up = _ancestral(sigma, sigma_next, eta)
        x = down / sigma * x + (1 - down / sigma) * towards + noise_sampler(sigma, sigma_next) * s_noise * up
    return x


class BrownianTreeNoiseSampler:
    """Noise of an interval of sigmas, one seed an image; here without the tree."""

    def __init__(self, x, sigma_min, sigma_max, seed=None, transform=lambda x: x):
        self.shape, self.seeds, self.transform = x.shape[1:], seed, transform

    def __call__(self, sigma, sigma_next):
        a, b = (int(torch.as_tensor(self.transform(s)) * 1e6) for s in (sigma, sigma_next))
        draw = [torch.Generator().manual_seed(int(seed) * 1_000_003 + a * 7919 + b) for seed in self.seeds]
        return torch.stack([torch.randn(self.shape, generator=g) for g in draw])
