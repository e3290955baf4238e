"""Loads ControlNets that belong to a UNet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ...errors import ModelError, first_line


def load_controlnet(source: str, unet: Any, dtype: torch.dtype, device: torch.device) -> Any:
    """A diffusers ControlNetModel for this UNet, on the device.

    source: a file as ControlNet's authors or diffusers write it, a diffusers folder or a hub id. A file holds no
    configuration: a ControlNet is the first half of its UNet, so that the UNet's own is taken, and nothing is looked up
    on a hub. Raises ModelError for a file that holds none, and for one of another kind of model.
    """
    from diffusers import ControlNetModel

    net: Any

    path = Path(source).expanduser()
    try:
        if path.is_file():
            net = ControlNetModel.from_unet(unet, load_weights_from_unet=False)
            net.load_state_dict(_as_diffusers(_weights(path), net.config))
        else:
            config: Any = ControlNetModel.load_config(str(path) if path.is_dir() else source)
            kind = config.get("_class_name")
            if kind != "ControlNetModel":
                raise ValueError(f"it is a {kind}, not a ControlNetModel")
            net = ControlNetModel.from_pretrained(str(path) if path.is_dir() else source)
    except Exception as error:  # diffusers, torch and huggingface_hub raise many kinds
        raise ModelError(f"control: {source}: not a ControlNet for this model ({first_line(error)})") from error
    for name in ("in_channels", "cross_attention_dim", "block_out_channels", "addition_embed_type"):
        own, wanted = net.config.get(name), unet.config.get(name)
        if _plain(own) != _plain(wanted):
            said = f"its {name} is {own}, the model's {wanted}"
            raise ModelError(f"control: {source}: made for another kind of model ({said})")
    net.to(device=device, dtype=dtype)
    return net.eval().requires_grad_(False)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _weights(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix.lower() == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    return state.get("state_dict", state)


def _as_diffusers(state: dict[str, torch.Tensor], config: Any) -> dict[str, torch.Tensor]:
    """Weights under diffusers' names, whoever wrote them."""
    if "controlnet_cond_embedding.conv_in.weight" in state:
        return state
    if not any("input_hint_block." in name for name in state):
        raise ValueError("no weights of a ControlNet in it")
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    return convert_controlnet_checkpoint(state, config)
