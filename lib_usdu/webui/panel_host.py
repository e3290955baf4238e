"""What the panel asks of the webui, and the buttons under the galleries."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..geometry import Size
from ..host import Abilities
from ..noise_share import NoiseShare
from ..plan import Plan
from ..speed.few_steps import FewSteps, named, names_in, of_loras, of_metadata
from .controlnet import is_controlnet
from .environment import (
    chosen_checkpoint,
    img2img_scripts,
    interrogators,
    page_modules,
    processing,
    refresh_upscalers,
    shared,
)
from .fused_call import cannot_fuse
from .model_kind import (
    batch_limits,
    default_tile,
    flow_by_name,
    latents,
    loaded_model,
    noise_share,
    one_picture_a_call,
    timed,
    timings,
)
from .other_extensions import finishes
from .upscaler_files import SESSION, preselected, upscaler_names


class PanelHost:
    """The webui as the panel sees it."""

    def upscalers(self) -> list[str]:
        """Names, in the order of their index."""
        return upscaler_names()

    def preselected_upscaler(self) -> str:
        """The one the panel begins with; looked for anew at each call."""
        return preselected()

    def refresh_upscalers(self) -> None:
        """Looks for upscaler files again."""
        refresh_upscalers()

    def abilities(self) -> Abilities:
        """What a plan must know. Loads no model; a ControlNet unit that is on cannot be seen from the panel."""
        kind = latents()
        return Abilities(
            default_tile=default_tile(), upscalers=tuple(upscaler_names()), interrogators=tuple(interrogators()),
            finishes=tuple(finishes(_alwayson())), batch_cap=1 if one_picture_a_call() else None,
            batch_limits=batch_limits, alignment=kind.aligned(Abilities.alignment), grain=kind.grain,
            tile_is_guessed=loaded_model() is None,
            why_not_fused=lambda: cannot_fuse(
                processing, loaded_model(), controlnet=False, one_picture=one_picture_a_call()
            ),
        )  # fmt: skip

    def is_xl(self) -> bool:
        """Whether the checkpoint draws in tiles of 1024 px; a guess before it is loaded."""
        return default_tile() > 512

    def seconds(self, plan: Plan, steps: int, sampler: str, cfg_scale: float) -> float | None:
        """What a run takes, from what the same work took here before; None where it was never done."""
        known = timings()
        return None if known is None else known.seconds(timed(plan, steps, sampler, cfg_scale).values())

    def noise_share(
        self, steps: int, sampler: str, scheduler: str, window: Size | None = None
    ) -> NoiseShare | None:
        """What denoising strengths mean with these of the tab, in windows of this size; a guess before a checkpoint is
        loaded."""
        return noise_share(sampler, scheduler, steps, window=window)

    def tile_seconds(self, plan: Plan) -> Mapping[int, float]:
        """What each tile took in the last run of this webui; empty where that run had other tiles."""
        return SESSION.tile_seconds(plan.numbered)

    def few_steps(self, prompt: str = "") -> FewSteps | None:
        """How the chosen checkpoint wants to be asked, or a LoRA that this prompt asks for, where one draws in few
        steps: by its name, or by what its file says of itself."""
        found = of_loras(prompt, _other_names) or named(
            Path(str(getattr(shared.opts, "sd_model_checkpoint", None) or "")).stem
        )
        with suppress(Exception):  # a fork's own kind of loading
            found = found or of_metadata(chosen_checkpoint().metadata)
        return replace(found, sampler="Euler") if found and flow_by_name() else found

    def has_controlnet(self) -> bool:
        """Whether there is ControlNet at all."""
        return any(map(is_controlnet, _alwayson()))


def _other_names(name: str) -> list[str]:
    """Of a LoRA that a prompt calls by this name: of its file, and what a trainer wrote into it. The webui's own
    extension knows the files (networks.py:166 of A1111); it may be off."""
    known = sys.modules.get("networks")
    for names in ("available_networks", "available_network_aliases"):
        found = (getattr(known, names, None) or {}).get(name)
        if found is not None:
            said = getattr(found, "metadata", None) or {}
            return [Path(str(getattr(found, "filename", ""))).stem, *names_in(said)]
    return []


def add_send_buttons(title: str) -> None:
    """Buttons under the galleries of txt2img and img2img that send the picture here; none where the host is too
    different. title: the script's. Called when the script is loaded, before the page is made."""
    with suppress(ImportError, AttributeError):
        from ..panel.send_button import after_component

        callbacks, pasting = page_modules()
        binding, register = pasting.ParamBinding, pasting.register_paste_params_button
        scripts = img2img_scripts()

        def send(tab: str, button: Any, gallery: Any) -> None:
            # In img2img the prompt stands there already.
            names = scripts.scripts_txt2img.paste_field_names if tab == "txt2img" else []
            sent = binding(
                paste_button=button, tabname="img2img", source_tabname="txt2img" if tab == "txt2img" else None,
                source_image_component=gallery, paste_field_names=names,
            )  # fmt: skip
            register(sent)

        in_img2img = lambda: scripts.scripts_current is scripts.scripts_img2img  # noqa: E731
        callbacks.on_after_component(after_component(title, send, in_img2img))


def _alwayson() -> list[Any]:
    """The scripts of the img2img tab that run without being chosen."""
    return img2img_scripts().scripts_img2img.alwayson_scripts
