"""Loads diffusion models: diffusers folders, hub ids, single files, and the embedded default."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..enlarge.torchvision_operators import declare_missing_operators
from ..errors import ModelError, OptionError, first_line
from .families.table import STABLE_DIFFUSION, STABLE_DIFFUSION_XL, Family, family_of, network
from .loading import hub
from .loading.flow_files import load_flow_file
from .loading.headers import said_of_noise, tensor_names
from .loading.old_checkpoints import as_safetensors, is_old
from .loading.pipelines import class_of
from .loading.refused import absent, check_channels, check_folder, check_index, check_names, check_scheduler
from .prompts import Embedding
from .sources import ALLOWED, EMBEDDED, is_hub_id, split_strength


def best_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def load_checkpoint(
    source: str, device: torch.device, *, config: str | None = None, placed: bool = True
) -> tuple[Any, str]:
    """An img2img pipeline for the device, in half precision where that is faster, and the model's name.

    placed: put there; else it stays in the processor's memory, for `DiffusersRefiner` to put it where it fits.

    source: EMBEDDED, a folder, a hub id or a file. config: for a file, the folder or hub id of a diffusers model of
    the same kind (its configuration and tokenizer); without it diffusers looks on the hub.

    Raises OptionError when there is nothing of that name, ModelError when it is no model this host can run.
    """
    declare_missing_operators()
    from diffusers.utils import logging

    logging.set_verbosity_error()  # what it warns of is not for the person at the command line
    logging.disable_progress_bar()
    hub.quiet()
    if source == EMBEDDED:
        from ..embedded import load_pipeline

        # Its low frequencies are large numbers: half precision would round them.
        return load_pipeline(device if placed else "cpu", torch.float32), EMBEDDED
    from transformers.utils import logging as of_transformers

    of_transformers.disable_progress_bar()
    path = Path(source).expanduser()
    if config is not None and Path(config).expanduser().is_dir():
        config = str(Path(config).expanduser())
    if path.is_file():
        pipeline = _from_file(path, device, config)
    elif path.is_dir() or is_hub_id(source):
        pipeline = _from_pretrained(source if not path.is_dir() else str(path), device)
    else:
        raise OptionError("checkpoint", source, ALLOWED)
    if hasattr(pipeline, "vae"):
        check_channels(source, family_of(pipeline), network(pipeline).config, pipeline.vae.config)
        scheduler = pipeline.scheduler
        check_scheduler(source, family_of(pipeline), type(scheduler).__name__, scheduler.config)
    return pipeline.to(device) if placed else pipeline, path.stem if path.is_file() else path.name


@dataclass(frozen=True)
class Lora:
    """A LoRA that was merged into a model, as generation parameters name it. digest: the first 12 hexadecimal digits
    of the hash that the webui shows."""

    name: str
    strength: float
    digest: str

    @property
    def tag(self) -> str:
        """As a prompt in a webui calls it."""
        return f"<lora:{self.name}:{self.strength:g}>"


def add_loras(pipeline: Any, loras: Sequence[str]) -> list[Lora]:
    """Merges LoRA files into the pipeline; each is PATH or PATH:STRENGTH. Returns what was merged.

    Raises OptionError for a missing file or a strength that is no number, ModelError for a file that does not fit.
    """
    merged = []
    for number, entry in enumerate(loras):
        path, strength = split_strength(entry)
        name = f"lora{number}"
        try:
            pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=name)
            pipeline.set_adapters([name], [strength])
            pipeline.fuse_lora()
            pipeline.unload_lora_weights()
        except Exception as error:  # peft and diffusers raise many kinds
            said = first_line(error)
            if "not in the list of present adapters" in said:  # diffusers only warns of it
                said = "nothing in it belongs to this model"
            raise ModelError(f"lora: {path}: cannot be used with this model ({said})") from error
        merged.append(Lora(path.stem, strength, lora_hash(path)[:12]))
    return merged


def add_embeddings(pipeline: Any, files: Sequence[Path]) -> list[Embedding]:
    """Makes textual inversions known to the pipeline's tokenizers and text encoders; returns them.

    Raises ModelError for a file that holds none, or one of another kind of model.
    """
    names = ("", "_2") if hasattr(pipeline, "text_encoder_2") else ("",)
    known = []
    for number, path in enumerate(files):
        try:
            found = _vectors(path, len(names))
            for name, vectors in zip(names, found):
                encoder, tokenizer = getattr(pipeline, "text_encoder" + name), getattr(pipeline, "tokenizer" + name)
                width = encoder.get_input_embeddings().weight.shape[1]
                if vectors.shape[1] != width:
                    raise ValueError(f"its vectors have {vectors.shape[1]} numbers, those of this model {width}")
                pipeline.load_textual_inversion(
                    vectors, token=f"<usdu{number}>", text_encoder=encoder, tokenizer=tokenizer
                )
        except Exception as error:
            said = f"cannot be used with this model ({first_line(error)})"
            raise ModelError(f"textual inversion {path.stem}: {path}: {said}") from error
        tokens = [f"<usdu{number}>" + f"_{i}" * (i > 0) for i in range(len(found[0]))]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        known.append(Embedding(path.stem, tuple(tokens), digest))
    return known


def _vectors(path: Path, encoders: int) -> list[torch.Tensor]:
    """The vectors (n, width) of a textual inversion for each of a model's text encoders, float32."""
    if path.suffix.lower() == ".safetensors":
        from safetensors.torch import load_file

        state: Any = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("string_to_param", state)
    if "clip_l" in state:
        tensors = [state["clip_l"], state["clip_g"]][:encoders]
    else:
        tensors = [value for value in state.values() if isinstance(value, torch.Tensor)][:1]
    if len(tensors) != encoders or not all(1 <= value.ndim <= 2 for value in tensors):
        raise ValueError(f"it holds vectors for {len(tensors)} of {encoders} text encoders")
    return [value.detach().float().reshape(-1, value.shape[-1]) for value in tensors]


def lora_hash(path: Path) -> str:
    """SHA-256 in hexadecimal, of a .safetensors file without its header: the hash by which the webui knows a LoRA
    (A1111 v1.10.1, modules/hashes.py addnet_hash_safetensors, after kohya-ss)."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if path.suffix.lower() == ".safetensors":
            file.seek(8 + int.from_bytes(file.read(8), "little"))
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


_OPTIONAL = ("text_encoder", "tokenizer", "text_encoder_3", "tokenizer_3", "image_encoder", "feature_extractor")
"""Parts that some folders leave out, which a pipeline then has to be told."""


def _from_pretrained(source: str, device: torch.device) -> Any:
    import diffusers

    if Path(source).is_dir():
        check_folder(Path(source))
    try:
        index: Any = diffusers.DiffusionPipeline.load_config(source)
        family = check_index(source, index)  # nothing else of a hub's was asked for until here
        told: dict[str, Any] = {name: None for name in _OPTIONAL if name in index and absent(index, name)}
        if family is STABLE_DIFFUSION:
            told["safety_checker"] = None
        return class_of(family).from_pretrained(source, torch_dtype=_format(device, family), **told)
    except ModelError:
        raise
    except Exception as error:  # diffusers and huggingface_hub raise many kinds
        reason = hub.why(error) or f"not a model diffusers can load ({first_line(error)})"
        raise ModelError(f"checkpoint: {source}: {reason}") from error


def _format(device: torch.device, family: Family | None) -> torch.dtype:
    """Of numbers: half precision where that is faster. Flow models are made in bfloat16; some overflow in float16."""
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if family is not None and family.flow else torch.float16


def _from_file(path: Path, device: torch.device, config: str | None) -> Any:
    if path.suffix.lower() == ".ckpt" and is_old(path):
        return _from_old_file(path, device, config)
    try:
        names = _names_in_ckpt(path) if path.suffix.lower() == ".ckpt" else tensor_names(path)
    except Exception as error:
        raise ModelError(f"checkpoint: {path}: not a {path.suffix or 'model'} file ({first_line(error)})") from error
    family = check_names(path, names)
    try:
        dtype = _format(device, family)
        if family.flow:
            return load_flow_file(path, family, names, dtype, config)
        return _diffusion_file(path, family, names, dtype, config)
    except ModelError:
        raise
    except (IndexError, KeyError, AttributeError, TypeError, NotImplementedError) as error:
        # in the middle of renaming its tensors; the last where some are not there
        reason = f"its tensors are not those of a whole {family.name} model as diffusers knows it"
        raise ModelError(f"checkpoint: {path}: {reason} ({type(error).__name__}: {first_line(error)})") from error
    except Exception as error:
        hint = "" if config else "; without a network, give --checkpoint-config FOLDER"
        reason = hub.why(error) or first_line(error)
        raise ModelError(f"checkpoint: {path}: could not be loaded ({reason}{hint})") from error


def _diffusion_file(path: Path, family: Family, names: Sequence[str], dtype: torch.dtype, config: str | None) -> Any:
    """Stable Diffusion 1, 2 or XL. What a file says of its noise diffusers does not see."""
    import diffusers

    extra: dict[str, Any] = {} if family is STABLE_DIFFUSION_XL else {"safety_checker": None}
    if config is not None:
        extra["config"] = config
    pipeline = getattr(diffusers, family.pipeline).from_single_file(str(path), torch_dtype=dtype, **extra)
    changes = said_of_noise(path, names)
    if changes:
        pipeline.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipeline.scheduler.config, **changes)
    return pipeline


def _from_old_file(path: Path, device: torch.device, config: str | None) -> Any:
    """By way of a copy in a format that diffusers reads; the copy goes when the model is loaded."""
    with tempfile.TemporaryDirectory(prefix="usdu-") as folder:
        try:
            copied = as_safetensors(path, Path(folder))
        except Exception as error:
            raise ModelError(f"checkpoint: {path}: not a .ckpt file ({first_line(error)})") from error
        try:
            return _from_file(copied, device, config)
        except ModelError as error:
            raise ModelError(str(error).replace(str(copied), str(path))) from error


def _names_in_ckpt(path: Path) -> list[str]:
    """Names of a checkpoint's tensors, read without running anything in the file."""
    state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    return list(state.get("state_dict", state))
