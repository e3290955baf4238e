"""What the panel does in the browser: reads the img2img tab, keeps the live line fresh, helps the keyboard."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path

from ..pictures import slider
from .text import COMPARE, PREFIX, TILES

_CREATIVITY = Path(__file__).with_name("creativity.js").read_text(encoding="utf-8")
_GALLERY = Path(__file__).with_name("gallery.js").read_text(encoding="utf-8")
_TILES = Path(__file__).with_name("tiles.js").read_text(encoding="utf-8")

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
        const batch = typeof get_tab_index === 'function' && root.querySelector('#mode_img2img')
            ? get_tab_index('mode_img2img') === 5 : false;
        const modes = [...root.querySelectorAll('#resize_mode input[type=radio]')];
        const mode = modes.findIndex((choice) => choice.checked);
        const sampler = root.querySelector('#img2img_sampling input')?.value || '';
        const scheduler = root.querySelector('#img2img_scheduler input')?.value || '';
        const prompt = root.querySelector('#img2img_prompt textarea')?.value || '';
        const loras = (prompt.match(/<lora:[^<>]*>/g) || []).join('');
        const drawn = [number('steps'), sampler, number('cfg_scale'), scheduler, loras];
        const tiles = !!window.ultimateupscaleTiles?.on() && !batch;
        return JSON.stringify([w, h, ...size, number('denoising_strength'), batch, mode, ...drawn, tiles]);
    };"""

READ_PAGE = f"""(_, ...values) => {{{_PAGE}
    const now = window.ultimateupscaleSeen = page(), sent = window.ultimateupscaleTiles?.sent() || {{}};
    return [JSON.stringify([...JSON.parse(now), sent]), ...values]; }}"""
"""Puts what `live_line.read_page` and `tiles.read_shown` read in place of the first input."""

OPTION_CHANGED = "() => { window.ultimateupscaleTouched = Date.now(); window.ultimateupscaleSoon?.(); return []; }"
"""Makes the live line be written anew after the pause, also where the page itself looks the same."""

_PAUSE = 300  # ms from what a person does to a look at the page
_TICK = 1500  # ms between two looks where nobody does anything: pasted values come without an event


def bootstrap(titles: Mapping[str, str]) -> str:
    """HTML that starts the watch when the browser shows it: an image that cannot load runs its `onerror`.

    No gradio event is used: in gradio 4 some of the webui's components say "changed" without end, and each one would
    cost the page a round of events. Shortly after each of the browser's own events, and slowly without, the script
    looks at the page while the panel is seen, and asks for a new live line once what it sees has stood still for one
    look.

    titles: elem_id of a button to the text shown over it. It also lets the keyboard reach the accordions, which
    gradio 3 forgets.
    """
    script = f"""{_PAGE}
    const say = (head) => head.setAttribute('aria-expanded', head.classList.contains('open'));
    const press = (event) => {{
        if (event.key === 'Enter' || event.key === ' ') {{ event.preventDefault(); event.currentTarget.click(); }}
    }};
    const titles = Object.entries({json.dumps(dict(titles))});
    const help = () => {{
        for (const head of root.querySelectorAll('#{PREFIX}panel div.label-wrap:not([aria-expanded])')) {{
            Object.assign(head, {{tabIndex: 0, role: 'button', onkeydown: press}});
            head.addEventListener('click', () => setTimeout(say, 50, head));
            say(head);
        }}
        for (const [id, title] of titles) {{
            const button = root.querySelector('#' + id);
            if (button && !button.title) button.title = window.localization?.[title] || title;
        }}
    }};
    let last = null, timer = 0, watched = null;
    const look = () => {{
        timer = 0;
        if (!document.hidden) gallery.look();
        if (document.hidden || !root.querySelector('#{PREFIX}plan')?.offsetParent) return tiles.look();
        help();
        tiles.look();
        creativity.look();
        const plan = root.querySelector('#{PREFIX}plan');
        if (plan !== watched) {{  // a new line may say what strengths mean
            watched = plan;
            new MutationObserver(creativity.look).observe(plan, {{childList: true, subtree: true}});
        }}
        const now = page(), still = now === last, touched = window.ultimateupscaleTouched || 0;
        last = now;
        if (!still || Date.now() - touched < {_PAUSE}) return soon();
        if (now === window.ultimateupscaleSeen && touched <= (window.ultimateupscaleAsked || 0)) return;
        window.ultimateupscaleAsked = Date.now();
        root.querySelector('#{PREFIX}update_plan')?.click();
    }};
    const soon = () => {{ timer = timer || setTimeout(look, {_PAUSE}); }};
    if (window.ultimateupscaleWatch) return;  // one watch a page, however often the panel is shown anew
    {slider.SCRIPT}
    {_GALLERY}
    {_TILES}
    {_CREATIVITY}
    const translated = (words) => {{
        for (const [name, text] of Object.entries(words)) words[name] = window.localization?.[text] || text;
        return words;
    }};
    const gallery = window.usduGallery(root, translated({json.dumps(COMPARE)}));
    const tiles = window.ultimateupscaleTiles = window.usduTiles(root, translated({json.dumps(TILES)}));
    const creativity = window.ultimateupscaleCreativity = window.usduCreativity(root, '{PREFIX}');
    window.ultimateupscaleSoon = soon;
    for (const event of ['input', 'change']) root.addEventListener(event, () => setTimeout(creativity.look), true);
    for (const event of ['input', 'change', 'click', 'load']) root.addEventListener(event, soon, true);
    window.ultimateupscaleWatch = setInterval(soon, {_TICK});
    soon();"""
    code = html.escape(f"(() => {{{script}}})()", quote=True)
    return f'<img alt="" style="display:none" src="data:," onerror="{code}">'


def set_creativity(creativity: float, strength: float) -> str:
    """Moves Creativity, and with it the tab's denoising strength, as a person would; where the page does not know what
    strengths mean, the tab's to this one. Steps, CFG scale and sampler go to what a checkpoint or LoRA of few
    steps wants."""
    return f"() => {{ window.ultimateupscaleCreativity?.set({creativity}, {strength}); return []; }}"
