"""Run by the webui at launch: brings in spandrel where it is missing, and never touches torch."""

import importlib.util

import launch

if importlib.util.find_spec("spandrel") is None:
    # Without its requirements: torch and torchvision are the webui's own, and pip would replace them.
    launch.run_pip("install --no-deps spandrel", "spandrel for Ultimate SD Upscale")
    for package in ("safetensors", "einops", "typing_extensions"):
        if importlib.util.find_spec(package) is None:
            launch.run_pip(f"install {package}", f"{package} for Ultimate SD Upscale")
