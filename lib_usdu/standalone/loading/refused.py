"""What no picture can be drawn with, told by its files before anything is loaded. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import ModelError, OptionError, first_line
from ..families.flow import said_of_flow
from ..families.packing import PLAIN
from ..families.table import NAMES, Family, of_any_task
from .headers import kind_of_names, tensor_names

_LORA = (
    ".lora_A.", ".lora_B.", ".lora_down.", ".lora_up.", ".lora.down.", ".lora.up.", ".hada_w1_a", ".lokr_w1",
    "_lora.down.", "_lora.up.",
)  # fmt: skip
_PACKED = {
    ".quant_state.": "bitsandbytes' 4 bits", ".weight_scale_2": "NVFP4", ".qweight": "4 bits of GPTQ or Nunchaku",
    ".wscales": "4 bits of Nunchaku",
}  # fmt: skip
"""Parts of names that only weights of few bits have, by format; diffusers reads none of these from a single file."""
SCALES = (".scale_weight", ".weight_scale")
"""How files name the number by which fp8 weights are multiplied."""
WITH_AUTOENCODER = ("first_stage_model.", "vae.")
"""Names of a file that holds more than a transformer begin so."""


def check_names(path: Path, names: Sequence[str]) -> Family:
    """The kind of model of a file whose tensors have these names. Raises ModelError for one that is no such model, and
    for weights in a format that would not be read."""
    if any(sign in name for name in names for sign in _LORA):
        raise ModelError(f"checkpoint: {path}: a LoRA, which goes over a checkpoint: --lora {path.name}")
    if any(name.startswith(("control_model.", "controlnet_cond_embedding.")) for name in names):
        raise ModelError(f"checkpoint: {path}: a ControlNet, which steers a checkpoint: --control {path.name}")
    family = kind_of_names(names)
    if family is None:
        raise ModelError(f"checkpoint: {path}: not a model of one of {NAMES}")
    packed = next((said for sign, said in _PACKED.items() if any(sign in name for name in names)), None)
    whole = not family.flow or any(name.startswith(WITH_AUTOENCODER) for name in names)
    if packed is None and whole and any(name.endswith(SCALES) for name in names):
        packed = "fp8 with scales, beside text encoders or an autoencoder"
    if packed:
        said = f"its weights are in {packed}, which is not read from a file; bfloat16, float16, plain fp8 and GGUF are"
        raise ModelError(f"checkpoint: {path}: {said}")
    if not family.flow:
        _check_whole(path, family, names)
    return family


def _check_whole(path: Path, family: Family, names: Sequence[str]) -> None:
    """Of Stable Diffusion 1, 2 and XL a file holds the whole model."""
    if path.suffix.lower() == ".gguf":
        raise ModelError(f"checkpoint: {path}: of {family.name} no GGUF file is read; those of flow models are")
    wanted = {"UNet": ("model.diffusion_model.",), "text encoder": ("cond_stage_model.", "conditioner.embedders.")}
    for part, begins in wanted.items():
        if not any(name.startswith(begins) for name in names):
            raise ModelError(f"checkpoint: {path}: it holds no {part}; a whole checkpoint is needed")


def check_index(source: str, index: Any) -> Family:
    """The kind of model of a folder or hub id whose model_index.json has this content. Raises ModelError for a pipeline
    that is not drawn with here, and for one that lacks a part."""
    name = index.get("_class_name") if isinstance(index, Mapping) else None
    if not name:
        raise ModelError(f"checkpoint: {source}: its model_index.json names no pipeline")
    family = of_any_task(str(name))
    if family is None:
        raise ModelError(f"checkpoint: {source}: {name} is not one of {NAMES}")
    tokenizers = [part.replace("text_encoder", "tokenizer") for part in family.encoders]
    network = "transformer" if family.network else "unet"
    for part in (network, "vae", "scheduler", *family.encoders, *tokenizers):
        if absent(index, part):
            raise ModelError(f"checkpoint: {source}: its {part} is missing, without which {family.name} cannot draw")
    return family


def absent(index: Mapping[str, Any], part: str) -> bool:
    """Whether a model_index.json says that this part is not there."""
    said = index.get(part)
    return not (isinstance(said, (list, tuple)) and said and said[0])


def check_folder(folder: Path) -> Family:
    """As `check_index`, of a folder, and of what its parts' configurations say."""
    try:
        index = json.loads((folder / "model_index.json").read_bytes())
    except FileNotFoundError:
        raise ModelError(f"checkpoint: {folder}: no diffusers model: it holds no model_index.json") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"checkpoint: {folder}: its model_index.json cannot be read ({error})") from None
    family = check_index(str(folder), index)
    network = "transformer" if family.network else "unet"
    for part in (network, "vae", *family.encoders):
        if not (folder / part).is_dir():
            raise ModelError(f"checkpoint: {folder}: its {part} is missing: no such folder in it")
    check_channels(str(folder), family, _config(folder / network), _config(folder / "vae"))
    scheduler = _config(folder / "scheduler", "scheduler_config.json")
    check_scheduler(str(folder), family, str(scheduler.get("_class_name", "")), scheduler)
    return family


def check_scheduler(source: str, family: Family, name: str, config: Mapping[str, Any]) -> None:
    """Raises ModelError for a model that is asked in another way than its kind is, as its own scheduler tells: with
    EDM's scaling (Playground 2.5, CosXL), or a UNet of Stable Diffusion that was taught flows. Its pictures would be
    wrong. name: of the scheduler's class, "" where that is not known."""
    if name and (name.startswith("EDM") or said_of_flow(name, config) != family.flow):
        raise ModelError(f"checkpoint: {source}: a {family.name} whose scheduler is {name} is not drawn with here")


def check_channels(source: str, family: Family, network: Mapping[str, Any], vae: Mapping[str, Any]) -> None:
    """Raises ModelError for a network that wants more than latents: a mask, a depth map, a picture to edit. What a
    configuration does not say is not checked."""
    takes, made = network.get("in_channels"), vae.get("z_dim") or vae.get("latent_channels")
    if not isinstance(takes, int) or not isinstance(made, int):
        return
    own = made if family.pack.packed is PLAIN.packed else made * 4
    if takes != own:
        said = f"its network takes {takes} channels, of which latents are {own}"
        raise ModelError(f"checkpoint: {source}: a model for inpainting, editing, depth or control ({said})")


def _config(folder: Path, name: str = "config.json") -> Mapping[str, Any]:
    try:
        found = json.loads((folder / name).read_bytes())
    except (OSError, ValueError):  # loading it says so
        return {}
    return found if isinstance(found, dict) else {}


def check_file(path: Path) -> Family | None:
    """As `check_names`, of a .safetensors or .gguf file; None for a .ckpt, whose names are not seen before loading."""
    if path.suffix.lower() == ".ckpt":
        return None
    try:
        names = tensor_names(path)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"checkpoint: {path}: not a {path.suffix or 'model'} file ({first_line(error)})") from None
    return check_names(path, names)


def check_config(config: str, family: Family | None) -> None:
    """Raises OptionError where `--checkpoint-config` names no model, or one of another kind than the file's, family."""
    path = Path(config).expanduser()
    if not path.is_dir():
        from ..sources import is_hub_id

        if not is_hub_id(config) or path.is_file():
            raise OptionError("checkpoint_config", config, "a diffusers folder or a hub id such as owner/name")
        return
    try:
        index = json.loads((path / "model_index.json").read_bytes())
        told = of_any_task(str(index["_class_name"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise OptionError("checkpoint_config", config, "a diffusers folder, with a model_index.json in it") from None
    if family is not None and told is not family:
        raise OptionError("checkpoint_config", config, f"a model of the checkpoint's kind, {family.name}")
