"""A webui's denoiser at a pace: the object between sampler and model (sd_samplers_cfg_denoiser.py:40 of A1111).

It asks the model for the answer with the prompt and the one without, and moves from the second past the first. Here the
second is left out at most steps: how far it moved is what it was at the step before, in units of noise. File:line
references are to AUTOMATIC1111 v1.10.1.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from .in_place import in_place_of
from .resting import deep_parts
from .schedule import Levels, Paces

_BLOCK_PATCHES = (
    "input_block_patch", "input_block_patch_after_skip", "output_block_patch", "double_block", "single_block",
)  # fmt: skip
"""What extensions of the Forge family put between a network's blocks: it would find features of no channels there."""
_MODIFIERS = ("block_modifiers", "block_inner_modifiers", "patches_replace")
GUIDANCE_MODIFIERS = (
    "sampler_pre_cfg_function", "sampler_cfg_function", "sampler_post_cfg_function", "conditioning_modifiers",
)  # fmt: skip
"""What extensions of the Forge family add to the options of its patcher, and what then sees both answers."""


class PacedDenoiser:
    """One call's denoiser.

    sampler: the host's, made for this call. sd_model: the host's. settings: the host's, by name. deep: whether inner
    blocks may be left out. guidance: whether the answer without the prompt may. `note` says what could not be spared.
    """

    def __init__(
        self, sampler: Any, sd_model: Any, paces: Paces, settings: MutableMapping[str, Any], *, deep: bool,
        guidance: bool,
    ):  # fmt: skip
        self._denoiser, self._paces, self._settings = sampler.model_wrap_cfg, paces, settings
        self._levels: Levels | None = None
        self._sampler, self._guidance = sampler, guidance
        self._sd_model, self._forge = sd_model, getattr(sd_model, "forge_objects", None)
        self._by_timesteps = "timesteps" in inspect.signature(sampler.func).parameters
        self._network, self._options = network_of(sd_model), dict[str, Any]()
        self._names: Sequence[Hashable] | None = None  # of the rows of this call of the network
        self._deep, self._features = deep and deep_parts(self._network, paces.steady, self._rows) is not None, None
        self._moved: dict[int, tuple[torch.Tensor, float]] = {}  # by part: by how much, at which sigma
        self._part, self._seen, self._guided, self._sigma = 0, Counter[Hashable](), True, 0.0
        self.note = "" if self._deep or not deep else "this model has no inner blocks that can be left out"

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """While inside, the sampler's calls go through this; afterwards the host's objects are as they were."""
        denoiser = self._denoiser
        forward = denoiser.forward
        with ExitStack() as stack:
            stack.enter_context(in_place_of(denoiser, forward=self._paced(forward, stack), usdu_anew=self._anew))
            if self._forge is not None:
                sample = self._sampler.sample_img2img
                stack.enter_context(in_place_of(self._sampler, sample_img2img=self._heard(sample)))
            else:
                combine = self._combined(denoiser.combine_denoised)
                stack.enter_context(in_place_of(denoiser, combine_denoised=combine))
            yield

    def _told(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The network's: the Forge family tells it what is of whom, and it does not always tell its blocks."""

        def told_first(*args: Any, **told: Any) -> Any:
            self._options, self._names = told.get("transformer_options") or {}, None
            if self._options.get("skip_layers") and self._features is not None:
                self._features.whole = True  # an extension leaves out blocks, maybe the one that ours begin with
            return forward(*args, **told)

        return told_first

    def _begin(self, stack: ExitStack) -> Levels:
        """Before the first step: by now it is known whether the sampler draws noise in its steps (tile_call.py)."""
        pace = self._paces.of(getattr(self._sampler, "redraws_noise", lambda: True)())
        if self._deep:
            self._features = deep_parts(self._network, pace, self._rows)
        if self._features is not None:
            stack.enter_context(self._features.put_in())
            stack.enter_context(in_place_of(self._network, forward=self._told(self._network.forward)))
        return Levels(pace)

    def _paced(self, forward: Callable[..., Any], stack: ExitStack) -> Callable[..., Any]:
        """`forward` (x, sigma, **conditions): one step of the sampler. stack: what is put in goes out with it."""

        def paced(x: Any, sigma: Any, *args: Any, **told: Any) -> Any:
            self._sigma = float(sigma[0])
            self._levels = self._levels or self._begin(stack)
            step = self._levels.at(noise := self._noise())
            if self._features is not None:
                self._features.whole, self._features.noise = step.whole, noise
            self._part, self._seen = 0, Counter()
            self._guided = step.guided or not self._may_leave_out(told)
            if self._guided:
                return forward(x, sigma, *args, **told)
            if self._forge is not None:
                return forward(x, sigma, *args, **{**told, "cond_scale": 1.0})
            with _setting(self._settings, "s_min_uncond_all", True):
                answer = forward(x, sigma, *args, **{**told, "s_min_uncond": math.inf})
            for name in ("NGMS", "NGMS all steps"):  # not the person's settings
                self._denoiser.p.extra_generation_params.pop(name, None)
            return answer

        return paced

    def _may_leave_out(self, told: dict[str, Any]) -> bool:
        """Samplers of the CFG++ kind want the answer without the prompt itself."""
        if not self._guidance or getattr(self._denoiser, "need_last_noise_uncond", False):
            return False
        return bool(self._moved) and told.get("cond_scale", 1.0) > 1 and "s_min_uncond" in told

    def _combined(self, combine: Callable[..., Any]) -> Callable[..., Any]:
        """A1111's `combine_denoised` (line 72), once for each part of the batch; with a scale of 1 the answers of a
        step without guidance."""

        def combined(x_out: Any, conds_list: Any, uncond: Any, cond_scale: float, *more: Any) -> Any:
            answer = combine(x_out, conds_list, uncond, cond_scale, *more)
            if not self._guided:
                return self._moved_on(answer, self._sigma)
            if self._guidance and cond_scale != 1:
                plain = combine(x_out, conds_list, uncond, 1.0, *more)
                self._moved[self._part] = answer - plain, self._sigma
            self._next_part()
            return answer

        return combined

    def _heard(self, sample: Callable[..., Any]) -> Callable[..., Any]:
        """`sample_img2img` of the Forge family, whose patcher tells the answers after each part. By then the host has
        put its objects back, and extensions have wrapped them for this call."""

        def after(told: dict[str, Any]) -> Any:
            answer, sigma = told["denoised"], float(told["sigma"][0])
            if not self._guided:
                return self._moved_on(told["cond_denoised"], sigma)
            if self._guidance:
                self._moved[self._part] = answer - told["cond_denoised"], sigma
            self._next_part()
            return answer

        def sample_heard(p: Any, *args: Any, **kwargs: Any) -> Any:
            objects = p.sd_model.forge_objects
            before = objects.unet
            options = before.model_options
            self._guidance = self._guidance and not any(options.get(name) for name in GUIDANCE_MODIFIERS)
            objects.unet = before.clone()
            objects.unet.model_options["sampler_post_cfg_function"] = [
                *(options.get("sampler_post_cfg_function") or []), after,
            ]  # fmt: skip
            try:
                return sample(p, *args, **kwargs)
            finally:
                objects.unet = before

        return sample_heard

    def _moved_on(self, answer: torch.Tensor, sigma: float) -> torch.Tensor:
        """The answer with the prompt, moved as before: as far in units of noise, which in x0 is by sigma."""
        moved, then = self._moved[self._part]
        self._next_part()
        in_noise = self._by_timesteps and self._forge is None
        return answer + moved * (1.0 if in_noise or not then else sigma / then)

    def _next_part(self) -> None:
        """A batch may come in parts (webui/phases.py), in the same order at each step."""
        self._part, self._seen = self._part + 1, Counter()

    def _anew(self) -> None:
        """What the network has seen in this step was none of the batch (webui/guidance.py)."""
        self._part, self._seen, self._names = 0, Counter(), None

    def _rows(self, entering: torch.Tensor, told: Sequence[Any]) -> Sequence[Hashable] | None:
        """Forge says which rows are whose; A1111 has those with the prompt first, so that their numbers stay."""
        options = told[2] if len(told) > 2 and isinstance(told[2], dict) else self._options
        patches = options.get("patches") or {}
        if any(patches.get(name) for name in _BLOCK_PATCHES) or any(options.get(name) for name in _MODIFIERS):
            return None
        marks = options.get("cond_or_uncond", [0])
        if self._names is not None:  # a transformer asks for each of its two rows of blocks
            return self._names
        names: list[Hashable] = []
        for mark in marks:
            for _ in range(len(entering) // len(marks)):
                names.append((self._part, mark, self._seen[mark]))
                self._seen[mark] += 1
        self._names = names
        return names

    def _noise(self) -> float:
        """Of this step, over signal."""
        sigma = self._sigma
        if self._by_timesteps:
            kept = float(self._denoiser.inner_model.inner_model.alphas_cumprod[int(sigma)])
            return math.sqrt((1 - kept) / kept)
        return sigma / max(1 - sigma, 1e-6) if is_flow(self._sd_model) else sigma


def is_flow(sd_model: Any) -> bool:
    """Whether a webui's model has sigma noise + (1 - sigma) picture at sigma, as the Forge family's flow models do, and
    SD 3 of AUTOMATIC1111 (sd3_model.py:80)."""
    if hasattr(sd_model, "add_noise_to_latent"):
        return True
    unet = getattr(getattr(sd_model, "forge_objects", None), "unet", None)
    return getattr(getattr(getattr(unet, "model", None), "predictor", None), "prediction_type", None) == "const"


def network_of(sd_model: Any) -> Any:
    """The network that predicts, of A1111 or of the Forge family."""
    forge = getattr(sd_model, "forge_objects", None)
    model = forge.unet.model if forge is not None else getattr(sd_model, "model", None)
    return getattr(model, "diffusion_model", None)


@contextmanager
def _setting(settings: MutableMapping[str, Any], name: str, value: Any) -> Iterator[None]:
    had, before = name in settings, settings.get(name)
    settings[name] = value
    try:
        yield
    finally:
        if had:
            settings[name] = before
        else:
            del settings[name]
