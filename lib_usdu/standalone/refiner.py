"""Tiles through diffusers' Stable Diffusion img2img pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from itertools import islice
from typing import Any

import numpy as np
import torch

from ..batch_size import BatchLimits
from ..enlarge.precision import multiplies_bfloat16
from ..errors import Stopped
from ..fused.overviews import Overviews, can_know
from ..fused.windows import assemble, canvas_of, on_device, patches
from ..geometry import Canvas, Size
from ..host import Batch, Fusion
from ..latents import Latents
from ..noise_share import NoiseShare, of_diffusers
from ..pictures import infotext
from ..run.memory_needs import windows_that_fit
from ..run.resemblance import colours_of
from ..speed.in_place import in_place_of
from ..speed.schedule import EXACT
from .checkpoints import Lora
from .conditioning import Conditions
from .control.controls import Controls
from .families.overviews import overviews_known
from .families.table import DISTILLED, family_of, is_distilled, is_told_cfg, network, network_name
from .families.windows import Windows, for_canvas
from .fingerprint import fingerprint
from .host import Refiner
from .latents import Autoencoder, dtype_of, in_bfloat16
from .placement import WAYS, Placement, weight_bytes
from .prompts import Embedding
from .samplers import CanvasNoise, scheduler_for
from .sampling import Sampling
from .steps import Steps

_DEFAULTED = "_use_default_values"
"""In a scheduler's configuration: names of settings that it was not given."""


class DiffusersRefiner(Refiner):
    """Refines tiles with an img2img pipeline of one of `families.table.FAMILIES`, the embedded model's among them.

    `model_name`, `loras` (merged into the pipeline) and `embeddings` (known to it) go into the infotext. A pipeline
    without a text encoder has no text input: prompts and CFG are left out. Several tiles go through the model at once,
    each with its own noise.
    """

    def __init__(
        self, pipeline: Any, sampling: Sampling, model_name: str, loras: Sequence[Lora] = (), *, device: Any = None,
        low_memory: str = "auto", embeddings: Sequence[Embedding] = (), controls: Controls | None = None,
    ):  # fmt: skip
        """device: where to put the pipeline, in one of the ways of `placement`; None: it is where it should be.
        controls: ControlNets that steer it, for Stable Diffusion 1, 2 and XL.

        Raises ModelError where it does not fit.
        """
        self.family, self.network = family_of(pipeline), network(pipeline)
        self.sampling = suited = sampling.suited(self.family)
        self.pipeline, self.model_name, self.loras = pipeline, model_name, loras
        self.default_tile = self.family.tile
        self.embeddings, self.controls = embeddings, controls or Controls()
        self._shares: dict[Any, NoiseShare] = {}
        pipeline.scheduler = scheduler_for(suited.sampler, pipeline.scheduler)
        pipeline.set_progress_bar_config(disable=True)
        self.device = self.network.device if device is None else torch.device(device)
        self.works_apart = self.device.type != "cpu"
        self.autoencoder = Autoencoder(pipeline.vae, self.device, self._dtype)
        kind = self.family.latents
        self.latents = Latents(self.autoencoder.channels, self.autoencoder.scale, kind.patch, kind.between)
        self._of_colour: torch.Tensor | None = None
        self._overviews = Overviews()
        self._in_bfloat16 = self._dtype == torch.float32 and multiplies_bfloat16(self.device)
        if self._in_bfloat16:
            self.network.forward = in_bfloat16(self.network.forward, lambda: self._in_bfloat16)
        self.conditions = Conditions(
            pipeline, sampling.prompt, sampling.negative_prompt, suited.cfg_scale, self.device, embeddings
        )
        way = "off" if device is None else low_memory
        self.placement = Placement(pipeline, self.device, way, self.default_tile, self.family.needs)
        self.steps = Steps(pipeline, self.family, suited, self.placement, self.conditions)
        if device is not None:
            self.placement.before_prompts()
        self.conditions.begin(leave=self.placement.encoders_leave)
        if device is not None:
            self.placement.after_prompts()
        self.autoencoder.keeps_format = self.placement.way == "sequential"

    @property
    def guided(self) -> bool:
        """Whether each step asks the model with and without the prompt."""
        return self.conditions.guided

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        away = 0 if self.placement.way in ("off", "prompts") else weight_bytes(self.network)
        return windows_that_fit(
            self.device, width, height, half=self._dtype != torch.float32, needs=self.family.needs, away=away
        )

    def noise_share(self, canvas: Canvas, window: Size | None = None) -> NoiseShare:
        """By the sampler's own schedule. That of some flow models depends on the size of the canvas."""
        size, drawn = (self.default_tile, self.default_tile), self.latents.size(canvas)

        def shares(steps: int) -> list[float]:
            return self.steps.noise_shares(steps, *self.conditions.of((), 1), size=size, canvas=drawn)

        known = self.sampling, drawn if self.family.flow else None
        if known not in self._shares:  # pictures of a folder ask one after the other
            self._shares[known] = of_diffusers(shares, self.sampling.steps, rounds_up=self.family.flow)
        return self._shares[known]

    def refine(self, batch: Batch, stop: Callable[[], bool]) -> np.ndarray:
        """The windows after img2img, float32 (n, h, w, 3), levels 0-255. A denoise of 0 leaves them as they are."""
        if batch.denoise == 0:
            return batch.images
        height, width = batch.images.shape[1:3]
        self.autoencoder.fit_for(max(height, width))
        self.autoencoder.quick = batch.speed != EXACT
        with self._steered(lambda: self.controls.hints(batch)), self._overseen(batch):
            latents = self.steps.run(
                lambda: self.autoencoder.encode(batch.images),
                self._noise(batch),
                batch.denoise,
                *self.conditions.of(batch.prompts, len(batch.tiles)),
                stop,
                size=(height, width),
                canvas=self.latents.size(batch.canvas),
                resemblance=batch.resemblance,
                colours=self._colours,
                strengths=batch.strengths,
                speed=batch.speed,
                deep=not self.controls,
            )
        pictures = self.autoencoder.pictures(latents, height, width)
        self.placement.rest()
        return pictures

    def looks_over(self) -> bool:
        return not (self.family.flow or self.controls) and can_know(self.network)

    def _overseen(self, batch: Batch) -> AbstractContextManager[None]:
        if not batch.overviews or not self.looks_over():
            return nullcontext()
        return overviews_known(self.network, self.pipeline.scheduler, self._overviews, batch, self.autoencoder.encode)

    def why_not_fused(self) -> str:
        return ""

    def fuse(
        self, fusion: Fusion, step_done: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> Iterator[np.ndarray]:
        """All windows of a canvas together, see `fused`; a batch's images after the other, as `refine` gives them."""
        first, region = fusion.batches[0], fusion.noise.region
        if first.denoise == 0:
            yield from (batch.images for batch in fusion.batches)
            return
        size, vae = first.images.shape[1:3], self.autoencoder
        vae.fit_for(max(size))
        vae.quick = first.speed != EXACT
        height, width = region.height, region.width
        places = on_device(patches(fusion.tiles, fusion.canvas, self.latents, fusion.reach), self.device)

        def encoded() -> torch.Tensor:
            windows = (one[None] for batch in fusion.batches for one in vae.encode(batch.images))
            canvas = torch.empty(1, vae.channels, height, width, dtype=self._dtype, device=self.device)
            return assemble(windows, places, canvas)

        def check() -> None:
            if stop():
                raise Stopped("stopped in a step")

        def hints() -> torch.Tensor:
            windows = (one[None] for batch in fusion.batches for one in self.controls.hints(batch).to(self.device))
            return assemble(windows, places, torch.empty(1, self.controls.channels, height, width, device=self.device))

        beside = canvas_of(self.network, places)
        seen = Windows(places, (height, width), self.latents.patch, fusion.limit, check, not fusion.canvas.wraps)
        # A transformer is told the size of the whole picture, a UNet that of its windows.
        drawn = (height * vae.scale, width * vae.scale) if self.family.network else size
        with beside.put_in(), self._steered(hints, for_canvas(self.family.network, self.network, seen, beside)):
            canvas = self.steps.run(
                encoded, self._noise(first), first.denoise, *self.conditions.of((), 1), stop,
                size=drawn, canvas=(height, width), step_done=step_done, told=size, resemblance=first.resemblance,
                colours=self._colours, speed=first.speed, deep=False, strengths=fusion.strengths,
            )  # fmt: skip
        windows = iter(places)
        for batch in fusion.batches:
            latents = torch.cat([place.cut(canvas) for place in islice(windows, len(batch.tiles))])
            yield vae.pictures(latents, *size)

    def identity(self) -> dict[str, Any]:
        """The weights themselves, LoRA files merged in, and the settings but the seed: that is in the noise.

        diffusers lists a scheduler's defaulted settings in another order in each process: that list is left out.
        """
        scheduler = {name: value for name, value in self.pipeline.scheduler.config.items() if name != _DEFAULTED}
        parts = {network_name(self.pipeline): self.network, "vae": self.pipeline.vae, **self.conditions.encoders}
        return {
            "engine": "diffusers", "torch": torch.__version__, "device": self.device.type,
            "bfloat16": self._in_bfloat16,
            "weights": {name: fingerprint(part) for name, part in parts.items()},
            "embeddings": [asdict(one) for one in self.embeddings],
            **({"control": self.controls.identity()} if self.controls else {}),
            "scheduler": scheduler, **{**asdict(self.sampling), "seed": None},
        }  # fmt: skip

    def save_memory(self) -> bool:
        """The text encoders leave, the autoencoder works in pieces, then only what works is on the card."""
        if self.placement.way != "off" and self.autoencoder.small_pieces():
            return True
        if self.device.type == "cpu" or self.placement.way == WAYS[-1]:
            return self.autoencoder.small_pieces()
        self.conditions.leave()
        less = self.placement.less()
        self.autoencoder.keeps_format = self.placement.way == "sequential"
        return less

    def remarks(self) -> tuple[str, ...]:
        return (*self.autoencoder.remarks, *self.steps.remarks)

    @contextmanager
    def more_precise(self) -> Iterator[None]:
        """In single precision, where the model is in half."""
        dtype = self._dtype
        if self.placement.way == "sequential" or getattr(self.network, "hf_quantizer", None) is not None:
            # its weights are elsewhere, or in few bits
            yield
            return
        if dtype == torch.float32:
            reduced, self._in_bfloat16 = self._in_bfloat16, False
            try:
                yield
            finally:
                self._in_bfloat16 = reduced
            return
        of_vae = dtype_of(self.pipeline.vae)
        try:
            for part in (self.network, self.pipeline.vae, self.controls):
                part.to(torch.float32)
            self.autoencoder.dtype = torch.float32
            yield
        finally:
            self.autoencoder.dtype = dtype
            self.network.to(dtype)
            self.controls.to(dtype)
            self.pipeline.vae.to(of_vae)

    def infotext(self, parameters: dict[str, str]) -> str:
        """Generation parameters as the webui writes them; the model's, where it had a part in the picture."""
        sampling, prompts = self.sampling, ("", "")
        model = {"Steps": sampling.steps, "Sampler": sampling.sampler}
        if self.guided or is_told_cfg(self.pipeline):
            model["CFG scale"] = sampling.cfg_scale
        if is_distilled(self.pipeline):
            model["Distilled CFG Scale"] = DISTILLED
        model |= {"Seed": sampling.seed, "Model": self.model_name, **self.controls.infotext()}
        if self.loras:
            model["Lora hashes"] = ", ".join(f"{lora.name}: {lora.digest}" for lora in self.loras)
        if self.embeddings:
            model["TI hashes"] = ", ".join(f"{one.name}: {one.digest}" for one in self.embeddings)
        if self.conditions.has_text and infotext.STRENGTH in parameters:
            tags = [lora.tag for lora in self.loras]
            prompts = " ".join([*([sampling.prompt] if sampling.prompt else []), *tags]), sampling.negative_prompt
        return infotext.write(infotext.of_model(parameters, model), *prompts)

    def _colours(self) -> torch.Tensor:
        """The directions of colour in this model's latents."""
        if self._of_colour is None:
            self._of_colour = colours_of(self.autoencoder.encode)
        return self._of_colour

    @contextmanager
    def _steered(
        self,
        hints: Callable[[], torch.Tensor],
        spread: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda forward: forward,
    ) -> Iterator[None]:
        """While inside, ControlNets steer the network. hints: their pictures, as `Controls.hints`. spread: makes a
        `forward` for a canvas of one for windows."""
        own = self.network.forward
        forward = spread(self.controls.steering(own) if self.controls else own)
        forward = self.controls.given(forward, hints().to(self.device)) if self.controls else forward
        with in_place_of(self.network, forward=forward):
            yield

    @property
    def _dtype(self) -> torch.dtype:
        return dtype_of(self.network)

    def _noise(self, batch: Batch) -> CanvasNoise:
        return CanvasNoise(
            batch.noises, self.autoencoder.channels, self.device, self._dtype, self.family.pack.packed, batch.drawn
        )
