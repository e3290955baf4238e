"""An autoencoder that is quicker for a time."""

import numpy as np
import pytest
import torch
from torch import nn

from lib_usdu.speed import autoencoder
from lib_usdu.speed.autoencoder import has_bfloat16, quicker


class Half(nn.Module):
    """Encoder or decoder: it remembers how it was asked."""

    def __init__(self, layer=nn.Conv2d):
        super().__init__()
        into, out = layer(3, 16, 3, padding=1), layer(16, 3, 3, padding=1)
        self.layers = nn.Sequential(into, nn.GroupNorm(4, 16), nn.SiLU(), out)
        self.asked = []

    def forward(self, x):
        answer = self.layers(x)
        self.asked.append((x.is_contiguous(memory_format=torch.channels_last) if x.ndim == 4 else False, answer.dtype))
        return answer


class Autoencoder(nn.Module):
    def __init__(self, **layer):
        super().__init__()
        self.encoder, self.decoder = Half(**layer), Half(**layer)


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return Autoencoder().eval()


@pytest.mark.parametrize("bfloat16", [False, True])
@torch.no_grad()
def test_it_says_nearly_the_same_in_single_precision(vae, monkeypatch, bfloat16):
    monkeypatch.setattr(autoencoder, "has_bfloat16", lambda: bfloat16)
    x = torch.rand(1, 3, 24, 40)
    before = vae.encoder(x), vae.decoder(x)
    with quicker(vae):
        quick = vae.encoder(x), vae.decoder(x)
    after = vae.encoder(x), vae.decoder(x)
    for was, now, again in zip(before, quick, after):
        assert torch.equal(was, again)
        error = float((was - now).square().mean() / was.var())
        assert 10 * np.log10(1 / error) > (35 if bfloat16 else 90)
        assert now.dtype == torch.float32 and now.is_contiguous()
    assert vae.decoder.asked[1] == (True, torch.bfloat16 if bfloat16 else torch.float32)
    assert vae.decoder.asked[2] == (False, torch.float32)
    assert not any("forward" in vars(one) for one in vae.modules())


@torch.no_grad()
def test_other_precisions_and_kinds_are_left_alone(vae):
    with quicker(vae.bfloat16()):
        assert vae.decoder(torch.rand(1, 3, 8, 8).bfloat16()).dtype == torch.bfloat16
    assert vae.decoder.asked == [(False, torch.bfloat16)]
    of_videos = Autoencoder(layer=nn.Conv3d)
    with quicker(of_videos):
        assert "forward" not in vars(of_videos.decoder)
    with quicker(None), quicker(object()):
        pass


def test_it_is_as_before_after_an_error(vae):
    with pytest.raises(ValueError, match="in a call"), quicker(vae):
        raise ValueError("in a call")
    assert "forward" not in vars(vae.encoder) and isinstance(has_bfloat16(), bool)
