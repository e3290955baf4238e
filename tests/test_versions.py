"""The command line says what it needs where a package is missing or older than the oldest it was tried with."""

import re
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from lib_usdu.cli.flags import parser
from lib_usdu.cli.main import main
from lib_usdu.standalone import versions as versions_module
from lib_usdu.standalone.versions import OLDEST

ROOT = Path(__file__).parents[1]
GOOD = {"torch": "2.11.0+cu130", "diffusers": "0.42.1", "transformers": "5.17.0.dev0"}


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """main() on a small picture with these versions installed; the exit code and the error."""

    def told(**versions):
        def version(name):
            found = {**GOOD, **versions}.get(name)
            if found is None:
                raise metadata.PackageNotFoundError(name)
            return found

        installed = SimpleNamespace(version=version, PackageNotFoundError=metadata.PackageNotFoundError)
        monkeypatch.setattr(versions_module, "metadata", installed)
        Image.new("RGB", (8, 8)).save(tmp_path / "in.png")
        code = main([str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "-d", "0.2", "--device", "cuda:77"])
        return code, capsys.readouterr().err.splitlines()[-1]

    return told


@pytest.mark.parametrize("found", ["2.1.2", "2.1.2+cu121", "2.10.1", "1.13.1"])
def test_an_older_torch_is_named_in_one_sentence(run, found):
    expected = f"usdu: error: --engine diffusers needs torch 2.11 or later; here is torch {found}"
    assert run(torch=found) == (2, expected)


def test_so_are_the_others_and_what_is_missing(run):
    assert run(transformers="4.57.1")[1].endswith("needs transformers 5.17 or later; here is transformers 4.57.1")
    assert run(diffusers=None)[1].endswith("needs diffusers 0.42 or later, and it is not installed")


@pytest.mark.parametrize("found", ["2.11", "2.11.0", "2.13.0+cpu", "3.0"])
def test_the_oldest_and_newer_ones_go_on_to_the_model(run, found):
    assert "--device: 'cuda:77'" in run(torch=found)[1]


def test_a_dry_run_needs_none_of_them(monkeypatch, tmp_path):
    monkeypatch.setattr(versions_module, "OLDEST", {"torch": "99"})
    Image.new("RGB", (8, 8)).save(tmp_path / "in.png")
    dry = ["--engine", "identity", "--upscaler", "Lanczos", "--quiet"]
    assert main([str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), *dry]) == 0


def test_they_are_stated():
    asked = dict(re.findall(r'"(torch|diffusers|transformers)>=([\d.]+)"', (ROOT / "pyproject.toml").read_text()))
    assert asked == OLDEST
    assert "needs torch 2.11, diffusers 0.42 and transformers 5.17 or later" in " ".join(parser().format_help().split())
    assert "torch 2.11, diffusers 0.42 and transformers 5.17 or later" in (ROOT / "README.md").read_text("utf-8")
