"""Fused for transformers: the network of a pipeline asked for a whole canvas answers window by window.

A transformer knows where a token lies by numbers that it is given or that it looks up. A window is told where it lies
on the canvas, so that its tokens have the numbers they have when the whole canvas is drawn at once; windows that all
begin at 0 come less near to that (docs/hosts-and-models.md has the figures). Where the model has no numbers for a
canvas so large, or where the canvas joins its own other side, windows begin at 0.

Each `Spread` takes (windows, the network, its `forward`) and gives a `forward` for the canvas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from ...fused.of_canvas import OfCanvas
from ...fused.windows import CutConditions, Patch, over_windows, unet_in_windows
from ...speed.in_place import in_place_of
from .packing import pack, places, places_of_four, rows, unpack, unrows

Forward = Callable[..., Any]


@dataclass(frozen=True)
class Where:
    """The tokens of a window on its canvas: rows (height,) and columns (width,), consecutive, on the device. canvas:
    (height, width) of it in tokens."""

    rows: torch.Tensor
    columns: torch.Tensor
    canvas: tuple[int, int]

    def cut(self, of_tokens: torch.Tensor) -> torch.Tensor:
        """The window's of one row for each token of the canvas, (canvas height * width, ...)."""
        whole = of_tokens.unflatten(0, self.canvas)
        return whole[self.rows[:, None], self.columns[None, :]].flatten(0, 1)


Ask = Callable[[torch.Tensor, CutConditions, "Where | None"], torch.Tensor]
"""Asks the network for windows (n, channels, h, w); it is given `CutConditions`, and where the window lies."""


@dataclass(frozen=True)
class Windows:
    """places: each window's. size: (height, width) of the canvas in latents. patch: latents along a token's side.
    limit: windows a call, where they begin at 0; those with a place of their own go one by one. stop: called before
    each; may raise. placed: whether windows are told where they lie."""

    places: Sequence[Patch]
    size: tuple[int, int]
    patch: int
    limit: int
    stop: Callable[[], None]
    placed: bool = True

    @property
    def tokens(self) -> tuple[int, int]:
        """(height, width) of the canvas in tokens."""
        return self.size[0] // self.patch, self.size[1] // self.patch

    def over(self, sample: torch.Tensor, ask: Ask, most: int) -> torch.Tensor:
        """What the network says of the canvas, (n, channels, h, w). most: the longest side, in tokens, that the model
        has numbers for."""
        placed = self.placed and max(self.tokens) <= most
        height, width = self.size
        down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        lies = torch.stack([down, across])[None].expand(len(sample), -1, -1, -1).to(sample.device)

        def predict(cut: torch.Tensor, conditions: CutConditions) -> torch.Tensor:
            if not placed:
                return ask(cut, conditions, None)
            at = conditions(lies)[0] // self.patch
            return ask(cut, conditions, Where(at[0, :: self.patch, 0], at[1, 0, :: self.patch], self.tokens))

        return over_windows(sample, self.places, 1 if placed else self.limit, self.stop, predict)


Spread = Callable[[Windows, Any, Forward], Forward]
UNLIMITED = 2**31
"""Sides of a canvas whose places a model computes instead of looking them up."""


def stable_diffusion_3(windows: Windows, network: Any, forward: Forward) -> Forward:
    """Adds to each token what it has learned of its place: cut from the middle of a square of such places."""
    embed = network.pos_embed
    whole = embed.cropped_pos_embed

    @cache
    def of_canvas() -> torch.Tensor:
        return whole(*windows.size)[0]

    def over_canvas(*, hidden_states: torch.Tensor, **others: Any) -> tuple[torch.Tensor]:
        def ask(cut: torch.Tensor, conditions: CutConditions, where: Where | None) -> torch.Tensor:
            def cropped(height: int, width: int) -> torch.Tensor:
                if where is None:
                    return whole(height, width)
                return where.cut(of_canvas())[None]

            with in_place_of(embed, cropped_pos_embed=cropped):
                return forward(hidden_states=cut, **conditions(others))[0]

        return (windows.over(hidden_states, ask, embed.pos_embed_max_size),)

    return over_canvas


def flux(windows: Windows, network: Any, forward: Forward) -> Forward:
    """Flux and Chroma are told the place of each token, as numbers of its row and column."""

    def over_canvas(
        *, hidden_states: torch.Tensor, txt_ids: torch.Tensor, img_ids: torch.Tensor, **others: Any
    ) -> tuple[torch.Tensor]:
        mask = others.pop("attention_mask", None)  # Chroma's, of words and tokens: all tokens count

        def ask(cut: torch.Tensor, conditions: CutConditions, where: Where | None) -> torch.Tensor:
            height, width = cut.shape[-2:]
            tokens, told = pack(cut), conditions(others)
            if mask is not None:
                told["attention_mask"] = conditions(mask[:, : mask.shape[1] - hidden_states.shape[1] + tokens.shape[1]])
            ids = places(height, width, img_ids) if where is None else where.cut(img_ids)
            return unpack(forward(hidden_states=tokens, txt_ids=txt_ids, img_ids=ids, **told)[0], height, width)

        return (pack(windows.over(unpack(hidden_states, *windows.size), ask, UNLIMITED)),)

    return over_canvas


def flux_2(windows: Windows, network: Any, forward: Forward) -> Forward:
    """As Flux, told by four numbers for each token of each picture."""

    def over_canvas(*, hidden_states: torch.Tensor, img_ids: torch.Tensor, **others: Any) -> tuple[torch.Tensor]:
        def ask(cut: torch.Tensor, conditions: CutConditions, where: Where | None) -> torch.Tensor:
            height, width = cut.shape[-2:]
            ids = places_of_four(height, width, img_ids) if where is None else where.cut(img_ids[0])
            told = {**conditions(others), "img_ids": ids[None].expand(len(cut), -1, -1)}
            return unrows(forward(hidden_states=rows(cut), **told)[0], height, width)

        return (rows(windows.over(unrows(hidden_states, *windows.size), ask, UNLIMITED)),)

    return over_canvas


def qwen_image(windows: Windows, network: Any, forward: Forward) -> Forward:
    """Counts rows and columns from the middle of the picture; its words come after the last of them."""
    embed = network.pos_embed
    of_canvas = embed.forward
    most = len(embed.pos_freqs)

    def over_canvas(*, hidden_states: torch.Tensor, img_shapes: Any, **others: Any) -> tuple[torch.Tensor]:
        def ask(cut: torch.Tensor, conditions: CutConditions, where: Where | None) -> torch.Tensor:
            height, width = cut.shape[-2:]
            seen = (1, *windows.tokens) if where else (1, height // windows.patch, width // windows.patch)

            def placed(*args: Any, **told: Any) -> tuple[torch.Tensor, torch.Tensor]:
                image, words = of_canvas(*args, **told)
                return (where.cut(image) if where else image), words

            with in_place_of(embed, forward=placed):
                told = {**conditions(others), "img_shapes": [[seen]] * len(cut)}
                return unpack(forward(hidden_states=pack(cut), **told)[0], height, width)

        return (pack(windows.over(unpack(hidden_states, *windows.size), ask, most)),)

    return over_canvas


def z_image(windows: Windows, network: Any, forward: Forward) -> Forward:
    """Takes lists of pictures (channels, 1, h, w) and of words; numbers words first, then rows and columns."""
    grid = network.create_coordinate_grid

    def over_canvas(
        pictures: list[torch.Tensor], timestep: torch.Tensor, words: list[torch.Tensor], **others: Any
    ) -> tuple[list[torch.Tensor]]:
        def ask(cut: torch.Tensor, conditions: CutConditions, where: Where | None) -> torch.Tensor:
            def placed(size: Any, start: Any = None, device: Any = None) -> torch.Tensor:
                if where is not None and start is not None and start[0] > 1:  # a picture's; its words begin at 1
                    start = (start[0], start[1] + int(where.rows[0]), start[2] + int(where.columns[0]))
                return grid(size=size, start=start, device=device)

            told = words * (len(cut) // len(words))
            with in_place_of(network, create_coordinate_grid=placed):
                drawn = forward(list(cut.unsqueeze(2).unbind()), conditions(timestep), told, **others)[0]
            return torch.stack(list(drawn)).squeeze(2)

        drawn = windows.over(torch.stack(pictures).squeeze(2), ask, min(network.axes_lens[1:]))
        return (list(drawn.unsqueeze(2).unbind()),)

    return over_canvas


SPREADS: Mapping[str, Spread] = {
    "SD3Transformer2DModel": stable_diffusion_3, "FluxTransformer2DModel": flux, "ChromaTransformer2DModel": flux,
    "Flux2Transformer2DModel": flux_2,
    "QwenImageTransformer2DModel": qwen_image, "ZImageTransformer2DModel": z_image,
}  # fmt: skip
"""By diffusers' class of the transformer, as `Family.network` has it."""


def for_canvas(kind: str, network: Any, windows: Windows, beside: OfCanvas) -> Callable[[Forward], Forward]:
    """Makes a `forward` for the canvas of the network's own. kind: `Family.network`; "": a UNet, which is not told
    where its windows lie. beside: what the network is told of the rest of the
    canvas; nothing, for a transformer."""
    if not kind:
        return lambda forward: unet_in_windows(forward, windows.places, windows.limit, windows.stop, beside)
    return lambda forward: SPREADS[kind](windows, network, forward)
