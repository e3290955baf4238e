"""The panel of the webui's img2img tab, built from Options. Works with gradio 3.41 and 4.40; knows no webui."""

from __future__ import annotations

import html
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Protocol

import gradio

from .errors import OptionError
from .options import INFOTEXT_PREFIX, LEGACY_ARGUMENTS, OWN_ARGUMENTS, VERSION_MARKER, Number, Options, about, rule_of
from .passes import Pass, plan_passes
from .schedule import PARALLEL, batches

PREFIX = "ultimateupscale_"
WATCHED = (
    "img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base", "script_list",
    "img2img_width", "img2img_height", "img2img_scale", "img2img_denoising_strength",
)  # fmt: skip
"""elem_ids of the webui's components that decide what the live line says: give each to `after_component`."""
MOST_TILES, MOST_CHAINED_TILES = 20_000, 4_000  # beyond these the live line would take more than a second
NO_PICTURE = "Drop a picture to see the tiles."
INTRODUCTION = f"""<style>#{PREFIX}panel, #{PREFIX}panel .gap {{gap: 12px}}
#{PREFIX}refresh_upscalers {{align-self: flex-end; height: 42px}} :not(.gradio-button)#{PREFIX}refresh_upscalers
{{margin-bottom: 12px}} #{PREFIX}panel div:has(> .form.hidden:only-child) {{display: none}}</style>Enlarges the picture,
then redraws it tile by tile. A denoising strength of 0.2 to 0.4 and a short or empty prompt suit most photographs."""
LOOKS: dict[str, dict[str, Any]] = {  # where a control differs from what its option's rule and `about` make it
    "target_size_type": dict(label="Target size"),
    "custom_width": dict(minimum=64, maximum=16384),
    "custom_height": dict(minimum=64, maximum=16384),
    "custom_scale": dict(label="Scale", info="Times the picture's size", minimum=1, maximum=16),
    "redraw_mode": dict(info="Parallel: best and fastest. Linear, Chess: tile after tile. None: only enlarge"),
    "tile_width": dict(info="0: automatic, 512 or 1024 for SDXL", maximum=2048, step=64, value=0),
    "tile_height": dict(info="0: as the width, automatic if that is 0", maximum=2048, step=64, value=0),
    "mask_blur": dict(info="Softness between tiles"),
    "seams_fix_padding": dict(info="What a tile sees around itself"),
    "save_upscaled_image": dict(label="Save upscaled", info="The picture after the redraw"),
    "save_seams_fix_image": dict(label="Save seams fix", info="The picture after the second pass"),
    "tile_batch": dict(label="Tiles at once", info="More: faster, more memory. 0: automatic"),
}
_FIXES = ("band", "half", "half+intersections")
SHOWN: dict[str, dict[str, tuple[str, ...]]] = {  # dropdown -> control that counts only for some values -> those
    "target_size_type": {"custom_width": ("custom",), "custom_height": ("custom",), "custom_scale": ("scale",)},
    "seams_fix_type": {"seams_fix_width": ("band",), "seams_fix_denoise": _FIXES, "seams_fix_padding": _FIXES,
                       "seams_fix_mask_blur": _FIXES, "save_seams_fix_image": _FIXES},
}  # fmt: skip

_PAGE_JS = """
    const root = typeof gradioApp === 'function' ? gradioApp() : document;
    const number = (name) => Number(root.querySelector(`#img2img_${name} input[type=number]`)?.value) || 0;
    const page = () => {
        const image = root.querySelector('#img2img_image img');
        const [w, h] = typeof currentImg2imgSourceResolution === 'function'
            ? currentImg2imgSourceResolution(0, 0, 0) : [image?.naturalWidth || 0, image?.naturalHeight || 0];
        const by = root.querySelector('#img2img_tab_resize_by');
        const scale = by && getComputedStyle(by).display !== 'none' && w ? number('scale') : 0;
        const size = scale ? [Math.floor(w * scale), Math.floor(h * scale)] : [number('width'), number('height')];
        return JSON.stringify([w, h, ...size, number('denoising_strength')]);
    };"""
_PLAN_JS = f"(_, ...values) => {{{_PAGE_JS} window.ultimateupscaleSeen = page(); return [page(), ...values]; }}"
# Looks after a pause, and again while the panel is seen: a picture has no size until it is loaded. A change of nothing
# does not count: on Forge something watched says "changed" all the time, and the pause would never come.
# It also lets the keyboard reach the accordions, which gradio 3 forgets.
_WATCH_JS = f"""() => {{{_PAGE_JS}
    for (const head of root.querySelectorAll('#{PREFIX}panel div.label-wrap'))
        Object.assign(head, {{tabIndex: 0, onkeydown: (event) => {{ if (event.key === 'Enter') head.click(); }}}});
    %s clearInterval(window.ultimateupscaleWatch);
    window.ultimateupscaleWatch = setInterval(() => {{
        if (root.querySelector('#{PREFIX}plan')?.offsetParent && page() !== window.ultimateupscaleSeen)
            root.querySelector('#{PREFIX}update_plan')?.click();
    }}, 300);
    return []; }}"""
_PAGE_CHANGED_JS = (
    _WATCH_JS
    % """const now = page();
    if (window.ultimateupscaleWatch && window.ultimateupscalePage === now) return [];
    window.ultimateupscalePage = now;"""
)
_OPTION_CHANGED_JS = _WATCH_JS % "window.ultimateupscaleSeen = null;"


class PanelHost(Protocol):
    """What the panel asks of the webui."""

    def upscalers(self) -> list[str]: ...
    def ready_upscalers(self) -> list[str]: ...  # that need no download
    def refresh_upscalers(self) -> None: ...
    def default_tile(self) -> int: ...
    def is_xl(self) -> bool: ...
    def has_controlnet(self) -> bool: ...
    def batch_limit(self, width: int, height: int) -> int: ...


@dataclass(frozen=True)
class Panel:
    """inputs: in the order of `script_args`. infotext_fields: (component, function of the pasted parameters)."""

    inputs: list[Any]
    infotext_fields: list[tuple[Any, Callable[[Mapping[str, Any]], Any]]]
    paste_field_names: list[str]


def build(host: PanelHost, *, on: ModuleType = gradio, align: int = 64, max_megapixels: float = 1000.0) -> Panel:
    """Lays the panel out where gradio stands. `align`: what a window's size is a multiple of for the host's model."""
    made: dict[str, Any] = {}

    def row(*names: str, **changes: Any) -> Any:
        with on.Row() as laid:
            made.update((name, _control(on, name, **changes)) for name in names)
        return laid

    with on.Column(elem_id=f"{PREFIX}panel"):
        info = on.HTML(INTRODUCTION)
        row("target_size_type", "custom_scale")
        row("custom_width", "custom_height")
        names = host.upscalers()
        with row(
            "upscaler",
            choices=names,
            value=preferred_upscaler(host.ready_upscalers()),
            elem_id=f"{PREFIX}upscaler_index",
        ):
            tool = dict(elem_id=f"{PREFIX}refresh_upscalers", elem_classes=["tool"], scale=0, min_width=44, size="sm")
            refresh = on.Button("\U0001f504", **tool)
        plan = on.HTML(_line(NO_PICTURE), elem_id=f"{PREFIX}plan")
        row("redraw_mode")
        row("tile_width", "tile_height")
        row("padding", "mask_blur")
        with on.Accordion("Seams fix", open=False, elem_id=f"{PREFIX}seams_fix"):
            row("seams_fix_type", "seams_fix_denoise")
            row("seams_fix_padding", "seams_fix_mask_blur")
            row("seams_fix_width")
        with on.Accordion("More", open=False, elem_id=f"{PREFIX}more"):
            for start in range(0, len(OWN_ARGUMENTS), 2):
                row(*OWN_ARGUMENTS[start : start + 2])
        row("save_upscaled_image", "save_seams_fix_image")
        marker = on.Textbox(VERSION_MARKER, label="Version", visible=False, elem_id=f"{PREFIX}version")
        page = on.Textbox("", label="Page", visible=False, elem_id=f"{PREFIX}page")
        update = on.Button("Update the plan", visible=False, elem_id=f"{PREFIX}update_plan")
    for ours in (marker, page, update, refresh):
        ours.do_not_save_to_config = True  # ui-config.json keeps what people choose

    def refreshed(chosen: str) -> Any:
        host.refresh_upscalers()
        found = host.upscalers()
        return on.update(choices=found, value=chosen if chosen in found else preferred_upscaler(host.ready_upscalers()))

    legacy = [made["upscaler" if name == "upscaler_index" else name] for name in LEGACY_ARGUMENTS]
    own = [made[name] for name in OWN_ARGUMENTS]
    for name in SHOWN:
        _switch(on, made, name)
    _listen(on, refresh, "click", refreshed, [made["upscaler"]], made["upscaler"])
    describing = partial(describe, host, align, max_megapixels)
    _listen(on, update, "click", describing, [page, *legacy, *own], plan, js=_PLAN_JS)
    for component in (*legacy, *own):
        _listen(on, component, "change", None, [], [], js=_OPTION_CHANGED_JS)
    pasted = [(component, partial(_pasted, on, name, host)) for name, component in made.items()]
    return Panel([info, *legacy, marker, *own], pasted, [INFOTEXT_PREFIX + name for name in made])


def after_component(component: Any, elem_id: str | None, *, on: ModuleType = gradio) -> None:
    """For the webui's hook of that name: the live line follows this component, in the browser, if it is WATCHED."""
    if elem_id in WATCHED and hasattr(component, "change"):
        _listen(on, component, "change", None, [], [], js=_PAGE_CHANGED_JS)


def preferred_upscaler(names: Sequence[str]) -> str:
    """The one a photograph gains most from, by name."""
    found = [name for wanted in ("ultrasharp", "esrgan") for name in names if wanted in name.casefold()]
    found += [name for name in names if name not in ("None", "Lanczos", "Nearest")]
    return found[0] if found else "None"


def read_page(text: str) -> tuple[tuple[int, int], tuple[int, int], float]:
    """What _PAGE_JS saw: size of the picture, size set in the tab, denoising strength; 0 what is not there."""
    with suppress(ValueError, TypeError, OverflowError):
        *sizes, denoise = json.loads(text)
        width, height, tab_width, tab_height = (min(max(int(size), 0), 10**6) for size in sizes)
        return (width, height), (tab_width, tab_height), min(max(float(denoise), 0.0), 1.0)
    return (0, 0), (0, 0), 0.0


def describe(host: PanelHost, align: int, max_megapixels: float, page: str, *values: Any) -> str:
    """The live line: what a run would do with these values of LEGACY_ARGUMENTS and OWN_ARGUMENTS, and warnings."""
    picture, tab, denoise = read_page(page)
    args = [None, *values[: len(LEGACY_ARGUMENTS)], VERSION_MARKER, *values[len(LEGACY_ARGUMENTS) :]]
    if not args[1] and not args[2]:
        args[1] = args[2] = host.default_tile()
    try:
        options = Options.from_script_args(args).with_(denoise=denoise, max_megapixels=max_megapixels)
        if not all({"scale": picture, "img2img": tab}.get(options.target_size_type, ())):
            return _line(NO_PICTURE, *_warnings(options, host))
        width, height = options.target_size(*picture, tab)
        sizes = f"{picture[0]}x{picture[1]} → " * all(picture) + f"<b>{width}x{height}</b>"
        if width * height > MOST_TILES * options.tile_width * options.tile_height:
            return _line(sizes, f"More than {MOST_TILES} tiles: choose larger ones.")
        sizes += ": " + _work(options, plan_passes(options, width, height, align), host)
        return _line(sizes, *_warnings(options, host))
    except OptionError as error:
        above = f"{error.value} px is above the limit of {max_megapixels:.10g} megapixels."
        return _line("", above if error.option == "size" else str(error))


def _work(options: Options, passes: Sequence[Pass], host: PanelHost) -> str:
    """Tiles and batches of the redraw and of the seams fix."""
    parts = []
    for name in dict.fromkeys(found.name for found in passes):
        same = [found for found in passes if found.name == name]
        count, last = sum(len(found.tiles) for found in same), same[0].tiles[-1]
        text = f"{count} tile{'s' * (count != 1)}"
        if name == "redraw":
            text = f"{last.column + 1}×{last.row + 1} = {text} of {last.window.width}x{last.window.height}"
        if count <= MOST_CHAINED_TILES or same[0].context == PARALLEL:
            windows = [found.tiles[0].window for found in same]
            limits = [options.tile_batch or max(host.batch_limit(w.width, w.height), 1) for w in windows]
            groups = sum(len(batches(f.tiles, f.context, n, reach=f.reach)) for f, n in zip(same, limits))
            text += f", {groups} batch{'es' * (groups != 1)}"
        parts.append(text if name == "redraw" else f"{name}: {text}")
    return "; ".join(parts) or "enlarged, nothing redrawn"


def _warnings(options: Options, host: PanelHost) -> list[str]:
    found = []
    if options.redraw_mode != "none" and options.denoise > 0.5 and not host.has_controlnet():
        found.append(f"Denoising strength {options.denoise:.2g}: above 0.5 tiles drift apart without ControlNet.")
    if options.redraw_mode != "none" and min(options.tile_width, options.tile_height) < 768 and host.is_xl():
        found.append("SDXL draws poorly in tiles below 768 px.")
    return found


def _line(text: str, *warnings: str) -> str:
    """`text` is HTML; a warning brings its own amber, which reads well on a light and on a dark page."""
    amber = f"class='{PREFIX}warning' style='background:#fde68a;color:#713f12;border-radius:6px;padding:.1em .5em'"
    spans = [f"<span>{text}</span>"] * bool(text) + [f"<span {amber}>{html.escape(said)}</span>" for said in warnings]
    style = "display:flex;flex-wrap:wrap;gap:.3em .75em;font-variant-numeric:tabular-nums"
    return f"<div role='status' style='{style}'>{''.join(spans)}</div>"


def _control(on: ModuleType, name: str, **changes: Any) -> Any:
    """The component for an option: its rule decides the kind."""
    rule, default = rule_of(name), getattr(Options, name)
    shown = all(getattr(Options, chosen) in found[name] for chosen, found in SHOWN.items() if name in found)
    given = dict(label=name.replace("_", " ").capitalize(), info=about(name)[:1].upper() + about(name)[1:])
    given |= dict(value=default, elem_id=PREFIX + name, visible=shown, interactive=True)
    if labels := getattr(rule, "labels", None):
        given |= dict(choices=list(labels.values()), value=labels[default])
    if isinstance(rule, Number):
        given |= dict(minimum=rule.low, maximum=rule.high, step=rule.step)
    given.update(LOOKS.get(name, {}) | changes)
    kind = on.Dropdown if "choices" in given else on.Slider if "step" in given else on.Textbox
    return (on.Checkbox if isinstance(default, bool) else kind)(**given)


def _switch(on: ModuleType, made: Mapping[str, Any], name: str) -> None:
    """Shows what counts for the value of this dropdown, also where ui-config.json sets it (`init_field`)."""
    rule, others = rule_of(name), [made[other] for other in SHOWN[name]]

    def shown(label: str) -> list[bool]:
        value = rule.read(name, label)
        return [value in allowed for allowed in SHOWN[name].values()]

    def init(label: str) -> None:
        for other, visible in zip(others, shown(label)):
            other.visible = visible

    made[name].init_field = init
    _listen(on, made[name], "change", lambda x: [on.update(visible=v) for v in shown(x)], [made[name]], others)


def _pasted(on: ModuleType, name: str, host: PanelHost, parameters: Mapping[str, Any]) -> Any:
    """The control's new value; None, which leaves it alone, where the parameters have none that can be chosen."""
    with suppress(OptionError, KeyError):
        value = rule_of(name).read(name, parameters[INFOTEXT_PREFIX + name])
        if name != "upscaler" or value in host.upscalers():
            return on.update(value=getattr(rule_of(name), "labels", {}).get(value, value))
    return None


def _listen(on: ModuleType, component: Any, event: str, run: Any, inputs: Any, outputs: Any, *, js: str = "") -> None:
    """Subscribes to an event; JavaScript goes by `_js` or `js`. Outside of a Blocks there is nothing to hear."""
    context = getattr(getattr(on, "context", None), "Context", None)
    if context is None or context.root_block is not None:
        subscribe = getattr(component, event)
        known = inspect.signature(getattr(subscribe, "replaced_event", subscribe)).parameters  # Forge wraps it
        script = {"js" if "js" in known else "_js": js} if js else {}
        subscribe(fn=run, inputs=inputs, outputs=outputs, queue=False, show_progress="hidden", **script)
