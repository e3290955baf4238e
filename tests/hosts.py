"""Hosts for tests: they refine by arithmetic."""

from __future__ import annotations

import numpy as np

from lib_usdu.errors import Stopped
from lib_usdu.standalone.host import IdentityRefiner, LocalHost


class NoisyRefiner(IdentityRefiner):
    """A "model" whose result shows everything a tile's result may depend on: its pixels, its noise and the denoise."""

    def __init__(self):
        self.batches = []

    def refine(self, batch, stop):
        self.batches.append(batch)
        height, width = batch.images.shape[1:3]
        noises = [np.kron(n.draw(0, 3).transpose(1, 2, 0), np.ones((8, 8, 1)))[:height, :width] for n in batch.noises]
        blurred = (batch.images.astype(np.float32) + np.roll(batch.images, 1, axis=2)) / 2
        return blurred + 20 * batch.denoise * np.stack(noises)

    def fuse(self, fusion, step_done, stop):
        for step in range(3):
            if stop():
                raise Stopped("stopped in a step")
            step_done(step + 1, 3)
        for batch in fusion.batches:
            (noise,) = batch.noises
            canvas = np.kron(noise.draw(0, 3).transpose(1, 2, 0), np.ones((8, 8, 1)))
            yield np.stack(
                [
                    image.astype(np.float32) + 20 * batch.denoise * fusion.canvas.crop(canvas, tile.window)
                    for tile, image in zip(batch.tiles, batch.images)
                ]
            )


class StoppingRefiner(IdentityRefiner):
    """Stops in the n-th call, or asks to be stopped after it."""

    def __init__(self, calls, *, inside):
        self.left, self.inside, self.host = calls, inside, None

    def refine(self, batch, stop):
        self.left -= 1
        if self.left == 0:
            self.host.stop = True
            if self.inside:
                raise Stopped("stopped in a tile")
        return 255 - batch.images


def stopping_host(calls, *, inside):
    refiner = StoppingRefiner(calls, inside=inside)
    refiner.host = LocalHost(refiner)
    return refiner.host
