"""A live webui over HTTP, for test_real.py."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

TITLE = "ultimate sd upscale"
Image.MAX_IMAGE_PIXELS = None  # ten times a HD picture has more than Pillow's limit


@dataclass(frozen=True)
class Answer:
    """pixels: the first picture of `images`, uint8. text: its infotext. body: what was sent back, when it failed."""

    status: int
    body: str
    images: tuple[Image.Image, ...] = ()
    infotexts: tuple[str, ...] = ()

    pixels = property(lambda self: np.asarray(self.images[0].convert("RGB")))
    text = property(lambda self: self.infotexts[0])


class Webui:
    def __init__(self, url: str):
        self.url = url.rstrip("/")
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def call(self, path: str, body: Any = None, timeout: float = 900) -> tuple[int, str]:
        """GET, or POST where there is a body: status and text."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with self._open(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def get(self, path: str) -> Any:
        status, text = self.call(path)
        assert status == 200, f"{path}: {status} {text[:300]}"
        return json.loads(text)

    def post(self, path: str) -> None:
        status, text = self.call(path, {})
        assert status == 200, f"{path}: {status} {text[:300]}"

    def ask(self, args: list[Any] | None, picture: Image.Image, **values: Any) -> Answer:
        """img2img through the script with these arguments; without it for None."""
        request = {
            "init_images": [as_base64(picture)], "prompt": "", "sampler_name": "Euler", "width": 512, "height": 512,
            "steps": 4, "seed": 7, "denoising_strength": 0.5, "cfg_scale": 7, **values,
        }  # fmt: skip
        if args is not None:
            request |= {"script_name": TITLE, "script_args": args}
        status, text = self.call("/sdapi/v1/img2img", request)
        if status != 200:
            return Answer(status, text)
        answer = json.loads(text)
        images = tuple(Image.open(io.BytesIO(base64.b64decode(image))) for image in answer["images"])
        return Answer(status, "", images, tuple(json.loads(answer["info"])["infotexts"]))

    def canvas(self, picture: Image.Image, scale: float = 2) -> Image.Image:
        """The picture as the script enlarges it, before any tile."""
        return self.ask([{"redraw_mode": "none", "upscaler": "Lanczos", "custom_scale": scale}], picture).images[0]

    def progress(self, with_image: bool = False) -> dict[str, Any]:
        return self.get(f"/sdapi/v1/progress?skip_current_image={not with_image}".lower())

    @contextmanager
    def options(self, **values: Any) -> Iterator[None]:
        """Settings of the webui, put back afterwards."""
        before = self.get("/sdapi/v1/options")
        assert self.call("/sdapi/v1/options", values)[0] == 200
        try:
            yield
        finally:
            self.call("/sdapi/v1/options", {name: before[name] for name in values})


class Running:
    """A request under way in a thread."""

    def __init__(self, server: Webui, *args: Any, **values: Any):
        self.server = server
        self._answers: list[Answer] = []
        self._thread = threading.Thread(target=lambda: self._answers.append(server.ask(*args, **values)), daemon=True)
        self._thread.start()

    def until(self, seen: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Polls the progress until this is seen of it."""
        while self._thread.is_alive():
            found = self.server.progress()
            if seen(found):
                return found
            time.sleep(0.01)
        raise AssertionError(f"the request was over before: {self.answer().body[:300]}")

    def polled(self) -> list[dict[str, Any]]:
        """What the progress said from now to the end."""
        seen = []
        while self._thread.is_alive():
            seen.append(self.server.progress(with_image=True))
            time.sleep(0.1)
        return seen

    def answer(self) -> Answer:
        self._thread.join(600)
        assert self._answers, "no answer"
        return self._answers[0]


def as_base64(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode()


def psnr(a: Any, b: Any) -> float:
    """Peak signal-to-noise ratio in dB of two pictures of one size."""
    error = np.mean(np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)))
    return float(10 * np.log10(255**2 / error)) if error else float("inf")
