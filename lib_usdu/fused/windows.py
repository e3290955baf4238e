"""All windows of a canvas take each sampler step together: what they predict is averaged where they overlap.

MultiDiffusion (Bar-Tal et al., ICML 2023) averages the samples, which blurs with samplers that add noise; as in Mixture
of Diffusers (Jimenez, 2023) it is the model's output that is averaged here, so that sampler, history and step noise are
those of one picture. The weights are the ramps of the tiles' cores: they sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any

import torch

from ..compose.weights import axis_weight
from ..geometry import Canvas, Tile
from ..latents import Latents
from .attention import CanvasAttention
from .norms import CanvasNorms
from .of_canvas import OfCanvas, Together

CutConditions = Callable[[Any], Any]
"""Makes what one window is conditioned by out of what the whole canvas is."""


@dataclass(frozen=True)
class Patch:
    """A window in latents of a canvas, all on the canvas's device. rows (height, 1), columns (1, width): which of the
    canvas's it sees; places: the same as numbers into the canvas's latents in one line; share: its weight there,
    float32 (height, width)."""

    rows: torch.Tensor
    columns: torch.Tensor
    places: torch.Tensor
    share: torch.Tensor

    def cut(self, canvas: torch.Tensor) -> torch.Tensor:
        """The window of a canvas (n, channels, ..., h, w)."""
        return canvas[..., self.rows, self.columns]

    def add(self, part: torch.Tensor, canvas: torch.Tensor) -> None:
        """Adds the window's share of `part` (n, channels, ..., height, width) to a float32 canvas."""
        weighed = part.float() * self.share
        canvas.flatten(-2).index_add_(-1, self.places, weighed.flatten(-2))  # a wrapped window may see a place twice


def patches(tiles: Sequence[Tile], canvas: Canvas, latents: Latents, reach: tuple[int, int]) -> list[Patch]:
    """A patch for each tile. canvas, and reach, of a core past its end, are in px."""
    height, width = latents.size(canvas)
    scale = latents.scale
    views = []
    for tile in tiles:
        window, core = latents.region(tile.window), latents.core(tile.core, canvas)
        columns, across = _axis(window.x, window.right, core.x, core.right, width, reach[0] // scale, canvas.wraps)
        rows, down = _axis(window.y, window.bottom, core.y, core.bottom, height, reach[1] // scale, canvas.wraps)
        places = (rows[:, None] * width + columns[None, :]).flatten()
        views.append(Patch(rows[:, None], columns[None, :], places, down[:, None] * across[None, :]))
    return views


def on_device(places: Sequence[Patch], device: Any) -> list[Patch]:
    """The same on a torch device: moved once, not for each window and step."""
    return [Patch(*(getattr(place, item.name).to(device) for item in fields(Patch))) for place in places]


def _axis(
    start: int, end: int, core: int, core_end: int, length: int, reach: int, wraps: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Along one axis: where a window lies on the canvas, and its weight there."""
    weight = torch.zeros(end - start)
    if wraps:
        seen = axis_weight(reach, reach + core_end - core, core_end - core + 2 * reach, reach, wraps=True)
        first = core - reach - start
    else:
        seen = axis_weight(core, min(core_end, length), length, reach)
        first = max(core - reach, 0) - start
    weight[first : first + len(seen)] = torch.from_numpy(seen)
    return torch.arange(start, end) % length, weight


def assemble(parts: Iterable[torch.Tensor], places: Sequence[Patch], like: torch.Tensor) -> torch.Tensor:
    """The canvas, as `like`, of windows (n, channels, h, w) that come in the order of `places`."""
    total = torch.zeros(like.shape, dtype=torch.float32, device=like.device)
    for part, place in zip(parts, places):
        place.add(part, total)
    return total.to(like.dtype)


def canvas_of(network: torch.nn.Module, places: Sequence[Patch]) -> OfCanvas:
    """What a UNet that sees these windows is told of the rest of their canvas."""
    return Together(CanvasNorms(network, places), CanvasAttention(network, places))


def over_windows(
    sample: torch.Tensor,
    places: Sequence[Patch],
    limit: int,
    stop: Callable[[], None],
    predict: Callable[[torch.Tensor, CutConditions], torch.Tensor],
    beside: OfCanvas | None = None,
    level: float = 0.0,
    *,
    rows_first: bool = False,
) -> torch.Tensor:
    """What `predict` says of a canvas (n, channels, h, w) that it sees in at most `limit` windows at a time.

    It is given the windows, each with all n entries of the canvas (under CFG one without and one with the prompt), and
    a function that makes conditions of the canvas those of the windows. stop: called before each group; may raise.
    beside: what the network is told of the rest of the canvas; level, rows_first: as `OfCanvas.asked` has them.
    """

    def windows() -> Iterator[torch.Tensor]:
        for start in range(0, len(places), limit):
            stop()
            group = places[start : start + limit]
            if beside is not None:
                beside.sees(start, len(group))
            cut = torch.cat([place.cut(sample) for place in group])

            def conditions(value: Any, group: Sequence[Patch] = group) -> Any:
                return _for_windows(value, sample, group)

            yield from predict(cut, conditions).split(len(sample))

    asked: AbstractContextManager[None] = nullcontext()
    if beside is not None:
        asked = beside.asked(level, len(sample), rows_first=rows_first)
    with asked:
        return assemble(windows(), places, sample)


def unet_in_windows(
    model: Callable[..., Any], places: Sequence[Patch], limit: int, stop: Callable[[], None],
    beside: OfCanvas | None = None,
) -> Callable[..., tuple[torch.Tensor]]:  # fmt: skip
    """`forward` of diffusers' UNet for the whole canvas; `model` is its own, beside: as above."""

    def forward(sample: torch.Tensor, timestep: Any, encoder_hidden_states: Any, **others: Any) -> tuple[torch.Tensor]:
        def predict(cut: torch.Tensor, conditions: CutConditions) -> torch.Tensor:
            arguments = {**conditions(others), "return_dict": False}
            return model(cut, timestep, encoder_hidden_states=conditions(encoder_hidden_states), **arguments)[0]

        return (over_windows(sample, places, limit, stop, predict, beside, float(timestep)),)

    return forward


def through_the_patcher(
    asked: Callable[..., torch.Tensor],
    given: dict[str, Any],
    over: Callable[[torch.Tensor, Callable[..., torch.Tensor], float], torch.Tensor],
) -> torch.Tensor:
    """`model_function_wrapper` of the Forge family (backend/sampling/sampling_function.py) for a canvas in windows.

    asked: the wrapper below this one, called as it is. given: what it was given for the canvas: `input` and `timestep`
    with a row for each entry of `cond_or_uncond`, and the conditions `c`. over: `over_windows` of (canvas, predict,
    level); all windows of a row come together.
    """
    marks, rows = given["cond_or_uncond"], len(given["input"])

    def predict(cut: torch.Tensor, _conditions: CutConditions) -> torch.Tensor:
        windows = len(cut) // rows
        told = {
            **given, "input": cut.unflatten(0, (windows, rows)).transpose(0, 1).flatten(0, 1),
            "timestep": given["timestep"].repeat_interleave(windows), "c": _for_each(given["c"], rows, windows, marks),
        }  # fmt: skip
        return asked(told).unflatten(0, (rows, windows)).transpose(0, 1).flatten(0, 1)

    return over(given["input"], predict, float(given["timestep"].flatten()[0]))


def _for_each(conditions: dict[str, Any], rows: int, windows: int, marks: Sequence[int]) -> dict[str, Any]:
    """Conditions of the canvas for so many windows: those of a row come together, as the marks do."""

    def repeated(value: Any, count: int) -> Any:
        alike = isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == count
        return value.repeat_interleave(windows, 0) if alike else value

    options = dict(conditions.get("transformer_options", {}))
    options = {**options, "sigmas": repeated(options.get("sigmas"), rows // len(marks))}
    options["cond_mark"] = repeated(options.get("cond_mark"), rows)
    each = rows * windows // len(marks)
    for name, kind in (("cond_indices", 0), ("uncond_indices", 1)):
        options[name] = [i for i in range(rows * windows) if (marks[i // each] != 0) == (kind != 0)]
    told = {name: repeated(value, rows) for name, value in conditions.items()}
    return {**told, "transformer_options": options}


def _for_windows(value: Any, sample: torch.Tensor, group: Sequence[Patch]) -> Any:
    """Tensors with a row for each entry of the canvas are repeated, those of its size cut; anything else stays."""
    if isinstance(value, dict):
        return {name: _for_windows(inner, sample, group) for name, inner in value.items()}
    if isinstance(value, list):
        return [_for_windows(inner, sample, group) for inner in value]
    if not isinstance(value, torch.Tensor) or value.ndim == 0 or len(value) != len(sample):
        return value
    if value.ndim == 4 and value.shape[2:] == sample.shape[2:]:
        return torch.cat([place.cut(value) for place in group])
    return value.repeat(len(group), *[1] * (value.ndim - 1))
