"""The panel of the webui's img2img tab, built from Options. Works with gradio 3.41 and 4.40; knows no webui.

Beside it: text.py (labels, hints, groups), live_line.py, page.py (what runs in the browser).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Protocol

import gradio

from ..errors import OptionError
from ..options import (
    INFOTEXT_PREFIX,
    LEGACY_ARGUMENTS,
    OWN_ARGUMENTS,
    VERSION_MARKER,
    Choice,
    Flag,
    Number,
    Options,
    about,
    rule_of,
)
from ..options.presets import PRESETS, Preset
from .live_line import PlanHost, describe, line, read_page
from .page import OPTION_CHANGED, READ_PAGE, bootstrap, set_denoise
from .text import INTRODUCTION, LOOKS, NO_PICTURE, PREFIX, PRESETS_HINT, REFRESH, SHOWN, STYLE, groups

__all__ = ["Panel", "PanelHost", "build", "describe", "preferred_upscaler", "read_page"]

_TITLES = {f"{PREFIX}refresh_upscalers": REFRESH} | {
    f"{PREFIX}preset_{number}": preset.about for number, preset in enumerate(PRESETS)
}


class PanelHost(PlanHost, Protocol):
    """What the panel asks of the webui."""

    def upscalers(self) -> list[str]: ...
    def ready_upscalers(self) -> list[str]: ...  # that need no download
    def refresh_upscalers(self) -> None: ...


@dataclass(frozen=True)
class Panel:
    """inputs: in the order of `script_args`. infotext_fields: (component, function of the pasted parameters)."""

    inputs: list[Any]
    infotext_fields: list[tuple[Any, Callable[[Mapping[str, Any]], Any]]]
    paste_field_names: list[str]


def build(host: PanelHost, *, on: ModuleType = gradio, max_megapixels: float = 1000.0) -> Panel:
    """Lays the panel out where gradio stands. max_megapixels: the largest result the webui allows."""
    made: dict[str, Any] = {}
    legacy = ["upscaler" if name == "upscaler_index" else name for name in LEGACY_ARGUMENTS]
    groups_laid = groups([*legacy, *OWN_ARGUMENTS])
    with on.Column(elem_id=f"{PREFIX}panel"):
        info = on.HTML(STYLE + INTRODUCTION + bootstrap(_TITLES))
        with on.Row(elem_id=f"{PREFIX}presets"):
            buttons = [on.Button(x.name, elem_id=f"{PREFIX}preset_{i}", size="sm") for i, x in enumerate(PRESETS)]
        said = on.HTML(_hint(PRESETS_HINT), elem_id=f"{PREFIX}preset")
        for group in groups_laid:
            folded = {"label": group.heading, "open": False, "elem_id": PREFIX + group.name}
            with on.Accordion(**folded) if group.heading else on.Column():
                for names in group.rows:
                    if names == ("upscaler",):
                        refresh = _upscaler_row(on, host, made)
                        plan = on.HTML(line(NO_PICTURE), elem_id=f"{PREFIX}plan")
                    else:
                        with on.Row():
                            made.update((name, _control(on, name)) for name in names)
        marker = on.Textbox(VERSION_MARKER, label="Version", visible=False, elem_id=f"{PREFIX}version")
        page = on.Textbox("", label="Page", visible=False, elem_id=f"{PREFIX}page")
        update = on.Button("Update the plan", visible=False, elem_id=f"{PREFIX}update_plan")
    for ours in (marker, page, update, refresh, *buttons):
        ours.do_not_save_to_config = True  # ui-config.json keeps what people choose

    def refreshed(chosen: str) -> Any:
        host.refresh_upscalers()
        found = host.upscalers()
        return on.update(choices=found, value=chosen if chosen in found else preferred_upscaler(host.ready_upscalers()))

    inputs = [made[name] for name in (*legacy, *OWN_ARGUMENTS)]
    for name in SHOWN:
        _switch(on, made, name)
    _listen(on, refresh, "click", refreshed, [made["upscaler"]], made["upscaler"])
    for button, preset in zip(buttons, PRESETS):
        run = partial(_preset_chosen, on, preset)
        outputs = [said, *(made[name] for name in preset.values())]
        _listen(on, button, "click", run, [], outputs, js=set_denoise(preset.denoise))
    describing = partial(describe, host, max_megapixels)
    _listen(on, update, "click", describing, [page, *inputs], plan, js=READ_PAGE)
    for component in inputs:
        _listen(on, component, "change", None, [], [], js=OPTION_CHANGED)
    pasted = [(component, partial(_pasted, on, name, host)) for name, component in made.items()]
    in_order = [info, *(made[name] for name in legacy), marker, *(made[name] for name in OWN_ARGUMENTS)]
    return Panel(in_order, pasted, [INFOTEXT_PREFIX + name for name in made])


def preferred_upscaler(names: Sequence[str]) -> str:
    """The one a photograph gains most from, by name."""
    found = [name for wanted in ("ultrasharp", "esrgan") for name in names if wanted in name.casefold()]
    found += [name for name in names if name not in ("None", "Lanczos", "Nearest")]
    return found[0] if found else "None"


def _upscaler_row(on: ModuleType, host: PanelHost, made: dict[str, Any]) -> Any:
    """The upscaler with a button that looks for new ones; returns the button."""
    with on.Row():
        names, chosen = host.upscalers(), preferred_upscaler(host.ready_upscalers())
        made["upscaler"] = _control(on, "upscaler", choices=names, value=chosen, elem_id=f"{PREFIX}upscaler_index")
        tool = dict(elem_id=f"{PREFIX}refresh_upscalers", elem_classes=["tool"], scale=0, min_width=44, size="sm")
        return on.Button("\U0001f504", **tool)


def _control(on: ModuleType, name: str, **changes: Any) -> Any:
    """The component for an option: its rule decides the kind."""
    rule, default = rule_of(name), getattr(Options, name)
    shown = all(getattr(Options, chosen) in found[name] for chosen, found in SHOWN.items() if name in found)
    given = dict(label=name.replace("_", " ").capitalize(), info=about(name)[:1].upper() + about(name)[1:])
    given |= dict(value=default, elem_id=PREFIX + name, visible=shown, interactive=True)
    kind = on.Textbox
    if isinstance(rule, Choice):
        given |= dict(choices=list(rule.labels.values()), value=rule.labels[default])
    elif isinstance(rule, Number):
        kind = on.Slider
        given |= dict(minimum=rule.low, maximum=rule.high, step=rule.step)
    elif isinstance(rule, Flag):
        kind = on.Checkbox
        given |= dict(elem_classes=[f"{PREFIX}box"])
    given |= LOOKS.get(name, {}) | changes
    return (on.Dropdown if "choices" in given else kind)(**given)


def _preset_chosen(on: ModuleType, preset: Preset) -> list[Any]:
    """What it says of itself, then its values."""
    said = _hint(f"<b>{preset.name}</b>", preset.about, "Denoising strength", f"{preset.denoise:g}")
    return [said, *(on.update(value=_label(name, value)) for name, value in preset.values().items())]


def _hint(*parts: str) -> str:
    spans = " ".join(f"<span>{part}</span>" for part in parts)
    return f"<div role='status' style='font-size:var(--block-info-text-size)'>{spans}</div>"


def _label(name: str, value: Any) -> Any:
    """The value as the control shows it."""
    return getattr(rule_of(name), "labels", {}).get(value, value)


def _switch(on: ModuleType, made: Mapping[str, Any], name: str) -> None:
    """Shows what counts for the value of this dropdown, also where ui-config.json sets it (`init_field`)."""
    rule = rule_of(name)
    counts = {other: values for other, values in SHOWN[name].items() if other in made}
    others = [made[other] for other in counts]

    def shown(label: str) -> list[bool]:
        value = rule.read(name, label)
        return [value in allowed for allowed in counts.values()]

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
            return on.update(value=_label(name, value))
    return None


def _listen(on: ModuleType, component: Any, event: str, run: Any, inputs: Any, outputs: Any, *, js: str = "") -> None:
    """Subscribes to an event; JavaScript goes by `_js` or `js`. Outside of a Blocks there is nothing to hear."""
    context = getattr(getattr(on, "context", None), "Context", None)
    if context is None or context.root_block is not None:
        subscribe = getattr(component, event)
        known = inspect.signature(getattr(subscribe, "replaced_event", subscribe)).parameters  # Forge wraps it
        script = {"js" if "js" in known else "_js": js} if js else {}
        subscribe(fn=run, inputs=inputs, outputs=outputs, queue=False, show_progress="hidden", **script)
