"""Sampler names as the webui writes them, and what they are in diffusers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import ModelError, OptionError
from ..noise import TileNoise
from ..run.noise_draws import Brownian, CanvasDraws

# Both said, so that a checkpoint's own setting does not stay.
_PLAIN, _KARRAS = {"use_karras_sigmas": False}, {"use_karras_sigmas": True}
_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Euler": ("EulerDiscreteScheduler", _PLAIN),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", _PLAIN),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", **_PLAIN}),
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", **_KARRAS}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", **_PLAIN}),
    "DPM++ 2M SDE Karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", **_KARRAS}),
    "DPM++ SDE": ("DPMSolverSDEScheduler", _PLAIN),
    "DPM++ SDE Karras": ("DPMSolverSDEScheduler", _KARRAS),
    "UniPC": ("UniPCMultistepScheduler", _PLAIN),
    "DDIM": ("DDIMScheduler", {}),
    "LCM": ("LCMScheduler", {}),
}
SAMPLERS: tuple[str, ...] = tuple(_SAMPLERS)


def scheduler_for(sampler: str, current: Any) -> Any:
    """The scheduler of this name (one of SAMPLERS, in any case) with the noise schedule of the current one.

    Raises OptionError for one whose package (torchsde) is missing.
    """
    import diffusers

    names = {name.casefold(): name for name in SAMPLERS}
    class_name, settings = _SAMPLERS[names[sampler.casefold()]]
    try:
        return getattr(diffusers, class_name).from_config(current.config, **settings)
    except ImportError:
        raise OptionError("sampler", sampler, "another one, or this one after `pip install torchsde`") from None


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

    def __init__(self, noises: Sequence[TileNoise], channels: int, device: Any, dtype: Any):
        self._draws, self._dtype, self.count = CanvasDraws(noises, channels, device), dtype, len(noises)

    def draw(self, shape: Any, *args: Any, **kwargs: Any) -> Any:
        drawn = self._draws.next()
        if drawn.shape != tuple(shape):
            raise ModelError(f"the model asked for noise of {tuple(shape)}; its windows have {tuple(drawn.shape)}")
        return drawn.to(self._dtype)
