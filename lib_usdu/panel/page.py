"""What the panel does in the browser: reads the img2img tab, keeps the live line fresh, helps the keyboard."""

from __future__ import annotations

import json
from collections.abc import Mapping

from .text import PREFIX

WATCHED = (
    "img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base", "script_list",
    "img2img_width", "img2img_height", "img2img_scale", "img2img_denoising_strength",
)  # fmt: skip
"""elem_ids of the webui's components that decide what the live line says."""

_PAGE = """
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

READ_PAGE = f"(_, ...values) => {{{_PAGE} window.ultimateupscaleSeen = page(); return [page(), ...values]; }}"
"""Puts what `panel_plan.read_page` reads in place of the first input."""


_AGAIN = "window.ultimateupscaleSeen = null;"
# On Forge something watched says "changed" all the time: with a change of nothing the pause would never come.
_NEW_PAGE = """const now = page();
    if (window.ultimateupscaleWatch && window.ultimateupscalePage === now) return [];
    window.ultimateupscalePage = now;"""


def watch(titles: Mapping[str, str], *, changed: bool) -> str:
    """Looks after a pause, and again while the panel is seen: a picture has no size until it is loaded. `changed`:
    an option did, so the line is to be written anew.

    It also gives buttons their titles, in the page's language, and lets the keyboard reach the accordions, which
    gradio 3 forgets.
    """
    return f"""() => {{{_PAGE}
    const say = (head) => head.setAttribute('aria-expanded', head.classList.contains('open'));
    for (const head of root.querySelectorAll('#{PREFIX}panel div.label-wrap')) {{
        const press = (event) => {{
            if (event.key === 'Enter' || event.key === ' ') {{ event.preventDefault(); head.click(); }}
        }};
        const click = () => setTimeout(say, 50, head);
        Object.assign(head, {{tabIndex: 0, role: 'button', onkeydown: press, onclick: click}});
        say(head);
    }}
    for (const [id, title] of Object.entries({json.dumps(dict(titles))})) {{
        const button = root.querySelector('#' + id);
        if (button) button.title = window.localization?.[title] || title;
    }}
    {_AGAIN if changed else _NEW_PAGE}
    clearInterval(window.ultimateupscaleWatch);
    window.ultimateupscaleWatch = setInterval(() => {{
        if (root.querySelector('#{PREFIX}plan')?.offsetParent && page() !== window.ultimateupscaleSeen)
            root.querySelector('#{PREFIX}update_plan')?.click();
    }}, 300);
    return []; }}"""


def set_denoise(strength: float) -> str:
    """Moves the tab's denoising strength as a person would, where the page has one."""
    return f"""() => {{{_PAGE}
    for (const field of root.querySelectorAll('#img2img_denoising_strength input')) {{
        field.value = {strength};
        field.dispatchEvent(new Event('input', {{bubbles: true}}));
    }}
    return []; }}"""
