r"""Prompts as the webui reads them: emphasis, LoRA, and any length in chunks of 75 tokens.

`(word)` counts 1.1 times as much, `[word]` 1/1.1, `(word:1.5)` 1.5 times; `\(` is a bracket. `BREAK` begins a new
chunk. `<lora:name:0.8>` asks for a LoRA and is no word; the name of a textual inversion stands for its vectors. What
changes from step to step in the webui (`[from:to:when]`, `[a|b]`), and AND, is found by `not_here`, to be refused.
Compel, the library for this, has another syntax and weighs in another way; a prompt should give here what it gives in
the webui.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..options.lora_tags import without_loras

CHUNK = 75
"""Tokens that a text encoder sees at once, without its first and last one."""
_LOOK_BACK = 20
"""Tokens at the end of a chunk in which a comma is looked for: a phrase is not cut in two."""
_PIECES = re.compile(r"\\[()\[\]\\]|[()\[\]]|:\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\)|[^\\()\[\]:]+|\\|:")
_STEP = 1.1
_WHEN = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")


@dataclass(frozen=True)
class Embedding:
    """A textual inversion that a tokenizer and its text encoder know. name: of its file, by which prompts call it.
    tokens: one for each of its vectors. digest: the first 12 hexadecimal digits of the file's SHA-256."""

    name: str
    tokens: tuple[str, ...]
    digest: str


def not_here(prompt: str, *, negative: bool = False) -> str:
    """The first piece of a prompt that the webui changes from step to step, or composes: `[from:to:when]`, `[a|b]`,
    and between prompts AND (which a negative prompt has as a word); "" for none."""
    opened: list[tuple[str, int, list[tuple[str, int]]]] = []  # brackets, where, and the : and | directly inside
    position = 0
    while position < len(prompt):
        letter = prompt[position]
        if letter == "\\":
            position += 1
        elif letter in "([":
            opened.append((letter, position, []))
        elif letter in ":|" and opened:
            opened[-1][2].append((letter, position))
        elif letter in ")]" and opened and opened[-1][0] == {")": "(", "]": "["}[letter]:
            bracket, start, marks = opened.pop()
            colons = [at for mark, at in marks if mark == ":"]
            timed = bool(colons) and _WHEN.fullmatch(prompt[colons[-1] + 1 : position])
            if bracket == "[" and (timed or len(colons) < len(marks)):
                return prompt[start : position + 1]
        position += 1
    together = None if negative else re.search(r"\bAND\b", prompt)
    return "AND" if together else ""


def name_in(name: str, text: str) -> bool:
    """Whether a textual inversion is called in a prompt: its name as a word, in any case."""
    return bool(_calls([name]).search(text))


def _calls(names: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def weighted(prompt: str) -> list[tuple[str, float]]:
    """A prompt's pieces with their weights, in order; ("BREAK", -1) stands between chunks."""
    pieces: list[tuple[str, float]] = []
    opened: list[tuple[str, int]] = []  # brackets, and the piece each begins at

    def multiply(first: int, factor: float) -> None:
        pieces[first:] = [(text, weight * factor) for text, weight in pieces[first:]]

    for piece in _PIECES.findall(prompt):
        if piece in "([":
            opened.append((piece, len(pieces)))
        elif piece[0] == ":" and piece[-1] == ")" and opened and opened[-1][0] == "(":
            multiply(opened.pop()[1], float(piece[1:-1]))
        elif piece == ")" and opened and opened[-1][0] == "(":
            multiply(opened.pop()[1], _STEP)
        elif piece == "]" and opened and opened[-1][0] == "[":
            multiply(opened.pop()[1], 1 / _STEP)
        else:
            escaped = piece[0] == "\\" and len(piece) == 2
            pieces.append((piece[1] if escaped else piece, 1.0))
    for bracket, first in opened:  # never closed: to the end
        multiply(first, _STEP if bracket == "(" else 1 / _STEP)
    return list(_with_breaks(_merged(pieces)))


def _merged(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Neighbours of one weight as one piece, since a tokenizer must see words whole."""
    merged: list[tuple[str, float]] = []
    for text, weight in pieces:
        if merged and merged[-1][1] == weight:
            merged[-1] = merged[-1][0] + text, weight
        else:
            merged.append((text, weight))
    return merged


def _with_breaks(pieces: list[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    for text, weight in pieces:
        for number, part in enumerate(re.split(r"\s*\bBREAK\b\s*", text)):
            if number:
                yield "BREAK", -1.0
            if part:
                yield part, weight


@dataclass(frozen=True)
class Chunk:
    """Tokens for one run of a text encoder, with the first, the last and padding; a weight for each."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


def chunks(prompt: str, tokenizer: Any, embeddings: Sequence[Embedding] = ()) -> list[Chunk]:
    """The chunks of a prompt, at least one. Which tokens there are is the tokenizer's matter, a `transformers` one."""
    comma = tokenizer(",", add_special_tokens=False).input_ids[-1:]
    pieces: list[list[tuple[int, float]]] = [[]]
    for text, weight in weighted(without_loras(prompt)):
        if (text, weight) == ("BREAK", -1.0):
            pieces.append([])
            continue
        for token in _tokens(text, tokenizer, embeddings):
            if len(pieces[-1]) == CHUNK:
                pieces.append(_after_comma(pieces[-1], comma[0] if comma else None))
            pieces[-1].append((token, weight))
    return [_framed(chunk, tokenizer) for chunk in pieces]


def _tokens(text: str, tokenizer: Any, embeddings: Sequence[Embedding]) -> Iterator[int]:
    """Numbers of the tokens of a text; where it calls an embedding, those of its vectors."""
    of_name = {one.name.casefold(): one.tokens for one in embeddings}
    for number, part in enumerate(_calls(list(of_name)).split(text) if of_name else [text]):
        if number % 2:
            yield from tokenizer.convert_tokens_to_ids(list(of_name[part.casefold()]))
        elif part:
            yield from tokenizer(part, add_special_tokens=False).input_ids


def _after_comma(full: list[tuple[int, float]], comma: int | None) -> list[tuple[int, float]]:
    """What of a full chunk goes into the next one: what follows its last comma, if that is near its end."""
    for place in range(len(full) - 1, len(full) - 1 - _LOOK_BACK, -1):
        if full[place][0] == comma:
            moved = full[place + 1 :]
            del full[place + 1 :]
            return moved
    return []


def _framed(chunk: list[tuple[int, float]], tokenizer: Any) -> Chunk:
    padding = CHUNK - len(chunk)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    tokens = (tokenizer.bos_token_id, *(token for token, _ in chunk), tokenizer.eos_token_id, *[pad] * padding)
    return Chunk(tokens, (1.0, *(weight for _, weight in chunk), 1.0, *[1.0] * padding))


def encode(pipeline: Any, prompt: str, device: Any, embeddings: Sequence[Embedding] = ()) -> tuple[Any, Any]:
    """What a Stable Diffusion 1, 2 or XL pipeline's text encoders make of a prompt.

    Returns the embeddings (1, 77 * chunks, width) and, for SDXL, the pooled ones of the first chunk, else None.
    """
    import torch

    second = getattr(pipeline, "text_encoder_2", None)
    pairs = [] if pipeline.text_encoder is None else [(pipeline.tokenizer, pipeline.text_encoder)]  # SDXL's refiner
    if second is not None:
        pairs.append((pipeline.tokenizer_2, second))
    of_encoders = [chunks(prompt, tokenizer, embeddings) for tokenizer, _ in pairs]
    count = max(map(len, of_encoders))
    embeddings, pooled = [], None
    for (tokenizer, encoder), parts in zip(pairs, of_encoders):
        own = parts + [_framed([], tokenizer)] * (count - len(parts))
        tokens = torch.tensor([chunk.tokens for chunk in own], device=device)
        if second is None:
            masked = getattr(encoder.config, "use_attention_mask", False)
            mask = (tokens != tokenizer.pad_token_id).long() if masked else None
            values = encoder(tokens, attention_mask=mask)[0]
        else:
            output = encoder(tokens, output_hidden_states=True)
            values = output.hidden_states[-2]
            pooled = output[0][:1] if output[0].ndim == 2 else pooled
        embeddings.append(_emphasised(values, own))
    return torch.cat(embeddings, dim=-1).flatten(0, 1)[None], pooled


def _emphasised(values: Any, own: list[Chunk]) -> Any:
    """Each token's embedding times its weight; the mean of a chunk stays as it was, as in the webui."""
    import torch

    weights = torch.tensor([chunk.weights for chunk in own], device=values.device, dtype=values.dtype)[..., None]
    changed = [number for number, chunk in enumerate(own) if set(chunk.weights) != {1.0}]
    values = values.clone()
    for number in changed:
        moved = values[number] * weights[number]
        mean, new = values[number].float().mean(), moved.float().mean()
        values[number] = moved * (mean / new).to(moved.dtype) if new != 0 else moved
    return values


def same_length(embeddings: list[Any]) -> list[Any]:
    """Embeddings (1, n, width) of different n, each repeated to one length.

    Attention over keys that all stand there equally often gives what it gives over them once, so nothing changes.
    """
    import math

    length = math.lcm(*(one.shape[1] for one in embeddings))
    return [one.repeat(1, length // one.shape[1], 1) for one in embeddings]
