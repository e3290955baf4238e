"""The stand-in's `modules` package on sys.path; gradio's place is taken where gradio is not installed."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # as the webuis set it before they import gradio
sys.path[:0] = [str(HERE), str(HERE / "standin")]
if importlib.util.find_spec("gradio") is None:
    sys.path.insert(0, str(HERE / "fake_gradio"))


@pytest.fixture(autouse=True, scope="session")
def no_seeds_kept_for_absent_devices():
    """torch.manual_seed keeps each seed with a whole traceback for devices that were never used, 3 ms each time."""
    import torch

    with pytest.MonkeyPatch.context() as patch:
        for kind in ("cuda", "xpu", "mtia"):
            device = getattr(torch, kind, None)
            if hasattr(device, "manual_seed_all") and not device.is_available():
                patch.setattr(device, "manual_seed_all", lambda seed: None)
        yield


@pytest.fixture(params=["a1111", "forge", "neo"])
def host(request):
    """The stand-in's knobs and log, as after a start, once in the shape of each host."""
    from modules import standin

    standin.become(request.param)
    yield standin
    standin.become("a1111")


@pytest.fixture(autouse=True)
def nothing_known_of_noise():
    """As after a start: what one test found of a schedule is not another's."""
    from lib_usdu.webui import model_kind

    model_kind._shares.clear()
