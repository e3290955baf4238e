"""Where noise comes from: ImageRNG, step noise, the Brownian sampler."""

import types

import torch

from .harness import make, module, options, patched, plain, run


def probe_noise():
    def draw(source, seeds, count=2, **more):
        with options(randn_source=source):
            rng = module("rng").ImageRNG((4, 3, 5), seeds, **more)
            return [
                [[round(float(v), 4) for v in image.flatten()[[0, 1, 17, 59]]] for image in rng.next()]
                for _ in range(count)
            ]

    return {
        "NV": draw("NV", [1, 2]),
        "NV alone": draw("NV", [2]),
        "NV large seed": draw("NV", [2**32 + 5]),
        "CPU": draw("CPU", [1, 2]),
        "NV variation": draw("NV", [1], 1, subseeds=[9], subseed_strength=0.25),
        "attributes": sorted(k for k in vars(module("rng").ImageRNG((4, 3, 5), [1]))),
    }


def counted_rng(p, seen):
    """Replaces p.rng by one that counts, inside p.sample."""
    inner = p.sample

    def sample(**kwargs):
        rng = p.rng
        p.rng = types.SimpleNamespace(next=lambda: (seen.append(1), rng.next())[1], is_first=True)
        return inner(**kwargs)

    p.sample = sample


def probe_step_noise():
    result = {}
    for sampler in ("Euler", "Euler a", "DPM++ 2M", "DPM++ SDE"):
        p, seen, sde = make(sampler_name=sampler, steps=8), [], []
        counted_rng(p, seen)
        create, steps = module("processing").sd_samplers.create_sampler, []

        def create_sampler(*args, create=create, sde=sde, **kwargs):
            s = create(*args, **kwargs)

            def noise_sampler(x, sigmas, p):
                def call(sigma, sigma_next):
                    sde.append(bool(sigma > sigma_next))
                    return torch.zeros_like(x)

                sde.append(list(x.shape))
                return call

            s.create_noise_sampler = noise_sampler
            return s

        with patched(module("processing").sd_samplers, "create_sampler", create_sampler):
            run(p)
        steps.append(module("shared").state.sampling_steps)
        result[sampler] = {"rng.next": len(seen), "sampling_steps": steps, "noise_sampler": sde}
    return result


def probe_noise_sampler():
    p, seen = make(sampler_name="DPM++ SDE", batch_size=2, seed=[4, 9]), {}
    inner = p.sample

    def sample(**kwargs):
        create = p.sampler.create_noise_sampler

        def spy(x, sigmas, p):
            made = create(x, sigmas, p)
            seen.update(x=list(x.shape), sigmas=len(sigmas), last=float(sigmas[-1]), same=made is not None)
            a, b = made(sigmas[0], sigmas[1]), made(sigmas[1], sigmas[2])
            seen.update(
                shape=list(a.shape),
                images_differ=bool((a[0] != a[1]).any()),
                intervals_differ=bool((a != b).any()),
                unit=bool(0.6 < float(a.std()) < 1.4),
            )
            return made

        p.sampler.create_noise_sampler = spy
        return inner(**kwargs)

    p.sample = sample
    run(p)
    with options(no_dpmpp_sde_batch_determinism=True):
        try:
            seen["off"] = plain(type(p.sampler).create_noise_sampler(p.sampler, None, None, p))
        except TypeError as error:  # a host without that setting looks at the sigmas
            seen["off"] = type(error).__name__
    return seen
