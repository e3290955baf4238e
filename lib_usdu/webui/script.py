"""What `Script.run` does: from the panel's values and a person's `p` to the host's `Processed`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from ..engine import Result, upscale
from ..enlarge.resize_mode import check_whole
from ..enlarge.seamless import resizer
from ..errors import ModelError, OptionError, TooLarge, UsduError, plural
from ..geometry import Canvas, Size
from ..host import Abilities
from ..noise_share import NoiseShare
from ..options import Options
from ..options.tile_prompts import within
from ..panel.text import message
from ..passes import redraw_window
from ..pictures.modes import Pixels
from ..plan import check_mask, make_plan, settled
from ..resume.journal import unfinished
from ..select.strength import MASK
from . import gallery
from .environment import (
    apply_settings,
    check_settings,
    errors,
    images,
    max_megapixels,
    model_in_use,
    picture_settings,
    processing,
    shared,
)
from .fingerprint import ModelWatch
from .host import WebuiHost
from .model_kind import default_tile, latents, load_chosen_model, noise_share_in_run, timed, timings
from .other_extensions import left_to_chance
from .overrides import in_force
from .progress_bar import JobCount
from .protocols import Processed, Processing, Script
from .request import (
    Wanted,
    check,
    file_of_the_folder,
    inpaint_mask,
    names_of_the_folder,
    not_used,
    read,
    supplied,
    wanted,
    whole_pictures,
)
from .upscaler_files import SESSION, remember, upscaler_names

NO_SHARE = "Creativity is not used: this webui does not say how much noise a denoising strength is."
CLIENTS_WAIT = 30.0
"""Seconds that every API client is taken to wait for its answer: a run as short as that is simply done again."""


def run(p: Processing, script: Script, args: Sequence[Any]) -> Processed:
    """The host's `Processed`, the final picture first. `p` is left as it was found.

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
    except OptionError as error:
        return _failed(p, str(error) if getattr(p, "is_api", False) else message(error))
    except (UsduError, MemoryError) as error:
        return _failed(p, str(error) or "not enough memory")
    except Exception as error:
        errors.report(f"{script.title()}: {type(error).__name__}", exc_info=True)
        return _failed(p, f"{type(error).__name__}: {error}", status=500)


@dataclass
class _Delivery:
    """What the run hands back, one entry a picture: the results first, then what was asked for beside them."""

    results: list[_Entry] = field(default_factory=list)
    beside: list[_Entry] = field(default_factory=list)
    comments: dict[str, int] = field(default_factory=dict)
    last: Processing | None = None
    """A copy of p that describes the last picture."""

    def processed(self, p: Processing) -> Processed:
        """The host's Processed. Raises ValueError where there is no result."""
        entries, info = [*self.results, *self.beside], self.last
        if info is None:
            raise ValueError("nothing to hand over")
        seeds, subseeds = [entry.of.seed for entry in entries], [entry.of.subseed for entry in entries]
        info.comments = {**p.comments, **self.comments}
        info.all_seeds, info.all_subseeds = seeds, subseeds
        info.all_prompts = info.all_prompts * len(entries)
        info.all_negative_prompts = info.all_negative_prompts * len(entries)
        texts = [entry.infotext for entry in entries]
        done = processing.Processed(
            info, [entry.picture for entry in entries], seed=seeds[0], subseed=subseeds[0], info=texts[0],
            infotexts=texts,
        )  # fmt: skip
        return gallery.with_comments(done, info.comments)


@dataclass(frozen=True)
class _Entry:
    picture: Image.Image
    infotext: str
    of: Wanted


@dataclass(frozen=True)
class _Source:
    """A picture of the request, read, and the mask at its result's size."""

    pixels: Pixels
    mask: np.ndarray | None


def _run(p: Processing, script: Script, args: Sequence[Any]) -> Processed:
    check(p)
    options = Options.from_script_args(sent := supplied(p, script, args), upscalers=upscaler_names())
    options = options.with_(denoise=float(p.denoising_strength), max_megapixels=max_megapixels())
    # A size by scale keeps the picture's shape; for the others the tab says what to do with another shape.
    resize_mode = 0 if options.target_size_type == "scale" else p.resize_mode
    file = file_of_the_folder()
    sources = _sources(p, whole_pictures(p, file, images.read), options, resize_mode)
    subseed = processing.get_fixed_seed(p.subseed)
    delivery, total = _Delivery(), len(wanted(p, 0, 0))
    delivery.comments |= dict.fromkeys(not_used(sent, options), 1)
    with in_force(shared.opts, p, check_settings, apply_settings) as settings, JobCount(shared.state, total) as jobs:
        settings.set_temporary(names_of_the_folder(p, file))
        load_chosen_model(p)  # before anything asks what kind of model it is
        options = settled(options, share := noise_share_in_run(p, _window(p, options, sources[0])))
        _check_schedule(p, options, share)
        if options.creativity and share is None:
            delivery.comments[NO_SHARE] = 1
        watch = ModelWatch(model_in_use, lambda: settings.changed(picture_settings()))
        prepared = partial(WebuiHost, title=script.title(), jobs=jobs, watch=watch, resize_mode=resize_mode)
        seed = _seed(p, subseed, options, sources[0], prepared, delivery)
        for picture in wanted(p, seed, subseed):
            source = sources[picture.image]
            host = prepared(p, picture, options=options, mask=source.mask)
            fitting = _fitting(p, options, source, host) if jobs.in_a_folder else options
            result = upscale(
                source.pixels.rgb, fitting.with_(seed=picture.seed), host, img2img_size=(p.width, p.height),
                mask=source.mask,
            )  # fmt: skip
            _deliver(delivery, p, fitting, host, source, result)
            _learn_time(p, host, result)
            if host.stop_requested() or host.changed or result.tried:
                break
        if not getattr(p, "is_api", False):
            remember(options.upscaler)
        return delivery.processed(p)


def _check_schedule(p: Processing, options: Options, share: NoiseShare | None) -> None:
    """Raises OptionError where a low strength begins with noise alone: Forge's Automatic gives Flux, whose levels end
    at 1, levels of thousands with Euler (sd_samplers_kdiffusion.py:82 of dfdcbab), and one flat colour comes out."""
    if share is None or p.steps < 2 or options.denoise >= 0.5 or share.of(options.denoise) < 0.9999:
        return
    way = str(getattr(p, "scheduler", None) or "Automatic")
    begun = f"{p.sampler_name} would begin with noise alone at denoising strength {options.denoise:g} with this model"
    raise OptionError("scheduler", way, "", f"with {way}, {begun}; Simple or Beta do not")


def _window(p: Processing, options: Options, source: _Source) -> Size:
    """Of the redraw of a picture. A schedule may depend on it, and so what strengths mean."""
    size, kind = Canvas.of(source.pixels.rgb).size, latents()
    canvas = Canvas(*options.target_size(*size, (p.width, p.height)), wraps=options.seamless)
    return redraw_window(options.with_tile(default_tile()), canvas, kind.aligned(Abilities.alignment), kind.grain)


def _learn_time(p: Processing, host: WebuiHost, result: Result) -> None:
    """How long this has taken, for the panel: each tile, and for its line the whole; that not where part of it was
    there already, or was left out, nor with ControlNet, which the line cannot see."""
    known, stats, plan = timings(), result.stats, result.plan
    SESSION.remember_tiles(plan.numbered, stats.tile_seconds)
    part = result.tried or stats.resumed or stats.tiles_flat or stats.tiles_done < plan.tiles
    if known is None or part or host.units.places:
        return
    work = timed(plan, p.steps, str(p.sampler_name), p.cfg_scale)
    known.learn({work[stage]: stats.stages[stage] for stage in work if stage in stats.stages})


def _fitting(p: Processing, options: Options, source: _Source, host: WebuiHost) -> Options:
    """The options for one picture of a folder: prompts of tiles that it has not are left out, and that is said."""
    if not options.tile_prompts:
        return options
    size = Canvas.of(source.pixels.rgb).size
    plan = make_plan(options.with_(tile_prompts=""), size, host.abilities(), img2img_size=(p.width, p.height))
    text = within(options.tile_prompts, plan.numbered) if plan.numbered else ""
    if text != options.tile_prompts:
        host.comments["Prompts of tiles that this picture has not were left out."] = 1
    return options.with_(tile_prompts=text if text.strip() else "")


def _seed(
    p: Processing,
    subseed: int,
    options: Options,
    source: _Source,
    prepared: Callable[..., WebuiHost],
    delivery: _Delivery,
) -> int:
    """The seed of the first result: p's own; for -1 that of the run which was ended before it was done, of the same
    picture with the same settings; else a random one."""
    seed = processing.get_fixed_seed(p.seed)
    if not left_to_chance(p):
        return seed
    host = prepared(p, Wanted(seed, subseed, image=0, iteration=0, position=0, count=1), options=options)
    rgb = source.pixels.rgb
    tab_size = p.width, p.height
    plan = make_plan(options, Canvas.of(rgb).size, host.abilities(), img2img_size=tab_size, mask=source.mask)
    run = unfinished(host.journal_folder, host.identity(), rgb, plan.canvas.size, plan.options)
    if run is None:
        return seed
    delivery.comments[f"This goes on with the run of seed {run.about['seed']} that was stopped."] = 1
    return run.about["seed"]


def _sources(p: Processing, pictures: Sequence[Any], options: Options, resize_mode: int) -> list[_Source]:
    """Each of the pictures, read; one that stands there twice is read once."""
    read_already: dict[int, _Source] = {}
    for image in pictures:
        if id(image) not in read_already:
            pixels = read(image, from_page=not getattr(p, "is_api", False))
            size = Canvas.of(pixels.rgb).size
            target = options.target_size(*size, (p.width, p.height))
            if options.seamless:
                check_whole(pixels.rgb, *target, resize_mode)
            greys = options.strength_map == MASK
            mask = inpaint_mask(p, size, target, resize_mode, greys=greys)
            check_mask(options, mask)
            read_already[id(image)] = _Source(pixels, mask)
    return [read_already[id(image)] for image in pictures]


def _deliver(
    delivery: _Delivery, p: Processing, options: Options, host: WebuiHost, source: _Source, result: Result
) -> None:
    """Saves a result, and adds it to what is handed back. A tile that was tried is shown, and nothing is saved."""
    if result.pair is not None:
        delivery.comments.update({**host.comments, **dict.fromkeys(result.notes, 1)})
        delivery.last = host.infotext_p(result.parameters)
        delivery.results.append(_Entry(Image.fromarray(result.pair), result.infotext, host.picture))
        return
    text = result.infotext if shared.opts.enable_pnginfo else None
    final, redrawn = gallery.pictures(result, text, source.pixels, host.resize_mode, resizer(options.seamless))
    problem = gallery.save(p, options, host.infotext_p(result.parameters), result, final, redrawn)
    delivery.comments.update(host.comments)
    delivery.comments.update(dict.fromkeys([*source.pixels.notes, *result.notes], 1))
    if problem:
        delivery.comments[f"{problem} It is shown here, and its tiles are kept: Generate tries again."] = 1
    elif not result.finished:
        if options.resume and host.journal_folder is not None:
            done, tiles = result.stats.tiles_done, result.stats.tiles
            said = f"Stopped at {done} of {plural(tiles, 'tile')}: Generate with the same settings goes on."
            delivery.comments[said] = 1
    elif getattr(p, "is_api", False) and p.do_not_save_samples and result.stats.seconds >= CLIENTS_WAIT:
        result.keep_awhile()  # a client that did not wait asks again
    else:
        result.forget()
    delivery.last = host.infotext_p(result.parameters)
    delivery.results.append(_Entry(final, result.infotext, host.picture))
    numbered = None if result.numbered is None else Image.fromarray(result.numbered)
    for picture in (gallery.compared(options, result), redrawn, numbered):
        if picture is not None:
            delivery.beside.append(_Entry(picture, result.infotext, host.picture))


def _failed(p: Processing, message: str, status: int = 422) -> Processed:
    if getattr(p, "is_api", False):
        from fastapi import HTTPException

        raise HTTPException(status_code=status, detail=message) from None
    with suppress(Exception):  # a toast, where gradio is listening
        import gradio  # pyright: ignore[reportMissingImports]  # the webui brings it

        gradio.Warning(message)
    info = copy.copy(p)
    info.comments = {**p.comments, message: 1}
    for name in ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds"):
        setattr(info, name, None)
    return processing.Processed(info, [], seed=-1, info=message)
