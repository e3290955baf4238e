"""The webui's side of Ultimate SD Upscale: wiring only, the work is done in lib_usdu."""

import modules.scripts as scripts

from lib_usdu.panel import build as panel
from lib_usdu.webui import script as webui
from lib_usdu.webui.environment import add_gallery_switch, max_megapixels
from lib_usdu.webui.panel_host import PanelHost, add_send_buttons

TITLE = "Ultimate SD Upscale"
add_send_buttons(TITLE)
add_gallery_switch("usdu_slider", "Ultimate SD Upscale: before and after with a line to drag")
add_gallery_switch("usdu_tiles", "Ultimate SD Upscale: a box that shows the tiles on the picture")


class Script(scripts.Script):
    def title(self):
        return TITLE

    def show(self, is_img2img):
        return is_img2img

    def ui(self, is_img2img):
        built = panel.build(PanelHost(), max_megapixels=max_megapixels())
        self.infotext_fields = built.infotext_fields
        self.paste_field_names = built.paste_field_names
        return built.inputs

    def run(self, p, *args):
        return webui.run(p, self, args)
