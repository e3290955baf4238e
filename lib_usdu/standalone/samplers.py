"""Sampler names as the webui writes them, and what they are in diffusers."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from ..errors import ModelError, OptionError
from ..noise import TileNoise
from ..run.noise_draws import Brownian, CanvasDraws
from .families.flow import flow_scheduler, is_flow

_MULTISTEP, _SINGLESTEP = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"
_SDE = {"algorithm_type": "sde-dpmsolver++"}
_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "LMS": ("LMSDiscreteScheduler", {}),
    "DPM2": ("KDPM2DiscreteScheduler", {}),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
    "DPM++ 2S a": (_SINGLESTEP, {**_SDE, "solver_order": 2, "final_sigmas_type": "zero"}),
    "DPM++ 2M": (_MULTISTEP, {"algorithm_type": "dpmsolver++"}),
    "DPM++ 2M SDE": (_MULTISTEP, _SDE),
    "DPM++ 2M SDE Heun": (_MULTISTEP, {**_SDE, "solver_type": "heun"}),
    "DPM++ 3M SDE": (_MULTISTEP, {**_SDE, "solver_order": 3}),
    "DPM++ SDE": ("DPMSolverSDEScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "DEIS": ("DEISMultistepScheduler", {"algorithm_type": "deis"}),
    "PLMS": ("PNDMScheduler", {"skip_prk_steps": True}),
    "DDIM": ("DDIMScheduler", {}),
    "LCM": ("LCMScheduler", {}),
    "TCD": ("TCDScheduler", {}),
    "Restart": ("RestartScheduler", {}),
}
SAMPLERS: tuple[str, ...] = tuple(_SAMPLERS)
"""Names as the webui writes them."""
SCHEDULES = {
    "Karras": "use_karras_sigmas", "Exponential": "use_exponential_sigmas", "Beta": "use_beta_sigmas",
}  # fmt: skip
"""Ways to space the steps, which may follow a sampler's name, and the setting of diffusers for each."""
WITHOUT_SCHEDULE = ("Euler a", "PLMS", "DDIM", "LCM", "TCD")
"""These space their steps in one way only."""
SPACINGS = {"Uniform": "linspace", "SGM Uniform": "trailing", "Simple": "trailing"}
"""More ways that may follow a name, each as diffusers calls it; of flow models it is the model's own way."""
_WITHOUT_SPACING = (*WITHOUT_SCHEDULE, "DPM++ 2S a")
_ALIASES = {
    "euler_a": "Euler a", "euler_ancestral": "Euler a", "dpm_2": "DPM2", "dpm_2_a": "DPM2 a",
    "dpm_2_ancestral": "DPM2 a", "dpmpp_2s_a": "DPM++ 2S a", "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_2m": "DPM++ 2M", "dpmpp_2m_sde": "DPM++ 2M SDE", "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "dpmpp_3m_sde": "DPM++ 3M SDE", "dpmpp_sde": "DPM++ SDE", "uni_pc": "UniPC",
}  # fmt: skip
"""What the webui's API and other programs call them, in small letters; "k_" may stand before."""


def split_name(name: str) -> tuple[str, str]:
    """The sampler and the schedule ("" where none is named) of "DPM++ 2M Karras", as they are written in the tables.
    Raises OptionError for what is neither."""
    written = str(name).casefold()
    found = _names().get(written) or _names().get(written.removeprefix("k_"))
    if found is None:
        raise OptionError("sampler", name, names_in_words())
    return found


def ways_of(sampler: str) -> list[str]:
    """The ways to space its steps that may follow this name."""
    spacings = SPACINGS if sampler not in _WITHOUT_SPACING else {}
    return [*(SCHEDULES if sampler not in WITHOUT_SCHEDULE else {}), *spacings]


@cache
def _names() -> dict[str, tuple[str, str]]:
    """All that a person may write, in small letters."""
    known = {}
    called = {sampler.casefold(): sampler for sampler in SAMPLERS} | _ALIASES
    for written, sampler in called.items():
        known[written] = sampler, ""
        for way in ways_of(sampler):
            short = {"Karras": "ka", "Exponential": "exp"}.get(way, "")
            for joined in (f" {way}", f"_{way}".replace(" ", "_"), f"_{short}" if short else f" {way}"):
                known[written + joined.casefold()] = sampler, way
    return known


def full_name(name: str) -> str:
    """The name as the webui writes it, of one that may be written in another way."""
    sampler, way = split_name(name)
    return f"{sampler} {way}".strip()


def redraws_noise(scheduler: Any) -> bool:
    """Whether the steps of a scheduler of diffusers draw noise."""
    kinds = ("Ancestral", "SDE", "LCM", "TCD", "Restart")
    by_name = any(kind in type(scheduler).__name__ for kind in kinds)
    return by_name or str(scheduler.config.get("algorithm_type", "")).startswith("sde")


def names_in_words() -> str:
    """All names, in a sentence."""
    *others, last = SCHEDULES
    schedules, without = f"{', '.join(others)} or {last}", ", ".join(WITHOUT_SCHEDULE)
    spacings = f"{' or '.join(SPACINGS)} may, but not after those and {_WITHOUT_SPACING[-1]}"
    return f"{', '.join(SAMPLERS)}; {schedules} may follow, but not after {without}; {spacings}"


def scheduler_for(sampler: str, current: Any) -> Any:
    """The scheduler of this name (see `split_name`, in any case) with the noise schedule of the current one.

    Raises OptionError for one whose package (torchsde, scipy) is missing, and for one that this model cannot have: it
    is a flow model, or its noise schedule ends in pure noise (zero terminal SNR).
    """
    name, schedule = split_name(sampler)
    if is_flow(current):
        return flow_scheduler(sampler, name, SCHEDULES.get(schedule), current)
    class_name, settings = _SAMPLERS[name]
    kind = _class(class_name)
    takes = inspect.signature(kind.__init__).parameters
    # Each is said, so that a checkpoint's own setting does not stay.
    spaced: dict[str, Any] = {setting: schedule == way for way, setting in SCHEDULES.items() if setting in takes}
    if schedule in SPACINGS:
        spaced["timestep_spacing"] = SPACINGS[schedule]
    if current.config.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in takes:
        able = [other for other, (its, _) in _SAMPLERS.items() if _takes(its, "rescale_betas_zero_snr")]
        raise OptionError("sampler", sampler, f"{', '.join(able)}, with a zero-terminal-SNR checkpoint as this one")
    try:
        return kind.from_config(current.config, **settings, **spaced)
    except ImportError as error:
        package = "scipy" if "scipy" in str(error) else "torchsde"
        raise OptionError("sampler", sampler, f"another one, or this one after `pip install {package}`") from None


def _class(name: str) -> Any:
    if name == "RestartScheduler":
        from .families.restart import RestartScheduler

        return RestartScheduler
    import diffusers

    return getattr(diffusers, name)


def _takes(class_name: str, setting: str) -> bool:
    return setting in inspect.signature(_class(class_name).__init__).parameters


@contextmanager
def step_noise(scheduler: Any, draw: Callable[..., Any]) -> Iterator[None]:
    """While inside, the scheduler's steps take their noise from `draw(shape, ...)`, which stands for `randn_tensor`.

    Schedulers look that name up in their own module; they offer no other way in.
    """
    module: Any = sys.modules[type(scheduler).__module__]
    if not hasattr(module, "randn_tensor"):  # deterministic, or a Brownian tree: see `replace_brownian_tree`
        yield
        return
    original = module.randn_tensor
    module.randn_tensor = draw
    try:
        yield
    finally:
        module.randn_tensor = original


def replace_brownian_tree(scheduler: Any, draw: Callable[..., Any], shape: tuple[int, ...]) -> None:
    """Gives a scheduler that draws from a Brownian tree increments made of `draw` instead.

    To be called after `set_timesteps`, which forgets it again.
    """
    if hasattr(scheduler, "noise_sampler"):
        scheduler.noise_sampler = Brownian(lambda: draw(shape))


class CanvasNoise:
    """The canvas's draws in place of diffusers' `randn_tensor`."""

    def __init__(
        self, noises: Sequence[TileNoise], channels: int, device: Any, dtype: Any,
        packed: Callable[[Any], Any] = lambda latents: latents, drawn: np.ndarray | None = None,
    ):  # fmt: skip
        """packed: how the pipeline has latents (n, channels, h, w). drawn: as `CanvasDraws` has it."""
        self._draws, self._dtype = CanvasDraws(noises, channels, device, drawn=drawn), dtype
        self.count = len(noises)
        self._packed = packed
        region = noises[0].region
        self.size = region.height, region.width

    def draw(self, shape: Any, *args: Any, **kwargs: Any) -> Any:
        """The next draw, a tensor of this shape. Raises ModelError where the windows have another one."""
        drawn = self._packed(self._draws.next())
        if drawn.shape != tuple(shape):
            raise ModelError(f"the model asked for noise of {tuple(shape)}; its windows have {tuple(drawn.shape)}")
        return drawn.to(self._dtype)
