"""The measuring script for a card runs in every section, on the CPU with tiny models, so that it never rots."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("diffusers")

ROOT = Path(__file__).parents[1]


def test_every_section_of_make_gpu_runs_on_the_cpu(tmp_path):
    command = [sys.executable, "-m", "bench.gpu", "--tiny", "--out", str(tmp_path)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = json.loads((tmp_path / "gpu.json").read_text())
    sections = {"environment", "sd15", "profile", "samplers", "sameness", "nan", "huge", "small", "upscalers", "sdxl"}
    assert sections <= set(told["values"]["seconds"]) and all(good for _, good, _ in told["checks"])
    assert {"SD 1.5", "SDXL", "Upscalers", "A large result"} == set(told["tables"])
    table = (tmp_path / "gpu.md").read_text()
    assert "| batch |" in table and "Checks" in table and (tmp_path / "python-batch-1.txt").stat().st_size
