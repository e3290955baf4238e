"""Which tests run under a webui's own versions, that these are its versions, and what `make test` says without them."""

import os
import re
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path

import pytest
from environments import NOT_IN_A_WEBUI, TESTS, needs

ROOT = TESTS.parent
A1111 = {
    "torch": "2.1.2", "torchvision": "0.16.2", "numpy": "1.26.2", "Pillow": "9.5.0", "spandrel": "0.3.4",
    "gradio": "3.41.2", "fastapi": "0.94.0",
}  # fmt: skip
"""What launch_utils.py and requirements_versions.txt of AUTOMATIC1111 v1.10.1 name."""

LEFT_OUT = {
    "panel/test_panel.py": {"selenium"},  # the page itself is run by .venv-webui
    "panel/test_slider.py": {"selenium"},
    "test_control.py": {"diffusers", "transformers"},
    "test_diffusers_host.py": {"diffusers", "transformers", "peft"},
    "test_embedded.py": {"diffusers"},
    "test_fused.py": {"diffusers", "transformers"},
    "test_flow.py": {"diffusers", "transformers"},
    "test_flux_2.py": {"diffusers", "transformers"},
    "test_fused_flow.py": {"diffusers", "transformers"},
    "test_gpu_bench.py": {"diffusers"},
    "test_known_share.py": {"diffusers", "transformers"},
    "test_latents.py": {"diffusers", "transformers"},
    "test_loading.py": {"diffusers", "transformers"},
    "test_overviews.py": {"diffusers", "transformers"},
    "test_placement.py": {"diffusers", "transformers", "accelerate"},
    "test_prompts.py": {"diffusers", "transformers", "peft"},
    "test_ray.py": {"ray"},
    "test_resemblance.py": {"diffusers", "transformers"},
    "test_same_pictures.py": {"diffusers", "transformers"},
    "test_samplers.py": {"diffusers", "transformers"},
    "test_speed.py": {"diffusers", "transformers"},
    "test_speed_flow.py": {"diffusers", "transformers"},
}


def pins(*files: str) -> dict[str, str]:
    lines = [line for file in files for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    return dict(re.match(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines if line and line[0] != "#")


WEBUI_PINS = pins("tests/webui/requirements-torch21.txt", "tests/webui/requirements-a1111.txt")


def test_only_these_files_are_left_out_under_a_webuis_versions():
    files = [path for path in TESTS.rglob("test_*.py") if "standin" not in path.parts]
    assert {path.relative_to(TESTS).as_posix(): set(needs(path)) for path in files if needs(path)} == LEFT_OUT
    assert len(files) > 5 * len(LEFT_OUT)


def test_what_a_helper_imports_is_needed_too(tmp_path):
    (tmp_path / "test_a.py").write_text("import helper\n")
    (tmp_path / "test_b.py").write_text("import pytest\npytestmark = pytest.mark.needs('ray')\n")
    (tmp_path / "test_c.py").write_text("def test_it():\n    from numpy import array\n")
    (tmp_path / "helper.py").write_text("def run():\n    from diffusers.utils import logging\n")
    assert [set(needs(tmp_path / f"test_{name}.py")) for name in "abc"] == [{"diffusers"}, {"ray"}, set()]


def test_the_versions_are_the_ones_named(pytestconfig):
    """In .venv-webui a webui's, and nothing that it lacks; in .venv what the command line needs."""
    if not pytestconfig.getoption("webui_versions"):
        assert {name for name in NOT_IN_A_WEBUI if util.find_spec(name) is None} == set()
        return
    assert A1111.items() <= WEBUI_PINS.items()
    assert {name for name in NOT_IN_A_WEBUI if util.find_spec(name)} == set()
    installed = {found.metadata["Name"].lower().replace("_", "-"): found.version for found in metadata.distributions()}
    for name, version in WEBUI_PINS.items():
        if not name.startswith("nvidia-"):
            assert installed[name.lower().replace("_", "-")].split("+")[0] == version, name
    assert sys.version_info[:2] in ((3, 10), (3, 11))


def test_the_lowest_versions_are_the_ones_tested():
    """What pyproject.toml asks for at least is what a webui's environment has."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    asked = dict(re.findall(r'"(numpy|Pillow|spandrel|torchsde)>=([\d.]+)"', text))
    assert asked == {name: WEBUI_PINS[name] for name in ("numpy", "Pillow", "spandrel", "torchsde")}


def make(*arguments: str) -> subprocess.CompletedProcess:
    """Not as a part of the make that may run these tests."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, env=own, capture_output=True, text=True, timeout=60)


def test_make_test_runs_both_or_says_what_it_left_out():
    both = make("-n", "test", "WEBUI_PYTHON=python3.11").stdout
    assert re.search(r"\.venv-webui/bin/python -m pytest .*--webui-versions\n", both) and "Not run" not in both
    assert re.search(r"\.venv/bin/python -m pytest (?!.*--without-gradio3).*\n", both)
    one = make("-n", "test", "WEBUI_PYTHON=").stdout.splitlines()
    assert not [line for line in one if "--webui-versions" in line or ".venv-webui" in line]
    assert [line for line in one if re.search(r"\.venv/bin/python -m pytest .*--without-gradio3$", line)]
    assert one[-1].startswith('echo "Not run: the tests under a webui\'s own versions (torch 2.1.2, gradio 3.41.2)')


@pytest.mark.parametrize("ci, code", [("true", 2), ("", 0)])
def test_in_ci_a_python_for_a_webuis_versions_must_be_there(ci, code):
    done = make("no-webui-python", f"CI={ci}")
    assert done.returncode == code and ("No Python 3.10 or 3.11" in done.stdout) == bool(code)


WITH_TORCH = {
    "lib_usdu": {
        "embedded/autoencoder.py", "embedded/denoiser.py", "fused/attention.py", "fused/norms.py",
        "fused/of_canvas.py", "fused/overviews.py", "fused/windows.py", "run/resemblance.py",
        "speed/autoencoder.py", "speed/denoiser.py", "speed/features.py", "speed/line.py", "speed/residuals.py",
        "speed/resting.py", "standalone/families/overviews.py", "standalone/families/resemblance.py",
        "standalone/families/speed.py", "standalone/families/flux_2.py", "standalone/families/restart.py",
        "standalone/checkpoints.py", "standalone/families/windows.py",
        "standalone/conditioning.py", "standalone/control/controls.py", "standalone/control/loading.py",
        "standalone/fingerprint.py", "standalone/latents.py",
        "standalone/loading/old_checkpoints.py", "standalone/placement.py", "standalone/refiner.py",
        "standalone/steps.py",
    },
    "tests": {
        "test_autoencoder_speed.py", "test_canvas_attention.py", "test_card.py", "test_control.py", "test_degrade.py",
        "test_diffusers_host.py",
        "test_embedded.py", "test_flow.py", "test_flux_2.py", "test_loading.py",
        "test_fused.py", "test_known_share.py", "test_latent_shapes.py",
        "test_latents.py", "test_old_checkpoints.py", "test_overviews.py", "test_fused_flow.py",
        "test_parts.py", "test_placement.py", "test_prepared.py", "test_prompts.py", "test_resemblance.py",
        "test_same_pictures.py", "test_samplers.py", "test_speed.py", "test_speed_flow.py",
        "test_upscalers_refused.py",
    },
}  # fmt: skip
"""Files that import torch, which takes seconds, when they are imported themselves. All others must do without: the
command line's refusals, the plan and the panel's line, and every test file that needs no torch."""
FOLDERS_ASIDE = {"webui", "panel", "photos"}
"""They need a webui, its stand-in, or gradio."""


def imported_together(folder, names):
    """Imports these files of a folder of the repository, in one new process; the name of the first with which torch
    came in, "" where it did not."""
    modules = [f"lib_usdu.{name[:-3].replace('/', '.')}" if folder == "lib_usdu" else Path(name).stem for name in names]
    script = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules: sys.exit(f'torch came in with {name}')\n"
    )
    paths = [str(ROOT), str(TESTS), str(TESTS / "reliability")]
    done = subprocess.run(
        [sys.executable, "-c", script, *modules], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    return done.stderr.strip()


@pytest.mark.parametrize("folder", WITH_TORCH)
def test_torch_is_imported_by_the_files_that_need_it_alone(folder, pytestconfig):
    under = ROOT / folder
    files = {path.relative_to(under).as_posix(): path for path in sorted(under.rglob("*.py"))}
    assert WITH_TORCH[folder] <= set(files)
    names = [
        name
        for name, path in files.items()
        if name not in WITH_TORCH[folder]
        and not FOLDERS_ASIDE & set(Path(name).parts)
        and (folder == "lib_usdu" or path.name.startswith("test_") or path.name == "conftest.py")
        and path.name not in ("__init__.py", "__main__.py")
        and not (pytestconfig.getoption("webui_versions") and folder == "tests" and needs(path))
    ]
    assert len(names) > 40
    assert not imported_together(folder, names)


def test_a_file_that_brings_torch_in_is_named():
    assert "torch came in with lib_usdu.fused.windows" in imported_together(
        "lib_usdu", ["geometry.py", "fused/windows.py"]
    )
