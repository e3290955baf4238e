"""How many tiles the webui's model can take at once, by what is known of the model and of how the webui holds it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..batch_size import BatchLimits
from ..run.estimates import SD, SIXTEEN, XL, Needs, windows_that_fit
from .environment import devices, shared
from .model_kind import default_tile, in_half_precision, latent_channels, loaded_model


def batch_limits(width: int, height: int) -> BatchLimits:
    """For windows of this size; of the loaded checkpoint, or of a plain one where none is loaded yet."""
    model = loaded_model()
    return windows_that_fit(
        devices.device, width, height,
        half=in_half_precision(), needs=_needs(model), away=_away(model), managed=hasattr(model, "forge_objects"),
    )  # fmt: skip


def _needs(model: Any) -> Needs:
    if model is not None and latent_channels(model) >= 16:
        return SIXTEEN
    return XL if default_tile() > 512 else SD


def _away(model: Any) -> int:
    """Bytes of weights that are in the processor's memory and will come to the card whole (--medvram). With --lowvram
    they come layer by layer."""
    if getattr(shared.cmd_opts, "lowvram", False) or getattr(devices.device, "type", "cpu") == "cpu":
        return 0
    with suppress(Exception):  # a fork's own kind of model
        weights = model.model.parameters()
        return sum(one.numel() * one.element_size() for one in weights if one.device.type == "cpu")
    return 0
