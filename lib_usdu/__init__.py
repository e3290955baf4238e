"""Ultimate SD Upscale: large, sharp pictures from small ones, tile by tile, through a diffusion model.

    from lib_usdu import upscale
    result = upscale("photo.png", custom_scale=4, checkpoint="model.safetensors", prompt="a harbour at dusk")

`upscale` is loaded when it is first used: importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Upscaler, upscale
    from .errors import UsduError

__version__ = "0.1.0"
__all__ = ["Upscaler", "UsduError", "upscale"]


def __getattr__(name: str) -> Any:
    if name == "UsduError":
        from .errors import UsduError

        return UsduError
    if name in ("Upscaler", "upscale"):
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
