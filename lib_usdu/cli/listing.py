"""What --list prints."""

from __future__ import annotations


def listing(what: str) -> str:
    """Names, one a line: of "upscalers" or "samplers"."""
    if what == "samplers":
        from ..standalone.samplers import SAMPLERS

        return "\n".join(SAMPLERS)
    from .models import upscaler_names

    files = "FILE  (.pth, .safetensors, .pt or .ckpt of any architecture that spandrel knows)"
    return "\n".join([*upscaler_names(), files])
