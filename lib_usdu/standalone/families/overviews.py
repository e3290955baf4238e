"""Overviews with diffusers' UNets: before its first step over a batch the network looks at those it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ...fused.overviews import Overviews, looked_at
from ...host import Batch
from ...noise_share import share_of
from ...speed.in_place import in_place_of
from .asking import noise_over_signal
from .speed import rows_of


@contextmanager
def overviews_known(
    network: Any, scheduler: Any, known: Overviews, batch: Batch, encode: Callable[[np.ndarray], torch.Tensor]
) -> Iterator[None]:
    """While inside, the UNet knows a batch's overviews, from its first call on. encode: makes latents of pictures,
    uint8 (n, h, w, 3)."""
    forward, begun, count = network.forward, False, len(batch.tiles)
    latents = {one.content: encode(one.picture[None]) for one in known.new(batch)}

    def seen(sample: torch.Tensor, timestep: Any, encoder_hidden_states: Any, **others: Any) -> Any:
        nonlocal begun
        if not begun:
            begun = True

            def look(at: int) -> None:
                overview, time = batch.overviews[at], _looking_time(scheduler, float(timestep))
                kept = float(scheduler.alphas_cumprod[time])
                picture = latents[overview.content].to(sample)
                noise = torch.from_numpy(overview.noise.draw(0, picture.shape[1]))[None].to(sample)
                told = {"encoder_hidden_states": encoder_hidden_states, **others}
                row = len(sample) - count + at  # answers with the prompt come last
                one = rows_of(told, slice(row, row + 1), len(sample))
                forward(kept**0.5 * picture + (1 - kept) ** 0.5 * noise, torch.as_tensor(time).to(sample.device), **one)

            known.learn(batch, range(count), look)
            known.sees(0, count)
        return forward(sample, timestep, encoder_hidden_states=encoder_hidden_states, **others)

    with known.put_in(network), in_place_of(network, forward=seen):
        yield


def _looking_time(scheduler: Any, first: float) -> int:
    """The time of training with the share of noise that the network looks at, where its steps begin at this one."""
    wanted = looked_at(share_of(noise_over_signal(scheduler)(first)))
    kept = scheduler.alphas_cumprod.double().cpu().numpy()
    noise, picture = np.sqrt(1 - kept), np.sqrt(kept)
    return int(np.abs(noise / (noise + picture) - wanted).argmin())
