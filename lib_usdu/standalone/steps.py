"""A pipeline's steps over windows: it is handed their latents under the canvas's noise when it asks for its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, NoReturn

import numpy as np
import torch

from ..errors import Stopped
from ..noise_share import share_of
from ..speed.in_place import in_place_of
from ..speed.schedule import EXACT
from .conditioning import Conditions
from .families import flow
from .families.resemblance import Held
from .families.speed import NOTHING_TO_SPARE, PacedNetwork, noise_at
from .families.table import Family, network
from .placement import Placement
from .samplers import CanvasNoise, redraws_noise, replace_brownian_tree, step_noise
from .sampling import Suited


def _none() -> torch.Tensor:
    raise ValueError("what is held needs the directions of colour")


class Steps:
    """The steps of one pipeline. Everything but its networks and its scheduler is left out: pictures in, pictures out,
    noise, prompts."""

    def __init__(
        self, pipeline: Any, family: Family, sampling: Suited, placement: Placement, conditions: Conditions
    ):  # fmt: skip
        self.pipeline, self.family, self.sampling = pipeline, family, sampling
        self._placement, self._conditions = placement, conditions
        self.remarks: dict[str, None] = {}
        """What could not be as asked, a line each."""

    def run(
        self,
        encoded: Callable[[], torch.Tensor],
        noise: CanvasNoise,
        denoise: float,
        conditioning: Mapping[str, Any],
        guided: bool,
        stop: Callable[[], bool],
        *,
        size: tuple[int, int],
        canvas: tuple[int, int],
        step_done: Callable[[int, int], None] = lambda step, steps: None,
        told: tuple[int, int] | None = None,
        resemblance: float = 0.0,
        colours: Callable[[], torch.Tensor] = _none,
        strengths: np.ndarray | None = None,
        speed: str = EXACT,
        deep: bool = True,
    ) -> torch.Tensor:
        """The latents (n, channels, h, w) after the steps.

        encoded: makes them of the pictures. conditioning: the pipeline's prompt arguments, a row for each of the
        latents. guided: whether to ask the model with and without the prompt. size: (height, width) of what is drawn,
        px. canvas: (height, width) of the whole picture in latents. told: (height, width) an SDXL model is told; None:
        that of the latents. resemblance: how far each step is held to the pictures, 0 (not) to 1; colours: what of them
        is then held (`held_to`), asked for once they are there. strengths: uint8 (n, h, w), how much each of the
        latents is redrawn; None: all as much as `denoise` says. speed: the option's value; deep: whether inner blocks
        of the network may be left out.
        """

        def after_step(pipeline: Any, step: int, timestep: Any, values: dict) -> dict:
            if stop():
                raise Stopped("stopped in a tile")
            step_done(step + 1, pipeline.num_timesteps)
            return values

        steps = max(self.sampling.steps, math.ceil(1 / denoise))  # at least one is run, however low the denoise
        scheduler, pack = self.pipeline.scheduler, self.family.pack
        held = Held(
            scheduler, resemblance, strengths, lambda packed: pack.unpacked(packed, *noise.size), pack.packed, colours
        )

        def seen() -> torch.Tensor:
            return held.to(encoded())

        ways = self._flow(seen, noise, size, canvas) if self.family.flow else self._diffusion(seen, noise, told)
        pace = nullcontext() if speed == EXACT else self._at_pace(speed, noise.count, guided, deep)
        with (
            ways as arguments, step_noise(scheduler, noise.draw), held.steps(), self._conditions.aside(),
            self._placement.told(), pace,
        ):  # fmt: skip
            drawn = self.pipeline(
                strength=denoise,
                num_inference_steps=steps,
                output_type="latent",
                callback_on_step_end=after_step,
                callback_on_step_end_tensor_inputs=[],
                **self.family.guidance(self.pipeline, self.sampling.cfg_scale, guided),
                **arguments,
                **(conditioning if guided or not self.family.flow else _positive(conditioning)),
            ).images
        return pack.unpacked(drawn, *noise.size)

    def _at_pace(self, speed: str, count: int, guided: bool, deep: bool) -> AbstractContextManager[None]:
        """The network, for so many windows, at the pace of this speed."""
        pipeline = self.pipeline
        paced = PacedNetwork(
            network(pipeline), speed, count, noise_at(pipeline.scheduler, self.family.flow, self.family.asks),
            guided=guided, deep=deep, asks=self.family.asks, redraws=redraws_noise(pipeline.scheduler),
        )  # fmt: skip
        if not paced.spares and deep:
            self.remarks[f"speed {speed}: {NOTHING_TO_SPARE}"] = None
        return paced.put_in()

    def noise_shares(
        self, steps: int, conditioning: Mapping[str, Any], guided: bool, *, size: tuple[int, int],
        canvas: tuple[int, int],
    ) -> list[float]:  # fmt: skip
        """The share of noise, 0-1, at each of so many steps: read off the scheduler. The rest is as `run` has it.

        Pipelines of flow models choose sigmas themselves, so such a one is run as far as its first latents.
        """
        scheduler = self.pipeline.scheduler
        if not self.family.flow:
            scheduler.set_timesteps(steps)
            return [_share_at(scheduler, step) for step in range(-(-len(scheduler.timesteps) // scheduler.order))]

        def begun(*args: Any, **kwargs: Any) -> NoReturn:
            raise _Begun

        with self._flow(begun, None, size, canvas) as arguments, self._conditions.aside(), suppress(_Begun):
            self.pipeline(
                strength=1.0, num_inference_steps=steps, output_type="latent",
                **self.family.guidance(self.pipeline, self.sampling.cfg_scale, guided), **arguments,
                **(conditioning if guided else _positive(conditioning)),
            )  # fmt: skip
        return [share_of(float(sigma), flow=True) for sigma in scheduler.sigmas[:: scheduler.order] if sigma > 0]

    @contextmanager
    def _diffusion(
        self, encoded: Callable[[], torch.Tensor], noise: CanvasNoise, told: tuple[int, int] | None
    ) -> Iterator[dict[str, Any]]:
        """Stable Diffusion 1, 2 and XL."""

        def prepare_latents(image: Any, timestep: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            latents, scheduler = encoded(), self.pipeline.scheduler
            self._placement.rest()
            noised = scheduler.add_noise(latents, noise.draw(latents.shape), timestep)
            replace_brownian_tree(scheduler, noise.draw, latents.shape)
            return noised

        arguments: dict[str, Any] = {"image": None}
        if told and self.family.told_size:
            arguments |= {"original_size": told, "target_size": told}
        with in_place_of(self.pipeline, prepare_latents=prepare_latents, image_processor=_NoPicture):
            yield arguments

    @contextmanager
    def _flow(
        self, encoded: Callable[[], torch.Tensor], noise: CanvasNoise | None, size: tuple[int, int],
        canvas: tuple[int, int],
    ) -> Iterator[dict[str, Any]]:  # fmt: skip
        """Models that know straight paths from noise to picture; what is drawn, they are told in px."""
        scheduler, pack = self.pipeline.scheduler, self.family.pack
        tokens = canvas[0] * canvas[1] // self.family.latents.patch**2
        scheduler.size_shift = lambda config, steps: self.family.shift(config, tokens, steps)

        def get_timesteps(steps: int, strength: float, device: Any) -> tuple[Any, int]:
            return flow.first_step(scheduler, strength)

        def prepare_latents(*args: Any, **kwargs: Any) -> Any:
            latents = pack.packed(encoded())
            assert noise is not None, "what has latents has noise"
            self._placement.rest()
            return pack.prepared(flow.noised(scheduler, latents, noise.draw(latents.shape)), *noise.size)

        replaced = {
            "get_timesteps": get_timesteps, "prepare_latents": prepare_latents, "image_processor": _NoPicture,
        }  # fmt: skip
        with in_place_of(self.pipeline, **replaced):
            yield {"image": None, "height": size[0], "width": size[1]}


class _Begun(Exception):
    """The pipeline asks for its first latents: its timesteps are chosen."""


def _share_at(scheduler: Any, step: int) -> float:
    """The share of noise in what a diffusers scheduler makes of a picture before this step: its own `add_noise` tells
    how much of either there is."""
    place = step * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(place)
    one, none = (torch.full((1, 1), level, dtype=torch.float64) for level in (1.0, 0.0))
    time = scheduler.timesteps[place].cpu()[None]
    picture, noise = float(scheduler.add_noise(one, none, time)), float(scheduler.add_noise(none, one, time))
    return noise / (picture + noise)


class _NoPicture:
    """Stands for a pipeline's `image_processor`: `prepare_latents` has the pictures."""

    @staticmethod
    def preprocess(*args: Any, **kwargs: Any) -> torch.Tensor:
        return torch.zeros(1)

    @staticmethod
    def postprocess(latents: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return latents


def _positive(conditioning: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in conditioning.items() if not name.startswith("negative_")}
