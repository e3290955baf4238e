"""Which upscaler to begin with, and what can be loaded."""

from pathlib import Path

import pytest

from lib_usdu.embedded import DEFAULT_UPSCALER
from lib_usdu.enlarge.bundled import EMBEDDED_UPSCALER
from lib_usdu.enlarge.upscalers import Source, Upscalers, for_photographs
from lib_usdu.session import Session

PLAIN = ["None", "Lanczos", "Nearest"]


@pytest.mark.parametrize(
    "names, broken, expected",
    [
        ([*PLAIN, "ESRGAN_4x", "4x-UltraSharp", EMBEDDED_UPSCALER], [], "4x-UltraSharp"),
        ([*PLAIN, "ESRGAN_4x", "4x-UltraSharp", EMBEDDED_UPSCALER], ["4x-UltraSharp"], "ESRGAN_4x"),
        ([*PLAIN, "LDSR", "R-ESRGAN 4x+", "R-ESRGAN 4x+ Anime6B", EMBEDDED_UPSCALER], [], "R-ESRGAN 4x+"),
        (
            [*PLAIN, "realesr-animevideov3_x4", "RealESRGAN_x4plus_anime_6B", "spanx4_ch48", EMBEDDED_UPSCALER], [],
            EMBEDDED_UPSCALER,
        ),
        ([*PLAIN, "LDSR"], [], "LDSR"),
        ([*PLAIN, "LDSR"], ["LDSR"], "None"),
        (["None", "Lanczos"], [], "None"),
        ([], [], "None"),
    ],
)  # fmt: skip
def test_photographs_first_then_the_embedded_one(names, broken, expected):
    asked = []
    assert for_photographs(names, lambda name: not asked.append(name) and name not in broken) == expected
    assert len(asked) <= len(broken) + 1  # reading a network's file takes time


def test_what_loads(tmp_path: Path):
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(b"not a model")
    files = {"good": DEFAULT_UPSCALER, "damaged": damaged, "missing": tmp_path / "missing.pth"}
    found = Upscalers(lambda: list(files), lambda name: Source(files[name]) if name in files else None, Session())
    assert [name for name in (*files, "Lanczos") if found.loads(name)] == ["good"]
