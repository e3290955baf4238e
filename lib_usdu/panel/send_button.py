"""The button under the galleries of txt2img and img2img that sends a picture to this script.

The host tells of each component of its page as it is made. What is sent, and how, is the host's own way for its button
"Send to img2img"; beside that ours selects the script.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import gradio  # pyright: ignore[reportMissingImports]  # the webui brings it

from .events import listen
from .text import PREFIX, SEND

TABS = ("txt2img", "img2img")
_LAST = "send_to_extras"
"""The host's last button of the row, by the end of its elem_id."""


def after_component(
    title: str, send: Callable[[str, Any, Any], None], in_img2img: Callable[[], bool], *, on: ModuleType = gradio
) -> Callable[..., None]:
    """What the host is to call after each component of its page.

    title: the script's. send(tab, button, gallery) makes the button send what stands in the tab's gallery. in_img2img:
    whether the host is at that tab's controls now: both tabs call their list of scripts by one elem_id.
    """
    galleries: dict[str, Any] = {}
    buttons: list[Any] = []
    lists: list[Any] = []

    def seen(component: Any, **_: Any) -> None:
        name = getattr(component, "elem_id", None) or ""
        tab, _between, what = name.partition("_")
        if name == f"{TABS[0]}_gallery":  # the page begins, perhaps not for the first time
            for kept in (galleries, buttons, lists):
                kept.clear()
        if tab in TABS and what == "gallery":
            galleries[tab] = component
        elif tab in galleries and what == _LAST:
            button = on.Button("⏫", elem_id=f"{PREFIX}upscale_{tab}", elem_classes=["tool"])
            button.webui_tooltip = SEND
            button.do_not_save_to_config = True
            send(tab, button, galleries[tab])
            buttons.append(button)
        elif name == "script_list" and in_img2img():
            lists[:] = [component]
        elif name == "footer":  # both tabs stand in the whole page by now: events may go from one to the other
            for button in buttons if lists else ():
                listen(on, button, "click", lambda: title, [], lists[0])

    return seen
