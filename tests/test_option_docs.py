"""docs/options.md and docs/api.md: made from the code, and every example is run."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_usdu.engine import upscale
from lib_usdu.errors import OptionError
from lib_usdu.options import OPTION_NAMES, Options, declared
from lib_usdu.standalone.host import IdentityRefiner, LocalHost
from tools import option_docs

API = (option_docs.DOCS / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", API, re.DOTALL)
UPSCALERS = ["None", "Lanczos", "Nearest", "4x-UltraSharp"]
AGAIN = "run: python -m tools.option_docs"


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


def test_the_pages_are_those_the_code_makes():
    assert (option_docs.DOCS / "options.md").read_text(encoding="utf-8") == option_docs.options_page(), AGAIN
    assert option_docs.api_page(API) == API, AGAIN


@pytest.mark.parametrize("name", OPTION_NAMES)
def test_every_option_has_a_row_and_a_meaning(name):
    page = option_docs.options_page()
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
    (meaning,) = [line for line in page.splitlines() if line.startswith(f"* `{name}`: ")]
    told = declared(name)
    assert (told.control is None or f"*{told.control.label}*" in row) and told.more in meaning
    assert told.flag is None or told.flag.name in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 6  # five cells


def test_what_is_sent_in_the_examples_is_read():
    request, values = map(json.loads, blocks("json"))
    assert request["script_name"] == "Ultimate SD Upscale"
    assert Options.from_script_args(request["script_args"], upscalers=UPSCALERS).redraw_mode == "chess"
    assert len(values) == 18
    assert Options.from_script_args(values, upscalers=UPSCALERS).seams_fix_type == "half+intersections"


ERRORS = re.findall(r"^\| `(\[.*?\])` \| `(.*?)` \|$", API, re.MULTILINE)


@pytest.mark.parametrize("sent, detail", ERRORS, ids=[sent for sent, _ in ERRORS])
def test_errors_read_as_they_do_in_the_docs(sent, detail):
    with pytest.raises(OptionError) as caught:
        Options.from_script_args(json.loads(sent), upscalers=UPSCALERS[:3])
    assert str(caught.value).startswith(detail)


class Webui(BaseHTTPRequestHandler):
    """Answers img2img requests of this script as a webui does, with an engine that redraws nothing."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        picture = Image.open(io.BytesIO(base64.b64decode(request["init_images"][0]))).convert("RGB")
        try:
            assert self.path == "/sdapi/v1/img2img" and request["script_name"] == "Ultimate SD Upscale"
            options = Options.from_script_args(request["script_args"], upscalers=UPSCALERS)
            options = options.with_(denoise=request["denoising_strength"])
            made = io.BytesIO()
            Image.fromarray(upscale(picture, options, LocalHost(IdentityRefiner())).image).save(made, "PNG")
            status, answer = 200, {"images": [base64.b64encode(made.getvalue()).decode()], "info": "{}"}
        except OptionError as error:
            status, answer = 422, {"detail": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Webui)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


CLIENTS = {f"{kind} {number}": (kind, text) for kind in ("sh", "python") for number, text in enumerate(blocks(kind))}


def run(client: str, url: str, folder: Path, change: tuple[str, str] = ("", "")) -> subprocess.CompletedProcess:
    kind, text = CLIENTS[client]
    assert "http://127.0.0.1:7860" in text and change[0] in text
    text = text.replace("http://127.0.0.1:7860", url).replace(*change)
    Image.fromarray(np.full((12, 20, 3), 90, np.uint8)).save(folder / "photo.png")
    command = [sys.executable, "-c", text] if kind == "python" else [shutil.which("sh"), "-ec", text]
    return subprocess.run(
        command, cwd=folder, env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "no_proxy": "*"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_there_are_clients_for_a_shell_and_for_python():
    assert [kind for kind, _ in CLIENTS.values()] == ["sh", "python", "python"]


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_makes_the_picture(client, url, tmp_path):
    done = run(client, url, tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "big.png") as made:
        assert made.size == (40, 24)


@pytest.mark.parametrize("client", [name for name in CLIENTS if name.startswith("python")])
def test_a_python_client_says_why_it_was_refused(client, url, tmp_path):
    change = ("custom_scale", "custom_skale")
    done = run(client, url, tmp_path, change)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "there is no 'custom_skale'; did you mean custom_scale?" in done.stderr
    assert not (tmp_path / "big.png").exists()
