"""POST /sdapi/v1/img2img: pictures in and out as base64, fields of the request, what is refused."""

import base64
import contextlib
import io
import json
import threading

from PIL import Image, PngImagePlugin

from .harness import module, options, patched, photo, plain


def encoded(picture, kind="PNG"):
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def decoded(text):
    return Image.open(io.BytesIO(base64.b64decode(text)))


def fields(model):
    """Names and defaults of a request, whichever pydantic made it."""
    found = getattr(model, "model_fields", None) or model.__fields__
    return {name: plain(None if repr(field.default) == "PydanticUndefined" else field.default)
            for name, field in sorted(found.items())}  # fmt: skip


@contextlib.contextmanager
def an_api():
    """The host's, with a runner that has no scripts but one."""
    scripts, gradio = module("scripts"), __import__("gradio")

    class Mine(scripts.Script):
        def title(self):
            return "Mine Is"

        def show(self, is_img2img):
            return True

        def ui(self, is_img2img):
            return [gradio.Checkbox(value=True, label="a"), gradio.Textbox(value="x", label="b")]

        def run(self, p, *args):
            done = module("processing").process_images(p)
            done.infotexts = [json.dumps(plain(args))]
            return done

    data = [scripts.ScriptClassData(Mine, "/x/extensions/e/scripts/s.py", "/x/extensions/e", "s")]
    runner = scripts.ScriptRunner()
    with patched(scripts, "scripts_data", data):
        runner.initialize_scripts(True)
    runner.scripts = [x for x in runner.scripts if x.filename.startswith("/x/")]
    runner.alwayson_scripts = []
    with gradio.Blocks():
        runner.setup_ui()
    cls = module("api.api").Api
    api = cls.__new__(cls)
    api.queue_lock, api.default_script_arg_img2img = threading.Lock(), api.init_default_script_args(runner)
    with patched(scripts, "scripts_img2img", runner):
        yield api


def probe_api():
    model = module("api.models").StableDiffusionImg2ImgProcessingAPI
    picture = photo()
    values = {"init_images": [encoded(picture)], "steps": 2, "width": 64, "height": 64, "sampler_name": "Euler",
              "seed": 3}  # fmt: skip

    def ask(script=None, args=(), settings=None, **changes):
        with an_api() as api, options(**(settings or {})):
            try:
                given = {**values, **({"script_name": script, "script_args": list(args)} if script else {}), **changes}
                answer = api.img2imgapi(model(**json.loads(json.dumps(given))))
            except Exception as error:
                return [getattr(error, "status_code", None), str(getattr(error, "detail", type(error).__name__))]
        info = json.loads(answer.info)
        images = [decoded(x) for x in answer.images]
        return {
            "images": [[x.format, x.mode, list(x.size), sorted({"parameters"} & set(x.info))] for x in images],
            "text is the infotext": [x.info.get("parameters") == t for x, t in zip(images, info["infotexts"])],
            "seed": info["seed"],
            "infotexts": len(info["infotexts"]),
            "parameters": [answer.parameters["init_images"] is None, answer.parameters["width"]],
            "run": info["infotexts"][0] if script else None,
        }

    def mode_of(text):
        try:
            found = module("api.api").decode_base64_to_image(text)
        except Exception as error:
            return [getattr(error, "status_code", None), getattr(error, "detail", type(error).__name__)]
        return [found.mode, list(found.size)]

    turned = Image.Exif()
    turned[0x0112] = 6
    buffer = io.BytesIO()
    photo(64, 32).save(buffer, "JPEG", exif=turned)
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "of the source")
    source = io.BytesIO()
    picture.save(source, "PNG", pnginfo=texts)
    return {
        "fields": fields(model),
        "plain": ask(),
        "with a prefix": ask(init_images=["data:image/png;base64," + encoded(picture)]),
        "jpeg": ask(settings={"samples_format": "jpg"}),
        "numbers as text": ask(width="64"),
        "fields nobody knows": ask(no_such_field=1),
        "not sent": ask(send_images=False),
        "two": ask(batch_size=2),
        "sent back": ask(include_init_images=True),
        "script": ask("mine IS", [False, "y"]),
        "no such script": ask("other", []),
        "no pictures": ask(init_images=None),
        "not base64": ask(init_images=["hello"]),
        "unknown sampler": ask(sampler_name="no such sampler"),
        "a text with a source's": ask(init_images=[base64.b64encode(source.getvalue()).decode()]),
        "decoded": {
            "png": mode_of(encoded(picture)),
            "prefix": mode_of("data:image/png;base64," + encoded(picture)),
            "rgba": mode_of(encoded(picture.convert("RGBA"))),
            "grey": mode_of(encoded(picture.convert("L"))),
            "turned": mode_of(base64.b64encode(buffer.getvalue()).decode()),
            "nothing": mode_of(""),
            "half": mode_of(encoded(picture)[:40]),
        },
    }
