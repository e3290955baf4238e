"""The panel's live line: what a run would do with the values that stand in the panel and in the img2img tab."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from ..enlarge.resize_mode import STRETCH
from ..errors import OptionError
from ..geometry import Size
from ..host import Abilities
from ..noise_share import NoiseShare, percent
from ..options import LEGACY_ARGUMENTS, VERSION_MARKER, Options
from ..options.tile_numbers import NONE
from ..plan import Plan, batch_limits, count_batches, make_plan, settled
from ..run import timings
from ..schedule import FUSED, PARALLEL
from ..speed.few_steps import FewSteps
from .text import (
    DISTORTED,
    DRIFT,
    EXTRA_NOISE,
    FOLDER,
    NO_PICTURE,
    NOTHING_REDRAWN,
    PREFIX,
    SMALL_FOR_XL,
    SMALLER,
    TAB_DEFAULT,
    TAB_DENOISE,
    message,
)

MOST_CHAINED_TILES = 4_000
"""Of more tiles that wait for each other the line does not count the batches: it would take more than a second."""


class LineSource(Protocol):
    """What the live line asks of the webui."""

    def abilities(self) -> Abilities:
        """What a plan must know of the webui. Loads no model."""
        ...

    def is_xl(self) -> bool:
        """Whether the checkpoint draws in tiles of 1024 px."""
        ...

    def has_controlnet(self) -> bool:
        """Whether there is ControlNet at all."""
        ...

    def few_steps(self, prompt: str) -> FewSteps | None:
        """How the chosen checkpoint wants to be asked, or a LoRA that this prompt asks for, where one draws in few
        steps. Loads no model."""
        ...

    def noise_share(self, steps: int, sampler: str, scheduler: str, window: Size | None = None) -> NoiseShare | None:
        """What denoising strengths mean with these of the tab and the chosen checkpoint, in windows of this size, by
        default an automatic tile and its padding; None where that is not known. Loads no model."""
        ...

    def seconds(self, plan: Plan, steps: int, sampler: str, cfg_scale: float) -> float | None:
        """How long the plan will take with these settings; None where nothing like it was timed yet."""
        ...


def read_page(text: str) -> tuple[tuple[int, int], tuple[int, int], float]:
    """What the page's script saw: size of the picture, size set in the tab, denoising strength; 0 what is not there."""
    with suppress(ValueError, TypeError, OverflowError):
        *sizes, denoise = json.loads(text)[:5]
        width, height, tab_width, tab_height = (min(max(int(size), 0), 10**6) for size in sizes)
        return (width, height), (tab_width, tab_height), min(max(float(denoise), 0.0), 1.0)
    return (0, 0), (0, 0), 0.0


def read_tab(text: str) -> tuple[bool, bool]:
    """What the page's script saw besides: whether the Batch tab is open, and whether the tab just resizes (stretches)
    a picture to a size of another shape. False for what it did not see."""
    with suppress(ValueError, TypeError, IndexError):
        batch, resize_mode = json.loads(text)[5:7]
        return batch is True, resize_mode == STRETCH
    return False, False


def read_sampling(text: str) -> tuple[int, str, float]:
    """What the page's script saw besides: steps, sampler and CFG scale; 0 and "" what is not there."""
    with suppress(ValueError, TypeError, OverflowError, IndexError):
        steps, sampler, cfg_scale = json.loads(text)[7:10]
        return min(max(int(steps), 0), 10**4), str(sampler), float(cfg_scale)
    return 0, "", 0.0


def read_scheduler(text: str) -> str:
    """What the page's script saw of the schedule type; "" where the tab has none."""
    with suppress(ValueError, TypeError, IndexError):
        return str(json.loads(text)[10])
    return ""


def read_loras(text: str) -> str:
    """What the page's script saw of the prompt: what in it asks for LoRAs; "" where the tab has none."""
    with suppress(ValueError, TypeError, IndexError):
        found = json.loads(text)[11]
        return found if isinstance(found, str) else ""
    return ""


def live_line(host: LineSource, max_megapixels: float, page: str, *values: Any) -> str:
    """The live line, HTML: what a run would do with these values of LEGACY_ARGUMENTS and OWN_ARGUMENTS, or why it would
    refuse them, and warnings. page: as `read_page` takes it."""
    picture, tab, _ = read_page(page)
    steps, sampler, cfg_scale = read_sampling(page)
    noise = host.noise_share(steps, sampler, read_scheduler(page)) if steps else None
    wanted = host.few_steps(read_loras(page))
    few = _few_steps(wanted, steps, cfg_scale) if steps else ()
    tell = partial(line, known=noise, wanted=wanted)
    try:
        asked = of_panel(page, values).with_(max_megapixels=max_megapixels)
        options = settled(asked, noise)
        abilities = host.abilities()
        in_folder, stretches = read_tab(page)
        about = "about " * (abilities.tile_is_guessed and 0 in (options.tile_width, options.tile_height))
        if in_folder:
            with_tile = options.with_tile(abilities.default_tile)
            said = _of_folder(with_tile, tab, about), _noise(options, noise)
            return tell(said, *_warnings(with_tile, host), *few)
        if not all({"scale": picture, "img2img": tab}.get(options.target_size_type, ())):
            said = NO_PICTURE, _noise(options, noise)
            return tell(said, *_warnings(options.with_tile(abilities.default_tile), host), *few)
        plan = make_plan(options, picture, abilities, img2img_size=tab)
        if steps and plan.passes:
            noise = host.noise_share(steps, sampler, read_scheduler(page), plan.passes[0].tiles[0].window.size)
            if (again := settled(asked, noise)) != options:
                plan = make_plan(again, picture, abilities, img2img_size=tab)
        sizes = f"{picture[0]}x{picture[1]} → " * all(picture) + f"<b>{plan.canvas.width}x{plan.canvas.height}</b>"
        shape = _shape(picture, plan.canvas.size, stretches)
        work = about * bool(plan.passes) + _work(plan, abilities)
        seconds = host.seconds(plan, steps, sampler, cfg_scale) if steps else None
        time = "" if seconds is None else f", <b>{timings.about(seconds)}</b>"
        said = f"{sizes}: {work}{time}", _noise(plan.options, noise)
        return line(said, *shape, *_warnings(plan.options, host, plan.tiles), *few, known=noise, wanted=wanted)
    except OptionError as error:
        above = f"{error.value} px is above the limit of {max_megapixels:.10g} megapixels."
        return tell((), above if error.option == "size" else message(error))


def of_panel(page: str, values: Sequence[Any]) -> Options:
    """The options that the panel and the tab's denoising strength stand at, for a run of all tiles. Raises
    OptionError."""
    args = [None, *values[: len(LEGACY_ARGUMENTS)], VERSION_MARKER, *values[len(LEGACY_ARGUMENTS) :]]
    return Options.from_script_args(args).with_(denoise=read_page(page)[2], try_tile=NONE)


def line(
    texts: Sequence[str], *warnings: str, known: NoiseShare | None = None, wanted: FewSteps | None = None
) -> str:
    """Texts are HTML, empty ones are left out; a warning brings its own amber, which reads well on light and dark.

    The page's script reads the rest (creativity.js). known: what denoising strengths mean. wanted: how a model of few
    steps wants to be asked.
    """
    amber = f"class='{PREFIX}warning' style='background:#fde68a;color:#713f12;border-radius:6px;padding:.1em .5em'"
    spans = [f"<span>{text}</span>" for text in texts if text]
    spans += [f"<span {amber}>{html.escape(warning)}</span>" for warning in warnings]
    style = "display:flex;flex-wrap:wrap;gap:.3em .75em;font-variant-numeric:tabular-nums"
    data = "" if known is None else f" data-shares='{json.dumps([round(share, 4) for share in known.curve])}'"
    if wanted is not None:
        asked = {"steps": wanted.steps, "cfg_scale": wanted.cfg, "sampling": wanted.sampler}
        data += f" data-few-steps='{json.dumps(asked)}'"
    return f"<div role='status'{data} style='{style}'>{''.join(spans)}</div>"


def _noise(options: Options, noise: NoiseShare | None) -> str:
    """What the denoising strength means with this model."""
    if noise is None or options.redraw_mode == "none":
        return ""
    about, known = ("about ", "") if noise.guessed else ("", " with this model")
    extra = f", {EXTRA_NOISE} {noise.extra:g} included" if noise.extra else ""
    share = percent(noise.of(options.denoise))
    return f"Denoising strength {options.denoise:g}: {about}<b>{share}</b> noise{known}{extra}"


def _work(plan: Plan, abilities: Abilities) -> str:
    """Tiles and batches of the redraw and of the seams fix."""
    parts = []
    for name in dict.fromkeys(work.name for work in plan.passes):
        same = [work for work in plan.passes if work.name == name]
        count, last = sum(len(work.tiles) for work in same), same[0].tiles[-1]
        together = same[0].context == FUSED  # no batches one after another
        text = f"{count} {'window' if together else 'tile'}{'s' * (count != 1)}"
        if name == "redraw":
            text += f" of {last.window.width}x{last.window.height}"
            if count == len(plan.numbered):
                text = f"{last.column + 1}×{last.row + 1} = {text}"
        if together:
            text += ", all together" * (count > 1)
        elif count <= MOST_CHAINED_TILES or same[0].context == PARALLEL:
            limits = [batch_limits(plan.options, abilities, work) for work in same]
            number = sum(count_batches(plan.grouped(work, limit), limit.first) for work, limit in zip(same, limits))
            text += f", {number} batch{'es' * (number != 1)}"
        parts.append(text if name == "redraw" else f"{name}: {text}")
    return "; ".join(parts) or NOTHING_REDRAWN


def _of_folder(options: Options, tab: tuple[int, int], about: str) -> str:
    """What becomes of each picture of the Batch tab's folder. about: before the tile's size, where it is guessed."""
    size = {
        "scale": f"{options.custom_scale:g} times its size",
        "custom": f"{options.custom_width}x{options.custom_height}",
        "img2img": f"{tab[0]}x{tab[1]}",
    }[options.target_size_type]
    return f"{FOLDER} <b>{size}</b>, tiles of {about}{options.tile_width}x{options.tile_height}"


def _shape(picture: tuple[int, int], result: tuple[int, int], stretches: bool) -> list[str]:
    """Warnings about a result, (width, height), that does not have the picture's shape or is smaller."""
    (width, height), (to_width, to_height) = picture, result
    warnings = []
    if not all(picture):
        return warnings
    if stretches and abs(to_width * height - to_height * width) > max(width + height, to_width + to_height):
        warnings.append(DISTORTED)
    if to_width < width or to_height < height:
        warnings.append(SMALLER)
    return warnings


def _few_steps(wanted: FewSteps | None, steps: int, cfg_scale: float) -> tuple[str, ...]:
    """What to say of settings that burn such a model's pictures out."""
    if wanted is None or (steps <= 2 * wanted.steps and cfg_scale <= 3):
        return ()
    return (f"A {wanted.name} {wanted.file}: {wanted}.",)


def _warnings(options: Options, host: LineSource, tiles: int = 2) -> list[str]:
    """tiles: how many are drawn; a single one matches itself."""
    warnings = []
    if options.redraw_mode != "none" and options.denoise == TAB_DENOISE:
        warnings.append(TAB_DEFAULT)
    elif options.redraw_mode not in ("none", FUSED) and options.denoise > 0.5 and tiles > 1:
        warnings += [] if host.has_controlnet() else [DRIFT]
    if options.redraw_mode != "none" and min(options.tile_width, options.tile_height) < 768 and host.is_xl():
        warnings.append(SMALL_FOR_XL)
    return warnings
