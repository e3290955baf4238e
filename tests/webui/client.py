"""An API client of the stand-in: from JSON text to JSON text, pictures as base64."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from typing import Any

from PIL import Image


class Refused(Exception):
    """Another status than 200, and what the body says of it."""

    def __init__(self, status_code: int, detail: Any):
        super().__init__(f"{status_code}: {detail}")
        self.status_code, self.detail = status_code, detail


@dataclass(frozen=True)
class Answer:
    """What a client gets: pictures, their infotexts, and `info`, the first of these. `comments`: what the page shows
    below the pictures, which must be what the answer has."""

    images: tuple[Image.Image, ...]
    infotexts: tuple[str, ...]
    all_seeds: list[int]
    all_subseeds: list[int]
    comments: str

    info = property(lambda self: self.infotexts[0])
    subseed = property(lambda self: self.all_subseeds[0])


def as_base64(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    if picture.mode in ("I", "F"):  # more than a PNG holds
        picture.save(buffer, "TIFF")
    else:
        picture.save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode()


def img2img(**request: Any) -> Answer:
    """POST /sdapi/v1/img2img. Pictures among the values go as base64. Raises Refused."""
    from modules import standin
    from modules.api import api

    def plain(value: Any) -> Any:
        return as_base64(value) if isinstance(value, Image.Image) else value

    request = {name: [plain(x) for x in value] if isinstance(value, list) else plain(value)
               for name, value in request.items()}  # fmt: skip
    status, body = api.post("/sdapi/v1/img2img", json.dumps(request))
    answer = json.loads(body)
    if status != 200:
        raise Refused(status, answer["detail"])
    info = json.loads(answer["info"])
    pictures = tuple(Image.open(io.BytesIO(base64.b64decode(image))) for image in answer["images"])
    comments = standin.log.processed[-1].comments
    if "comments" in info:  # without our script the webui keeps them from its clients
        assert comments == "".join(f"{line}\n" for line in info["comments"])
    return Answer(pictures, tuple(info["infotexts"]), info["all_seeds"], info["all_subseeds"], comments)
