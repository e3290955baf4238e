"""What comes out: pixels, grids, extra images, files, infotexts, resizes."""

import os
import re
import tempfile

import torch
from PIL import Image

from .harness import SIZE, hole, make, module, options, photo, plain, run


def decoded(levels, size=SIZE):
    """What p.sample may return in place of latents: one image whose columns have these levels (0..255)."""
    row = torch.tensor([levels[i * len(levels) // size] for i in range(size)], dtype=torch.float32) / 255 * 2 - 1
    samples = type("Decoded", (list,), {"already_decoded": True})()
    samples.append(row.expand(3, size, size).clone())
    return samples


def probe_truncation():
    p = make()
    levels = [0.0, 0.9, 1.2, 127.5, 128.9, 254.4, 254.99, 255.0, 300.0, -20.0]
    p.sample = lambda **kwargs: decoded(levels)
    image = run(p).images[0]
    return {str(level): image.getpixel((int((i + 0.5) * SIZE / len(levels)), 3))[0] for i, level in enumerate(levels)}


def probe_grid():
    with options(return_grid=True, grid_save=False, grid_only_if_multiple=True):

        def ask(**changes):
            done = run(make(do_not_save_grid=False, **changes))
            return {
                "first": done.index_of_first_image,
                "sizes": [list(x.size) for x in done.images],
                "infotexts": len(done.infotexts),
            }

        return {
            "batch 2": ask(batch_size=2),
            "n_iter 2": ask(n_iter=2),
            "one": ask(),
            "do_not_save_grid": len(run(make(batch_size=2)).images),
        }


def probe_extra_outputs():
    with options(return_mask=True, return_mask_composite=True):
        done = run(make(mask=hole(), inpaint_full_res=False))
        return {
            "modes": [x.mode for x in done.images],
            "infotexts": len(done.infotexts),
            "without mask": len(run(make()).images),
        }


def probe_saving():
    kept = (
        "save_to_dirs",
        "samples_filename_pattern",
        "save_images_add_number",
        "save_images_replace_action",
        "samples_format",
        "samples_save",
        "directories_filename_pattern",
        "grid_save",
    )
    opts = module("shared").opts

    def ask(overrides=None, state=None, **changes):
        with options(**{k: opts.get_default(k) for k in kept}), tempfile.TemporaryDirectory() as folder:
            done = run(
                make(
                    do_not_save_samples=False,
                    outpath_samples=folder,
                    outpath_grids=folder,
                    override_settings=overrides or {},
                    **changes,
                ),
                **(state or {}),
            )
            names = sorted(
                os.path.relpath(os.path.join(at, x), folder) for at, _, files in os.walk(folder) for x in files
            )
            text = [
                Image.open(os.path.join(folder, x)).info.get("parameters", "")[:9] for x in names if x.endswith("png")
            ]
            return {
                "files": [re.sub(r"\d{4}-\d\d-\d\d", "DATE", x) for x in names],
                "text": text,
                "saved as": [hasattr(x, "already_saved_as") for x in done.images],
            }

    flat = {"save_to_dirs": False}
    return {
        "default": ask(prompt="a cat, here"),
        "two": ask(batch_size=2),
        "flat": ask(flat, prompt="a cat, here"),
        "pattern": ask({**flat, "samples_filename_pattern": "photo", "save_images_add_number": False}),
        "pattern, number": ask({**flat, "samples_filename_pattern": "photo-[seed]-[width]x[height]-[none]"}),
        "batch tab": ask(
            {**flat, "samples_filename_pattern": "photo", "save_images_replace_action": "Add number suffix"},
            batch_size=2,
        ),
        "replace off": ask(
            {
                **flat,
                "samples_filename_pattern": "p",
                "save_images_add_number": False,
                "save_images_replace_action": "Add number suffix",
            },
            batch_size=3,
        ),
        "jpg": ask({**flat, "samples_format": "jpg"}),
        "off by option": ask({"samples_save": False}),
        "dirs": ask({"directories_filename_pattern": "[prompt_words]-[steps]"}, prompt="a cat, here"),
        "grid": ask({**flat, "grid_save": True}, batch_size=2, do_not_save_grid=False),
    }


def probe_save_image():
    save, opts, script_callbacks = module("images").save_image, module("shared").opts, module("script_callbacks")
    p, seen = make(), []

    def ask(*args, times=1, **kwargs):
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(times):
                full, text = save(photo(), folder, *args, **kwargs)
            return [re.sub(r"\d{4}-\d\d-\d\d", "DATE", os.path.relpath(full, folder)), plain(text)]

    answer = {
        "bare": ask("", save_to_dirs=False),
        "twice": ask("", times=2, save_to_dirs=False),
        "seed": ask("", 5, "words", opts.samples_format, info="i", p=p, save_to_dirs=False),
        "basename": ask("b", 5, "words", "png", info="i", p=p, save_to_dirs=False),
        "suffix": ask("", 5, "w", "png", p=p, suffix="-up"),
        "forced": ask("", forced_filename="name", save_to_dirs=False),
        "forced twice": ask("", times=2, forced_filename="n", save_to_dirs=False),
        "short": ask("", 5, "w", "jpg", short_filename=True, p=p, save_to_dirs=False),
    }
    script_callbacks.on_before_image_saved(lambda params: seen.append(sorted(vars(params))))
    ask("", forced_filename="again", save_to_dirs=False)
    return {**answer, "before_image_saved": list(seen)}


def probe_odd_size():
    """A size that is not a multiple of 8 is cut by the VAE."""
    return {
        f"{w}x{h}": list(run(make(width=w, height=h, init_images=[photo(w, h)])).images[0].size)
        for w, h in ((64, 72), (100, 60))
    }


def strip(text):
    """An infotext without what names the model and the host's version."""
    return re.sub(r", (Model hash|Model|VAE hash|VAE|Version|Schedule type|RNG): [^,]*", "", text)


def probe_infotext():
    extra = {"A": "b, c", "Each": ["x", "y"], "Call": lambda index=0, **kw: f"n{index}", "None": None, "Number": 2}
    p = make(batch_size=2, prompt="a\nb", negative_prompt="n", extra_generation_params=extra)
    done = run(p)
    return {
        "texts": [strip(x) for x in done.infotexts],
        "info": strip(done.info),
        "in image": [x.info.get("parameters") == t for x, t in zip(done.images, done.infotexts)],
        "denoise key": p.extra_generation_params.get("Denoising strength"),
        "masked": strip(run(make(mask=hole(), inpaint_full_res=True, mask_blur=4)).infotexts[0]),
    }


def probe_upscale():
    upscaler, shared = module("upscaler"), module("shared")

    def ask(factor, scale, width=30, height=20, interrupted=False):
        class Fake(upscaler.Upscaler):
            name = None
            runs = 0

            def do_upscale(self, img, selected_model=None):
                self.runs += 1
                return img.resize((img.width * factor, img.height * factor))

        fake = Fake()
        shared.state.interrupted = interrupted
        out = fake.upscale(photo(width, height), scale, "path")
        shared.state.interrupted = False
        return [*out.size, fake.runs]

    return {
        "2x by 2": ask(2, 2),
        "4x by 2": ask(4, 2),
        "2x by 8": ask(2, 8),
        "2x by 20": ask(2, 20),
        "1x by 2": ask(1, 2),
        "2x by 1": ask(2, 1),
        "4x by 1.5": ask(4, 1.5),
        "interrupted": ask(4, 2, interrupted=True),
        "names": [x.name for x in shared.sd_upscalers][:3],
        "none": list(shared.sd_upscalers[0].scaler.upscale(photo(30, 20), 2, None).size),
        "lanczos": list(shared.sd_upscalers[1].scaler.upscale(photo(30, 20), 2, None).size),
    }


def probe_images():
    images = module("images")
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    return {
        "flatten": [images.flatten(clear, "#ff8000").mode, list(images.flatten(clear, "#ff8000").getpixel((0, 0)))],
        "resize": {
            str(mode): [
                *images.resize_image(mode, photo(60, 40), 32, 32).size,
                list(images.resize_image(mode, photo(60, 40), 32, 32).getpixel((16, 2))),
            ]
            for mode in (0, 1, 2)
        },
        "grid": list(images.image_grid([photo(8, 4)] * 3, 3).size),
        "grid 4": list(images.image_grid([photo(8, 4)] * 4).size),
    }
