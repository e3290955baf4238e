"""What process_images does with a p, and in which order."""

import copy
import tempfile

from .harness import hole, make, module, options, photo, plain, run, runner_of, traced


def probe_hook_order():
    with traced() as (calls, runner), tempfile.TemporaryDirectory() as folder:
        run(
            make(batch_size=2, sampler_name="Euler a", do_not_save_samples=False, outpath_samples=folder), runner=runner
        )
    return calls


def probe_hook_order_sde():
    with traced() as (calls, runner):
        run(make(sampler_name="DPM++ SDE"), runner=runner)
    return calls


def probe_hook_order_masked():
    with traced() as (calls, runner):
        run(make(mask=hole(), inpaint_full_res=True, n_iter=2), runner=runner)
    return [x for x in calls if x != "script.on_mask_blend"] + [
        f"{calls.count('script.on_mask_blend') > 0}: on_mask_blend"
    ]


def probe_batching():
    def ask(count, batch_size, **more):
        p = make(init_images=[photo(shift=10 * i) for i in range(count)], batch_size=batch_size, **more)
        try:
            done = run(p)
        except (RuntimeError, KeyError) as error:
            return f"{type(error).__name__}: {error}"
        return {
            "results": len(done.images),
            "batch_size": p.batch_size,
            "seeds": p.all_seeds,
            "latent": list(p.init_latent.shape),
        }

    return {
        "1 image, batch 3": ask(1, 3),
        "2 images, batch 2": ask(2, 2),
        "2 images, batch 3": ask(2, 3),
        "3 images, batch 2": ask(3, 2),
        "2 images, batch 1": ask(2, 1),
        "1 image, batch 1, n_iter 2": ask(1, 1, n_iter=2),
        "2 images, batch 2, n_iter 2": ask(2, 2, n_iter=2),
    }


def probe_lists():
    def ask(**changes):
        p = make(**changes)
        try:
            done = run(p)
        except (RuntimeError, KeyError) as error:
            return f"{type(error).__name__}: {error}"
        return {
            "prompts": p.all_prompts,
            "negatives": p.all_negative_prompts,
            "seeds": p.all_seeds,
            "subseeds": p.all_subseeds,
            "results": len(done.images),
            "p.seeds": p.seeds,
            "text": [x.split(",")[0].split("\n")[0] for x in done.infotexts],
            "main": [p.main_prompt, p.main_negative_prompt],
        }

    return {
        "int seed": ask(batch_size=2),
        "int seed, variation": ask(batch_size=2, subseed_strength=0.5),
        "list seed": ask(batch_size=2, seed=[7, 5]),
        "list subseed": ask(batch_size=2, seed=[7, 5], subseed=[1, 1]),
        "list prompt": ask(batch_size=2, prompt=["x", "y"]),
        "list negative": ask(batch_size=2, negative_prompt=["x", "y"]),
        "both lists": ask(batch_size=2, prompt=["x", "y"], negative_prompt=["n", "m"]),
        "prompt list too long": ask(batch_size=1, prompt=["x", "y"]),
        "lists differ": ask(batch_size=2, prompt=["x", "y"], negative_prompt=["n"]),
    }


def probe_sample_override():
    p = make(batch_size=2)
    seen, inner = {}, p.sample

    def sample(*args, **kwargs):
        seen.update(
            positional=len(args),
            keywords=sorted(kwargs),
            rng=type(p.rng).__name__,
            latent=list(p.init_latent.shape),
            sampler=p.sampler is not None,
            seeds=plain(kwargs.get("seeds")),
            prompts=plain(kwargs.get("prompts")),
        )
        result = inner(*args, **kwargs)
        seen.update(result=list(result.shape), decoded=getattr(result, "already_decoded", False))
        return result

    p.sample = sample
    run(p)
    return {
        **seen,
        "copy keeps it": copy.copy(p).sample is sample,
        "after": {"sampler": p.sampler is not None, "rng": p.rng is not None},
    }


def probe_overrides():
    opts = module("shared").opts

    def ask(overrides, **before):
        seen = {}

        def process(p, *args):
            seen.update(inside=[opts.samples_format, opts.jpeg_quality])

        p = make(override_settings=overrides)
        with options(**before):
            try:
                run(p, runner=runner_of(process=process))
            except (RuntimeError, KeyError) as error:
                seen["error"] = type(error).__name__
            return {**seen, "after": [opts.samples_format, opts.jpeg_quality], "left on p": plain(p.override_settings)}

    two = {"samples_format": "jpg", "jpeg_quality": 33}
    return {
        "in config.json": ask(two, samples_format="png", jpeg_quality=80),
        "not in config.json": ask(two, samples_format=None, jpeg_quality=None),
        "unknown": ask({**two, "no_such_option": 1}, samples_format="png", jpeg_quality=80),
    }


def probe_stale_mask():
    p = make(mask=hole(), inpaint_full_res=True, width=32, height=32)
    run(p)
    first = {"overlays": len(p.overlay_images), "paste_to": plain(p.paste_to), "mask": p.mask is not None}
    p.image_mask, p.init_images = None, [photo(32, 32, 90)]
    done = run(p)
    second = {
        "overlays": len(p.overlay_images),
        "paste_to": plain(p.paste_to),
        "mask": p.mask is not None,
        "size": list(done.images[0].size),
        "old canvas pixel": list(done.images[0].getpixel((60, 60))) == list(photo().getpixel((60, 60))),
    }
    p.overlay_images = p.paste_to = p.mask = p.nmask = None
    return {"masked": first, "reused": second, "reset": list(run(p).images[0].size)}


def probe_state_flags():
    state = module("shared").state

    def ask(p=None, mid=None, **flags):
        def every(p, *args, **kwargs):
            if mid:
                setattr(state, mid, True)

        p = p or make(n_iter=2)
        done = run(p, runner=runner_of(process_before_every_sampling=every), begin=False, **flags)
        answer = {
            "images": len(done.images),
            "infotexts": len(done.infotexts),
            "job_no": state.job_no,
            "job_count": state.job_count,
            "skipped": state.skipped,
            "interrupted": state.interrupted,
        }
        state.end()
        return answer

    def begin():
        state.begin(job="probe")

    result = {}
    for name, mid, flags in (
        ("plain", None, {}),
        ("job_count kept", None, {"job_count": 9, "job_no": 3}),
        ("skipped before", None, {"skipped": True}),
        ("interrupted before", None, {"interrupted": True}),
        ("stopping before", None, {"stopping_generation": True}),
        ("interrupted while sampling", "interrupted", {}),
        ("skipped while sampling", "skipped", {}),
        ("stopping while sampling", "stopping_generation", {}),
    ):
        begin()
        result[name] = ask(mid=mid, **flags)
    begin()
    result["after begin"] = {
        k: plain(v) for k, v in state.dict().items() if k not in ("job_timestamp", "sampling_steps")
    }
    before = state.id_live_preview
    state.assign_current_image(photo())
    result["preview"] = {"id": state.id_live_preview - before, "image": state.current_image is not None}
    run(make(steps=20, denoising_strength=0.35), begin=False)
    result["steps of 20 at 0.35"] = state.sampling_steps
    state.end()
    result["after end"] = {"job": state.job, "job_count": state.job_count, "interrupted": state.interrupted}
    return result


def probe_colour_correction():
    def ask(on):
        seen = []
        with options(img2img_color_correction=on):
            p = make(batch_size=2)
            run(
                p,
                runner=runner_of(
                    process_before_every_sampling=lambda p, *args, **kwargs: seen.append(plain(p.color_corrections))
                ),
            )
        return {"during": seen, "after": plain(p.color_corrections)}

    return {"on": ask(True), "off": ask(False)}


def probe_new_p_runs_setup():
    seen = []
    runner = runner_of(setup=lambda *args: seen.append("setup"))
    p = make()
    p.scripts, p.script_args = runner, (0,)
    first = len(seen)
    twin = copy.copy(p)
    twin.scripts, twin.script_args = runner, (0, 1)
    return {
        "new": first,
        "copy": len(seen) - first,
        "shares params": twin.extra_generation_params is p.extra_generation_params,
    }
