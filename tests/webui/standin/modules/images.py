"""Pictures and files (images.py)."""

import datetime
import math
import os
import re
from pathlib import Path

from PIL import Image, ImageOps, PngImagePlugin

from . import script_callbacks, shared, standin
from .shared import opts

LANCZOS = Image.Resampling.LANCZOS
_SKIP = object()


def flatten(img, bgcolor):
    """images.py:841: transparency becomes the colour; the answer is RGB."""
    if img.mode == "RGBA":
        background = Image.new("RGBA", img.size, bgcolor)
        background.paste(img, mask=img)
        img = background
    return img.convert("RGB")


def fix_image(image):
    return image if image is None else ImageOps.exif_transpose(image)


def read(fp, **kwargs):
    """images.py:852: turned as its EXIF says; the copy has no file name."""
    return fix_image(Image.open(fp, **kwargs))


def resize_image(resize_mode, im, width, height, upscaler_name=None):
    """images.py:252-323: 0 stretches, 1 fills and cuts, 2 fits and fills the rest from the edge."""
    upscaler_name = upscaler_name or opts.upscaler_for_img2img

    def resize(im, w, h):
        scale = max(w / im.width, h / im.height)
        if upscaler_name not in (None, "None") and im.mode != "L" and scale > 1:
            data = next((x for x in shared.sd_upscalers if x.name == upscaler_name), shared.sd_upscalers[0])
            im = data.scaler.upscale(im, scale, data.data_path)
        return im if im.size == (w, h) and upscaler_name not in (None, "None") else im.resize((w, h), LANCZOS)

    if resize_mode == 0:
        return resize(im, width, height)
    wider = width / height > im.width / im.height
    by_width = wider if resize_mode == 1 else not wider
    w = width if by_width else im.width * height // im.height
    h = im.height * width // im.width if by_width else height
    resized, result = resize(im, w, h), Image.new("RGB", (width, height))
    x, y = width // 2 - w // 2, height // 2 - h // 2
    result.paste(resized, (x, y))
    if resize_mode == 2 and y > 0:
        result.paste(resized.crop((0, 0, w, 1)).resize((width, y)), (0, 0))
        result.paste(resized.crop((0, h - 1, w, h)).resize((width, y)), (0, y + h))
    if resize_mode == 2 and x > 0:
        result.paste(resized.crop((0, 0, 1, h)).resize((x, height)), (0, 0))
        result.paste(resized.crop((w - 1, 0, w, h)).resize((x, height)), (x + w, 0))
    return result


def image_grid(imgs, batch_size=1, rows=None):
    """images.py:36, with the default settings of grids: nearly square (Neo: and without empty places), every picture in
    the middle of its cell.
    """
    rows = min(rows or round(math.sqrt(len(imgs))), len(imgs))
    while standin.knobs.neo and len(imgs) % rows:
        rows -= 1
    columns = math.ceil(len(imgs) / rows)
    width, height = (max(sizes) for sizes in zip(*(image.size for image in imgs), strict=True))
    grid = Image.new("RGB", (columns * width, rows * height), "white")
    for i, image in enumerate(imgs):
        grid.paste(
            image,
            (i % columns * width + (width - image.width) // 2, i // columns * height + (height - image.height) // 2),
        )
    return grid


def sanitize_filename_part(text, replace_spaces=True):
    """images.py:342"""
    if text is None:
        return None
    text = re.sub(r'[#<>:"/\\|?*\n\r\t]', "_", text.replace(" ", "_") if replace_spaces else text)
    return text.lstrip(" ")[: shared.cmd_opts.filenames_max_length].rstrip(" .")


def _words(text):
    words = [x for x in re.split(r"[\s\W_]+", text or "") if x] or ["empty"]
    return sanitize_filename_part(" ".join(words[: opts.directories_max_prompt_words]), replace_spaces=False)


class FilenameGenerator:
    """images.py:381-540: the names that stand in brackets in a pattern; an unknown one stays as written."""

    def __init__(self, p, seed, prompt, image, zip=False, basename=""):
        single = p is None or p.batch_size == 1
        self.names = {
            "seed": "" if seed is None else seed,
            "prompt": sanitize_filename_part(prompt),
            "prompt_words": _words(prompt),
            "none": "",
            "prompt_spaces": sanitize_filename_part(prompt, replace_spaces=False),
            "width": image.width,
            "height": image.height,
            "date": datetime.datetime.now().strftime("%Y-%m-%d"),
            "datetime": datetime.datetime.now().strftime("%Y%m%d%H%M%S"),
            "job_timestamp": shared.state.job_timestamp,
            "steps": p and p.steps,
            "cfg": p and p.cfg_scale,
            "basename": basename or "img",
            "sampler": p and p.sampler_name,
            "batch_size": p and p.batch_size,
            "denoising": p.denoising_strength if p else _SKIP,
            "batch_number": _SKIP if single else p.batch_index + 1,
            "model_name": shared.sd_model.sd_checkpoint_info.name_for_extra,
            "generation_number": _SKIP
            if single and (p is None or p.n_iter == 1)
            else p.iteration * p.batch_size + p.batch_index + 1,
        }

    def apply(self, pattern):
        result = ""
        for text, name in re.findall(r"(.*?)(?:\[([^\[\]]+)\]|$)", pattern):
            value = self.names.get(name.lower()) if name else ""
            if value is _SKIP:
                continue
            result += f"{text}[{name}]" if value is None else f"{text}{value}"
        return result


def get_next_sequence_number(path, basename):
    """images.py:543: one more than the greatest number an entry of the folder starts with, folders included."""
    prefix = f"{basename}-" if basename else ""
    starts = (Path(x[len(prefix) :]).stem.split("-")[0] for x in os.listdir(path) if x.startswith(prefix))
    return max((int(x) for x in starts if x.isdecimal()), default=-1) + 1


def save_image_with_geninfo(
    image, geninfo, filename, extension=None, existing_pnginfo=None, pnginfo_section_name="parameters"
):
    """images.py:565: text in a PNG, UserComment in EXIF elsewhere."""
    extension = (extension or os.path.splitext(filename)[1]).lower()
    kind, keep = Image.registered_extensions()[extension], opts.enable_pnginfo
    if extension == ".png":
        info = PngImagePlugin.PngInfo()
        for key, value in {**(existing_pnginfo or {}), pnginfo_section_name: geninfo}.items() if keep else ():
            info.add_text(key, str(value))
        image.save(filename, kind, pnginfo=info)
        return
    exif = Image.Exif()
    if keep and geninfo is not None:
        exif[0x8769] = {0x9286: b"UNICODE\0" + geninfo.encode("utf-16-be")}
    if extension != ".avif" and image.mode == "RGBA":
        image = image.convert("RGB")
    image.save(filename, kind, quality=opts.jpeg_quality, exif=exif)


def _hidden_in():
    """Where Forge hides the infotext, beside the text of the file; Neo and A1111 do not."""
    return opts.data.get("stealth_pnginfo_option", "Alpha") if "stealth_pnginfo_option" in opts.data_labels else None


def _hide(params):
    """Forge's stealth_infotext.py:18: the infotext, here its bytes alone, in the last bits of alpha, in place."""
    if params.filename.endswith(".png") and "parameters" in params.pnginfo:
        params.image.putalpha(255)
        bits = "".join(format(byte, "08b") for byte in params.pnginfo["parameters"].encode())
        width, height = params.image.size
        for index, bit in enumerate(bits[: width * height]):
            x, y = divmod(index, height)
            params.image.putpixel((x, y), (*params.image.getpixel((x, y))[:3], 254 | int(bit)))


def save_image(
    image,
    path,
    basename,
    seed=None,
    prompt=None,
    extension="png",
    info=None,
    short_filename=False,
    no_prompt=False,
    grid=False,
    pnginfo_section_name="parameters",
    p=None,
    existing_info=None,
    forced_filename=None,
    suffix="",
    save_to_dirs=None,
):
    """images.py:624-774; the options read are those in force at the call."""
    names = FilenameGenerator(p, seed, prompt, image, basename=basename)
    if max(image.size) > 65535 or (extension == "webp" and max(image.size) > 16383):
        extension = "png"
    if save_to_dirs is None:
        save_to_dirs = opts.grid_save_to_dirs if grid else opts.save_to_dirs and not no_prompt
    if save_to_dirs:
        path = os.path.join(
            path, names.apply(opts.directories_filename_pattern or "[prompt_words]").lstrip(" ").rstrip("\\ /")
        )
    os.makedirs(path, exist_ok=True)

    if forced_filename is None:
        default = "[seed]" if opts.save_to_dirs else "[seed]-[prompt_spaces]"
        decoration = "" if short_filename or seed is None else names.apply(opts.samples_filename_pattern or default)
        decoration += suffix
        if opts.save_images_add_number or not decoration:
            number = get_next_sequence_number(path, basename)
            number = f"{basename}-{number:04}" if basename else f"{number:05}"
            decoration = f"{number}-{decoration}" if decoration else number
        stem = decoration
    else:
        stem = forced_filename

    pnginfo = {**(existing_info or {}), **({} if info is None else {pnginfo_section_name: info})}
    params = script_callbacks.ImageSaveParams(image, p, os.path.join(path, f"{stem}.{extension}"), pnginfo)
    if opts.enable_pnginfo and _hidden_in() == "Alpha":
        _hide(params)
    script_callbacks.before_image_saved_callback(params)
    stem, dot_extension = os.path.splitext(params.filename)
    full, number = params.filename, 0
    while opts.save_images_replace_action != "Replace" and os.path.exists(full):  # :721
        number += 1
        full = f"{stem}-{number}{dot_extension}"
    temporary = f"{stem}.tmp"
    text = params.pnginfo.get(pnginfo_section_name)
    save_image_with_geninfo(params.image, text, temporary, dot_extension, params.pnginfo, pnginfo_section_name)
    os.replace(temporary, full)
    params.image.already_saved_as = params.filename  # without the suffix of :721, as there
    standin.log.saved.append(full)
    text_file = f"{stem}.txt" if opts.save_txt and text is not None else None
    if text_file:
        Path(text_file).write_text(f"{text}\n", encoding="utf-8")
    script_callbacks.image_saved_callback(params)
    return params.filename, text_file
