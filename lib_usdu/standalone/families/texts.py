"""What the text encoders of each kind of model make of a prompt, as arguments of its pipeline.

An encoder here takes (pipeline, prompt, device, textual inversions, which only Stable Diffusion 1, 2 and XL have) and
gives the arguments of one tile by name: tensors with a first axis of 1, or a list of one tensor (Z-Image). The negative
prompt's have the same names after "negative_".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...options.lora_tags import without_loras
from .. import prompts

Encoded = Mapping[str, Any]
Embeddings = Sequence[prompts.Embedding]
Encode = Callable[[Any, str, Any, Embeddings], Encoded]
MASKS = ("prompt_embeds_mask", "prompt_attention_mask")


def plain(prompt: str) -> str:
    """The words alone: only Stable Diffusion 1, 2 and XL read emphasis, `BREAK` and LoRA tags."""
    pieces = prompts.weighted(without_loras(prompt))
    return "".join(" " if weight == -1.0 else text for text, weight in pieces).strip()


def clip(pipeline: Any, prompt: str, device: Any, embeddings: Embeddings) -> Encoded:
    """Of Stable Diffusion 1, 2 and XL, with emphasis and embeddings; SDXL has pooled embeddings too."""
    embeds, pooled = prompts.encode(pipeline, prompt, device, embeddings)
    found = {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}
    return {name: value for name, value in found.items() if value is not None}


def stable_diffusion_3(pipeline: Any, prompt: str, device: Any, embeddings: Embeddings) -> Encoded:
    """The words alone, told to all three text encoders."""
    words = plain(prompt)
    embeds, _, pooled, _ = pipeline.encode_prompt(
        words, words, words, device=device, do_classifier_free_guidance=False
    )
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


def flux(pipeline: Any, prompt: str, device: Any, embeddings: Embeddings) -> Encoded:
    """A model that is told its guidance (dev) knows 512 tokens, one that is not (schnell) 256."""
    length = 512 if pipeline.transformer.config.guidance_embeds else 256
    embeds, pooled, _ = pipeline.encode_prompt(plain(prompt), device=device, max_sequence_length=length)
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


def flux_2(pipeline: Any, prompt: str, device: Any, embeddings: Embeddings) -> Encoded:
    """The words alone, filled up to 512 tokens."""
    embeds, _ = pipeline.encode_prompt(plain(prompt), device=device)
    return {"prompt_embeds": embeds}


def chroma(pipeline: Any, prompt: str, device: Any, embeddings: Embeddings) -> Encoded:
    """The words alone, with a mask of the tokens that count."""
    embeds, _, mask, *_ = pipeline.encode_prompt(plain(prompt), device=device, do_classifier_free_guidance=False)
    return {"prompt_embeds": embeds, "prompt_attention_mask": mask}


def qwen_image(pipeline: Any, prompt: str, device: Any, embeddings: Embeddings) -> Encoded:
    """As long as the prompt is: the mask says which tokens are there once tiles of other prompts are beside it."""
    import torch

    # An empty prompt may leave no token at all, and attention over none of the words is nothing the model knows.
    embeds, mask = pipeline.encode_prompt(plain(prompt) or " ", device=device)
    if mask is None:
        mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
    return {"prompt_embeds": embeds, "prompt_embeds_mask": mask}


def z_image(pipeline: Any, prompt: str, device: Any, embeddings: Embeddings) -> Encoded:
    """The words alone: a list of one tensor for each prompt, as long as the prompt is."""
    embeds, _ = pipeline.encode_prompt(plain(prompt), device=device, do_classifier_free_guidance=False)
    return {"prompt_embeds": embeds}


def together(name: str, values: Sequence[Any], masked: bool) -> Any:
    """One argument of several tiles, from that of each. masked: a mask tells which tokens are there, so that shorter
    prompts are filled up with nothing; else they are repeated (`prompts.same_length`)."""
    import torch

    if isinstance(values[0], list):
        return [one for value in values for one in value]
    if name.removeprefix("negative_") in MASKS or (masked and values[0].ndim == 3):
        return torch.cat(filled(values))
    return torch.cat(prompts.same_length(list(values)) if values[0].ndim == 3 else list(values))


def filled(values: Sequence[Any]) -> list[Any]:
    """Tensors (1, n, ...) of different n, each with zeros up to the longest."""
    import torch

    length = max(value.shape[1] for value in values)
    return [torch.cat([one, one.new_zeros(1, length - one.shape[1], *one.shape[2:])], dim=1) for one in values]
