import os

# More threads than cores make torch crawl; said before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from PIL import Image  # noqa: E402

PHOTOS = Path(__file__).parent / "photos"


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """uint8 (512, 512, 3)."""
    return np.asarray(Image.open(PHOTOS / "astronaut.jpg").convert("RGB"))
