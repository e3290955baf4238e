"""The upscalers that come with the extension, and which of them suits a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..embedded import DEFAULT_UPSCALER, HERE
from .damage import jpeg_coarseness, noise_level, squares

EMBEDDED_UPSCALER = "SPAN x4"
"""The name that stands for whichever of them suits the picture."""
CLEAN, JPEG, NOISE = (f"{EMBEDDED_UPSCALER} {kind}" for kind in ("clean", "JPEG", "noise"))
BUNDLED: dict[str, Path] = {
    EMBEDDED_UPSCALER: DEFAULT_UPSCALER,
    CLEAN: DEFAULT_UPSCALER,
    JPEG: HERE / "span_x4_jpeg.safetensors",
    NOISE: HERE / "span_x4_noise.safetensors",
}
"""Files by name."""
THEN = dict.fromkeys((BUNDLED[JPEG], BUNDLED[NOISE]), BUNDLED[CLEAN])
"""What runs on the picture that one of these files has made, where that is not large enough: it is clean by then."""
RIM = 8
"""What the files in THEN need around a picture, px, so that white paper is white up to its rim. The clean one was
trained with black around pictures, and does better with it (0.04 dB at factor 2, 0.11 at 4)."""

COARSE = 0.13
"""`jpeg_coarseness` from which the upscaler for JPEGs does better: at quality 93 and below."""
GRAIN = 4.5
"""`noise_level` from which the one for noise does better."""


def suited(rgb: np.ndarray) -> tuple[str, str]:
    """The upscaler for a picture, uint8 (h, w, 3): its name, and a sentence that says why; "" where it is the plain
    one."""
    parts = squares(rgb)
    if (level := noise_level(parts)) >= GRAIN:
        return NOISE, f"The picture has noise of {level:.0f} levels: {NOISE} enlarges it ({CLEAN} would keep it)."
    if (coarseness := jpeg_coarseness(parts)) >= COARSE:
        quality = 100 - 50 * coarseness if coarseness < 1 else 50 / coarseness  # as libjpeg scales its tables
        about = 5 * round(quality / 5)
        return JPEG, f"A JPEG of quality about {about}: {JPEG} enlarges it ({CLEAN} would keep its blocks)."
    return CLEAN, ""
