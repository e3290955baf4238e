"""The test page on a server of its own, with the gradio of one of the environments."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def environment(gradio: str) -> tuple[str, dict[str, str]]:
    """The Python that has this gradio, "3" or "4", and the variables it runs with; AssertionError without it."""
    folder = {"3": ".venv-webui", "4": ".venv-gradio4"}[gradio]
    python = ROOT / folder / "bin" / "python"
    assert python.exists(), f"{python} is missing: make {folder}/ready"
    quiet = {"GRADIO_ANALYTICS_ENABLED": "False", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "no_proxy": "*"}
    return str(python), {**os.environ, **quiet}


@dataclass
class Server:
    """page.py in a process of its own, which writes to `log`."""

    url: str
    process: subprocess.Popen
    log: Path

    @classmethod
    def started(cls, gradio: str, log: Path) -> Server:
        """On a free port; it does not answer at once, see `wait`."""
        python, variables = environment(gradio)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [python, "-W", "ignore", str(HERE / "page.py"), str(port)]
        with log.open("w") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, env=variables)
        return cls(f"http://127.0.0.1:{port}", process, log)

    def wait(self) -> None:
        """Until it answers. Raises AssertionError with what it printed, where it does not."""
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.url}/config", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the page did not start:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
