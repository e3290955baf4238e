"""Checkpoints that torch's safe loader turns away: their weights are read, and nothing in them is run."""

import os

import pytest
import torch

from lib_usdu.standalone.loading.old_checkpoints import as_safetensors, is_old, read_weights


class Callback:
    """As a training library leaves one in its checkpoints."""

    def __init__(self):
        self.best = {"score": 1}


class Evil:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def weights():
    shared = torch.arange(12.0).reshape(3, 4)
    return {"a.weight": shared, "b.weight": shared, "c": torch.ones(2, dtype=torch.float16), "n": torch.tensor(3)}


@pytest.mark.parametrize("older", [False, True])
def test_training_objects_and_the_older_format(older, tmp_path):
    path = tmp_path / "model.ckpt"
    content = {"state_dict": weights(), "callbacks": {Callback: Callback()}, "epoch": 3}
    torch.save(content, path, _use_new_zipfile_serialization=not older)
    assert is_old(path)
    found = read_weights(path)
    assert set(found) == set(weights()) and all(torch.equal(found[name], weights()[name]) for name in found)
    from safetensors.torch import load_file

    copied = load_file(as_safetensors(path, tmp_path))
    assert torch.equal(copied["b.weight"], weights()["b.weight"]) and copied["c"].dtype == torch.float16


@pytest.mark.parametrize("older", [False, True])
def test_nothing_in_the_file_is_run(older, tmp_path):
    path, mark = tmp_path / "model.ckpt", tmp_path / "it was run"
    torch.save({"state_dict": weights(), "x": Evil(f"touch '{mark}'")}, path, _use_new_zipfile_serialization=not older)
    assert set(read_weights(path)) == set(weights()) and not mark.exists()


def test_a_plain_file_is_left_to_torch(tmp_path):
    torch.save(weights(), tmp_path / "model.ckpt")
    assert not is_old(tmp_path / "model.ckpt")
