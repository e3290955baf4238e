"""A tile as a processing object of the webui: a copy of the person's `p`, made fit for one batch of windows.

File:line references are to AUTOMATIC1111 v1.10.1.
"""

from __future__ import annotations

import copy
import functools
import inspect
import math
import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

from PIL import Image

from ..geometry import Region
from ..host import Batch
from ..run.noise_draws import Brownian, CanvasDraws, uses_noise
from ..run.resemblance import Hold
from ..speed.denoiser import PacedDenoiser
from ..speed.schedule import PACES
from .guidance import Colours, hold_steps, without_idle_guidance
from .protocols import Processing
from .request import Wanted

# What a tile's call must not inherit from the person's settings: a tile is no picture of its own.
_RESET = {
    "image_mask": None, "mask": None, "nmask": None, "latent_mask": None, "mask_for_overlay": None,
    # Only a masked call resets these two (processing.py:1662): stale ones would be pasted onto the tile.
    "overlay_images": None, "paste_to": None,
    "color_corrections": (),  # the host makes its own only where it finds None (processing.py:1666)
    "inpainting_mask_invert": 0, "inpaint_full_res": False, "init_latent": None,
    "image_conditioning": None, "sampler": None, "rng": None, "iteration": 0, "n_iter": 1, "resize_mode": 0,
    "restore_faces": False,
    "tiling": False,  # would make each tile seamless with itself
    "seed_resize_from_h": 0, "seed_resize_from_w": 0,
    "do_not_save_samples": True, "do_not_save_grid": True,
    "refiner_checkpoint": None, "refiner_switch_at": None,  # would swap checkpoints twice a tile
    "_ad_disabled": True,  # ADetailer looks for this and leaves the call alone
}  # fmt: skip
# Lists that some forks append to in every call and reset only in a new p.
_LEAKING_LISTS = ("latents_after_sampling", "pixels_after_sampling", "extra_result_images")


def tile_processing(
    p: Processing,
    batch: Batch,
    picture: Wanted,
    parameters: Mapping[str, Any],
    *,
    device: Any,
    seed_delta: int,
    settings: MutableMapping[str, Any],
    colours: Colours,
    guidance_may_idle: bool = False,
    deep: bool = False,
) -> Processing:
    """A copy of p that refines these windows and nothing else; p is not changed.

    picture: which one of the run. parameters: generation parameters added to p's own. device: where the noise goes.
    seed_delta: the host's "eta noise seed delta". settings: the host's. colours: the run's. guidance_may_idle: guidance
    is left out where it cancels out, and where it hardly changes if the batch's speed asks for that. deep: inner blocks
    of the network may be left out then. The copy's `usdu_tiles` says where its windows lie, for extensions that work by
    place: a tuple (x, y, width, height, canvas width, canvas height) for each.
    """
    tile_p = copy.copy(p)
    for name, value in _RESET.items():
        setattr(tile_p, name, value)
    for name in _LEAKING_LISTS:
        if hasattr(tile_p, name):
            setattr(tile_p, name, [])
    count = len(batch.tiles)
    tile_p.init_images = [Image.fromarray(pixels) for pixels in batch.images]
    tile_p.height, tile_p.width = batch.images.shape[1:3]
    tile_p.batch_size = count
    tile_p.denoising_strength = batch.denoise
    tile_p.seed = [picture.seed] * count if count > 1 else picture.seed  # some extensions calculate with it
    tile_p.subseed = [picture.subseed] * count if count > 1 and p.subseed_strength else picture.subseed
    tile_p.override_settings = {}  # in force around the whole run
    tile_p.styles = list(p.styles or [])
    tile_p.comments = {}
    tile_p.extra_generation_params = {**p.extra_generation_params, **parameters}
    tile_p.usdu_tiles = [
        (t.window.x, t.window.y, t.window.width, t.window.height, batch.canvas.width, batch.canvas.height)
        for t in batch.tiles
    ]
    _hide_latent_from_prompts(tile_p)
    sample = own_method(tile_p, p, "sample")
    if guidance_may_idle:
        sample = without_idle_guidance(sample, tile_p, settings)
    if batch.resemblance or batch.strengths is not None:
        sample = _held(sample, tile_p, batch, colours)
    if batch.speed in PACES:
        sample = _at_pace(sample, tile_p, batch, settings, deep=deep, guidance=guidance_may_idle)
    tile_p.sample = _with_canvas_noise(sample, tile_p, batch, device, seed_delta)
    return tile_p


def forget_pictures(tile_p: Processing) -> None:
    """Empties the lists a fork has filled during a call."""
    for name in _LEAKING_LISTS:
        if getattr(tile_p, name, None):
            setattr(tile_p, name, [])


def own_method(tile_p: Processing, p: Processing, name: str) -> Callable[..., Any]:
    """The copy's method. Another extension may have replaced it in p: a method bound to p would act on p."""
    replaced = p.__dict__.get(name)
    if replaced is None:
        return types.MethodType(getattr(type(tile_p), name), tile_p)
    if getattr(replaced, "__self__", None) is p:
        return types.MethodType(replaced.__func__, tile_p)
    return replaced


def _with_canvas_noise(
    sample: Callable[..., Any], tile_p: Processing, batch: Batch, device: Any, seed_delta: int
) -> Callable[..., Any]:
    """`sample` with the canvas's noise in place of the host's.

    By then the host has made `p.rng` and encoded the windows, and nothing was drawn yet (processing.py:949, 988).
    """

    def sample_with_canvas_noise(*args: Any, **kwargs: Any) -> Any:
        latent, region = tile_p.init_latent, batch.noises[0].region
        innermost = tile_p.rng
        while hasattr(innermost, "rng"):  # ControlNet wraps it
            innermost = innermost.rng
        if _is_window(latent.shape, region):
            draws = CanvasDraws(
                batch.noises, latent.shape[1], device,
                subseed=tile_p.all_subseeds[0], subseed_strength=float(tile_p.subseed_strength or 0),
                seed_delta=seed_delta, drawn=batch.drawn,
            )  # fmt: skip

            def draw(*_: Any) -> Any:
                """As the host's, (n, channels, h, w), with a video model's axis of frames in between."""
                return draws.next().reshape(latent.shape)

            innermost.next = draw
            _draws_of_steps(tile_p.sampler, draws, innermost, draw)
        else:
            _own_noise(innermost, batch)
            note = "Ultimate SD Upscale: this model's latents have another shape; each tile has its own noise."
            tile_p.comments[note] = 1
        return sample(*args, **kwargs)

    return sample_with_canvas_noise


def _held(
    sample: Callable[..., Any], tile_p: Processing, batch: Batch, colours: Colours
) -> Callable[..., Any]:
    """`sample` whose steps are held to the windows."""

    def held(*args: Any, **kwargs: Any) -> Any:
        of_colour = functools.partial(colours.of, tile_p.sd_model)
        hold = Hold(tile_p.init_latent, batch.resemblance, batch.strengths, of_colour)
        hold_steps(tile_p.sampler, tile_p.sd_model, hold)
        return sample(*args, **kwargs)

    return held


def _at_pace(
    sample: Callable[..., Any], tile_p: Processing, batch: Batch, settings: MutableMapping[str, Any], *, deep: bool,
    guidance: bool,
) -> Callable[..., Any]:  # fmt: skip
    """`sample` with less work of the model a step."""

    def at_pace(*args: Any, **kwargs: Any) -> Any:
        paced = PacedDenoiser(
            tile_p.sampler, tile_p.sd_model, PACES[batch.speed], settings, deep=deep, guidance=guidance
        )
        if paced.note:
            tile_p.comments[f"Ultimate SD Upscale: speed {batch.speed}: {paced.note}."] = 1
        with paced.put_in():
            return sample(*args, **kwargs)

    return at_pace


def _is_window(shape: Sequence[int], region: Region) -> bool:
    """Whether latents are those of a window: (n, channels, h, w), or (n, channels, 1, h, w) of a video model."""
    between = shape[2:-2]
    return len(shape) >= 4 and tuple(shape[-2:]) == (region.height, region.width) and math.prod(between) == 1


def _own_noise(rng: Any, batch: Batch) -> None:
    """Gives each tile a seed of its own: with the run's one seed all tiles would get the very same noise.

    rng: the host's ImageRNG (rng.py:99).
    """
    if hasattr(rng, "seeds") and hasattr(rng, "shape"):
        seeds = [(noise.seed + 1 + tile.index) % 2**32 for noise, tile in zip(batch.noises, batch.tiles)]
        vars(rng).update(vars(type(rng)(rng.shape, seeds)))


def _hide_latent_from_prompts(tile_p: Processing) -> None:
    """Forge Neo keeps encoded prompts under a key that holds the picture's latents (processing.py:429), so each tile
    would encode them anew. Models that read the latents while they encode (`ini_latent`) keep the host's key."""
    key = getattr(type(tile_p), "cached_params", None)
    if key is None:
        return

    def without_latent(*args: Any, **kwargs: Any) -> Any:
        latent, reference = tile_p.init_latent, getattr(getattr(tile_p, "sd_model", None), "ini_latent", None)
        if latent is None or reference is not None:
            return key(tile_p, *args, **kwargs)
        tile_p.init_latent = latent.new_zeros(1)
        try:
            return key(tile_p, *args, **kwargs)
        finally:
            tile_p.init_latent = latent

    tile_p.cached_params = without_latent


def _draws_of_steps(sampler: Any, draws: CanvasDraws, rng: Any, draw: Callable[..., Any]) -> None:
    """Gives a sampler the canvas's noise for its steps, or zeros where it is found to make no use of it, as Euler
    without churn: a draw costs more than the rest of such a step outside the model.

    rng: the host's; its `next` is `draw`, which gives the next of `draws`.
    """
    function = getattr(sampler, "func", None)
    # The Brownian tree of the SDE samplers spans the sigmas of one picture and ignores p.rng.
    sampler.create_noise_sampler = lambda x, sigmas, p: Brownian(draw)
    sampler.redraws_noise = lambda: not draws.first_only  # asked from the first step on
    if not callable(function):
        return
    takes = inspect.signature(function).parameters

    @contextmanager
    def noise_is(given: Callable[[], Any]) -> Iterator[None]:
        rng.next = lambda *_: given()
        try:
            yield
        finally:
            rng.next = draw

    @functools.wraps(function)
    def with_canvas_noise(model: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        own = {"noise_sampler": lambda sigma, sigma_next: draw()} if "noise_sampler" in takes else {}

        def run(half: Any, one: Any, noise_sampler: Any) -> Any:
            alone = {"extra_args": {}, "callback": None, "disable": True, **dict.fromkeys(own, noise_sampler)}
            return function(half, one, *args, **{**kwargs, **{k: v for k, v in alone.items() if k in takes}})

        if "rtol" not in takes:  # DPM adaptive may not come to an end
            draws.first_only = not uses_noise(run, model, x, noise_is)
        return function(model, x, *args, **{**own, **kwargs})

    sampler.func = with_canvas_noise
