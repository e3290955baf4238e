import os

# More threads than cores make torch crawl; said before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from PIL import Image  # noqa: E402

PHOTOS = Path(__file__).parent / "photos"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """No test sees, or leaves, finished tiles in the person's own cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def a_plain_processor(monkeypatch):
    """The same machine everywhere: it refines tiles one at a time, in float32. What others do has tests of its own."""
    import torch

    from lib_usdu.run import memory

    monkeypatch.setattr(memory, "free_bytes", lambda device: None)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """uint8 (512, 512, 3)."""
    return np.asarray(Image.open(PHOTOS / "astronaut.jpg").convert("RGB"))


def pytest_addoption(parser):
    live = parser.getgroup("a live webui, for tests/webui/test_real.py")
    live.addoption("--webui-url", help="where it answers, say http://127.0.0.1:7861; needs --api")
    live.addoption("--webui-log", type=Path, help="the file its console goes to: no test may leave an exception there")
    live.addoption("--photos", type=Path, default=PHOTOS, help="pictures for what is measured (default: tests/photos)")
    live.addoption("--controlnet-probe", action="store_true", help="it has ControlNet and tests/webui/controlnet_probe")
    live.addoption("--slow", action="store_true", help="the measurements that take minutes, too")


@pytest.fixture(scope="session")
def webui_url(request) -> str:
    url = request.config.getoption("--webui-url")
    if url is None:
        pytest.skip("needs a live webui: --webui-url http://127.0.0.1:7861")
    return url
