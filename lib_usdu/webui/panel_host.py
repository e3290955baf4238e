"""What the panel asks of the webui."""

from __future__ import annotations

from ..batch_size import BatchLimits
from ..run.memory import windows_that_fit
from .controlnet import is_controlnet
from .environment import default_tile, devices, img2img_scripts, refresh_upscalers, shared
from .upscaler_files import ready_names, upscaler_names


class PanelHost:
    """The webui as the panel sees it."""

    def upscalers(self) -> list[str]:
        return upscaler_names()

    def ready_upscalers(self) -> list[str]:
        """Those whose file is there: others would be downloaded first."""
        return ready_names()

    def refresh_upscalers(self) -> None:
        refresh_upscalers()

    def default_tile(self) -> int:
        return default_tile()

    def is_xl(self) -> bool:
        return default_tile() > 512

    def has_controlnet(self) -> bool:
        """Whether there is ControlNet at all: the panel cannot see whether a unit is on."""
        return any(map(is_controlnet, img2img_scripts().scripts_img2img.alwayson_scripts))

    def batch_limits(self, width: int, height: int) -> BatchLimits:
        return windows_that_fit(devices.device, width, height, half=not shared.cmd_opts.no_half)
