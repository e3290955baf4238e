"""The checkpoint of the next call: loaded before the run, and what its kind means for tiles and batches.

Forge and Forge Neo load the checkpoint inside the first call. What `shared.sd_model` says before is the old one's
answer (sd_models.py:323 of Neo 2.26, `forge_model_reload`).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any
from weakref import ref

from ..batch_size import BatchLimits
from ..errors import ModelError
from ..geometry import Size
from ..latents import Latents
from ..noise_share import NoiseShare, of_webui, share_of
from ..options import Options
from ..plan import Plan
from ..run.memory_needs import SD, SIXTEEN, XL, Needs, windows_that_fit
from ..run.retry import one_line
from ..run.time_left import TimeLeft
from ..run.timings import FILE, Timings, Work, works
from ..run.timings import time_left as left_of_plan
from ..spacing import plain_flow, plain_webui
from .environment import devices, journal_folder, model_data, model_files, processing, samplers, shared
from .protocols import Processing

LARGE_TILE, SMALL_TILE = 1024, 512
_REFERENCES = ("kontext", "edit", "klein", "krea2", "wan")
"""Flags of Neo's `backend.args.dynamic_args`: these models take one picture or one reference a call."""
_FLOW_WORDS = ("flux", "chroma", "qwen", "z-image", "zit", "lumina", "sd3", "klein", "krea", "wan", "anima")
"""In presets and names of flow models."""
_SMALL_WORDS = ("sd", "sd1", "sd15", "")
"""Values of the setting `forge_preset` whose models draw in 512 px."""


def load_chosen_model(p: Processing) -> None:
    """Loads the checkpoint that the settings name, if it is not in memory. Raises ModelError where it cannot be loaded:
    whoever asks for it later would only have it tried again.

    p: the person's; it is not changed. Forge's own function also forgets prompts that another model encoded.
    """
    manage = getattr(processing, "manage_model_and_prompt_cache", None)
    reason: BaseException | None = None
    try:
        if manage is not None:
            manage(copy.copy(p))
        elif shared.sd_model is not None:  # loaded when first asked for
            return
        else:
            reason = ModelError("the webui's console says why")  # sd_models.py:696
    except Exception as error:
        reason = error
    if reason is not None:
        raise ModelError(f"the checkpoint cannot be loaded: {one_line(reason)}") from reason


def loaded_model() -> Any:
    """The checkpoint in memory, without loading one; None where there is none, or another one is chosen by now."""
    with suppress(Exception):
        data = model_data()
        chosen = getattr(data, "forge_loading_parameters", None)
        if chosen is not None and getattr(data, "forge_hash", "") != str(chosen):
            return None
        return data.sd_model
    return None


def default_tile() -> int:
    """Side of an automatic tile, px: 512 for Stable Diffusion 1 and 2, 1024 for SDXL and later.

    Loads nothing. Before a checkpoint is loaded this is a guess, by the host's preset or by the checkpoint's name.
    """
    model = loaded_model()
    if model is None:
        return _guess()
    if getattr(model, "is_sd1", False) or getattr(model, "is_sd2", False):
        return SMALL_TILE
    if getattr(model, "is_sdxl", False) or getattr(model, "is_sd3", False):
        return LARGE_TILE
    return LARGE_TILE if latent_channels(model) >= 16 else SMALL_TILE


def one_picture_a_call(sampler_name: str | None = None) -> bool:
    """Whether a call of this checkpoint holds one picture only: edit models with references, video models. So it does
    with a sampler that chooses its steps by the error of the whole batch (DPM adaptive, alias k_dpm_ad)."""
    if any(word in str(sampler_name).casefold() for word in ("adaptive", "dpm_ad")):
        return True
    model = loaded_model()
    if getattr(model, "is_wan", False):
        return True
    with suppress(ImportError):
        from backend.args import dynamic_args  # pyright: ignore[reportMissingImports]  # Forge Neo has it

        return any(getattr(dynamic_args, name, False) for name in _REFERENCES)
    return False


def in_half_precision() -> bool:
    """Whether the UNet runs in half precision."""
    import torch

    return getattr(devices, "dtype_unet", devices.dtype) != torch.float32


def latent_channels(model: Any) -> int:
    """Of the model's autoencoder."""
    parts = getattr(model, "forge_objects", None)
    channels = getattr(getattr(parts, "vae", None), "latent_channels", None)
    return int(channels or getattr(model, "latent_channels", None) or 4)


def latents() -> Latents:
    """What the loaded checkpoint works in; of a plain one where none is loaded yet. Models of 16 channels and more take
    2 x 2 latents for one token (SD 3, Flux, Lumina, Qwen-Image, Wan)."""
    channels = latent_channels(loaded_model())
    return Latents(channels, int(getattr(processing, "opt_f", 8)), patch=2 if channels >= 16 else 1)


def timed(plan: Plan, steps: int, sampler: str, cfg_scale: float) -> dict[str, Work]:
    """What there is to do, by stage, with the checkpoint that is chosen. steps, sampler, cfg_scale: the tab's."""
    model = f"{model_files().get('checkpoint')}, {sampler}, {'guided' * (cfg_scale > 1)}"
    return works(plan, model=model, steps=steps, device="webui")


class _Asked(SimpleNamespace):
    """What a schedule is asked with, in the place of a call's `p`. of_window: called where it looks at the size."""

    width = property(lambda self: self.of_window()[0])
    height = property(lambda self: self.of_window()[1])


_shares: dict[tuple[Any, ...], tuple[int, NoiseShare]] = {}
"""By what they depend on: a number that stands for all settings of the webui, and what was found. Nothing in it keeps a
checkpoint in memory."""


def noise_share(
    sampler: str, scheduler: str | None, steps: int, *, override: Any = None, window: Size | None = None,
    in_run: bool = False,
) -> NoiseShare | None:
    """What denoising strengths mean with the loaded checkpoint and these of the tab, by the host's own schedule. Loads
    nothing: before a checkpoint is loaded it is a guess. None where the host does not say. What was found is kept until
    a setting changes.

    override: an extension's own schedule (`p.sampler_noise_scheduler_override`). window: of the tiles, by default an
    automatic tile and its padding; FLUX.2's schedule depends on it (sd_schedulers.py:260 of Neo 2.26). in_run: whether
    this is asked by the run itself; while another one goes on, only what was found before is said, since a sampler may
    leave something in the model (`alphas_cumprod` in the Forge family).
    """
    model = loaded_model()
    exact, extra = bool(getattr(shared.opts, "img2img_fix_steps", False)), _extra_noise()
    if model is None:
        return _guessed_share(sampler, scheduler, steps, exact=exact, extra=extra)
    automatic = default_tile() + 2 * Options.padding
    size = window or (automatic, automatic)
    key, settings = (id(model), sampler, scheduler, steps, exact, extra), _settings()
    known = (_shares.get(key) or _shares.get((*key, size))) if override is None else None
    busy = not in_run and (shared.state.job or shared.state.job_count > 0)
    if busy or (known is not None and known[0] == settings):
        return known[1] if known is not None else None
    with suppress(Exception):  # a fork's own kind of samplers
        name, way = _sampler_names(sampler, scheduler)
        loaded, looked = ref(model), list[Size]()  # what is kept must not keep the checkpoint

        def shares(count: int) -> Sequence[float]:
            asked = _Asked(
                steps=steps, sd_model=loaded(), of_window=lambda: looked.append(size) or size,
                extra_generation_params={}, is_hr_pass=False, hr_scheduler=None,
                sampler_noise_scheduler_override=override, scheduler=way,
            )  # fmt: skip
            made = samplers()[0].create_sampler(name, loaded())
            return _shares_of_steps(made, loaded(), asked, count, extra)

        found = of_webui(shares, steps, exact=exact, extra=extra)
        _ = found.curve  # worked out here, where an error is caught
        if override is None:
            if len(_shares) > 30:
                _shares.clear()
            _shares[(*key, *looked[:1])] = settings, found
        return found
    return None


def _extra_noise() -> float:
    """The setting "Extra noise multiplier for img2img": so much of the noise is added once more."""
    with suppress(TypeError, ValueError):
        return max(float(getattr(shared.opts, "img2img_extra_noise", 0.0) or 0.0), 0.0)
    return 0.0


def _settings() -> int:
    """A number that is another one once a setting of the webui has another value: many have a part in a schedule, in
    forks also some that are not known here. Names of files, set for each picture of a folder, have none."""
    told = getattr(shared.opts, "data", {}).items()
    return hash(repr(sorted((str(name), repr(value)) for name, value in told if "filename" not in str(name))))


def noise_share_in_run(p: Processing, window: Size | None) -> NoiseShare | None:
    """The same for a run on this p, whose checkpoint is loaded."""
    own = getattr(p, "sampler_noise_scheduler_override", None)
    scheduler = getattr(p, "scheduler", None)
    return noise_share(str(p.sampler_name), scheduler, int(p.steps), override=own, window=window, in_run=True)


def _sampler_names(sampler: str, scheduler: str | None) -> tuple[str, str]:
    """Both names as a call of the host will have them (sd_samplers.py:91): "DPM++ 2M Karras" is two in one."""
    parted = getattr(samplers()[0], "get_sampler_and_scheduler", None)
    found = parted(sampler, scheduler, convert_automatic=False) if parted else (sampler, scheduler)
    return found[0], found[1] or "Automatic"


def _shares_of_steps(made: Any, model: Any, asked: Any, steps: int, extra: float) -> Sequence[float]:
    """The share of noise at each of so many steps of a sampler of the host, falling, where it begins there."""
    if hasattr(made, "get_sigmas"):
        predictor = getattr(made.model_wrap, "predictor", None)  # the Forge family's
        straight = getattr(predictor, "prediction_type", "") == "const" or hasattr(model, "add_noise_to_latent")
        return [share_of(float(sigma), flow=straight, extra=extra) for sigma in made.get_sigmas(asked, steps)]
    # DDIM, PLMS, UniPC: a run of n steps begins at the n-th time from the end (sd_samplers_timesteps.py:107).
    times = made.get_timesteps(asked, steps)[:steps].tolist()
    kept = [float(model.alphas_cumprod[time]) for time in reversed(times)]
    return [share_of(((1 - part) / part) ** 0.5, extra=extra) for part in kept]


def _guessed_share(
    sampler: str, scheduler: str | None, steps: int, *, exact: bool, extra: float
) -> NoiseShare | None:
    """For a plain model of the kind that the checkpoint's name or the host's preset speaks of."""
    with suppress(Exception):
        name, way = _sampler_names(sampler, scheduler)
        if way.casefold() == "automatic":
            way = str(samplers()[0].find_sampler_config(name).options.get("scheduler"))
        if flow_by_name():
            levels, flow = plain_flow, True
        else:
            levels, flow = partial(plain_webui, way.title()), False
        shares = lambda count: [share_of(sigma, flow=flow, extra=extra) for sigma in levels(count)]  # noqa: E731
        return of_webui(shares, steps, exact=exact, guessed=True, extra=extra)
    return None


def time_left(plan: Plan, p: Processing) -> TimeLeft:
    """Of a run of this plan that begins now."""
    return left_of_plan(timings(), timed(plan, p.steps, str(p.sampler_name), p.cfg_scale), plan)


def timings() -> Timings | None:
    """What was measured in this webui; None where it has no folder for it."""
    folder = journal_folder()
    return None if folder is None else Timings(folder / FILE)


def _guess() -> int:
    preset = getattr(shared.opts, "forge_preset", None)
    if isinstance(preset, str) and preset.casefold() not in ("all", *_SMALL_WORDS):
        return LARGE_TILE
    return LARGE_TILE if _speaks_of(("xl", "flux", "pony", "illustrious", "z-image")) else SMALL_TILE


def flow_by_name() -> bool:
    """Whether the host's preset or the chosen checkpoint's name speaks of a flow model. Loads nothing."""
    return _speaks_of(_FLOW_WORDS)


def _speaks_of(words: Sequence[str]) -> bool:
    """Whether the host's preset or the chosen checkpoint's name has one of these words in it."""
    names = (getattr(shared.opts, name, None) for name in ("forge_preset", "sd_model_checkpoint"))
    return any(word in str(name or "").casefold() for name in names for word in words)


def batch_limits(width: int, height: int) -> BatchLimits:
    """For windows of this size; of the loaded checkpoint, or of a plain one where none is loaded yet."""
    model = loaded_model()
    return windows_that_fit(
        devices.device, width, height,
        half=in_half_precision(), needs=_needs(model), away=_away(model), managed=hasattr(model, "forge_objects"),
    )  # fmt: skip


def _needs(model: Any) -> Needs:
    if model is not None and latent_channels(model) >= 16:
        return SIXTEEN
    return XL if default_tile() > 512 else SD


def _away(model: Any) -> int:
    """Bytes of weights that are in the processor's memory and will come to the card whole (--medvram). With --lowvram
    they come layer by layer."""
    if getattr(shared.cmd_opts, "lowvram", False) or getattr(devices.device, "type", "cpu") == "cpu":
        return 0
    with suppress(Exception):  # a fork's own kind of model
        weights = model.model.parameters()
        return sum(one.numel() * one.element_size() for one in weights if one.device.type == "cpu")
    return 0
