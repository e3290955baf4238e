"""The panel of the webui's img2img tab, built from Options. Works with gradio 3.41 and 4.40; knows no webui.

Labels, hints and places are declared with the options. Beside it: text.py (other sentences, sections), live_line.py,
page.py (what runs in the browser).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Protocol

import gradio  # pyright: ignore[reportMissingImports]  # the webui brings it

from ..errors import OptionError
from ..options import (
    INFOTEXT_PREFIX,
    LEGACY_ARGUMENTS,
    OF_PICTURE,
    OWN_ARGUMENTS,
    VERSION_KEY,
    VERSION_MARKER,
    Choice,
    Flag,
    Number,
    Options,
    declared,
    rule_of,
)
from ..options.declaration import Declaration
from ..options.forms import value_in
from ..options.presets import PRESETS, Preset, chosen
from .events import listen
from .live_line import LineSource, line, live_line, of_panel, read_page
from .page import OPTION_CHANGED, READ_PAGE, bootstrap, set_creativity
from .text import (
    INTRODUCTION,
    NO_PICTURE,
    PREFIX,
    REFRESH,
    SECTIONS,
    SHOW_TILES,
    SHOWN,
    STRENGTH,
    STYLE,
    TRY,
    TRY_ABOUT,
    ControlGroup,
    preset_hint,
)
from .tiles import TileSource, tiles_of_plan

__all__ = ["Panel", "PanelSource", "build", "live_line", "read_page"]

_TITLES = {f"{PREFIX}refresh_upscalers": REFRESH, f"{PREFIX}try": TRY_ABOUT} | {
    f"{PREFIX}preset_{number}": preset.about for number, preset in enumerate(PRESETS)
}


class PanelSource(LineSource, TileSource, Protocol):
    """What the panel asks of the webui."""

    def upscalers(self) -> list[str]:
        """Names, in the order of their index."""
        ...

    def preselected_upscaler(self) -> str:
        """The one the panel begins with; looked for anew at each call."""
        ...

    def refresh_upscalers(self) -> None:
        """Looks for upscaler files again."""
        ...


@dataclass(frozen=True)
class Panel:
    """inputs: in the order of `script_args`. infotext_fields: (component, function of the pasted parameters)."""

    inputs: list[Any]
    infotext_fields: list[tuple[Any, Callable[[Mapping[str, Any]], Any]]]
    paste_field_names: list[str]


def build(host: PanelSource, *, on: ModuleType = gradio, max_megapixels: float = 1000.0) -> Panel:
    """Lays the panel out where gradio stands. max_megapixels: the largest result the webui allows."""
    controls: dict[str, Any] = {}
    others: dict[str, Any] = {}
    legacy = ["upscaler" if name == "upscaler_index" else name for name in LEGACY_ARGUMENTS]
    with on.Column(elem_id=f"{PREFIX}panel"):
        info = on.HTML(STYLE + INTRODUCTION + bootstrap(_TITLES))
        _strength(on, controls, others)
        with on.Row(elem_id=f"{PREFIX}presets"):
            buttons = [on.Button(x.name, elem_id=f"{PREFIX}preset_{i}", size="sm") for i, x in enumerate(PRESETS)]
        hint = on.HTML(preset_hint(None), elem_id=f"{PREFIX}preset")
        for section in SECTIONS:
            folded = {"label": section.heading, "open": False, "elem_id": PREFIX + section.name}
            with on.Accordion(**folded) if section.heading else on.Column():
                for group in section.groups:
                    if group is STRENGTH:
                        continue
                    _lay(on, host, group, controls, others, titled=bool(section.heading))
        marker = on.Textbox(VERSION_MARKER, label="Version", visible=False, elem_id=f"{PREFIX}version")
        page = on.Textbox("", label="Page", visible=False, elem_id=f"{PREFIX}page")
        update = on.Button("Update the plan", visible=False, elem_id=f"{PREFIX}update_plan")
    refresh, plan = others["refresh"], others["plan"]
    of_others = (others[name] for name in ("show_tiles", "try", "creativity_shown"))
    of_a_moment = [controls["upscaler"], controls["try_tile"], *of_others]
    for ours in (marker, page, update, refresh, *of_a_moment, *buttons):
        # ui-config.json keeps what people choose; which upscaler they chose last the host remembers.
        ours.do_not_save_to_config = True

    def refreshed(chosen: str) -> Any:
        host.refresh_upscalers()
        names = host.upscalers()
        return on.update(choices=names, value=chosen if chosen in names else host.preselected_upscaler())

    inputs = [controls[name] for name in (*legacy, *OWN_ARGUMENTS)]
    for name in SHOWN:
        _switch(on, controls, name)
    _grey_out(on, controls["auto_padding"], controls["padding"])
    listen(on, refresh, "click", refreshed, [controls["upscaler"]], controls["upscaler"])
    for button, preset in zip(buttons, PRESETS):
        run = partial(_preset_chosen, on, preset)
        outputs = [hint, *(controls[name] for name in preset.values())]
        listen(on, button, "click", run, [], outputs, js=set_creativity(preset.creativity, preset.denoise))
    planning = partial(_planned, host, max_megapixels)
    listen(on, update, "click", planning, [page, *inputs], [plan, hint], js=READ_PAGE)
    for component in inputs:
        listen(on, component, "change", None, [], [], js=OPTION_CHANGED)
    pasted = [(controls[name], partial(_pasted, on, name, host)) for name in OF_PICTURE]
    in_order = [info, *(controls[name] for name in legacy), marker, *(controls[name] for name in OWN_ARGUMENTS)]
    return Panel(in_order, pasted, [INFOTEXT_PREFIX + name for name in OF_PICTURE])


def _lay(
    on: ModuleType,
    host: PanelSource,
    group: ControlGroup,
    controls: dict[str, Any],
    others: dict[str, Any],
    *,
    titled: bool,
) -> None:
    """The controls of a group, put into `controls` by the names of their options; what stands beside them, `others`."""
    if titled:
        on.HTML(f"<div class='{PREFIX}title'>{group.title}</div>")
    for names in group.rows:
        if names == ("upscaler",):
            _upscaler_row(on, host, controls, others)
        elif names == ("try_tile",):
            _tiles_row(on, controls, others)
        else:
            with on.Row():
                controls.update((name, _control(on, name, **_offered(host, name))) for name in names)


def _strength(on: ModuleType, controls: dict[str, Any], others: dict[str, Any]) -> None:
    """Creativity and Resemblance. The slider that a person sees always says what the tab's denoising strength begins
    with; the option itself, hidden, is 0 until a person, a preset or pasted parameters ask for a Creativity. The page's
    script keeps the two and the denoising strength together (creativity.js)."""
    with on.Row(elem_id=f"{PREFIX}strength"):
        others["creativity_shown"] = _control(on, "creativity", elem_id=f"{PREFIX}creativity_shown")
        controls["creativity"] = _control(on, "creativity", visible=False)
        controls["resemblance"] = _control(on, "resemblance")


def _upscaler_row(on: ModuleType, host: PanelSource, controls: dict[str, Any], others: dict[str, Any]) -> None:
    """The upscaler with a button that looks for new ones; the live line below it."""
    with on.Row():
        names, chosen = host.upscalers(), host.preselected_upscaler()
        controls["upscaler"] = _control(on, "upscaler", choices=names, value=chosen, elem_id=f"{PREFIX}upscaler_index")
        tool = dict(elem_id=f"{PREFIX}refresh_upscalers", elem_classes=["tool"], scale=0, min_width=44, size="sm")
        others["refresh"] = on.Button("\u21bb", **tool)  # an arrow, no emoji: those need a font of their own
    others["plan"] = on.HTML(line([NO_PICTURE]), elem_id=f"{PREFIX}plan")


def _tiles_row(on: ModuleType, controls: dict[str, Any], others: dict[str, Any]) -> None:
    """The box that shows the tiles on the picture, and the button that tries one: tiles.js does both."""
    with on.Row(elem_id=f"{PREFIX}tiles"):
        others["show_tiles"] = on.Checkbox(False, label=SHOW_TILES, elem_id=f"{PREFIX}show_tiles", interactive=True)
        others["try"] = on.Button(TRY, elem_id=f"{PREFIX}try", size="sm")
    controls["try_tile"] = _control(on, "try_tile", visible=False)


def _control(on: ModuleType, name: str, **changes: Any) -> Any:
    """The component for an option."""
    shown = all(getattr(Options, chosen) in counts[name] for chosen, counts in SHOWN.items() if name in counts)
    return _component(on, name, declared(name), getattr(Options, name), **{"visible": shown, **changes})


def _offered(host: PanelSource, name: str) -> dict[str, Any]:
    """For a choice that depends on what this webui has: the labels that work here; hidden where there is no choice."""
    if name not in ("interrogator", "finish"):
        return {}
    abilities = host.abilities()
    works = {"interrogator": abilities.interrogators, "finish": abilities.finishes}[name]
    labels = [label for value, label in _labels(name).items() if value in works]
    return {"choices": labels, "visible": len(labels) > 1}


def _component(on: ModuleType, name: str, option: Declaration, default: Any, **changes: Any) -> Any:
    """The component for what is declared of an option: its rule decides the kind."""
    rule, control = option.rule, option.control
    if control is None:
        raise ValueError(f"{name} has no place in the panel")
    arguments: dict[str, Any] = dict(
        label=control.label, info=option.hint, value=default, elem_id=PREFIX + name, interactive=True
    )  # fmt: skip
    kind = on.Textbox
    if isinstance(rule, Choice):
        arguments |= dict(choices=list(rule.labels.values()), value=rule.labels[default])
    elif isinstance(rule, Number):
        kind = on.Slider
        limits = {"minimum": "low", "maximum": "high", "step": "step"}
        arguments |= {
            argument: getattr(rule if getattr(control, limit) is None else control, limit)
            for argument, limit in limits.items()
        }
    elif isinstance(rule, Flag):
        kind = on.Checkbox
        arguments |= dict(elem_classes=[f"{PREFIX}box"])
    else:
        arguments |= dict(lines=control.lines)
    arguments |= changes
    if "choices" in arguments:
        arguments.pop("lines", None)
        kind = on.Dropdown
    return kind(**arguments)


def _preset_chosen(on: ModuleType, preset: Preset) -> list[Any]:
    """What it says of itself, then its values."""
    return [preset_hint(preset), *(on.update(value=_label(name, value)) for name, value in preset.values().items())]


def _planned(host: PanelSource, max_megapixels: float, page: str, *values: Any) -> list[str]:
    """The live line, and which preset these values are: it is no longer the one that was pressed once they change."""
    preset = None
    with suppress(OptionError):
        preset = chosen(of_panel(page, values))
    said = live_line(host, max_megapixels, page, *values) + tiles_of_plan(host, max_megapixels, page, *values)
    return [said, preset_hint(preset)]


def _labels(name: str) -> Mapping[str, str]:
    """What a dropdown shows, by value; none for another control."""
    rule = rule_of(name)
    return rule.labels if isinstance(rule, Choice) else {}


def _label(name: str, value: Any) -> Any:
    """The value as the control shows it."""
    return _labels(name).get(value, value)


def _switch(on: ModuleType, controls: Mapping[str, Any], name: str) -> None:
    """Shows what counts for the value of this dropdown, also where ui-config.json sets it (`init_field`)."""
    rule = rule_of(name)
    counts = {other: values for other, values in SHOWN[name].items() if other in controls}
    others = [controls[other] for other in counts]

    def shown(label: str) -> list[bool]:
        value = rule.read(name, label)
        return [value in allowed for allowed in counts.values()]

    def init(label: str) -> None:
        for other, visible in zip(others, shown(label)):
            other.visible = visible

    controls[name].init_field = init
    listen(on, controls[name], "change", lambda x: [on.update(visible=v) for v in shown(x)], [controls[name]], others)


def _grey_out(on: ModuleType, box: Any, slider: Any) -> None:
    """The slider cannot be moved while the box is ticked, also where ui-config.json ticks it (`init_field`)."""
    box.init_field = lambda ticked: setattr(slider, "interactive", not ticked)
    listen(on, box, "change", lambda ticked: on.update(interactive=not ticked), [box], slider)


def _pasted(on: ModuleType, name: str, host: PanelSource, parameters: Mapping[str, Any]) -> Any:
    """The control's new value; None, which leaves it alone, where the parameters have none that can be chosen.

    An option that our own parameters leave out had its default; the original's say nothing of it.
    """
    value = value_in(parameters, name)
    if value is None and VERSION_KEY in parameters:
        value = getattr(Options, name)
    with suppress(OptionError):
        value = rule_of(name).read(name, value)
        choices = host.upscalers() if name == "upscaler" else _offered(host, name).get("choices")
        if choices is None or _label(name, value) in choices:
            return on.update(value=_label(name, value))
    return None
