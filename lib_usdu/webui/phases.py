"""One call of the webui for several tiles, in phases: all windows are encoded, then all are sampled, then all decoded.

For the host, its sampler and the noise they are one batch; only the models see a few at a time, so that the result is
that of few tiles a call. A webui that moves each model to the card when it is needed (A1111's --medvram, the Forge
family always) moves it once for all of them. File:line: AUTOMATIC1111 v1.10.1.
"""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ..errors import OptionError, plural
from ..geometry import Canvas
from ..host import Batch
from ..speed.autoencoder import quicker
from ..speed.in_place import in_place_of
from ..speed.schedule import EXACT
from .protocols import Processing, ProcessingModule, SdModel

BARE_NOISE = 0.1
"""Noise on latents, whose own standard deviation is about 1, that is seen. At strength 0 DDIM leaves 0.04."""


@dataclass
class Phases:
    """How far a call has come."""

    sampled: bool = False
    """Every window has had all of its steps: what is decoded after that is finished, whoever stops the run then."""
    decoded: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    """What the host's autoencoder made of them, (3, height, width) each, levels -1 to 1."""

    def in_full(self, pictures: Sequence[Any], canvas: Canvas) -> np.ndarray:
        """The call's pictures, Pillow's or uint8 (height, width, 3), as (n, height, width, 3): float32, with the
        fractions of levels that the host cuts off when it makes them (processing.py:1035), half a level brighter in the
        mean, to be rounded once where all tiles have come together. uint8, as they are, where anything has changed them
        after they were decoded, and where one window is the canvas: that is plain img2img, to the bit."""
        windows = np.stack([np.asarray(one.convert("RGB")) if hasattr(one, "convert") else one for one in pictures])
        alone = windows.shape[1] >= canvas.height and windows.shape[2] >= canvas.width
        if alone or len(self.decoded) != len(windows):
            return windows
        found = np.empty(windows.shape, np.float32)
        for window, decoded, levels in zip(windows, self.decoded, found):
            if window.shape != (*decoded.shape[1:], 3):
                return windows
            for colour, plane in enumerate(decoded):
                levels[..., colour] = plane.numpy()
            # The host's own arithmetic: anything else could fall to another level. In place, in the order of a
            # picture: fresh memory and strides take longer than the arithmetic.
            torch.from_numpy(levels).add_(1.0).div_(2.0).clamp_(0.0, 1.0).mul_(255.0)
            if not np.array_equal(levels.astype(np.uint8), window):
                return windows
        return found


@contextmanager
def in_phases(
    processing: ProcessingModule,
    tile_p: Processing,
    batch: Batch,
    stopped: Callable[[], bool] = bool,
    step: Callable[[], object] = bool,
    knowing: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Phases]:
    """A call of the host for `tile_p` in this context goes in phases.

    processing: the host's module. batch: the windows of the call. stopped: whether the host's sampler ends early, with
    latents half done. step: called before each step of a call that goes in parts. knowing: makes the
    context of the sampler's steps, before they go in parts.
    """
    sample, phases = tile_p.sample, Phases()
    seeds, together = [noise.seed % 2**64 for noise in batch.noises], batch.together  # seeds: of the encoder's noise

    def sample_in_parts(*args: Any, **kwargs: Any) -> Any:
        count = len(tile_p.init_latent)
        with knowing():
            if together >= count:
                return sample(*args, **kwargs)
            with room_for(tile_p.sd_model, lambda shape: [math.ceil(shape[0] * together / count), *shape[1:]]) as begin:
                _step_in_parts(tile_p.sampler, count, together, lambda: (begin(), step()))
                return sample(*args, **kwargs)

    def sample_to_the_end(*args: Any, **kwargs: Any) -> Any:
        latents = sample_in_parts(*args, **kwargs)
        refuse_bare_noise(tile_p, latents)
        phases.sampled = not stopped()
        return latents

    tile_p.sample = sample_to_the_end
    own = vars(processing)
    coders = {name: wrap(own[name], seeds, together) for name, wrap in _CODERS.items() if name in own}
    if _DECODER in coders:
        coders[_DECODER] = _kept(coders[_DECODER], phases)
    with in_place_of(processing, **coders), coder_at(batch.speed, tile_p.sd_model):
        yield phases


def refuse_bare_noise(tile_p: Processing, latents: torch.Tensor) -> None:
    """Raises OptionError where the sampler has put noise on the picture and has not once asked the model: DDIM, PLMS
    and their kin do where there is one step (sd_samplers_timesteps_impl.py:24)."""
    before = tile_p.init_latent
    asked = getattr(getattr(tile_p.sampler, "model_wrap_cfg", None), "step", 1)
    if asked or before is None or before.shape != latents.shape:
        return
    if float((latents.float() - before.to(latents.device).float()).std()) > BARE_NOISE:
        few = f"it takes none of {plural(tile_p.steps, 'step')} at denoising strength {tile_p.denoising_strength:g}"
        sentence = f"{tile_p.sampler_name} would leave its noise in the picture: {few}; more steps or Euler do not"
        raise OptionError("sampler_name", str(tile_p.sampler_name), "", sentence)


def coder_at(speed: str, sd_model: SdModel) -> AbstractContextManager[None]:
    """While inside, the host's autoencoder is as quick as this value of the option `speed` allows."""
    if speed == EXACT:
        return nullcontext()
    owner = getattr(getattr(sd_model, "forge_objects", None), "vae", sd_model)
    return quicker(getattr(owner, "first_stage_model", None))


def _encoding_alone(encode: Callable[..., Any], seeds: Sequence[int], _together: int) -> Callable[..., Any]:
    """Each window from its own seed, whatever batch it is in. The host encodes one by one with noise of the global
    generator (sd_samplers_common.py:102, DiagonalGaussianDistribution.sample): a window's would depend on those before
    it.
    """

    def one_by_one(image: Any, *args: Any, **kwargs: Any) -> Any:
        latents = []
        with asked_once():
            for i in range(len(image)):
                torch.manual_seed(seeds[i % len(seeds)])
                latents.append(encode(image[i : i + 1], *args, **kwargs))
        return torch.cat(latents)

    return one_by_one


def _decoding_in_parts(decode: Callable[..., Any], _seeds: Sequence[int], together: int) -> Callable[..., Any]:
    """`decode_latent_batch` (processing.py:625). Forge decodes what it is given at once."""

    def in_parts(model: Any, latents: Any, *args: Any, **kwargs: Any) -> Any:
        if len(latents) <= together:
            return decode(model, latents, *args, **kwargs)
        with asked_once():
            parts = [decode(model, latents[at], *args, **kwargs) for at in _parts(len(latents), together)]
        decoded = parts[0]  # a list of the host's own kind
        for part in parts[1:]:
            decoded.extend(part)
        return decoded

    return in_parts


def _kept(decode: Callable[..., Any], phases: Phases) -> Callable[..., Any]:
    """`decode_latent_batch`, whose pictures are looked at again when the call is over."""

    def decoded(*args: Any, **kwargs: Any) -> Any:
        pictures = decode(*args, **kwargs)
        # Of video models, one frame.
        phases.decoded = [one.reshape(-1, *one.shape[-2:]).float().cpu() for one in pictures]
        return pictures

    return decoded


_DECODER = "decode_latent_batch"
_CODERS = {"images_tensor_to_samples": _encoding_alone, _DECODER: _decoding_in_parts}


def _step_in_parts(sampler: Any, count: int, together: int, begin: Callable[[], Any]) -> None:
    """The sampler's steps ask the model for so many of its `count` pictures at a time. begin: called before each step.

    Its denoiser (sd_samplers_cfg_denoiser.py:156) sees what it would in a call for those alone: latents, sigmas and the
    conditionings of each. The denoiser is this sampler's own, made in `init` and gone with it.
    """
    denoiser = sampler.model_wrap_cfg
    forward = denoiser.forward

    def in_parts(x: Any, sigma: Any, **others: Any) -> Any:
        if len(x) != count:
            return forward(x, sigma, **others)
        begin()
        step, answers, noises = denoiser.step, [], []
        for at in _parts(count, together):
            denoiser.step = step  # each call counts one
            answers.append(forward(x[at], sigma[at], **{name: rows_of(one, at, count) for name, one in others.items()}))
            noises.append(getattr(denoiser, "last_noise_uncond", None))  # CFG++
        if all(isinstance(noise, torch.Tensor) for noise in noises):
            denoiser.last_noise_uncond = torch.cat(noises)
        return torch.cat(answers)

    denoiser.forward = in_parts


def _parts(count: int, together: int) -> list[slice]:
    return [slice(start, start + together) for start in range(0, count, together)]


def rows_of(value: Any, at: slice, count: int) -> Any:
    """What belongs to some of the batch's `count` pictures; what is not theirs one by one stays as it is."""
    batch = getattr(value, "batch", None)
    if isinstance(batch, list) and len(batch) == count:  # MulticondLearnedConditioning (prompt_parser.py:240)
        part = copy.copy(value)
        part.batch, part.shape = batch[at], (len(batch[at]),)
        return part
    sliced = isinstance(value, list) or getattr(value, "ndim", 0) > 0
    if sliced and len(value) == count:
        return value[at]
    return value


@contextmanager
def room_for(sd_model: SdModel, seen: Callable[[Sequence[int]], list[int]]) -> Iterator[Callable[[], Any]]:
    """The Forge family makes room for all of a batch before it samples (sampling_function.py:365 of Neo), if need be by
    moving a part of the model out: here for what the model sees at a time.

    seen: from the shape of a batch of latents to that. Yields what is to be called where from then on the host asks for
    what there really is.
    """
    patcher = getattr(getattr(sd_model, "forge_objects", None), "unet", None)
    model: Any = getattr(patcher, "model", None)
    required = getattr(model, "memory_required", None)
    if required is None:
        yield lambda: None
        return

    def end() -> None:
        vars(model).pop("memory_required", None)

    # reForge is told of the conditions' shapes, too (ldm_patched/modules/samplers.py:272).
    model.memory_required = lambda input_shape, **others: required(input_shape=seen(input_shape), **others)
    try:
        yield end
    finally:
        end()


@contextmanager
def asked_once() -> Iterator[None]:
    """The Forge family asks for a model before each picture it encodes or decodes. In this context a request like the
    one before is not made again: the model is there, and as much room beside it (memory_management.py:616 of Neo)."""
    manager = _memory_manager()
    if manager is None:
        yield
        return
    load = manager.load_models_gpu
    last: list[Any] = []

    def load_others(models: Any, *args: Any, **kwargs: Any) -> Any:
        asked = [[id(model) for model in models], args, kwargs]
        if asked != last:
            load(models, *args, **kwargs)
            last[:] = asked

    manager.load_models_gpu = load_others
    try:
        yield
    finally:
        manager.load_models_gpu = load


def _memory_manager() -> Any:
    """The module by which the Forge family moves models to the card; None elsewhere. reForge and Classic branched off
    earlier and have it in another place."""
    for name in ("backend.memory_management", "ldm_patched.modules.model_management"):
        with suppress(ImportError):
            module = importlib.import_module(name)
            if hasattr(module, "load_models_gpu"):
                return module
    return None
