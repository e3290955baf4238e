"""A diffusers network at a pace: inner blocks and the answer without the prompt are left out at some steps."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from ...speed.features import DeepFeatures
from ...speed.schedule import PACES, Levels
from ...speed.unets import inner_of

NOTHING_TO_SPARE = "nothing can be left out of this model: it has no inner blocks of a UNet, and guides in another way"


class PacedNetwork:
    """One call's network.

    count: windows of the call. noise_at: noise over signal at a timestep. guided: whether each call holds the windows
    twice, first without the prompt, then with it, as the pipelines of Stable Diffusion ask. deep: whether inner blocks
    may be left out.
    """

    def __init__(
        self, network: Any, speed: str, count: int, noise_at: Callable[[float], float], *, guided: bool, deep: bool
    ):  # fmt: skip
        self._network, self._count, self._noise_at, self._guided = network, count, noise_at, guided
        pace = PACES[speed]
        self._levels = Levels(pace)
        inner = inner_of(network, pace.outer) if deep else None
        self._features = DeepFeatures(inner, self._names) if inner is not None else None
        self._rows: Sequence[Hashable] = ()
        self._difference: torch.Tensor | None = None

    @property
    def spares(self) -> bool:
        """Whether anything can be left out at all."""
        return self._guided or self._features is not None

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """While inside, the network is at this pace; afterwards it is as it was."""
        own, forward = vars(self._network).get("forward"), self._network.forward
        self._network.forward = self._paced(forward)
        try:
            with self._features.put_in() if self._features is not None else nullcontext():
                yield
        finally:
            if own is None:
                del self._network.forward
            else:
                self._network.forward = own

    def _paced(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def paced(*args: Any, **told: Any) -> Any:
            timestep = told["timestep"] if "timestep" in told else args[1]
            step = self._levels.at(self._noise_at(float(torch.as_tensor(timestep).flatten()[0])))
            if self._features is not None:
                self._features.whole = step.whole
            count = self._count
            if not self._guided or step.guided or self._difference is None:
                self._rows = range(-count if self._guided else 0, count)
                answer = forward(*args, **told)
                if self._guided:
                    without, with_prompt = _tensor(answer).chunk(2)
                    self._difference = with_prompt - without
                return answer
            self._rows = range(count)
            answer = forward(*_second(args, count), **_second(told, count))
            with_prompt = _tensor(answer)
            both = torch.cat([with_prompt - self._difference, with_prompt])
            return (both,) if isinstance(answer, tuple) else type(answer)(sample=both)

        return paced

    def _names(self, entering: torch.Tensor, others: Sequence[Any]) -> Sequence[Hashable] | None:
        return self._rows if len(self._rows) == len(entering) else None


def _tensor(answer: Any) -> torch.Tensor:
    return answer[0] if isinstance(answer, tuple) else answer.sample


def _second(value: Any, count: int) -> Any:
    """Of twice so many rows the second half; what has other rows stays."""
    if isinstance(value, dict):
        return {name: _second(one, count) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_second(one, count) for one in value)
    if isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == 2 * count:
        return value[count:]
    return value


def noise_at(scheduler: Any, flow: bool) -> Callable[[float], float]:
    """Noise over signal by a scheduler's timestep, which may lie between those of training."""
    if flow:
        return lambda time: (share := time / scheduler.config.num_train_timesteps) / max(1 - share, 1e-6)
    alphas = scheduler.alphas_cumprod.double().cpu().numpy()
    ratios = np.sqrt((1 - alphas) / np.maximum(alphas, 1e-8))
    return lambda time: float(np.interp(time, np.arange(len(ratios)), ratios))


def asks_for_both_at_once(pipeline: Any) -> bool:
    """Whether a pipeline's network is asked with and without the prompt in one call, without first."""
    return type(pipeline).__name__.startswith(("StableDiffusionImg2Img", "StableDiffusionXL", "StableDiffusion3"))
