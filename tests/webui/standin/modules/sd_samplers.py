"""The list of samplers (sd_samplers.py)."""

from dataclasses import dataclass, field

from .sd_samplers_common import Sampler


@dataclass
class SamplerData:
    name: str
    noise: str  # who draws at the steps: "every step" (thrown away, yet drawn), "ancestral", "brownian" or "none"
    aliases: list = field(default_factory=list)
    options: dict = field(default_factory=dict)


all_samplers = [
    SamplerData("DPM++ 2M", "none"),
    SamplerData("DPM++ SDE", "brownian", options={"brownian_noise": True}),
    SamplerData("Euler a", "ancestral"),
    SamplerData("Euler", "every step"),
]
all_samplers_map = {x.name: x for x in all_samplers}
samplers = samplers_for_img2img = all_samplers


def find_sampler_config(name):
    return all_samplers_map.get(name) if name is not None else all_samplers[0]


def create_sampler(name, model):
    """sd_samplers.py:33"""
    config = find_sampler_config(name)
    if config is None:
        raise AssertionError(f"bad sampler name: {name}")
    sampler = Sampler(config.name)
    sampler.config = config
    return sampler


def fix_p_invalid_sampler_and_scheduler(p):
    """sd_samplers.py:125"""
    if hasattr(p, "scheduler") and not p.scheduler:
        p.scheduler = "Automatic"
