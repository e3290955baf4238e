"""The webui as a host of the engine: one run on a person's `p`."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..batch_size import BatchLimits, BatchSize
from ..enlarge.resize_mode import fit
from ..enlarge.windows import RESAMPLERS, resize
from ..errors import ModelError, NotANumber, Skipped, Stopped, plural
from ..fused.overviews import Overviews, can_know
from ..host import Batch, Fusion, Host, Progress
from ..options import INFOTEXT_PREFIX, Options
from ..options.tile_prompts import has_extra_networks
from ..pictures.infotext import in_webui
from ..plan import Plan
from ..run import memory_needs
from ..speed.denoiser import network_of
from . import environment, model_kind, other_extensions, progress_bar
from .controlnet import ControlNetUnits
from .environment import devices, processing, shared
from .fingerprint import ModelWatch, stamp, webui_identity
from .fused_call import FusedCall, cannot_fuse
from .guidance import Colours, only_the_prompts_guide, overviews_known
from .infotext import infotext_processing
from .overrides import temporarily, values_of_run
from .phases import in_phases
from .progress_bar import JobCount, Preview, interrupted_or_skipped, leaves_upscaling, say, state_kept, stop_requested
from .prompts import Prompts
from .protocols import Processing
from .request import Wanted
from .tile_call import forget_pictures, own_method, tile_processing
from .upscaler_files import SESSION, UPSCALERS, upscaler_names


class WebuiHost(Host):
    """One run on a person's `p`: every call goes to a copy of it."""

    def __init__(
        self,
        p: Processing,
        picture: Wanted,
        title: str,
        jobs: JobCount,
        watch: ModelWatch,
        resize_mode: int,
        options: Options,
        mask: np.ndarray | None = None,
    ):
        """picture: which one of the run. watch: for the whole run, the same for all of its pictures."""
        self.p, self.picture, self.title, self.jobs, self.resize_mode = p, picture, title, jobs, resize_mode
        self._watch, self.changed, self._denoise = watch, "", options.denoise
        self.latents = model_kind.latents()
        self.default_tile = model_kind.default_tile()
        self.noise_share = lambda canvas, window=None: model_kind.noise_share_in_run(p, window)
        self.works_apart = torch.device(devices.device).type != "cpu"
        self.units, self.prompts = ControlNetUnits(p), Prompts()
        self.comments: dict[str, int] = dict.fromkeys([*self.units.notes, *other_extensions.notes(p)], 1)
        # The host takes the extra networks of a batch from its first prompt (extra_networks.py:194).
        alone = self.units.one_at_a_time, has_extra_networks(options.tile_prompts)
        self.batch_cap = 1 if any(alone) or model_kind.one_picture_a_call(p.sampler_name) else None
        self.interrogators = environment.interrogators()
        self.finishes = other_extensions.finishes(script for script, _ in other_extensions.alwayson(p))
        if mask is not None and not mask.any():
            self.comments["The mask is empty: nothing was redrawn."] = 1
        if options.finish == "none" and (shared.opts.face_restoration if p.restore_faces is None else p.restore_faces):
            self.comments["Faces are not restored in tiles: the finishing pass does it once, at the end."] = 1
        self.journal_folder = environment.journal_folder()
        self.upscaler_skipped = False
        self._parameters: dict[str, Any] = {}
        self._last: Processing | None = None
        self._skipped = self._done = self._calls = self._total = 0
        self._preview, self._no_interrogator = Preview(shared.state), False
        self._colours, self._overviews = Colours(processing.images_tensor_to_samples), Overviews()
        if getattr(p, "refiner_checkpoint", None) not in (None, "", "None", "none"):
            self.comments["Ultimate SD Upscale leaves the refiner out: it would swap checkpoints twice a tile."] = 1

    def upscalers(self) -> list[str]:
        return upscaler_names()

    def announce(self, parameters: dict[str, str], plan: Plan) -> None:
        """Before the first tile: ControlNet looks for our keys in the generation parameters of every call."""
        self._parameters = {"Script": self.title, **in_webui(parameters)}
        self._total, self._left = plan.tiles, model_kind.time_left(plan, self.p)
        self.jobs.start(plan.tiles)

    def leave_out(self, tiles: int) -> None:
        self._total -= tiles
        self._left.leave_out(tiles)
        self.jobs.leave_out(self._done, tiles)

    def _begin(self, tiles: int) -> Callable[[], None]:
        """Before a call for so many tiles: the bars count calls of this kind. Returns what says the time left anew."""
        calls, last = self.jobs.call(self._done, tiles), self._done + tiles
        which = f"tile {last}" if tiles == 1 else f"tiles {self._done + 1}-{last}"
        tell = partial(say, shared.state, f"Drawing {which} of {max(self._total, last)}", self._left.now)
        tell()
        self._calls += 1
        steps = self.pace(self._denoise)
        shared.total_tqdm.updateTotal(steps * (self._calls + math.ceil(calls) - 1))
        return tell

    def enlarge(self, rgb: np.ndarray, name: str, width: int, height: int) -> np.ndarray:
        """By spandrel where the upscaler is a file it knows, else by the host; honours the tab's resize mode."""
        with self.jobs.left_out_of_the_estimate():
            try:
                return UPSCALERS.enlarge(
                    rgb, name, width, height, device=getattr(devices, "device_esrgan", None) or devices.device,
                    tile=self.default_tile, mode=self.resize_mode, progress=self._upscale_progress,
                    stop=lambda: leaves_upscaling(shared.state), half=environment.upscalers_in_half(),
                )  # fmt: skip
            except Stopped:
                if self.stop_requested():
                    raise
            shared.state.skipped, self.upscaler_skipped = False, True  # Skip ends this stage only
            return fit(rgb, width, height, self.resize_mode, resize)

    @property
    def batch_sizes(self) -> dict[Any, BatchSize]:
        """For the checkpoint in use: kept for the next picture."""
        checkpoint = getattr(getattr(shared.sd_model, "sd_checkpoint_info", None), "filename", None)
        return SESSION.batch_sizes(checkpoint)

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        return model_kind.batch_limits(width, height)

    def call_limits(self, width: int, height: int) -> BatchLimits | None:
        # What ControlNet prepares is for all of a call.
        return None if self.units.places else memory_needs.call_limits(devices.device, width, height)

    def pace(self, denoise: float) -> int:
        return int(min(denoise, 0.999) * self.p.steps) + 1

    def refine(self, batch: Batch) -> np.ndarray:
        self._check_unchanged()
        tell = self._begin(len(batch.tiles))
        tile_p = self._tile_processing(batch)
        self.prompts.settle(tile_p, own_method(tile_p, self.p, "init"), batch.prompts)
        self.units.crop_to(tile_p, batch.tiles[0].window, batch.canvas)
        stopped = partial(getattr, shared.state, "interrupted")
        knowing = partial(overviews_known, processing, tile_p, self._overviews, batch)
        called = in_phases(processing, tile_p, batch, stopped, tell, knowing if batch.overviews else nullcontext)
        with environment.own_generators(), called as phases:
            torch.manual_seed(batch.noises[0].seed % 2**64)
            try:
                processed = processing.process_images(tile_p)
            except getattr(devices, "NansException", NotANumber) as error:
                raise NotANumber(str(error)) from error
        self._after_call(tile_p)
        if shared.state.interrupted and not phases.sampled:
            raise Stopped("interrupted in a tile")  # what came back is half denoised
        if progress_bar.take_skip(shared.state):
            self._skipped += len(batch.tiles)
            raise Skipped("skipped")
        self._last = tile_p
        windows = processed.images[processed.index_of_first_image :][: len(batch.tiles)]
        if len(windows) < len(batch.tiles):
            if self.stop_requested():  # said before the call had begun
                raise Stopped("stopped before a tile")
            raise ModelError(f"the webui returned {len(windows)} of {plural(len(batch.tiles), 'picture')}")
        return phases.in_full(windows, batch.canvas)

    def _after_call(self, tile_p: Processing) -> None:
        """Raises Stopped where what came back may be of two models."""
        self._watch.called()
        self._check_unchanged()
        forget_pictures(tile_p)
        self.comments.update(tile_p.comments)

    def _check_unchanged(self) -> None:
        """Raises Stopped where the run would go on with another model or other settings: one run, one model."""
        self.changed = self._watch.difference()
        if self.changed:
            self.comments[f"{self.changed} The run ended there; its finished tiles are kept."] = 1
            raise Stopped(self.changed)

    def _tile_processing(self, batch: Batch, *, deep: bool = True) -> Processing:
        return other_extensions.leave_out(tile_processing(
            self.p, batch, self.picture, self._parameters, device=shared.device,
            seed_delta=int(getattr(shared.opts, "eta_noise_seed_delta", 0) or 0), deep=deep and not self.units.places,
            guidance_may_idle=not self.units.places and only_the_prompts_guide(),
            settings=shared.opts.data, colours=self._colours,
        ))  # fmt: skip

    def looks_over(self) -> bool:
        return not self.units.places and only_the_prompts_guide() and can_know(network_of(shared.sd_model))

    def why_not_fused(self) -> str:
        one_picture, units = model_kind.one_picture_a_call(self.p.sampler_name), bool(self.units.places)
        return cannot_fuse(processing, shared.sd_model, controlnet=units, one_picture=one_picture)

    def fuse(self, fusion: Fusion, step_done: Callable[[int, int], None]) -> list[np.ndarray]:
        sd_samplers, sd_samplers_common = environment.samplers()

        def stop() -> None:
            if interrupted_or_skipped(shared.state):
                raise sd_samplers_common.InterruptedException

        self._check_unchanged()
        self._begin(len(fusion.tiles))
        first = fusion.batches[0]
        one = replace(first, tiles=first.tiles[:1], images=first.images[:1], strengths=fusion.strengths)
        tile_p = self._tile_processing(one, deep=False)
        call = FusedCall(
            processing, lambda: sd_samplers.create_sampler(tile_p.sampler_name, tile_p.sd_model), tile_p, fusion,
            self.latents, stop,
            lambda: step_done(shared.state.sampling_step, max(shared.state.sampling_steps, 1)),
            lambda: interrupted_or_skipped(shared.state),
        )  # fmt: skip
        with environment.own_generators():
            processing.process_images(tile_p)
        self._after_call(tile_p)
        if self.stop_requested() and not call.images:  # once it decodes, the picture is done
            raise Stopped("interrupted in a step")
        if progress_bar.take_skip(shared.state):
            self._skipped += len(fusion.tiles)
            self.comments["Ultimate SD Upscale: skipped, the picture is as upscaled."] = 1
            return [batch.images for batch in fusion.batches]
        self._last = tile_p
        windows = iter(call.images)
        return [np.stack(list(islice(windows, len(batch.tiles)))) for batch in fusion.batches]

    def identity(self) -> dict[str, Any]:
        p = copy.copy(self.p)
        p.setup_prompts()
        return webui_identity(
            p, self.picture.subseed, (p.all_prompts[0], p.all_negative_prompts[0]),
            environment.settings_of_identity(values_of_run(shared.opts.data)), environment.model_files(),
            getattr(sys.modules.get("networks"), "available_networks", {}),
        )  # fmt: skip

    def upscaler_identity(self, name: str) -> Any:
        name = UPSCALERS.name(name)
        if name in RESAMPLERS:
            return None
        settings = environment.settings_of_identity(values_of_run(shared.opts.data))
        return name, stamp(UPSCALERS.file(name)), self.resize_mode, settings

    @contextmanager
    def more_precise(self) -> Iterator[None]:
        """With attention in single precision, where the host has that setting (sd_hijack_optimizations.py)."""
        values = {"upcast_attn": True} if hasattr(shared.opts, "upcast_attn") else {}
        with temporarily(shared.opts.data, **values):
            yield

    def interrogate(self, window: np.ndarray, name: str) -> str:
        """By the host's model; a model that cannot be had is said once, and no tile is described."""
        if self._no_interrogator:
            return ""
        with state_kept(shared.state):
            text = environment.words_for(Image.fromarray(window), name)
        if not text or "<error>" in text:
            self._no_interrogator = True
            self.comments[f"Tiles were not described: the webui's {name} interrogator gave nothing."] = 1
            return ""
        return text

    def finish(self, picture: np.ndarray, name: str) -> np.ndarray:
        """Once over the final picture. A pass that fails leaves it as it is: the tiles are not lost."""
        say(shared.state, "Finishing")
        p = self.infotext_p({})
        p.width, p.height = (self._last or p).width, (self._last or p).height
        done, note = other_extensions.finished(picture, name, p)
        self.comments |= {note: 1} if note else {}
        return done

    def progress(self, progress: Progress, canvas: np.ndarray | None) -> None:
        self._done = progress.done
        say(shared.state, f"Tile {progress.done} of {progress.total}", partial(self._left.after, progress))
        if canvas is not None and shared.opts.live_previews_enable:
            self._preview.show(canvas, last=progress.done == progress.total)

    def stop_requested(self) -> bool:
        return stop_requested(shared.state)

    def infotext(self, parameters: dict[str, str]) -> str:
        p = self.infotext_p(parameters)
        return processing.create_infotext(p, p.all_prompts, p.all_seeds, p.all_subseeds)

    def infotext_p(self, parameters: Mapping[str, Any]) -> Processing:
        """A copy of p for infotexts."""
        skipped = {INFOTEXT_PREFIX + "skipped": plural(self._skipped, "tile")} if self._skipped else {}
        parameters = {**skipped, **self._parameters, **in_webui(parameters)}
        return infotext_processing(self.p, self._last, self.picture, self.prompts.resolved, parameters, shared.sd_model)

    def _upscale_progress(self, done: int, total: int) -> None:
        left = partial(self._left.after, Progress("upscale", done, total))
        say(shared.state, f"Upscaling: window {done} of {total}", left)
