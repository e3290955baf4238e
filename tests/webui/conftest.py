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


@pytest.fixture(params=["a1111", "forge", "neo"])
def host(request):
    """The stand-in's knobs and log, as after a start, once in the shape of each host."""
    from modules import standin

    standin.become(request.param)
    yield standin
    standin.become("a1111")
