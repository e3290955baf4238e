"""The webui as a host: the only module that imports `modules`. Hosts differ; each difference is felt for, never named.

File:line references are to AUTOMATIC1111 v1.10.1. What is imported here exists in every fork.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from modules import devices, errors, images, processing, shared
from PIL import Image

from ..batch_size import BatchLimits, BatchSize
from ..compose.mask import painted, soften
from ..engine import Result
from ..engine import upscale as run_engine
from ..enlarge.resize_mode import check_whole, fit, fit_plane
from ..enlarge.seamless import resizer
from ..enlarge.windows import OVERLAP, RESAMPLERS, WINDOW, known_name, resize
from ..enlarge.windows import upscale as run_model
from ..errors import ModelError, NotANumber, OptionError, Skipped, Stopped, TooLarge, UsduError
from ..host import Batch, Fusion, Progress
from ..options import INFOTEXT_PREFIX, Options, listed
from ..options.tile_prompts import has_extra_networks
from ..run.memory import give_back, short, upscaler_windows, windows_that_fit
from ..standalone.host import EMBEDDED_UPSCALER
from . import gallery as results
from . import other_extensions as neighbours
from . import upscaler_files
from .controlnet import ControlNetUnits, is_controlnet
from .encoding import encoding_alone
from .fingerprint import stamp, webui_identity
from .fused_call import FusedCall
from .infotext import described
from .overrides import in_force
from .progress_bar import Jobs
from .prompts import Prompts
from .script_args import supplied
from .tile_call import forget_pictures, own_method, tile_processing
from .upscaler_files import model_file, of_this_name

_SHOWN_EVERY = 0.5  # seconds between two previews of the canvas; making one takes 5 ms
_batch_sizes: dict[Any, dict[Any, BatchSize]] = {}  # by checkpoint


def run(p: Any, script: Any, args: Sequence[Any]) -> Any:
    """What `Script.run` does: the host's `Processed`, the final picture first. `p` is left as it was found.

    A bad option is told to an API client as HTTP 422 and shown to a person at the panel; so is what went wrong with
    one picture of a folder, and the next picture goes on.
    """
    try:
        return _run(p, script, args)
    except TooLarge as error:
        return _failed(p, f"{error} (the webui's --usdu-max-megapixels raises it)")
    except ModelError as error:
        errors.report(f"{script.title()}: {error}", exc_info=error.__cause__ is not None)
        return _failed(p, str(error), status=500)
    except (UsduError, MemoryError) as error:
        return _failed(p, str(error) or "not enough memory")
    except Exception as error:
        errors.report(f"{script.title()}: {type(error).__name__}", exc_info=True)
        return _failed(p, f"{type(error).__name__}: {error}", status=500)


def _run(p: Any, script: Any, args: Sequence[Any]) -> Any:
    options = Options.from_script_args(supplied(p, script, args), upscalers=upscaler_names())
    options = options.with_(denoise=float(p.denoising_strength), max_megapixels=max_megapixels())
    if not p.init_images or p.init_images[0] is None:
        raise UsduError("there is no picture to upscale: put one into the img2img tab (init_images in the API)")
    source = p.init_images[0]
    if getattr(source, "mode", "") in ("LA", "PA", "La") or "transparency" in getattr(source, "info", {}):
        source = source.convert("RGBA")
    rgb = np.asarray(images.flatten(source, shared.opts.img2img_background_color))
    alpha = np.asarray(source.getchannel("A")) if source.mode in ("RGBA", "RGBa") else None
    seed = processing.get_fixed_seed(p.seed)
    # A size by scale keeps the picture's shape; for the others the tab says what to do with another shape.
    resize_mode = 0 if options.target_size_type == "scale" else p.resize_mode
    size = p.width, p.height
    target = options.target_size(*rgb.shape[1::-1], size)
    if options.seamless:
        check_whole(rgb, *target, resize_mode)
    mask = _mask(p, rgb.shape[1::-1], target, resize_mode)
    pictures: list[Image.Image] = []
    texts: list[str] = []
    seeds: list[int] = []
    with in_force(shared.opts, p, _reload), Jobs(shared.state, p.n_iter) as jobs:
        for number in range(max(1, p.n_iter)):
            host = WebuiHost(p, seed + number, script.title(), jobs, resize_mode, options, mask)
            result = run_engine(rgb, options.with_(seed=seed + number), host, img2img_size=size, mask=mask)
            text = result.infotext if shared.opts.enable_pnginfo else None
            final, redrawn = results.pictures(result, text, alpha, resize_mode, resizer(options.seamless))
            _save(p, options, host, result, final, redrawn)
            if result.finished:
                result.forget()
            host.comments.update(dict.fromkeys(result.notes, 1))
            numbered = None if result.numbered is None else Image.fromarray(result.numbered)
            for picture in (final, results.compared(options, result), redrawn, numbered):
                if picture is not None:
                    pictures.append(picture)
                    texts.append(result.infotext)
                    seeds.append(host.seed)
            if host.stop_requested():
                break
        info = host.describe(result.parameters)
        info.comments = {**p.comments, **host.comments}
        info.all_seeds, info.all_subseeds = seeds, info.all_subseeds * len(seeds)
        info.all_prompts = info.all_prompts * len(seeds)
        info.all_negative_prompts = info.all_negative_prompts * len(seeds)
        return processing.Processed(info, pictures, seed=seed, info=texts[0], infotexts=texts)


def _failed(p: Any, message: str, status: int = 422) -> Any:
    if getattr(p, "is_api", False):
        from fastapi import HTTPException

        raise HTTPException(status_code=status, detail=message) from None
    with suppress(Exception):  # a toast, where gradio is listening
        import gradio

        gradio.Warning(message)
    info = copy.copy(p)
    info.comments = {**p.comments, message: 1}
    info.all_prompts = info.all_negative_prompts = info.all_seeds = info.all_subseeds = None
    return processing.Processed(info, [], seed=-1, info=message)


def upscaler_names() -> list[str]:
    """As the host lists them (`upscaler_index` counts in this list), then the one that comes with the extension."""
    return [*(known.name for known in shared.sd_upscalers), EMBEDDED_UPSCALER]


def max_megapixels() -> float:
    """The largest result; --usdu-max-megapixels says otherwise."""
    return float(getattr(shared.cmd_opts, "usdu_max_megapixels", None) or 1000.0)


def default_tile() -> int:
    """512 for Stable Diffusion 1 and 2, 1024 for SDXL and later; does not load a model that is not loaded yet."""
    with suppress(Exception):
        from modules import sd_models

        model = sd_models.model_data.sd_model
        small = getattr(model, "is_sd1", False) or getattr(model, "is_sd2", False)
        large = getattr(model, "is_sdxl", False) or getattr(model, "is_sd3", False)
        if not small and (large or getattr(model, "latent_channels", 4) == 16):
            return 1024
    return 512


class WebuiHost:
    """One run on a person's `p`: every call goes to a copy of it."""

    alignment = 64

    def __init__(self, p: Any, seed: int, title: str, jobs: Jobs, resize_mode: int, options: Options, mask: Any = None):
        self.p, self.seed, self.title, self.jobs, self.resize_mode = p, seed, title, jobs, resize_mode
        self.latent_scale = getattr(processing, "opt_f", 8)
        self.default_tile = default_tile()
        self.units, self.prompts = ControlNetUnits(p), Prompts()
        self.comments: dict[str, int] = dict.fromkeys([*self.units.notes, *neighbours.notes(p)], 1)
        # The host takes the extra networks of a batch from its first prompt (extra_networks.py:194).
        alone = self.units.one_at_a_time or has_extra_networks(options.tile_prompts)
        self.batch_cap = 1 if alone else None
        self.interrogators, self.finishes = _interrogators(), _finishes(p)
        if mask is not None and not mask.any():
            self.comments["The mask is empty: nothing was redrawn."] = 1
        if options.finish == "none" and (shared.opts.face_restoration if p.restore_faces is None else p.restore_faces):
            self.comments["Faces are not restored in tiles: the finishing pass does it once, at the end."] = 1
        self._wrap = options.seamless
        self.journal_folder = journal_folder()
        self.upscale_skipped = False
        self._parameters: dict[str, Any] = {}
        self._last: Any = None
        self._skipped = self._done = self._calls = 0
        self._shown_at = -math.inf
        self._no_interrogator = False
        if getattr(p, "refiner_checkpoint", None) not in (None, "", "None", "none"):
            self.comments["Ultimate SD Upscale leaves the refiner out: it would swap checkpoints twice a tile."] = 1

    def upscalers(self) -> list[str]:
        return upscaler_names()

    def announce(self, parameters: dict[str, str], tiles: int) -> None:
        """Before the first tile: ControlNet looks for our keys in the generation parameters of every call."""
        self._parameters = {"Script": self.title, **parameters}
        self.jobs.start(tiles)

    def leave_out(self, tiles: int) -> None:
        self.jobs.leave_out(self._done, tiles)

    def _begin(self, tiles: int) -> None:
        """Before a call for so many tiles: the bars of the page and the console count calls of this kind."""
        calls = self.jobs.call(self._done, tiles)
        steps = int(min(self.p.denoising_strength, 0.999) * self.p.steps) + 1
        self._calls += 1
        shared.total_tqdm.updateTotal(steps * (self._calls + math.ceil(calls) - 1))

    def upscale(self, rgb: np.ndarray, name: str, width: int, height: int) -> np.ndarray:
        """By spandrel where the upscaler is a file it knows, else by the host; honours the tab's resize mode."""
        enlarge = self._upscaler(name)
        enlarged = fit(rgb, width, height, self.resize_mode, enlarge)
        if short(devices.device, self.default_tile, self.default_tile):
            del enlarge
            upscaler_files.let_go()
            give_back()
        return enlarged

    @property
    def works_apart(self) -> bool:
        return torch.device(devices.device).type != "cpu"

    @property
    def batch_sizes(self) -> dict[Any, BatchSize]:
        """For the checkpoint in use: kept for the next picture."""
        checkpoint = getattr(getattr(shared.sd_model, "sd_checkpoint_info", None), "filename", None)
        return _batch_sizes.setdefault(checkpoint, {})

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        if self.p.batch_size > 1:
            return BatchLimits(self.p.batch_size, self.p.batch_size)
        return windows_that_fit(devices.device, width, height, half=devices.dtype != torch.float32)

    def refine(self, batch: Batch) -> np.ndarray:
        self._begin(len(batch.tiles))
        tile_p = self._tile_processing(batch)
        self.prompts.settle(tile_p, own_method(tile_p, self.p, "init"), batch.prompts)
        self.units.crop_to(tile_p, batch.tiles[0].window, batch.canvas, wrap=self._wrap)
        with _own_generators(), encoding_alone(processing, [noise.seed % 2**64 for noise in batch.noises]):
            torch.manual_seed(batch.noises[0].seed % 2**64)
            try:
                processed = processing.process_images(tile_p)
            except getattr(devices, "NansException", NotANumber) as error:
                raise NotANumber(str(error)) from error
        forget_pictures(tile_p)
        self.comments.update(tile_p.comments)
        if shared.state.interrupted:
            raise Stopped("interrupted in a tile")  # what came back is half denoised
        if getattr(shared.state, "skipped", False):
            shared.state.skipped = False
            self._skipped += len(batch.tiles)
            raise Skipped("skipped")
        self._last = tile_p
        found = processed.images[processed.index_of_first_image :][: len(batch.tiles)]
        if len(found) < len(batch.tiles):
            if self.stop_requested():  # said before the call had begun
                raise Stopped("stopped before a tile")
            raise ModelError(f"the webui returned {len(found)} pictures for {len(batch.tiles)} tiles")
        return np.stack(
            [np.asarray(found_.convert("RGB")) if hasattr(found_, "convert") else found_ for found_ in found]
        )

    def _tile_processing(self, batch: Batch) -> Any:
        return tile_processing(
            self.p, batch, self.seed, self._parameters, device=shared.device,
            seed_delta=int(getattr(shared.opts, "eta_noise_seed_delta", 0) or 0),
            settings=shared.opts.data, guidance_may_idle=self._only_the_prompts_guide(),
        )  # fmt: skip

    def _only_the_prompts_guide(self) -> bool:
        """Whether the model's answers to prompt and negative prompt can differ by the prompts alone."""
        from modules import script_callbacks

        plain = getattr(getattr(shared.sd_model, "model", None), "conditioning_key", None) == "crossattn"
        callbacks = getattr(script_callbacks, "callback_map", {"callbacks_cfg_denoiser": [None]})
        watched = any(callbacks.get(f"callbacks_{name}") for name in ("cfg_denoiser", "cfg_denoised"))
        return plain and not watched and not self.units.places

    @property
    def fuses(self) -> bool:
        """Raises OptionError, saying why, where windows cannot be fused."""
        reason = None
        if not hasattr(processing, "DecodedSamples") or hasattr(shared.sd_model, "forge_objects"):
            reason = "this webui's samplers call the model in another way"
        elif self.units.places:
            reason = "with a ControlNet unit on"
        elif getattr(getattr(shared.sd_model, "model", None), "conditioning_key", "crossattn") != "crossattn":
            reason = "with an inpainting, edit or depth checkpoint"
        if reason:
            raise OptionError("redraw_mode", "fused", f"linear, chess, none, parallel {reason}")
        return True

    def fuse(self, fusion: Fusion, step_done: Callable[[int, int], None]) -> list[np.ndarray]:
        from modules import sd_samplers, sd_samplers_common

        def stop() -> None:
            if _interrupted_or_skipped():
                raise sd_samplers_common.InterruptedException

        self._begin(len(fusion.tiles))
        first = fusion.batches[0]
        tile_p = self._tile_processing(replace(first, tiles=first.tiles[:1], images=first.images[:1]))
        call = FusedCall(
            processing, lambda: sd_samplers.create_sampler(tile_p.sampler_name, tile_p.sd_model), tile_p, fusion,
            self.latent_scale, stop,
            lambda: step_done(shared.state.sampling_step, max(shared.state.sampling_steps, 1)),
            _interrupted_or_skipped,
        )  # fmt: skip
        with _own_generators():
            processing.process_images(tile_p)
        forget_pictures(tile_p)
        self.comments.update(tile_p.comments)
        if shared.state.interrupted or (self.stop_requested() and not call.images):
            raise Stopped("interrupted in a step")
        if getattr(shared.state, "skipped", False):
            shared.state.skipped = False
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
            p, (p.all_prompts[0], p.all_negative_prompts[0]), shared.opts.data, _model_files(),
            getattr(sys.modules.get("networks"), "available_networks", {}),
        )  # fmt: skip

    def upscaler_identity(self, name: str) -> Any:
        name = known_name(name, self.upscalers())
        if name in RESAMPLERS:
            return None
        return (
            name,
            stamp(model_file(of_this_name(shared.sd_upscalers, name))),
            self.resize_mode,
            dict(shared.opts.data),
        )

    @contextmanager
    def more_precise(self) -> Iterator[None]:
        """With attention in single precision, where the host has that setting (sd_hijack_optimizations.py)."""
        data = shared.opts.data
        before = {name: data[name] for name in ("upcast_attn",) if name in data}
        if hasattr(shared.opts, "upcast_attn"):
            data["upcast_attn"] = True
        try:
            yield
        finally:
            data.pop("upcast_attn", None)
            data.update(before)

    def interrogate(self, window: np.ndarray, name: str) -> str:
        """By the host's model; a model that cannot be had is said once, and no tile is described."""
        if self._no_interrogator:
            return ""
        picture, text = Image.fromarray(window), ""
        with _state_kept(), suppress(Exception):
            text = shared.interrogator.interrogate(picture) if name == "clip" else _deepbooru().tag(picture)
        if not text or "<error>" in text:
            self._no_interrogator = True
            self.comments[f"Tiles were not described: the webui's {name} interrogator gave nothing."] = 1
            return ""
        return text

    def finish(self, picture: np.ndarray, name: str) -> np.ndarray:
        """Once over the final picture. A pass that fails leaves it as it is: the tiles are not lost."""
        _say("Finishing")
        try:
            if name == "faces":
                from modules import face_restoration

                done = np.asarray(face_restoration.restore_faces(picture.copy()))
            else:
                from modules import scripts

                p = self.describe({})
                p.width, p.height = (self._last or p).width, (self._last or p).height
                done = neighbours.run_adetailer(p, Image.fromarray(picture), scripts.PostprocessImageArgs)
                done = np.asarray(done.convert("RGB"))
        except Exception as error:
            errors.report(f"{self.title}: the finishing pass", exc_info=True)
            self.comments[f"The finishing pass failed: {type(error).__name__}: {error}"] = 1
            return picture
        if done.shape != picture.shape or np.array_equal(done, picture):
            self.comments["The finishing pass changed nothing: no face was found, or its model is missing."] = 1
            return picture
        return done

    def progress(self, progress: Progress, canvas: np.ndarray | None) -> None:
        self._done = progress.done
        _say(f"Tile {progress.done} of {progress.total}")
        due = time.monotonic() - self._shown_at >= _SHOWN_EVERY or progress.done == progress.total
        if canvas is not None and shared.opts.live_previews_enable and due:
            self._shown_at = time.monotonic()
            step = max(1, -(-max(canvas.shape[:2]) // 1024))
            shared.state.assign_current_image(Image.fromarray(np.ascontiguousarray(canvas[::step, ::step])))

    def stop_requested(self) -> bool:
        return bool(shared.state.interrupted or getattr(shared.state, "stopping_generation", False))

    def infotext(self, parameters: dict[str, str]) -> str:
        p = self.describe(parameters)
        return processing.create_infotext(p, p.all_prompts, p.all_seeds, p.all_subseeds)

    def describe(self, parameters: Mapping[str, Any]) -> Any:
        """A copy of p for infotexts."""
        skipped = {INFOTEXT_PREFIX + "skipped": f"{self._skipped} tiles"} if self._skipped else {}
        return described(
            self.p, self._last, self.seed, self.prompts.resolved, {**skipped, **self._parameters, **parameters},
            shared.sd_model,
        )  # fmt: skip

    def _upscaler(self, name: str) -> Any:
        """(rgb, width, height) to the picture at this size."""
        name = known_name(name, self.upscalers())
        if name in RESAMPLERS:
            return lambda rgb, width, height: resize(rgb, width, height, RESAMPLERS[name])
        found = of_this_name(shared.sd_upscalers, name)
        if found is None and name != EMBEDDED_UPSCALER:
            raise OptionError("upscaler", name, listed(self.upscalers()))
        model = upscaler_files.loaded(model_file(found), getattr(devices, "device_esrgan", None) or devices.device)

        def enlarge(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
            try:
                if model is None:
                    return self._by_host(found, rgb, width, height)
                return run_model(
                    rgb, model, width, height, batch=upscaler_windows(model.device, WINDOW + 2 * OVERLAP),
                    progress=self._upscale_progress, stop=self._leave_upscaling,
                )  # fmt: skip
            except Stopped:
                if not self.stop_requested():  # Skip: this stage only
                    shared.state.skipped, self.upscale_skipped = False, True
                    return resize(rgb, width, height)
                raise

        return enlarge

    def _by_host(self, upscaler: Any, rgb: np.ndarray, width: int, height: int) -> np.ndarray:
        scale = max(width / rgb.shape[1], height / rgb.shape[0])
        enlarged = upscaler.scaler.upscale(Image.fromarray(rgb), scale, upscaler.data_path)
        if self._leave_upscaling():  # the host then returns the picture as it was (upscaler_utils.py:72)
            raise Stopped("stopped while upscaling")
        return resize(np.asarray(enlarged.convert("RGB")), width, height)

    def _leave_upscaling(self) -> bool:
        return self.stop_requested() or bool(getattr(shared.state, "skipped", False))

    def _upscale_progress(self, done: int, total: int) -> None:
        _say(f"Upscaling: window {done} of {total}")


def journal_folder() -> Path | None:
    """In the webui's own data folder, beside its other caches; None where it does not say which that is."""
    with suppress(ImportError, AttributeError, TypeError):
        from modules import paths

        return Path(paths.data_path) / "cache" / "ultimate-sd-upscale"
    return None


def _model_files() -> dict[str, Any]:
    """The checkpoint's and the VAE's file."""
    files = {}
    with suppress(Exception):  # a fork's own kind of loading
        from modules import sd_models

        chosen = getattr(sd_models, "select_checkpoint", lambda: shared.sd_model.sd_checkpoint_info)()
        files["checkpoint"] = getattr(chosen, "filename", None) or chosen.name
    with suppress(Exception):
        from modules import sd_vae

        files["vae"] = sd_vae.loaded_vae_file
    return files


def _own_generators() -> Any:
    """Torch's global generators, put back afterwards."""
    return torch.random.fork_rng(devices=[devices.device] if torch.device(devices.device).type == "cuda" else [])


def _mask(p: Any, source: tuple[int, int], target: tuple[int, int], resize_mode: int) -> np.ndarray | None:
    """The Inpaint tab's mask with its blur, which is in px of the source, at the result's size: uint8 (h, w)."""
    if p.image_mask is None:
        return None
    mask = painted(p.image_mask, binary=getattr(p, "mask_round", True))
    mask = mask if mask.shape[::-1] == source else resize(mask, *source, Image.Resampling.BILINEAR)
    mask = soften(255 - mask if p.inpainting_mask_invert else mask, p.mask_blur_x, p.mask_blur_y)
    enlarge = partial(resize, resampler=Image.Resampling.BILINEAR)
    return fit_plane(mask, *target, resize_mode, enlarge)


def _deepbooru() -> Any:
    from modules import deepbooru

    return deepbooru.model


def _interrogators() -> list[str]:
    found = ["none"]
    if getattr(shared, "interrogator", None) is not None:
        found.append("clip")
    with suppress(ImportError, AttributeError):
        _deepbooru()
        found.append("deepbooru")
    return found


def _finishes(p: Any) -> list[str]:
    faces = ["faces"] * bool(getattr(shared, "face_restorers", None))
    return ["none", *faces, *["adetailer"] * (neighbours.adetailer(p) is not None)]


@contextmanager
def _state_kept() -> Iterator[None]:
    """The interrogator begins and ends a job of its own (interrogate.py:187, 220): ours goes on afterwards."""
    state = shared.state
    before = dict(vars(state))
    try:
        yield
    finally:
        asked = {name: getattr(state, name, False) for name in ("interrupted", "skipped", "stopping_generation")}
        vars(state).update(before)
        for name, value in asked.items():
            if value:
                setattr(state, name, value)


def _interrupted_or_skipped() -> bool:
    return bool(shared.state.interrupted or getattr(shared.state, "skipped", False))


def _say(doing: str) -> None:
    """In the progress bar; in a folder the host keeps in `state.job` which picture it is (img2img.py:51)."""
    picture = str(shared.state.job or "")
    shared.state.textinfo = f"Picture {picture}: {doing}" if " out of " in picture else doing


def _save(
    p: Any, options: Options, host: WebuiHost, result: Result, final: Image.Image, redrawn: Image.Image | None
) -> None:
    """Files, as far as the host and the panel's two flags want them. A partial picture is saved too: it is hours of
    somebody's card."""
    if p.do_not_save_samples or not shared.opts.samples_save:
        return
    info = host.describe(result.parameters)
    for picture, suffix in results.to_save(options, final, redrawn):
        images.save_image(
            picture, p.outpath_samples, "", host.seed, info.all_prompts[0], shared.opts.samples_format,
            info=result.infotext, p=info, suffix=suffix,
        )  # fmt: skip


def _reload(overrides: Mapping[str, Any]) -> None:
    """Brings the checkpoint and VAE in line with the settings, where an override is about them."""
    if "sd_model_checkpoint" in overrides:
        from modules import sd_models

        getattr(sd_models, "reload_model_weights", lambda: None)()
    if "sd_vae" in overrides:
        with suppress(ImportError):
            from modules import sd_vae

            getattr(sd_vae, "reload_vae_weights", lambda: None)()


class PanelHost:
    """What the panel asks of the webui."""

    def upscalers(self) -> list[str]:
        return upscaler_names()

    def ready_upscalers(self) -> list[str]:
        """Those whose file is there: others would be downloaded first."""
        return [known.name for known in shared.sd_upscalers if model_file(known).is_file()] + [EMBEDDED_UPSCALER]

    def refresh_upscalers(self) -> None:
        """Looks for upscaler files again, where the host can (modelloader.load_upscalers)."""
        with suppress(ImportError, AttributeError):
            from modules import modelloader

            modelloader.load_upscalers()

    def default_tile(self) -> int:
        return default_tile()

    def is_xl(self) -> bool:
        return default_tile() > 512

    def has_controlnet(self) -> bool:
        """Whether a unit is on cannot be seen from the panel: whether there is ControlNet at all."""
        from modules import scripts

        return any(map(is_controlnet, scripts.scripts_img2img.alwayson_scripts))

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        return windows_that_fit(devices.device, width, height, half=not shared.cmd_opts.no_half)
