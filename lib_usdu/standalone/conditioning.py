"""What a pipeline's text encoders make of prompts, kept from tile to tile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ..options.tile_prompts import joined
from ..run.memory import give_back
from ..speed.in_place import in_place_of
from . import prompts
from .families.table import family_of, is_told_cfg, network
from .families.texts import MASKS, together
from .latents import dtype_of

Conditioning = Mapping[str, Any]
"""A pipeline's prompt arguments: tensors with a row for each tile, or lists of tensors of any length (Z-Image)."""


ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
"""Names of a pipeline's parts."""


class Conditions:
    """The prompt arguments for tiles; `guided`: whether the pipeline is asked for guidance at all.

    A pipeline without a text encoder has no text input: its prompts and CFG are left out.
    """

    def __init__(
        self, pipeline: Any, prompt: str, negative_prompt: str, cfg_scale: float, device: torch.device,
        embeddings: Sequence[prompts.Embedding] = (),
    ):  # fmt: skip
        self._embeddings = embeddings
        self._pipeline, self._prompt, self._negative, self._device = pipeline, prompt, negative_prompt, device
        encoders = {name: getattr(pipeline, name, None) for name in ENCODERS}
        self.encoders = {name: encoder for name, encoder in encoders.items() if encoder is not None}
        self.has_text = bool(self.encoders)
        self.guided = self.has_text and cfg_scale > 1 and not is_told_cfg(pipeline)
        self._family = family_of(pipeline)
        self._away = False
        self._of_tiles: dict[str, Conditioning] = {}  # of the last batch, by its tiles' texts

    def begin(self, *, leave: bool) -> None:
        """Encodes the prompt. leave: the text encoders are, and stay, in the processor's memory."""
        self._away = leave
        self._plain = self._encode(self._prompt)
        self._alike = alike(self._plain)

    def leave(self) -> None:
        """The text encoders leave the card, but for the next prompt they are asked for."""
        self._away = True
        self._put(None)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While the pipeline runs: it would take the text encoders' number format for the prompt's, and their device
        for its own."""
        with in_place_of(self._pipeline, **dict.fromkeys(self.encoders)):
            yield

    @contextmanager
    def _at_hand(self) -> Iterator[None]:
        self._put(self._device)
        try:
            yield
        finally:
            if self._away:
                self._put(None)

    def _put(self, device: torch.device | None) -> None:
        """The text encoders on the device; None: out of the pipeline, in the processor's memory."""
        for name, encoder in self.encoders.items():
            if self._away:
                encoder.to("cpu" if device is None else device)
            setattr(self._pipeline, name, None if device is None else encoder)
        if self._away:
            give_back()

    def of(self, texts: Sequence[str], count: int) -> tuple[dict[str, Any], bool]:
        """Of so many tiles, which add these texts to the prompt; and whether guidance between them changes anything:
        between two prompts that are one it cancels out, and costs as much as the model itself."""
        dtype = dtype_of(network(self._pipeline))
        if not any(texts) or not self.has_text:
            rows = {name: _times(_as(dtype, name, value), count) for name, value in self._plain.items()}
            return rows, self.guided and not self._alike
        known = {"": self._plain, **self._of_tiles}
        for text in texts:
            if text not in known:
                known[text] = self._encode(joined(self._prompt, text))
        self._of_tiles = {text: known[text] for text in texts}
        masked = any(name in MASKS for name in self._plain)
        beside = {name: together(name, [known[text][name] for text in texts], masked) for name in self._plain}
        rows = {name: _as(dtype, name, value) for name, value in beside.items()}
        return rows, self.guided and not alike(rows)

    def _encode(self, prompt: str) -> Conditioning:
        """Of one tile."""
        pipeline = self._pipeline
        if not self.has_text:
            width = pipeline.unet.config.cross_attention_dim
            return {"prompt_embeds": torch.zeros(1, 1, width, device=self._device, dtype=dtype_of(pipeline.unet))}
        with torch.no_grad(), self._at_hand():
            conditioning = dict(self._family.encode(pipeline, prompt, self._device, self._embeddings))
            if self.guided:
                negative = self._family.encode(pipeline, self._negative, self._device, self._embeddings)
                conditioning |= {f"negative_{name}": value for name, value in negative.items()}
                if not self._family.flow:  # asked for both in one call
                    both = "prompt_embeds", "negative_prompt_embeds"
                    conditioning |= zip(both, prompts.same_length([conditioning[name] for name in both]))
        return conditioning


def _as(dtype: torch.dtype, name: str, value: Any) -> Any:
    """In the network's number format, masks as they are."""
    if isinstance(value, list):
        return [one.to(dtype) for one in value]
    return value if name.removeprefix("negative_") in MASKS else value.to(dtype)


def _times(value: Any, count: int) -> Any:
    """The rows of one tile for so many."""
    return value * count if isinstance(value, list) else value.repeat_interleave(count, dim=0)


def alike(conditioning: Conditioning) -> bool:
    """Whether prompt and negative prompt condition the model alike."""
    prompts = [name for name in conditioning if not name.startswith("negative_")]
    pairs = [(conditioning[name], conditioning.get("negative_" + name)) for name in prompts]
    return all(negative is not None and _equal(value, negative) for value, negative in pairs)


def _equal(value: Any, other: Any) -> bool:
    if isinstance(value, list):
        return len(value) == len(other) and all(map(torch.equal, value, other))
    return torch.equal(value, other)
