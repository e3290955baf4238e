"""Files of flow models: most hold the transformer alone, some of them in few bits a weight (GGUF)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ..families.table import Family
from .headers import PREFIXES
from .pipelines import class_of
from .refused import SCALES, WITH_AUTOENCODER

_FAST_FLUX = "black-forest-labs/FLUX.1-schnell"


def load_flow_file(path: Path, family: Family, names: Sequence[str], dtype: Any, config: str | None) -> Any:
    """The pipeline of a file of this kind, whose tensors have these names.

    config: the folder or hub id of a whole model of the same kind, for what the file does not hold: configuration,
    tokenizers and, mostly, text encoders and autoencoder. None: the kind's own on the hub.

    Raises ModelError for a GGUF file where the package that reads it is missing; what diffusers raises goes on.
    """
    import diffusers

    kind = class_of(family)
    if any(name.startswith(WITH_AUTOENCODER) for name in names):
        return kind.from_single_file(str(path), torch_dtype=dtype, **({"config": config} if config else {}))
    told: dict[str, Any] = {}
    if path.suffix.lower() == ".gguf":
        if find_spec("gguf") is None:
            raise ModelError(f"checkpoint: {path}: a GGUF file needs one more package: pip install gguf")
        told["quantization_config"] = diffusers.GGUFQuantizationConfig(compute_dtype=dtype)
    whole = config or home_of(family, names)
    ours = path.suffix.lower() == ".safetensors" and doubtful(names)
    weights: Any = _read(path, names, dtype) if ours else str(path)
    network = getattr(diffusers, family.network).from_single_file(
        weights, config=whole, subfolder="transformer", torch_dtype=dtype, **told
    )
    return kind.from_pretrained(whole, transformer=network, torch_dtype=dtype)


def doubtful(names: Iterable[str]) -> bool:
    """Whether a file's tensors are to be read by us before diffusers sees them: their names have a prefix, or their
    weights have scales."""
    return any(name.startswith(PREFIXES) or name.endswith(SCALES) for name in names)


def _read(path: Path, names: Sequence[str], dtype: Any) -> dict[str, Any]:
    """A file's tensors without the prefixes that other programs put before their names, and fp8 weights multiplied by
    their scales, in `dtype`. diffusers passes both over in silence where a model has its names."""
    from safetensors import safe_open

    weights: dict[str, Any] = {}
    with safe_open(path, framework="pt") as file:
        scales = {name.rpartition(".")[0] + ".weight": name for name in names if name.endswith(SCALES)}
        for name in names:
            if name.endswith((*SCALES, ".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")):
                continue
            value = file.get_tensor(name)
            if name in scales:
                scale = file.get_tensor(scales[name]).float()
                if scale.numel() not in (1, len(value)):
                    said = f"the scales of its weights are of {tuple(scale.shape)}, not one for each weight or row"
                    raise ModelError(f"checkpoint: {path}: {said}")
                value = (value.float() * scale.reshape(-1, *[1] * (value.ndim - 1))).to(dtype)
            weights[_bare(name)] = value
    return weights


def _bare(name: str) -> str:
    prefix = next((one for one in PREFIXES if name.startswith(one)), "")
    return name[len(prefix) :]


def home_of(family: Family, names: Sequence[str]) -> str:
    """Whose text encoders go with a file. Flux has two kinds: only one is told its guidance."""
    told = any("guidance_in." in name or "guidance_embedder." in name for name in names)
    return _FAST_FLUX if family.name == "Flux" and not told else family.home
