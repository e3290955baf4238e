"""No telemetry, no network: a run of the command line opens no connection. test_page.py has the webui's."""

from __future__ import annotations

import socket
import sys

import pytest
from PIL import Image

from lib_usdu.cli.main import main


def test_the_double_notices(network):
    with pytest.raises(OSError, match="no network"):
        socket.create_connection(("example.com", 443))
    with pytest.raises(OSError, match="no network"), socket.socket() as plain:
        plain.connect(("127.0.0.1", 9))
    assert len(network) == 2


@pytest.mark.needs("diffusers")
def test_the_command_line_with_the_embedded_models(network, photo, tmp_path):
    Image.fromarray(photo[:40, :56]).save(tmp_path / "photo.png")
    assert main([str(tmp_path / "photo.png"), "-o", str(tmp_path / "large.png"), "--steps", "4"]) == 0
    with Image.open(tmp_path / "large.png") as made:
        assert made.size == (112, 80) and "Model: " in made.text["parameters"]
    assert not network
    assert "huggingface_hub" in sys.modules  # the library that could have network was there


def test_the_command_line_without_a_model(network, photo, tmp_path):
    Image.fromarray(photo[:40, :56]).save(tmp_path / "photo.png")
    assert main([str(tmp_path / "photo.png"), "--engine", "identity", "--upscaler", "Lanczos"]) == 0
    assert not network
