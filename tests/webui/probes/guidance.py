"""From prompts to the model: conditionings, the denoiser between sampler and model, its callbacks, its samplers."""

import contextlib

import torch

from .harness import make, module, options, patched, photo, plain, run, runner_of, signature

STEPS = 8


def _conditioned(**changes):
    """A p as it is when it samples."""
    p = make(steps=STEPS, **changes)
    run(p)
    return p


def probe_conditionings():
    model = module("shared").sd_model
    encode = model.get_learned_conditioning

    def ask(**changes):
        """Nothing is cached; the texts are those that reached the encoder, the negative prompts' first."""
        texts = []

        def encoded(given):
            texts.append(list(given))
            return encode(given)

        p = make(steps=STEPS, **changes)
        for cache in (p.cached_c, p.cached_uc):
            cache[:] = [None, None]
        with patched(model, "get_learned_conditioning", encoded):
            run(p)
        parts = p.c.batch
        cond = parts[0][0].schedules[0].cond
        return {
            "c": [type(p.c).__name__, list(p.c.shape), [type(x).__name__ for x in parts[0]]],
            "weights": [[part.weight for part in one] for one in parts],
            "ends": [[[entry.end_at_step for entry in part.schedules] for part in one] for one in parts],
            "uc": [type(p.uc).__name__, [[entry.end_at_step for entry in one] for one in p.uc]],
            "texts": texts,
            "entry": type(parts[0][0].schedules[0]).__name__,
            "tokens": [cond.ndim, len(cond)],
            "steps": [p.step_multiplier, p.firstpass_steps],
        }

    def cached(first, then):
        for cache in (make().cached_c, make().cached_uc):
            cache[:] = [None, None]
        one, two = _conditioned(**first), _conditioned(**then)
        return [two.c is one.c, two.uc is one.uc]

    return {
        "one": ask(),
        "batch": ask(batch_size=2, prompt=["a", "b"]),
        "AND": ask(prompt="a AND b:0.5 AND a: 2"),
        "edited": ask(prompt="x [a:b:3] y"),
        "added": ask(prompt="x [a:0.5]"),
        "taken away": ask(prompt="[a::2] x"),
        "alternating": ask(prompt="[a|b]"),
        "negative edited": ask(negative_prompt="[a:b:0.25]"),
        "second order": ask(prompt="[a:b:3]", sampler_name="DPM++ SDE"),
        "long": ask(prompt=" ".join(["word"] * 90)),
        "kept: same": cached({}, {}),
        "kept: seed": cached({}, {"seed": 9}),
        "kept: prompt": cached({}, {"prompt": "other"}),
        "kept: size": cached({}, {"width": 128}),
        "kept: steps": cached({}, {"sampler_name": "DPM++ SDE"}),
        "kept: batch": cached({}, {"batch_size": 2}),
        "kept: picture": cached({}, {"init_images": [photo(shift=50)]}),
    }


def probe_conditionings_at_a_step():
    """reconstruct_multicond_batch and reconstruct_cond_batch, of conditionings that are plain numbers."""
    parser = module("prompt_parser")

    def entry(end, value):
        return parser.ScheduledPromptConditioning(end, torch.full((2, 3), float(value)))

    def part(weight, *entries):
        return parser.ComposableScheduledPromptConditioning(list(entries), weight)

    c = parser.MulticondLearnedConditioning(
        (2,), [[part(1.0, entry(3, 1), entry(8, 2)), part(0.5, entry(8, 3))], [part(1.0, entry(8, 4))]]
    )
    rows = {}
    for step in (0, 3, 4, 8, 9):
        found, tensor = parser.reconstruct_multicond_batch(c, step)
        negative = parser.reconstruct_cond_batch([[entry(3, 5), entry(8, 6)], [entry(8, 7)]], step)
        tensor = tensor if isinstance(tensor, torch.Tensor) else tensor["crossattn"]
        rows[str(step)] = [plain(found), tensor[:, 0, 0].tolist(), negative[:, 0, 0].tolist()]
    short = parser.ComposableScheduledPromptConditioning([parser.ScheduledPromptConditioning(8, torch.ones(1, 3))])
    mixed = parser.MulticondLearnedConditioning((1,), [[part(1.0, entry(8, 4)), short]])
    return {"at": rows, "lengths": list(parser.reconstruct_multicond_batch(mixed, 0)[1].shape)}


@contextlib.contextmanager
def _asked_as(forward):
    """The model replaced as an extension does it: `forward` set on what `inner_model` gives, after `init`."""
    create = module("processing").sd_samplers.create_sampler

    def create_sampler(*args, **kwargs):
        sampler = create(*args, **kwargs)
        sampler.model_wrap_cfg.inner_model.forward = forward
        return sampler

    with patched(module("processing").sd_samplers, "create_sampler", create_sampler):
        yield


def _rows(cond):
    """Shapes of what conditions the model: of tensors the first size and how many there are."""
    return {key: [len(value), value.ndim] if isinstance(value, torch.Tensor) else [[len(x), x.ndim] for x in value]
            for key, value in sorted(cond.items())}  # fmt: skip


def probe_denoiser():
    """What the model is asked, row by row, and what guidance makes of answers that are plain numbers."""
    if module("sd_samplers_cfg_denoiser") is None or _is_forge():
        return None

    def ask(at_step=0, answers=None, settings=None, **changes):
        calls, last = [], []

        def forward(x, sigma, cond):
            calls.append([list(x.shape), list(sigma.shape), _rows(cond)])
            values = torch.tensor((answers or [float(i) for i in range(len(x))])[: len(x)]).reshape(-1, 1, 1, 1)
            return torch.zeros_like(x) + values

        p = make(steps=STEPS, **changes)
        script_callbacks = module("script_callbacks")

        def after(params):
            last.append(params.x[:, 0, 0, 0].tolist())

        script_callbacks.on_cfg_after_cfg(after)
        try:
            with _asked_as(forward), options(**(settings or {})):
                run(p)
        finally:
            script_callbacks.remove_callbacks_for_function(after)
        extra = {key: plain(value) for key, value in p.extra_generation_params.items() if "NGMS" in key}
        return {"first": calls[0], "calls": len(calls), "rows": sorted({x[0][0] for x in calls}),
                "denoised": [round(value, 4) for value in last[0]], "told": extra}  # fmt: skip

    one = ask()
    return {
        "one": one,
        "batch of 2": ask(batch_size=2, prompt=["a", "b"]),
        "AND": ask(prompt="a AND b:0.5"),
        "AND in a batch": ask(batch_size=2, prompt=["a AND b:0.5", "c"]),
        "cfg 1": ask(cfg_scale=1),
        "two calls": ask(settings={"batch_cond_uncond": False}),
        "lengths differ": ask(prompt=" ".join(["word"] * 90)),
        "negative left out in every second": ask(s_min_uncond=99.0),
        "negative left out": ask(s_min_uncond=99.0, settings={"s_min_uncond_all": True}),
        "negative left out of a batch": ask(
            s_min_uncond=99.0, settings={"s_min_uncond_all": True}, batch_size=2, prompt=["a AND b:0.5", "c"]
        ),
        "second order": ask(sampler_name="DPM++ SDE"),
    }


def _is_forge():
    return hasattr(module("shared").sd_model, "forge_objects")


def probe_denoiser_forge():
    """The same where the model is asked through a patcher: the wrapper that built-in MultiDiffusion sets."""
    if not _is_forge():
        return None
    sd_model = module("shared").sd_model

    def ask(settings=None, wrapped=True, **changes):
        calls, last = [], []

        def wrapper(apply_model, args):
            x, c = args["input"], args["c"]
            texts = {key: len(value) for key, value in sorted(c.items()) if isinstance(value, torch.Tensor)}
            calls.append([list(x.shape), list(args["timestep"].shape), plain(args["cond_or_uncond"]), texts,
                          sorted(args)])  # fmt: skip
            rows = torch.arange(float(len(x))).reshape(-1, 1, 1, 1)
            return torch.zeros_like(x) + rows

        def every(p, *args, **kwargs):
            if wrapped:
                unet = p.sd_model.forge_objects.unet.clone()
                unet.set_model_unet_function_wrapper(wrapper)
                p.sd_model.forge_objects.unet = unet

        p, callbacks = make(steps=STEPS, **changes), module("script_callbacks")

        def after(params):
            last.append(params.x[:, 0, 0, 0].tolist())

        callbacks.on_cfg_after_cfg(after)
        try:
            with options(**(settings or {})):
                run(p, runner=runner_of(process_before_every_sampling=every))
        finally:
            callbacks.remove_callbacks_for_function(after)
        extra = {key: plain(value) for key, value in p.extra_generation_params.items() if "NGMS" in key}
        return {"calls": calls[:2], "count": len(calls), "denoised": [round(value, 4) for value in last[0]],
                "told": extra, "uc": p.uc is not None}  # fmt: skip

    found = {
        "one": ask(),
        "batch of 2": ask(batch_size=2, prompt=["a", "b"]),
        "AND": ask(prompt="a AND b:0.5"),
        "cfg 1": ask(cfg_scale=1),
        "negative left out": ask(s_min_uncond=99.0, settings={"s_min_uncond_all": True}),
        "lengths differ": ask(prompt=" ".join(["word"] * 90)),
    }
    return {
        **found,
        "not wrapped": ask(wrapped=False)["count"],
        "wrapper is left": "model_function_wrapper" in sd_model.forge_objects_original.unet.model_options,
        "objects": sorted({"unet", "vae", "clip"} & set(vars(sd_model.forge_objects))),
        "vae": {name: getattr(sd_model.forge_objects.vae, name, None) for name in ("latent_channels",)},
        "options": sorted(sd_model.forge_objects_original.unet.model_options),
        "reload": callable(getattr(module("sd_models"), "forge_model_reload", None)),
    }


def probe_denoiser_interface():
    """What extensions reach for on a sampler that has just been made."""
    p, seen = make(), {}
    inner = p.sample

    def sample(**kwargs):
        denoiser = p.sampler.model_wrap_cfg
        seen.update({
            "module": isinstance(denoiser, torch.nn.Module),
            "inner is a module": isinstance(denoiser.inner_model, torch.nn.Module),
            "inner is kept": denoiser.inner_model is denoiser.inner_model,
            "inner is the sampler's": denoiser.inner_model is p.sampler.model_wrap,
            "forward": signature(type(denoiser).forward),
            "inner by name": sorted({"sigmas"} & set(dir(denoiser.inner_model))),
            "sampler": denoiser.sampler is p.sampler,
            "before": plain([denoiser.p, denoiser.step, denoiser.mask, denoiser.init_latent]),
            "image_conditioning": [p.image_conditioning.ndim, len(p.image_conditioning)],
        })  # fmt: skip
        made = inner(**kwargs)
        seen.update({
            "steps": [denoiser.step, denoiser.steps, denoiser.total_steps], "p": denoiser.p is p,
            "init_latent": denoiser.init_latent is p.init_latent, "last_latent": list(p.sampler.last_latent.shape),
            "args": sorted(p.sampler.sampler_extra_args),
        })  # fmt: skip
        return made

    p.sample = sample
    run(p)
    again = make()
    run(again)
    return seen


def probe_sampler_functions():
    """Signatures by which an extension tells samplers apart, and what reaches them of p and of the settings."""
    create = module("sd_samplers").create_sampler
    found = {}
    for name in ("Euler", "Euler a", "DPM++ 2M", "DPM++ SDE", "Heun"):
        sampler = create(name, module("shared").sd_model)
        takes = set(_parameters(sampler.func))
        found[name] = {
            "takes": sorted(takes & {"eta", "noise_sampler", "s_churn", "s_tmin", "s_tmax", "s_noise", "sigmas"}),
            "extra": sampler.extra_params,
            "options": {k: v for k, v in sampler.config.options.items() if k != "scheduler"},
            "total": sampler.config.total_steps(5),
        }
    return found


def _parameters(function):
    import inspect

    return inspect.signature(function).parameters


def probe_churn():
    """Which settings reach the sampler's function, whose are they, and whether its draws are used."""

    def ask(settings=None, sampler="Euler", **changes):
        create, seen, moved = module("processing").sd_samplers.create_sampler, {}, []

        def create_sampler(*args, **kwargs):
            made = create(*args, **kwargs)
            function = made.func

            def func(model, x, *args, s_churn=0.0, s_tmin=0.0, s_tmax=float("inf"), s_noise=1.0, **kwargs):
                seen.update(s_churn=s_churn, s_tmin=s_tmin, s_tmax=plain(s_tmax), s_noise=s_noise)
                given = {"s_churn": s_churn, "s_tmin": s_tmin, "s_tmax": s_tmax, "s_noise": s_noise}

                def model_(x, sigma, **extra):
                    moved.append(round(float(sigma[0]) / 100, 9))
                    return model(x, sigma, **extra)

                kwargs.update({k: v for k, v in kwargs.items() if k not in given})
                return function(model_, x, *args, **given, **kwargs)

            func.__signature__ = __import__("inspect").signature(function)
            made.func = func
            return made

        p = make(sampler_name=sampler, steps=STEPS, **changes)
        with options(**(settings or {})), patched(module("processing").sd_samplers, "create_sampler", create_sampler):
            run(p)
        told = {key: plain(value) for key, value in p.extra_generation_params.items() if key.startswith("Sigma")}
        return {"given": dict(seen), "infotext": told, "p": plain([p.s_churn, p.s_tmin, p.s_tmax, p.s_noise]),
                "calls": len(moved)}  # fmt: skip

    return {
        "off": ask(),
        "by the settings": ask({"s_churn": 4.0}),
        "by p": ask(s_churn=4.0),
        "limits": ask({"s_churn": 4.0, "s_tmin": 0.5, "s_tmax": 9.0, "s_noise": 1.01}),
        "Heun": ask({"s_churn": 4.0}, "Heun"),
    }


def probe_callback_map():
    callbacks = module("script_callbacks")
    order, attributes = [], {}

    def note(kind):
        def callback(params):
            order.append(kind)
            attributes[kind] = sorted(vars(params))

        return callback

    added = {kind: note(kind) for kind in ("cfg_denoiser", "cfg_denoised", "cfg_after_cfg", "extra_noise")}
    before = {kind: len(callbacks.callback_map[f"callbacks_{kind}"]) for kind in added}
    for kind, callback in added.items():
        getattr(callbacks, f"on_{kind}")(callback)
    entry = callbacks.callback_map["callbacks_cfg_denoiser"][-1]
    one = {"grown": [len(callbacks.callback_map[f"callbacks_{kind}"]) - before[kind] for kind in added],
           "entry": sorted(vars(entry)), "callback": entry.callback is added["cfg_denoiser"]}  # fmt: skip
    with options(img2img_extra_noise=0.1):
        run(make(steps=2))
    for callback in added.values():
        callbacks.remove_callbacks_for_function(callback)
    return {
        "kinds": sorted(callbacks.callback_map),
        "order": order[:4],
        "attributes": attributes,
        "left": [len(callbacks.callback_map[f"callbacks_{kind}"]) - before[kind] for kind in added],
        **one,
    }


def probe_model_data():
    """How an extension sees which model is loaded, without loading one."""
    models, shared = module("sd_models"), module("shared")
    data, model = models.model_data, shared.sd_model
    kinds = ("is_sd1", "is_sd2", "is_sdxl", "is_sd3")
    return {
        "same": data.sd_model is model and data.get_sd_model() is model,
        "kind": [getattr(model, name, None) for name in kinds],
        "channels": getattr(model, "latent_channels", None),
        "conditioning_key": getattr(getattr(model, "model", None), "conditioning_key", None),
        "info": sorted({"filename", "name", "name_for_extra", "title"} & set(vars(model.sd_checkpoint_info))),
        "property": isinstance(getattr(type(shared), "sd_model", None), property),
        "fields": sorted({"sd_model", "loaded_sd_models", "was_loaded_at_least_once"} & set(vars(data))),
    }
