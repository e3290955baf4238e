"""Samplers for flow models: the model's own schedule, followed by the sampler of a person's choice.

A flow model goes from noise to picture along a straight path: at sigma (1 to 0) its latents are sigma * noise +
(1 - sigma) * picture. Its scheduler's configuration says how sigmas lie; some shift them by the picture's size.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import OptionError

_SOLVER = {
    "prediction_type": "flow_prediction", "use_flow_sigmas": True, "final_sigmas_type": "zero",
    "use_dynamic_shifting": False, "shift_terminal": None,
}  # fmt: skip
_SDE = {"algorithm_type": "sde-dpmsolver++", **_SOLVER}
_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Euler": ("FlowMatchEulerDiscreteScheduler", {"stochastic_sampling": False}),
    "Euler a": ("LTXEulerAncestralRFScheduler", {}),
    "Heun": ("FlowMatchHeunDiscreteScheduler", {}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2, **_SOLVER}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {**_SDE, "solver_order": 2}),
    "DPM++ 3M SDE": ("DPMSolverMultistepScheduler", {**_SDE, "solver_order": 3}),
    "UniPC": ("UniPCMultistepScheduler", _SOLVER),
    "LCM": ("FlowMatchLCMScheduler", {}),
}
FLOW_SAMPLERS: tuple[str, ...] = tuple(_SAMPLERS)
_ALMOST = 1e-6
"""Solvers take the logarithm of 1 - sigma: the first sigma of a full denoise is so much less than 1."""


def is_flow(scheduler: Any) -> bool:
    """Whether a model's own scheduler is one of flow models."""
    return said_of_flow(type(scheduler).__name__, scheduler.config)


def said_of_flow(name: str, config: Mapping[str, Any]) -> bool:
    """As `is_flow`, by the class's name and the configuration."""
    return name.startswith("FlowMatch") or config.get("prediction_type") == "flow_prediction"


def check_flow_sampler(told: str, sampler: str) -> None:
    """Raises OptionError for a sampler that flow models do not have here. told: what the person wrote for it."""
    if sampler not in _SAMPLERS:
        raise OptionError("sampler", told, f"{', '.join(FLOW_SAMPLERS)}, with a flow model as this one")


def flow_scheduler(told: str, sampler: str, spacing: str | None, current: Any) -> Any:
    """The scheduler of this name that follows the schedule of the current one.

    told: what the person wrote. spacing: the setting of diffusers that spaces the steps in another way than the model's
    own, if any. The scheduler's `size_shift`, where it is a function of (configuration, steps), says instead of the
    pipeline how far a schedule is shifted that depends on the picture's size. Raises OptionError for a sampler that
    flow models do not have here.
    """
    import diffusers

    check_flow_sampler(told, sampler)
    name, settings = _SAMPLERS[sampler]
    # A solver's own configuration (UniPC, as some models come) has the flow's shift under another name.
    own = dict(current.config)
    if "flow_shift" in own and "shift" not in own:
        own["shift"] = own["flow_shift"]
    reference = diffusers.FlowMatchEulerDiscreteScheduler.from_config(own, **_only(spacing, own))
    kind = getattr(diffusers, name)
    known = inspect.signature(kind.__init__).parameters
    made = kind.from_config({setting: value for setting, value in own.items() if setting in known}, **settings)
    made.size_shift = None
    made.set_timesteps = _follows(made, reference)
    return made


def _only(spacing: str | None, own: Mapping[str, Any]) -> dict[str, bool]:
    """This way to space the steps in place of the configuration's own, of which a scheduler has one at most."""
    return {name: name == spacing for name in own if name.endswith("_sigmas")} | {spacing: True} if spacing else {}


def _follows(scheduler: Any, reference: Any) -> Callable[..., None]:
    """`set_timesteps` of a scheduler that takes its sigmas from the reference, whatever its own way would be."""
    own = type(scheduler).set_timesteps
    name, config = type(scheduler).__name__, reference.config

    def set_timesteps(
        num_inference_steps: int | None = None, device: Any = None, sigmas: Any = None, mu: float | None = None
    ) -> None:
        import torch

        if mu is not None or config.use_dynamic_shifting:
            count = num_inference_steps if sigmas is None else len(sigmas)
            mu = mu if scheduler.size_shift is None else scheduler.size_shift(config, count)
        reference.set_timesteps(num_inference_steps, device=device, sigmas=sigmas, mu=mu)
        levels = reference.sigmas.clone()
        if name == "LTXEulerAncestralRFScheduler":
            own(scheduler, None, device=device, sigmas=levels)
            scheduler.timesteps = reference.timesteps
            return
        if name.startswith("FlowMatch") and name != "FlowMatchHeunDiscreteScheduler":
            own(scheduler, num_inference_steps, device=device, sigmas=sigmas, mu=mu)
            scheduler.sigmas, scheduler.timesteps = levels, reference.timesteps
            return
        own(scheduler, len(levels) - 1, device=device)  # forgets what it has of the picture before
        if name == "FlowMatchHeunDiscreteScheduler":  # each sigma but the first and last twice
            scheduler.sigmas = torch.cat([levels[:1], levels[1:-1].repeat_interleave(2), levels[-1:]])
            scheduler.timesteps = torch.cat(
                [reference.timesteps[:1], reference.timesteps[1:].repeat_interleave(2)]
            )
            return
        levels[0] = min(float(levels[0]), 1 - _ALMOST)
        scheduler.sigmas, scheduler.timesteps = levels.cpu(), reference.timesteps

    return set_timesteps


def first_step(scheduler: Any, strength: float) -> tuple[Any, int]:
    """The timesteps that a denoise of this strength runs, at least one step's, and how many steps these are.

    The pipelines' own `get_timesteps` takes each of Heun's two calls for a step.
    """
    order, total = scheduler.order, -(-len(scheduler.timesteps) // scheduler.order)
    first = int(max(total - min(total * strength, total), 0))
    scheduler.set_begin_index(first * order)
    return scheduler.timesteps[first * order :], total - first


def shift(config: Any, tokens: int) -> float:
    """The exponent by which a schedule is shifted for a picture of so many tokens, as the pipelines have it
    (`calculate_shift`), but not past the largest picture that the model was made with: at twice the side of that one a
    denoise of 0.25 would begin with 89 % noise."""
    least, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return low + (high - low) / (most - least) * (min(tokens, most) - least)


def by_size(config: Mapping[str, Any], tokens: int, steps: int) -> float:
    """`shift`, whatever the number of steps."""
    return shift(config, tokens)


_MOST_OF_FLUX_2 = 4096
"""Tokens of 1024 x 1024 px: larger pictures are shifted as this one is, for the reason that `shift` has."""


def empirical_shift(config: Mapping[str, Any], tokens: int, steps: int) -> float:
    """The same exponent of Flux 2, by tokens and steps: between its makers' lines for 10 and for 200 steps
    (compute_empirical_mu of diffusers' pipeline_flux2_klein.py)."""
    tokens = min(tokens, _MOST_OF_FLUX_2)
    many, few = 0.00016927 * tokens + 0.45666666, 8.73809524e-05 * tokens + 1.89833333
    return many + (many - few) / 190 * (steps - 200)


def noised(scheduler: Any, latents: Any, noise: Any) -> Any:
    """The latents under the noise of the sampler's first step."""
    sigma = scheduler.sigmas[scheduler.begin_index or 0].to(latents.device, latents.dtype)
    return sigma * noise + (1 - sigma) * latents
