"""No wrong picture without a word: what the webui's settings, files and other clients can do to a run."""

import zipfile

import numpy as np
import pytest
import torch
from modules import errors, shared, standin, upscaler
from PIL import Image
from safetensors.torch import load_file
from test_extension import ask, extension, refused  # noqa: F401

from lib_usdu.embedded import DEFAULT_UPSCALER

TILES = {"tile_width": 64, "padding": 16}


def pixels(done, at=0):
    return np.asarray(done.images[at])


# --- an upscaler that does not load -----------------------------------------------------------------------------------


class Broken(upscaler.Upscaler):
    """As the webui's ESRGAN (esrgan_model.py:27): an error is reported, and the picture comes back unchanged."""

    name, reported = "Broken", True

    def do_upscale(self, img, selected_model):
        try:
            raise RuntimeError("PytorchStreamReader failed reading zip archive")
        except RuntimeError:
            if self.reported:
                errors.report(f"Unable to load ESRGAN model {selected_model}", exc_info=True)
            return img


class Raising(upscaler.Upscaler):
    name = "Raising"

    def do_upscale(self, img, selected_model):
        raise ConnectionError("no route to host")


def add_upscaler(monkeypatch, name, path, scaler):
    known = [*shared.sd_upscalers, upscaler.UpscalerData(name, str(path), scaler)]
    monkeypatch.setattr(shared, "sd_upscalers", known)


@pytest.mark.parametrize(
    "content, scaler, reason",
    [
        (b"not a model", Broken(), "failed reading zip archive"),
        (None, Broken(), "failed reading zip archive"),
        (None, Raising(), "no route to host"),
    ],
    ids=["a damaged file", "a download that fails", "a host that raises"],
)
def test_an_upscaler_that_nobody_can_load_is_an_error_before_any_tile(
    extension, monkeypatch, tmp_path, content, scaler, reason  # noqa: F811
):  # fmt: skip
    path = tmp_path / "4x-Foo.pth"
    if content is not None:
        path.write_bytes(content)
    add_upscaler(monkeypatch, "4x-Foo", path, scaler)
    error = refused([{**TILES, "upscaler": "4x-Foo"}])
    assert error.status_code == 500 and reason in error.detail and "4x-Foo.pth" in error.detail
    assert "\n" not in error.detail and standin.log.calls == []
    assert "do_upscale" not in vars(scaler)


def test_a_host_that_returns_the_picture_unchanged_and_reports_nothing(extension, monkeypatch, tmp_path):  # noqa: F811
    scaler = Broken()
    scaler.reported = False
    add_upscaler(monkeypatch, "LDSR", "", scaler)
    assert "returned the picture unchanged" in refused([{**TILES, "upscaler": "LDSR"}]).detail


def written_by_a_recent_torch(path):
    """The embedded upscaler's weights, with the record that webuis of today refuse."""
    torch.save(load_file(DEFAULT_UPSCALER), path)
    with zipfile.ZipFile(path, "a") as archive:
        if not any(name.endswith(".format_version") for name in archive.namelist()):
            archive.writestr(f"{path.stem}/.format_version", "1")


def refuses_unknown_records(filename, *args, **kwargs):
    """The function that a webui puts in the place of torch.load (safe.py:96, 131)."""
    with zipfile.ZipFile(filename) as archive:
        if any(name.endswith(".format_version") for name in archive.namelist()):
            errors.report("The file may be malicious, so the program is not going to read it.")
            return None
    return torch.serialization.load(filename, *args, **kwargs)


def test_a_sound_file_that_the_hosts_loader_refuses_is_loaded_by_us(extension, monkeypatch, tmp_path):  # noqa: F811
    path, scaler = tmp_path / "4x-new.pth", Broken()
    written_by_a_recent_torch(path)
    add_upscaler(monkeypatch, "4x-new", path, scaler)
    monkeypatch.setattr(torch, "load", refuses_unknown_records)
    done = ask([{"upscaler": "4x-new", "redraw_mode": "none"}])
    same = ask([{"upscaler": "SPAN x4", "redraw_mode": "none"}])
    plain = ask([{"upscaler": "Lanczos", "redraw_mode": "none"}])
    assert np.array_equal(pixels(done), pixels(same)) and not np.array_equal(pixels(done), pixels(plain))


def test_a_pickle_that_runs_code_is_not_loaded_past_the_hosts_loader(extension, monkeypatch, tmp_path):  # noqa: F811
    class Bad:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    path = tmp_path / "4x-bad.pth"
    torch.save({"weight": Bad()}, path)
    add_upscaler(monkeypatch, "4x-bad", path, Broken())
    monkeypatch.setattr(torch, "load", refuses_unknown_records)
    assert "4x-bad" in refused([{"upscaler": "4x-bad"}]).detail
    assert not (tmp_path / "ran").exists()


def test_a_name_in_another_case_takes_the_exact_one_first(extension, monkeypatch):  # noqa: F811
    class Colour(upscaler.Upscaler):
        def do_upscale(self, img, selected_model):
            return Image.new("RGB", (img.width * 4, img.height * 4), selected_model)

    for name in ("Foo", "foo"):
        add_upscaler(monkeypatch, name, {"Foo": "red", "foo": "blue"}[name], Colour())
    done = ask([{"upscaler": "foo", "redraw_mode": "none"}])
    assert tuple(pixels(done)[0, 0]) == (0, 0, 255)
