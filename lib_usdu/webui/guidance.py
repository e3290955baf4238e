"""What steers the denoiser: guidance that would cancel out is left out; Resemblance and strength maps hold its answers
to the canvas.

Guidance that cancels out is half of the model's work and changes nothing.

Guidance moves the model's answer away from the negative prompt's, towards the prompt's. Where both condition the model
alike, as two empty prompts do, the two answers are one, and the second need not be asked for.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..fused.overviews import Overviews, can_know, looked_at
from ..host import Batch
from ..run.overview import Overview
from ..run.resemblance import Hold, colours_of
from ..speed.denoiser import GUIDANCE_MODIFIERS, is_flow, network_of
from .environment import guidance_is_watched, needs_cross_attention_only, own_generators
from .overrides import temporarily
from .phases import rows_of
from .protocols import Processing, ProcessingModule


def only_the_prompts_guide() -> bool:
    """Whether the model's answers to prompt and negative prompt can differ by the prompts alone, where no ControlNet
    unit is on."""
    return needs_cross_attention_only() and not guidance_is_watched()


def same_conditioning(conditioning: Any, unconditional: Any) -> bool:
    """Whether a webui's prompt and negative prompt condition the model alike for each picture of a batch, in every
    step. The conditionings are as `p.sample` gets them (prompt_parser.py:136, 240); others are taken to differ.
    """
    try:
        prompts, negatives = list(conditioning.batch), list(unconditional)
        if len(prompts) != len(negatives):
            return False
        for parts, negative in zip(prompts, negatives):
            (part,) = parts  # several are joined by AND
            if part.weight != 1 or len(part.schedules) != len(negative):
                return False
            pairs = zip(part.schedules, negative)
            if not all(one.end_at_step == other.end_at_step and _equal(one.cond, other.cond) for one, other in pairs):
                return False
        return True
    except (AttributeError, TypeError, ValueError):
        return False


def _equal(first: Any, second: Any) -> bool:
    """Of tensors, or of SDXL's dicts of them."""
    import torch

    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    return isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor) and torch.equal(first, second)


@contextmanager
def unguided(tile_p: Processing, settings: MutableMapping[str, Any]) -> Iterator[None]:
    """The sampler asks once a step: the host can leave the negative prompt out below a noise level ("negative guidance
    minimum sigma", sd_samplers_cfg_denoiser.py:223), which is set above all of them.

    settings: the host's; put back afterwards.
    """
    tile_p.cfg_scale, tile_p.s_min_uncond = 1.0, math.inf
    try:
        with temporarily(settings, s_min_uncond_all=True):
            yield
    finally:
        for name in ("NGMS", "NGMS all steps"):  # not the person's settings
            tile_p.extra_generation_params.pop(name, None)


def _of_a_patcher(sample: Callable[..., Any]) -> Callable[..., Any]:
    """`sample_img2img` of the Forge family's samplers, for which guidance 1 means that the negative prompt is not asked
    about. By then extensions have had their hooks."""

    def sample_once(p: Any, x: Any, noise: Any, prompts: Any, negatives: Any, *args: Any, **kwargs: Any) -> Any:
        options, before = p.sd_model.forge_objects.unet.model_options, p.cfg_scale
        modified = guidance_is_watched() or any(options.get(name) for name in GUIDANCE_MODIFIERS)
        if not modified and same_conditioning(prompts, negatives):
            p.cfg_scale = 1.0
        try:
            return sample(p, x, noise, prompts, negatives, *args, **kwargs)
        finally:
            p.cfg_scale = before

    return sample_once


def without_idle_guidance(
    sample: Callable[..., Any], tile_p: Processing, settings: MutableMapping[str, Any]
) -> Callable[..., Any]:
    """`p.sample` that leaves guidance out where it would change nothing."""

    def sample_once(*args: Any, **kwargs: Any) -> Any:
        if hasattr(getattr(tile_p, "sd_model", None), "forge_objects"):
            tile_p.sampler.sample_img2img = _of_a_patcher(tile_p.sampler.sample_img2img)
            return sample(*args, **kwargs)
        own = getattr(tile_p, "s_min_uncond", None)  # None: this host cannot
        if own != 0 or not same_conditioning(kwargs.get("conditioning"), kwargs.get("unconditional_conditioning")):
            return sample(*args, **kwargs)
        with unguided(tile_p, settings):
            return sample(*args, **kwargs)

    return sample_once


def hold_steps(sampler: Any, sd_model: Any, hold: Hold) -> None:
    """Every step of this sampler is held to the windows' own latents.

    The denoiser between sampler and model (sd_samplers_cfg_denoiser.py:156) is this sampler's own, made in `init` and
    gone with it. It answers with x0; for samplers by timesteps (DDIM, PLMS, UniPC) with the noise
    (sd_samplers_timesteps_impl.py:26).
    """
    denoiser = sampler.model_wrap_cfg
    forward = denoiser.forward
    by_timesteps = "timesteps" in inspect.signature(sampler.func).parameters
    flow = is_flow(sd_model)

    def held(x: Any, sigma: Any, *args: Any, **kwargs: Any) -> Any:
        answer = forward(x, sigma, *args, **kwargs)
        if not by_timesteps:
            return answer + hold.moved(answer, sigma[0] if flow else sigma[0] / (1 + sigma[0]))
        kept = denoiser.inner_model.inner_model.alphas_cumprod.to(x)[sigma.long()].reshape(-1, *[1] * (x.ndim - 1))
        signal, noise = kept.sqrt(), (1 - kept).sqrt()
        x0 = (x - noise * answer) / signal
        share = (noise / (noise + signal)).flatten()[0]
        return answer - signal / noise * hold.moved(x0, share)

    denoiser.forward = held


@contextmanager
def overviews_known(
    processing: ProcessingModule, tile_p: Processing, known: Overviews, batch: Batch
) -> Iterator[None]:
    """While inside, the network knows the overviews of a batch's windows, from the sampler's first step on: then it
    looks at those it has not seen, as it will see the windows. Windows may come in parts, in their order.

    processing: the host's module, whose encoder makes their latents now, while it is where it works.
    """
    import torch

    model, denoiser = tile_p.sd_model, tile_p.sampler.model_wrap_cfg
    network, forward = network_of(model), denoiser.forward
    conditioned = getattr(getattr(model, "model", None), "conditioning_key", "crossattn") != "crossattn"
    if not can_know(network) or is_flow(model) or conditioned:
        yield
        return
    latents, done, count = _latents_of(known.new(batch), processing, tile_p), 0, len(batch.tiles)
    by_timesteps = "timesteps" in inspect.signature(tile_p.sampler.func).parameters

    def look(at: int, x: Any, sigma: Any, others: Mapping[str, Any]) -> None:
        """At the overview of one of these windows, by its number among them."""
        overview = batch.overviews[done + at]
        level, signal, noise = _looked_under(denoiser, float(sigma[0]), by_timesteps=by_timesteps)
        drawn = torch.from_numpy(overview.noise.draw(0, x.shape[1]))[None].to(x)
        seen = signal * latents[overview.content].to(x) + noise * drawn
        step, one = denoiser.step, slice(at, at + 1)
        told = {name: rows_of(value, one, len(x)) for name, value in others.items()}
        forward(seen, torch.full_like(sigma[one], level), **told)
        denoiser.step = step
        getattr(denoiser, "usdu_anew", bool)()

    def told(x: Any, sigma: Any, **others: Any) -> Any:
        nonlocal done, learned
        prompts = getattr(others.get("cond"), "batch", ())
        if any(len(parts) > 1 for parts in prompts):  # joined by AND: rows of the network are not windows in order
            return forward(x, sigma, **others)
        if learned < count:
            learned += len(x)
            known.learn(batch, range(done, learned), lambda at: look(at - done, x, sigma, others))
        known.sees(done, len(x))
        done = (done + len(x)) % count
        return forward(x, sigma, **others)

    learned = 0
    denoiser.forward = told
    with known.put_in(network):
        yield


def _latents_of(overviews: Sequence[Overview], processing: ProcessingModule, tile_p: Processing) -> dict[str, Any]:
    import torch

    latents = {}
    with own_generators():
        for one in overviews:
            pixels = torch.from_numpy(np.moveaxis(one.picture.astype(np.float32) / 255, 2, 0)[None].copy())
            torch.manual_seed(one.noise.seed % 2**64)  # the encoder's own small noise
            latents[one.content] = processing.images_tensor_to_samples(pixels, None, tile_p.sd_model)
    return latents


def _looked_under(denoiser: Any, sigma: float, *, by_timesteps: bool) -> tuple[float, float, float]:
    """Where steps begin with this sigma: what a network looks under, in the sampler's own measure, and how much of the
    picture and of noise that is."""
    if not by_timesteps:
        share = looked_at(sigma / (1 + sigma))
        return share / (1 - share), 1.0, share / (1 - share)
    kept = denoiser.inner_model.inner_model.alphas_cumprod.double().cpu()
    shares = (1 - kept).sqrt() / ((1 - kept).sqrt() + kept.sqrt())
    time = int((shares - looked_at(float(shares[int(sigma)]))).abs().argmin())
    return float(time), float(kept[time]) ** 0.5, float(1 - kept[time]) ** 0.5


class Colours:
    """The directions of colour in the latents of a run's model (`held_to`): found once, in the first call, while the
    autoencoder is where it works.

    encode: the host's function for pictures of 0 to 1, float32 (n, 3, h, w). The small noise of its autoencoder is
    that of one seed.
    """

    def __init__(self, encode: Callable[..., Any]):
        self._encode, self._found = encode, None

    def of(self, sd_model: Any) -> Any:
        """float32 (channels, channels)."""
        import torch

        def latents(plain: Any) -> Any:
            pictures = torch.from_numpy(plain).permute(0, 3, 1, 2).float() / 255
            return torch.cat([self._encode(one[None], None, sd_model) for one in pictures])

        if self._found is None:
            with own_generators():
                torch.manual_seed(0)
                self._found = colours_of(latents)
        return self._found
