"""Files of flow models: most hold the transformer alone, some of them in few bits a weight (GGUF)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ..families.table import Family

_WITH_AUTOENCODER = ("first_stage_model.", "vae.")
_FAST_FLUX = "black-forest-labs/FLUX.1-schnell"


def load_flow_file(path: Path, family: Family, names: Sequence[str], dtype: Any, config: str | None) -> Any:
    """The pipeline of a file of this kind, whose tensors have these names.

    config: the folder or hub id of a whole model of the same kind, for what the file does not hold: configuration,
    tokenizers and, mostly, text encoders and autoencoder. None: the kind's own on the hub.

    Raises ModelError for a GGUF file where the package that reads it is missing; what diffusers raises goes on.
    """
    import diffusers

    kind = getattr(diffusers, family.pipeline)
    if any(name.startswith(_WITH_AUTOENCODER) for name in names):
        return kind.from_single_file(str(path), torch_dtype=dtype, **({"config": config} if config else {}))
    told: dict[str, Any] = {}
    if path.suffix.lower() == ".gguf":
        if find_spec("gguf") is None:
            raise ModelError(f"checkpoint: {path}: a GGUF file needs one more package: pip install gguf")
        told["quantization_config"] = diffusers.GGUFQuantizationConfig(compute_dtype=dtype)
    whole = config or home_of(family, names)
    network = getattr(diffusers, family.network).from_single_file(
        str(path), config=whole, subfolder="transformer", torch_dtype=dtype, **told
    )
    return kind.from_pretrained(whole, transformer=network, torch_dtype=dtype)


def home_of(family: Family, names: Sequence[str]) -> str:
    """Whose text encoders go with a file. Flux has two kinds: only one is told its guidance."""
    told = any("guidance_in." in name or "guidance_embedder." in name for name in names)
    return _FAST_FLUX if family.name == "Flux" and not told else family.home
