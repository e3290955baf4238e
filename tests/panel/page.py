"""The panel in a plain gradio app: python page.py PORT. Run by an environment with gradio 3 or 4.

Around it stands what it reads of the webui's img2img tab: the picture, Width, Height and Denoising strength. Run shows
every value as JSON; Paste hands the pasted parameters to every infotext field as the webui does. Two boxes say what the
model is: SDXL, helped by ControlNet.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
import urllib.parse
from functools import partial
from pathlib import Path

import gradio as gr
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))
from lib_usdu.batch_size import BatchLimits  # noqa: E402
from lib_usdu.enlarge.upscalers import for_photographs  # noqa: E402
from lib_usdu.host import Abilities  # noqa: E402
from lib_usdu.noise_share import NoiseShare, of_webui, share_of  # noqa: E402
from lib_usdu.panel.build import build  # noqa: E402
from lib_usdu.panel.send_button import after_component  # noqa: E402
from lib_usdu.plan import Plan  # noqa: E402
from lib_usdu.spacing import plain_webui  # noqa: E402
from lib_usdu.speed.few_steps import KINDS, FewSteps, of_loras  # noqa: E402


class StandInHost:
    """A webui with a few upscalers; a refresh finds one more."""

    def __init__(self):
        self.names = ["None", "Lanczos", "Nearest", "ESRGAN_4x", "4x-UltraSharp", "R-ESRGAN 4x+"]
        self.reset()

    def reset(self) -> None:
        self.xl = self.controlnet = self.ran = self.few = False

    def upscalers(self) -> list[str]:
        return list(self.names)

    def preselected_upscaler(self) -> str:
        return for_photographs([name for name in self.names if name != "R-ESRGAN 4x+"], lambda name: True)

    def refresh_upscalers(self) -> None:
        self.names.append(f"New model {len(self.names)}")

    def abilities(self) -> Abilities:
        names, tile = tuple(self.upscalers()), 1024 if self.xl else 512
        return Abilities(
            default_tile=tile, upscalers=names, interrogators=("none", "clip", "deepbooru"),
            finishes=("none", "faces", "adetailer"), why_not_fused=str, batch_limits=self.batch_limits,
        )  # fmt: skip

    def is_xl(self) -> bool:
        return self.xl

    def few_steps(self, prompt: str) -> FewSteps | None:
        return of_loras(prompt, lambda name: ()) or (KINDS["lcm"] if self.few else None)

    def has_controlnet(self) -> bool:
        return self.controlnet

    def noise_share(self, steps: int, sampler: str, scheduler: str, window: object = None) -> NoiseShare | None:
        """That of a plain model."""
        return of_webui(lambda count: [share_of(sigma) for sigma in plain_webui(scheduler, count)], steps)

    def seconds(self, plan: Plan, steps: int, sampler: str, cfg_scale: float) -> float | None:
        return None

    def tile_seconds(self, plan: Plan) -> dict[int, float]:
        return {tile.index: 1.5 + tile.index for tile in plan.numbered} if self.ran else {}

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        return BatchLimits(4, 4)


def tab() -> None:
    """The controls of the img2img tab that the panel reads, with the webui's elem_ids."""
    with gr.Row():
        gr.Image(elem_id="img2img_image", height=400, show_label=False)
    with gr.Row():
        live = {"interactive": True}
        gr.Slider(64, 4096, 512, step=8, label="Width", elem_id="img2img_width", **live)
        gr.Slider(64, 4096, 512, step=8, label="Height", elem_id="img2img_height", **live)
        strength = "Denoising strength"
        gr.Slider(0, 1, 0.3, step=0.01, label=strength, elem_id="img2img_denoising_strength", **live)
    gr.Textbox("", label="Prompt", lines=2, elem_id="img2img_prompt")
    with gr.Row():
        gr.Slider(1, 150, 20, step=1, label="Sampling steps", elem_id="img2img_steps", **live)
        samplers = ["Euler", "Euler a", "DDIM", "LCM"]
        gr.Dropdown(samplers, value="Euler", label="Sampling method", elem_id="img2img_sampling", **live)
        gr.Slider(1, 30, 7, step=0.5, label="CFG Scale", elem_id="img2img_cfg_scale", **live)
        ways = ["Karras", "Uniform"]
        gr.Dropdown(ways, value=ways[0], label="Schedule type", elem_id="img2img_scheduler", **live)


def inpaint_tab() -> None:
    """Where a mask is drawn, hidden until a test shows it: gradio 3's own, as AUTOMATIC1111 has it; else a picture
    under a canvas, as Forge has it."""
    with gr.Column(elem_id="inpaint_tab"):
        if "tool" in inspect.signature(gr.Image).parameters:
            gr.Image(elem_id="img2maskimg", tool="sketch", source="upload", height=400, show_label=False)
        else:
            lying = "position: absolute; inset: 0; width: 100%; height: 100%"
            canvas = f"<canvas class='forge-drawing-canvas' width='1280' height='720' style='{lying}'></canvas>"
            empty = "<svg xmlns='http://www.w3.org/2000/svg' width='1280' height='720'/>"
            picture = f'<img style="width: 100%" src="data:image/svg+xml,{urllib.parse.quote(empty)}">'
            around = f"<div style='position: relative; width: 500px'>{picture}{canvas}</div>"
            gr.HTML(around, elem_id="img2maskimg")
        modes = ["Inpaint masked", "Inpaint not masked"]
        gr.Radio(modes, value=modes[0], label="Mask mode", elem_id="img2img_mask_mode", interactive=True)


class Galleries:
    """What the webui tells of its page, and what it does with a button that sends a picture."""

    def __init__(self):
        self.in_img2img, self.sending = False, []
        self.tell = after_component("Ultimate SD Upscale", self.send, lambda: self.in_img2img)

    def send(self, tab: str, button: gr.Button, gallery: gr.Gallery) -> None:
        self.sending.append((button, gallery))

    def txt2img(self) -> gr.Blocks:
        """A tab, Blocks of its own as the webui has it: a list of scripts, a gallery, the row of buttons below it."""
        with gr.Blocks() as found:
            self.tell(gr.Dropdown(["None", "Other"], value="None", label="Script", elem_id="script_list"))
            self.tell(gr.Gallery(elem_id="txt2img_gallery", height=60))
            with gr.Row():
                self.tell(gr.Button("Extras", elem_id="txt2img_send_to_extras"))
        return found

    def scripts_of_img2img(self) -> gr.Blocks:
        self.in_img2img = True
        with gr.Blocks() as found, gr.Row(elem_id="scripts_of_img2img"):
            names = ["None", "Other", "Ultimate SD Upscale"]
            self.tell(gr.Dropdown(names, value="None", label="Script", elem_id="script_list", type="index"))
        return found

    def whole(self, *tabs: gr.Blocks) -> None:
        """The page around the tabs."""
        sent = gr.Textbox("nothing sent", label="Sent", elem_id="sent")
        for button, _ in self.sending:
            button.click(lambda: "sent", [], sent, queue=False)
        for tab in tabs:
            tab.render()
        self.tell(gr.HTML("", elem_id="footer"))


def page(host: StandInHost) -> gr.Blocks:
    for _ in range(2):  # the webui builds it twice for its API before anyone sees it
        with gr.Blocks():
            build(host)
    galleries = Galleries()
    tabs = galleries.txt2img(), galleries.scripts_of_img2img()
    # As wide as the webui's left column.
    hidden = "footer, #inpaint_tab {display: none !important} #inpaint_tab.shown {display: block !important}"
    with gr.Blocks(css=".gradio-container {max-width: 680px !important} " + hidden) as app:
        tab()
        panel = build(host, max_megapixels=250)
        app.load(host.reset, None, None, queue=False)
        with gr.Row():
            run, paste = gr.Button("Run", elem_id="run"), gr.Button("Paste", elem_id="paste")
        with gr.Row():
            for name in ("xl", "controlnet", "few"):
                box = gr.Checkbox(label=f"Model: {name}", elem_id=f"host_{name}")
                box.change(partial(setattr, host, name), box, [], queue=False)
        dumped = gr.Textbox(label="Dumped", elem_id="dumped")
        parameters = gr.Textbox(label="Parameters", elem_id="parameters")
        generate = gr.Button("Generate", elem_id="img2img_generate")
        gallery = gr.Gallery(elem_id="img2img_gallery", preview=True, columns=4, height=500)

        def dump(*values: object) -> str:
            return json.dumps({"at": time.monotonic_ns(), "values": values})

        def pasted(text: str) -> list:
            changes = [function(json.loads(text)) for _, function in panel.infotext_fields]
            return [gr.update() if change is None else change for change in changes]

        def generated(*values: object) -> tuple[list[Image.Image], str]:
            """A result twice the size of the picture, and a sheet of another size; and what it was made with."""
            host.ran = True
            if "USDU_RESULT" in os.environ:  # for the pictures of the docs
                return [Image.open(os.environ["USDU_RESULT"])], dump(*values)
            found = [Image.new("RGB", (2560, 1440), (180, 150, 120)), Image.new("RGB", (900, 300), (40, 40, 40))]
            found[0].putpixel((0, 0), (time.monotonic_ns() % 256, 0, 0))  # never the same file again
            return found, dump(*values)

        generate.click(generated, panel.inputs, [gallery, dumped], queue=False)
        inpaint_tab()
        galleries.whole(*tabs)
        run.click(dump, panel.inputs, dumped, queue=False)
        paste.click(pasted, parameters, [component for component, _ in panel.infotext_fields], queue=False)
    return app


if __name__ == "__main__":
    page(StandInHost()).launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), show_api=False, quiet=True)
