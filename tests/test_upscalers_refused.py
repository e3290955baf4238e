"""Networks that are no upscalers, and one whose weights have a rank that was not foreseen."""

import numpy as np
import pytest
import torch
from torch import nn

from lib_usdu.embedded import DEFAULT_UPSCALER, span
from lib_usdu.enlarge import spandrel_model
from lib_usdu.enlarge.prepared import prepared, purely_convolutional
from lib_usdu.enlarge.spandrel_model import SpandrelModel
from lib_usdu.errors import ModelError


class Spatial(nn.Module):
    """A 3D convolution over one frame beside a plain one, as in networks for video."""

    def __init__(self):
        super().__init__()
        self.across = nn.Conv3d(3, 3, (1, 3, 3), padding=(0, 1, 1))
        self.plain = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.plain(self.across(x[:, :, None])[:, :, 0])


def test_weights_of_rank_5():
    network = Spatial().eval()
    window = torch.rand(1, 3, 8, 8)
    with torch.inference_mode():
        before = network(window)
        assert torch.allclose(prepared(network, torch.device("cpu"))(window), before, atol=1e-6)
    assert not purely_convolutional(network) and purely_convolutional(network.plain)


class Descriptor:
    input_channels, scale = 3, 1

    def __init__(self, purpose):
        self.purpose = purpose
        self.architecture = type("Architecture", (), {"name": "GFPGAN"})


@pytest.mark.parametrize(
    "purpose, does",
    [("FaceSR", "restores cut-out faces"), ("Restoration", "restores pictures"), ("Inpainting", "fills holes")],
)
def test_networks_that_do_not_enlarge(purpose, does, tmp_path, monkeypatch):
    (tmp_path / "net.pth").write_bytes(b"x")
    monkeypatch.setattr(spandrel_model, "_descriptor", lambda path: Descriptor(purpose))
    with pytest.raises(ModelError, match=f"net.pth: GFPGAN {does}.*, it does not enlarge"):
        SpandrelModel.load(tmp_path / "net.pth")


def test_an_unknown_architecture(tmp_path):
    torch.save({"weight": torch.from_numpy(np.zeros((2, 2), np.float32))}, tmp_path / "net.pth")
    with pytest.raises(ModelError) as caught:
        SpandrelModel.load(tmp_path / "net.pth")
    assert "its architecture is unknown" in str(caught.value) and "Error()" not in str(caught.value)


@pytest.mark.parametrize(
    "factor, said", [(float("nan"), "gives NaN or infinite values"), (0.0, "the enlarged picture is of one colour")]
)
def test_a_black_picture_is_an_error(factor, said, photo, tmp_path):
    """Weights of a damaged file: NaN becomes black, and so does nothing."""
    from safetensors.torch import save_file

    from lib_usdu.engine import upscale
    from lib_usdu.options import Options
    from lib_usdu.standalone.host import IdentityRefiner, LocalHost

    weights = span.read(DEFAULT_UPSCALER)
    spoilt = {name: (value.float() * factor).contiguous() for name, value in weights.items()}
    save_file(spoilt, tmp_path / "net.safetensors")
    options = Options(upscaler=str(tmp_path / "net.safetensors"), redraw_mode="none")
    with pytest.raises(ModelError, match=said):
        upscale(photo[:48, :48], options, LocalHost(IdentityRefiner()))
