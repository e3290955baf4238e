"""POST /sdapi/v1/img2img: from a request as JSON text to an answer as JSON text (api/api.py), without HTTP."""

import base64
import contextlib
import io
import json

from fastapi.exceptions import HTTPException
from PIL import Image, PngImagePlugin
from pydantic import ValidationError

from .. import errors, images, processing, scripts, sd_samplers, shared, standin
from ..call_queue import queue_lock
from . import models


def decode_base64_to_image(encoding):
    """:77; addresses are not fetched here."""
    if encoding.startswith("data:image/"):
        encoding = encoding.split(";")[1].split(",")[1]
    try:
        return images.read(io.BytesIO(base64.b64decode(encoding)))
    except Exception as error:
        raise HTTPException(status_code=500, detail="Invalid encoded image") from error


def encode_pil_to_base64(image):
    """:100; the texts of a picture go into it."""
    with io.BytesIO() as buffer:
        kind = shared.opts.samples_format.lower()
        if kind == "png":
            info = PngImagePlugin.PngInfo()
            for key, value in image.info.items():
                if isinstance(key, str) and isinstance(value, str):
                    info.add_text(key, value)
            image.save(buffer, "PNG", pnginfo=info, compress_level=1)  # there 6: a matter of speed alone
        elif kind in ("jpg", "jpeg", "webp"):
            text = image.info.get("parameters") or ""
            exif = Image.Exif()
            exif[0x8769] = {0x9286: b"UNICODE\0" + text.encode("utf-16-be")}
            image = image.convert("RGB") if image.mode in ("RGBA", "P") else image
            image.save(buffer, "WEBP" if kind == "webp" else "JPEG", exif=exif, quality=shared.opts.jpeg_quality)
        else:
            raise HTTPException(status_code=500, detail="Invalid image format")
        return base64.b64encode(buffer.getvalue())


def post(path, text):
    """Status and body, both as a client sees them (:135-199 makes the body of an error)."""
    try:
        body = json.loads(text)
        if path != "/sdapi/v1/img2img":
            return 404, json.dumps({"detail": "Not Found"})
        try:
            request = models.StableDiffusionImg2ImgProcessingAPI(**body)
        except (ValidationError, TypeError) as error:
            return 422, json.dumps({"detail": str(error)})
        answer = Api().img2imgapi(request)
        return 200, json.dumps(dict(answer), default=lambda value: value.decode() if isinstance(value, bytes) else None)
    except Exception as error:  # noqa: BLE001  any error has an answer
        if not isinstance(error, HTTPException):
            errors.report(f"API error: POST: {path}", exc_info=True)
        known = vars(error)
        said = {"error": type(error).__name__, "detail": known.get("detail", ""), "body": "", "errors": str(error)}
        return known.get("status_code", 500), json.dumps(said)


class Api:
    """The answers to script_name and script_args; `runner` is scripts_img2img where there is one."""

    queue_lock = queue_lock

    @property
    def default_script_arg_img2img(self):
        """Made once, at the start, there (:271)."""
        return self.__dict__.get("default") or self.init_default_script_args(scripts.scripts_img2img)

    @default_script_arg_img2img.setter
    def default_script_arg_img2img(self, value):
        self.default = value

    def get_selectable_script(self, script_name, script_runner):
        """:286: by title, whatever its case."""
        if not script_name:
            return None, None
        titles = [script.title().lower() for script in script_runner.selectable_scripts]
        if script_name.lower() not in titles:
            raise HTTPException(422, f"Script '{script_name}' not found")
        index = titles.index(script_name.lower())
        return script_runner.selectable_scripts[index], index

    def init_default_script_args(self, script_runner):
        """:315-333: ui() is called two more times for every script, for the controls' values."""
        import gradio as gr

        args = [None] * max([1, *(script.args_to for script in script_runner.scripts)])
        args[0] = 0
        with gr.Blocks():
            for script in script_runner.scripts:
                if script.ui(script.is_img2img):
                    args[script.args_from : script.args_to] = [
                        control.value for control in script.ui(script.is_img2img)
                    ]
        return args

    def init_script_args(
        self, request, default_script_args, selectable_scripts, selectable_idx, script_runner, *, input_script_args=None
    ):
        """:335-371: the request's list takes the place of our slice whatever its length, and so moves what follows."""
        args = default_script_args.copy()
        for index, value in (input_script_args or {}).items():
            args[index] = value
        if selectable_scripts:
            args[selectable_scripts.args_from : selectable_scripts.args_to] = request.script_args
            args[0] = selectable_idx + 1
        for name, given in (request.alwayson_scripts or {}).items():
            script = script_runner.script(name)
            if script is None:
                raise HTTPException(422, f"always on script {name} not found")
            for i, value in enumerate(given.get("args", [])[: script.args_to - script.args_from]):
                args[script.args_from + i] = value
        return args

    def img2imgapi(self, img2imgreq):
        """:492-565; what `infotext` in a request does is not reproduced."""
        request, runner = img2imgreq, scripts.scripts_img2img
        if request.init_images is None:
            raise HTTPException(status_code=404, detail="Init image not found")
        mask = decode_base64_to_image(request.mask) if request.mask else request.mask
        script, index = self.get_selectable_script(request.script_name, runner)
        sampler, scheduler = sd_samplers.get_sampler_and_scheduler(
            request.sampler_name or request.sampler_index, request.scheduler
        )
        args = self.init_script_args(request, self.default_script_arg_img2img, script, index, runner)
        values = {name: getattr(request, name) for name in models.fields_of_a_p}
        values.update(
            sampler_name=sampler, mask=mask, scheduler=request.scheduler or scheduler, sampler_index=None,
            do_not_save_samples=not request.save_images, do_not_save_grid=not request.save_images,
        )  # fmt: skip
        with self.queue_lock, contextlib.closing(
            processing.StableDiffusionProcessingImg2Img(sd_model=shared.sd_model, **values)
        ) as p:
            p.init_images = [decode_base64_to_image(x) for x in request.init_images]
            p.is_api, p.scripts = True, runner
            p.outpath_grids, p.outpath_samples = shared.opts.outdir_img2img_grids, shared.opts.outdir_img2img_samples
            try:
                shared.state.begin(job="scripts_img2img")
                p.script_args = args if script else tuple(args)
                processed = runner.run(p, *p.script_args) if script else processing.process_images(p)
            finally:
                shared.state.end()
                shared.total_tqdm.clear()
        standin.log.processed.append(processed)
        pictures = [encode_pil_to_base64(image) for image in processed.images] if request.send_images else []
        if not request.include_init_images:
            request.init_images = request.mask = None
        return models.ImageToImageResponse(images=pictures, parameters=vars(request), info=processed.js())
