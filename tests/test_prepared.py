import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lib_usdu.embedded import DEFAULT_UPSCALER, span
from lib_usdu.enlarge.prepared import prepared, purely_convolutional
from lib_usdu.enlarge.spandrel_model import SpandrelModel


def test_the_embedded_upscaler_gives_what_it_gave_unprepared(photo):
    ours = SpandrelModel.load(DEFAULT_UPSCALER)  # declares operators that spandrel's import needs
    import spandrel

    bare = spandrel.ModelLoader().load_from_state_dict(span.read(DEFAULT_UPSCALER)).eval()
    pixels = torch.from_numpy(photo[None, 100:180, 100:180].copy()).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        expected = bare(pixels).mul(255).round().clamp(0, 255).permute(0, 2, 3, 1).numpy()
    assert np.abs(ours(photo[None, 100:180, 100:180]).astype(int) - expected).max() <= 1


def test_a_reparameterised_convolution_is_fused_once():
    class Fusing(nn.Module):
        def __init__(self):
            super().__init__()
            self.eval_conv, self.fused = nn.Conv2d(3, 3, 3), 0

        def update_params(self):
            self.fused += 1

        def forward(self, x):
            self.update_params()
            return self.eval_conv(x)

    network = prepared(nn.Sequential(Fusing(), Fusing()), "cpu")
    for _ in range(3):
        network(torch.zeros(1, 3, 9, 9))
    assert [module.fused for module in network] == [1, 1]


@pytest.mark.parametrize(
    "network, convolutional",
    [(nn.Conv2d(3, 3, 3), True), (nn.Sequential(nn.Conv2d(3, 3, 3), nn.Linear(3, 3)), False), (nn.PReLU(), False)],
)
def test_only_convolutional_networks_change_their_layout(network, convolutional):
    assert purely_convolutional(network) == convolutional
    prepared(network, "cpu")
    kernels = [p for p in network.parameters() if p.ndim == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) == convolutional for p in kernels)


def test_the_kernels_in_branches_are_the_kernels():
    SpandrelModel.load(DEFAULT_UPSCALER)  # declares operators that spandrel's import needs
    from spandrel import ModelLoader

    kernels = load_file(DEFAULT_UPSCALER)
    model = ModelLoader("cpu").load_from_state_dict(span.read(DEFAULT_UPSCALER)).model.eval()
    for module in model.modules():
        if hasattr(module, "update_params"):
            module.update_params()
    found = model.state_dict()
    assert all(torch.equal(found[name], kernel) for name, kernel in kernels.items())
