"""ControlNets over windows: each tells the UNet what the window's picture shows, at every step.

A window's picture travels as latents do: (n, 3 * 64, h / 8, w / 8), 8 x 8 px folded into channels. So whatever cuts a
canvas of latents into windows (Fused) cuts the pictures with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from ...enlarge.control_picture import fitted
from ...enlarge.resize_mode import STRETCH
from ...geometry import Canvas, Region
from ...host import Batch
from ...resume.digest import digest
from ..fingerprint import fingerprint
from .asked import AskedControl, in_infotext

SIDE = 8
"""Pixels of a picture along each side of a latent, in every ControlNet of Stable Diffusion 1, 2 and XL."""
_HINTS = "usdu_hints"


@dataclass
class Control:
    """One ControlNet of a run. network: diffusers' ControlNetModel. picture: uint8 (h, w, 3), laid over the whole
    canvas; None: each tile is its own."""

    asked: AskedControl
    network: Any
    picture: np.ndarray | None = None
    _over: tuple[Canvas, np.ndarray] | None = field(default=None, repr=False)

    def of(self, images: np.ndarray, windows: Sequence[Region], canvas: Canvas) -> np.ndarray:
        """What steers these windows: images is uint8 (n, h, w, 3) and so is the result."""
        if self.picture is None:
            return images
        if self._over is None or self._over[0] != canvas:
            self._over = canvas, fitted(self.picture, canvas, STRETCH)
        return np.stack([canvas.crop(self._over[1], window) for window in windows])

    def identity(self) -> dict[str, Any]:
        """What of it has a part in a tile."""
        picture = None if self.picture is None else digest(self.picture)
        return {"weights": fingerprint(self.network), "strength": self.asked.strength, "picture": picture}


class Controls:
    """The ControlNets of a run; false where there is none."""

    def __init__(self, controls: Sequence[Control] = ()):
        self.controls = tuple(controls)

    def __bool__(self) -> bool:
        return bool(self.controls)

    @property
    def channels(self) -> int:
        """Of the pictures of all, folded as latents."""
        return len(self.controls) * 3 * SIDE * SIDE

    def hints(self, batch: Batch) -> torch.Tensor:
        """The pictures of a batch's windows for all ControlNets, float32 (n, controls * 3 * 64, h / 8, w / 8), 0-1."""
        windows = [tile.window for tile in batch.tiles]
        pictures = [control.of(batch.images, windows, batch.canvas) for control in self.controls]
        values = torch.from_numpy(np.concatenate(pictures, axis=3)).permute(0, 3, 1, 2).float() / 255
        return pixel_unshuffle(values, SIDE)

    def steering(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """`forward` of diffusers' UNet2DConditionModel with what the ControlNets add; it is given their pictures."""

        def steered(sample: torch.Tensor, timestep: Any, encoder_hidden_states: Any, **others: Any) -> Any:
            pictures = pixel_shuffle(others.pop(_HINTS), SIDE)
            told = {"encoder_hidden_states": encoder_hidden_states, "return_dict": False}
            told["added_cond_kwargs"] = others.get("added_cond_kwargs")
            below, middle = None, None
            for control, picture in zip(self.controls, pictures.split(3, dim=1)):
                net = control.network
                kind, device = next(net.parameters()).dtype, sample.device
                added, last = net(
                    sample.to(kind), timestep, controlnet_cond=picture.to(device, kind),
                    conditioning_scale=control.asked.strength, **told,
                )  # fmt: skip
                below = added if below is None else [one + other for one, other in zip(below, added)]
                middle = last if middle is None else middle + last
            others["down_block_additional_residuals"] = tuple(one.to(sample.dtype) for one in below or ())
            others["mid_block_additional_residual"] = None if middle is None else middle.to(sample.dtype)
            return forward(sample, timestep, encoder_hidden_states=encoder_hidden_states, **others)

        return steered

    def given(self, forward: Callable[..., Any], hints: torch.Tensor) -> Callable[..., Any]:
        """`forward` that is always given these pictures, a row for each of the latents (under CFG twice). They are
        where the latents are: nothing moves from step to step."""

        def told(sample: torch.Tensor, timestep: Any, encoder_hidden_states: Any, **others: Any) -> Any:
            rows = hints.repeat(len(sample) // len(hints), 1, 1, 1)
            return forward(sample, timestep, encoder_hidden_states=encoder_hidden_states, **{**others, _HINTS: rows})

        return told

    def to(self, dtype: torch.dtype) -> None:
        """All networks in another number format."""
        for control in self.controls:
            control.network.to(dtype)

    def identity(self) -> list[dict[str, Any]]:
        """As `Control.identity`, of each."""
        return [control.identity() for control in self.controls]

    def infotext(self) -> dict[str, str]:
        """As `asked.in_infotext`."""
        return in_infotext([control.asked for control in self.controls])
