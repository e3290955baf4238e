"""The JPEG of the training data is the JPEG of files."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tools.train_embedded.degrade import DAMAGES, degraded, jpeg

PHOTO = Path(__file__).parent / "photos" / "astronaut.jpg"


@pytest.mark.parametrize("subsampled", [True, False])
@pytest.mark.parametrize("quality", [30, 60, 80, 95])
def test_jpeg_is_libjpegs(quality, subsampled):
    photo = Image.open(PHOTO).convert("RGB").resize((256, 256), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    photo.save(stream, "JPEG", quality=quality, subsampling=2 if subsampled else 0)
    theirs = np.asarray(Image.open(stream).convert("RGB")).astype(float)
    tensor = torch.from_numpy(np.asarray(photo).copy()).permute(2, 0, 1)[None].float() / 255
    ours = jpeg(tensor, torch.tensor([float(quality)]), subsampled=subsampled)[0].permute(1, 2, 0).numpy() * 255
    damage = np.asarray(photo).astype(float) - theirs
    assert np.mean((ours - theirs) ** 2) < 0.03 * np.mean(damage**2) + 0.9, "little of the damage, and rounding"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_patches_are_small_finite_and_different(damage):
    sharp = torch.rand(3, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    random, generator = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
    for _ in range(20):
        small = degraded(sharp, damage, generator, random)
        assert small.shape == (3, 3, 32, 32)
        assert torch.isfinite(small).all()
        assert 0 <= small.min() <= small.max() <= 1
        assert not torch.equal(small[0], small[1])
