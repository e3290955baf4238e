import gc
import os
import signal
import socket
import sys

# More threads than cores make torch crawl; said before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.pop("PYTHONUNBUFFERED", None)  # commands are tested with streams as people have them

from pathlib import Path  # noqa: E402

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from environments import NOT_IN_A_WEBUI, needs  # noqa: E402
from PIL import Image  # noqa: E402

from lib_usdu.run.memory import free_bytes as REAL_FREE_BYTES  # noqa: E402

hypothesis.settings.register_profile("any machine", deadline=None)  # a slow one is no fault
hypothesis.settings.load_profile("any machine")
PHOTOS = Path(__file__).parent / "photos"

# A runner in the background ignores these, and every command that a test starts and stops would inherit that.
for _name in ("SIGINT", "SIGTERM", "SIGHUP"):
    if signal.getsignal(_number := getattr(signal, _name, signal.SIGINT)) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """No test sees, or leaves, finished tiles in the person's own cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def a_plain_processor(monkeypatch):
    """The same machine everywhere: it refines tiles one at a time, a call for each, in float32. What others do has
    tests of its own.

    Torch takes seconds to import, and is left to the test files that need it: they do so before their tests run.
    """
    from lib_usdu.run import memory, memory_needs

    monkeypatch.setattr(memory, "free_bytes", lambda device: None)
    monkeypatch.setattr(memory_needs, "CALL_PIXELS", 0)
    if "torch" in sys.modules:
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            monkeypatch.setattr(sys.modules["torch"].cpu, name, lambda: False, raising=False)


@pytest.fixture(params=[(2, 1), (2, 5)], ids=["torch 2.1", "torch 2.5"])
def card(request, monkeypatch, a_plain_processor):
    """A CUDA card of 8 GiB, the current one of two, that is not there: a FakeCards, under the rules of either torch."""
    import torch
    from fake_card import NAMES, FakeCards, TensorsStayOnTheCpu

    from lib_usdu.run import memory

    cards = FakeCards(request.param, count=2)
    cards.set_device(1)
    for name in NAMES:
        monkeypatch.setattr(torch.cuda, name, getattr(cards, name))
    monkeypatch.setattr(memory, "free_bytes", REAL_FREE_BYTES)
    with TensorsStayOnTheCpu(cards) as placement:
        cards.placement = placement
        yield cards


@pytest.fixture
def network(monkeypatch) -> list[object]:
    """Every address that somebody looks up or connects to; none of it works."""
    addresses: list[object] = []

    def refused(*arguments: object, **_: object) -> None:
        addresses.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)  # what keeps our own tests off the network must not hide ours
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refused)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refused)
    return addresses


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """uint8 (512, 512, 3)."""
    return np.asarray(Image.open(PHOTOS / "astronaut.jpg").convert("RGB"))


@pytest.fixture(scope="module")
def half_sky(photo) -> np.ndarray:
    """The upper half is blank: uint8 (256, 256, 3)."""
    picture = photo[:256, :256].copy()
    picture[:128] = 200
    return picture


def pytest_addoption(parser):
    ours = parser.getgroup("environments")
    ours.addoption("--webui-versions", action="store_true", help="run by .venv-webui: leave out what it cannot run")
    ours.addoption("--a1111-elsewhere", action="store_true", help="leave A1111's shape to a run by .venv-webui")
    ours.addoption("--without-gradio3", action="store_true", help="there is no .venv-webui: gradio 4's page alone")
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


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(package): cannot run in a webui's environment, which lacks this package")


def pytest_collection_finish(session):
    """A collection of garbage looks at every object, and the imports of all test files are millions of them: code that
    frees memory by `gc.collect` took 0.2 s each time, and a run of everything minutes longer."""
    gc.collect()
    gc.freeze()


def pytest_ignore_collect(collection_path, config):
    """Under a webui's versions, files that need more. Which these are, tests/test_environments.py says by name."""
    test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if test and config.getoption("webui_versions") and needs(collection_path) else None


def pytest_collection_modifyitems(config, items):
    left_out = []
    for item in items:
        marks = {package for mark in item.iter_markers("needs") for package in mark.args}
        assert marks <= NOT_IN_A_WEBUI, f"{item.nodeid}: not a package that a webui lacks: {marks}"
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        gradio3 = "3" in (parameters.get("server"), parameters.get("gradio"))
        # .venv-webui has AUTOMATIC1111's versions. Forge runs on torch 2.3 and gradio 4, Neo on torch 2.11: .venv is
        # nearer to them. Each shape needs to run once.
        newer = bool(marks) or parameters.get("host") in ("forge", "neo")
        elsewhere = parameters.get("host") == "a1111" and config.getoption("a1111_elsewhere")
        of_gradio3 = gradio3 and config.getoption("without_gradio3")
        if (newer and config.getoption("webui_versions")) or of_gradio3 or elsewhere:
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
