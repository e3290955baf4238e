"""The list of samplers (sd_samplers.py)."""

from . import sd_samplers_kdiffusion

all_samplers = sd_samplers_kdiffusion.samplers_data_k_diffusion
all_samplers_map = {x.name: x for x in all_samplers}
samplers = samplers_for_img2img = all_samplers


def find_sampler_config(name):
    return all_samplers_map.get(name) if name is not None else all_samplers[0]


def create_sampler(name, model):
    """:33"""
    config = find_sampler_config(name)
    if config is None:
        raise AssertionError(f"bad sampler name: {name}")
    if model.is_sdxl and config.options.get("no_sdxl", False):
        raise Exception(f"Sampler {config.name} is not supported for SDXL")
    sampler = config.constructor(model)
    sampler.config = config
    return sampler


def get_sampler_and_scheduler(sampler_name, scheduler_name, *, convert_automatic=True):
    """:91: an unknown sampler becomes the first of the list. Names of schedulers are not checked here."""
    config = all_samplers_map.get(sampler_name or samplers[0].name, samplers[0])
    return config.name, scheduler_name or "Automatic"


def fix_p_invalid_sampler_and_scheduler(p):
    """:125"""
    p.sampler_name, p.scheduler = get_sampler_and_scheduler(p.sampler_name, p.scheduler, convert_automatic=False)
