"""ImageRNG: the noise of a batch, one generator an image (rng.py)."""

import torch

from . import devices, rng_philox, shared, standin


def create_generator(seed):
    """rng.py:75; here "GPU" is the CPU, as in a webui without a GPU."""
    if shared.opts.randn_source == "NV":
        return rng_philox.Generator(seed)
    return torch.Generator(devices.cpu).manual_seed(int(seed))


def randn_without_seed(shape, generator):
    if isinstance(generator, rng_philox.Generator):
        return torch.from_numpy(generator.randn(shape))
    return torch.randn(shape, generator=generator)


def slerp(amount, low, high):
    """rng.py:85, for one image: along the great circle of two noises, per row of the first axis's norms. Neo's goes
    along one angle for a channel.
    """
    if standin.knobs.neo:
        return _slerp(amount, low.flatten(1), high.flatten(1)).reshape_as(low)
    return _slerp(amount, low, high)


def _slerp(amount, low, high):
    angle = torch.acos((low / low.norm(dim=1, keepdim=True) * (high / high.norm(dim=1, keepdim=True))).sum(1))
    sin = torch.sin(angle)
    return (torch.sin((1 - amount) * angle) / sin).unsqueeze(1) * low + (torch.sin(amount * angle) / sin).unsqueeze(
        1
    ) * high


class ImageRNG:
    """rng.py:99-163. Seed-resize is not reproduced."""

    def __init__(self, shape, seeds, subseeds=None, subseed_strength=0.0, seed_resize_from_h=0, seed_resize_from_w=0):
        self.shape = tuple(map(int, shape))
        self.seeds, self.subseeds, self.subseed_strength = seeds, subseeds, subseed_strength
        self.seed_resize_from_h, self.seed_resize_from_w = seed_resize_from_h, seed_resize_from_w
        self.generators = [create_generator(seed) for seed in seeds]
        self.is_first = True

    def first(self):
        """rng.py:112: the variation seed is mixed in; then the step noise may restart from another seed (ENSD)."""
        images = []
        for i, generator in enumerate(self.generators):
            noise = randn_without_seed(self.shape, generator)
            if self.subseeds is not None and self.subseed_strength != 0:
                subseed = self.subseeds[i] if i < len(self.subseeds) else 0
                noise = slerp(self.subseed_strength, noise, randn_without_seed(self.shape, create_generator(subseed)))
            images.append(noise)
        if shared.opts.eta_noise_seed_delta:
            self.generators = [create_generator(seed + shared.opts.eta_noise_seed_delta) for seed in self.seeds]
        return torch.stack(images).to(shared.device)

    def next(self):
        if self.is_first:
            self.is_first = False
            return self.first()
        return torch.stack([randn_without_seed(self.shape, g) for g in self.generators]).to(shared.device)
