"""Records facts.json from a webui: run by that webui's own Python.

    python record_facts.py --webui DIR --out facts.json [--version TEXT] [-- WEBUI_FLAGS...]

DIR is a checkout of a webui with at least one Stable Diffusion 1 checkpoint. Nothing is served and nothing is saved
outside temporary folders.
"""

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path


def start(folder, flags):
    """Imports the webui's modules and loads its checkpoint, as its webui.py does before it opens a port."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.argv = ["launch.py", *flags]
    from modules import initialize

    forge = importlib.util.find_spec("modules_forge") is not None
    if forge:  # Forge webui.py:17, before anything else
        from modules_forge.initialization import initialize_forge

        initialize_forge()
    initialize.imports()
    initialize.initialize()
    from modules import shared

    if forge and importlib.util.find_spec("modules_forge.main_entry"):
        # Forge chooses its checkpoint when it makes the page, and loads it in the first call of process_images.
        from modules import sd_models
        from modules_forge.main_entry import refresh_model_loading_parameters

        refresh_model_loading_parameters()
        sd_models.forge_model_reload()

    return shared.sd_model


def host(folder, version):
    import gradio
    import torch

    commit = subprocess.run(
        ["git", "-C", folder, "describe", "--tags", "--always"], check=False, capture_output=True, text=True
    )
    return {
        "webui": version or commit.stdout.strip(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gradio": gradio.__version__,
    }


def text(facts):
    """JSON with one line for each entry of an answer, so that a diff names what changed."""
    lines = []
    for name, answer in facts.items():
        entries = answer.items() if isinstance(answer, dict) else None
        body = (
            "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in entries) + "\n }"
            if entries
            else json.dumps(answer, ensure_ascii=False)
        )
        lines.append(f" {json.dumps(name)}: {body}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--webui", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", help="of a webui that is no git checkout")
    parser.add_argument("flags", nargs="*", default=[])
    args = parser.parse_args()
    out, folder = args.out.resolve(), args.webui.resolve()
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import probes

    start(
        folder,
        args.flags
        or [
            "--use-cpu",
            "all",
            "--no-half",
            "--skip-torch-cuda-test",
            "--no-download-sd-model",
            "--disable-all-extensions",
        ],
    )
    facts = {"host": host(folder, args.version), **{name: ask() for name, ask in probes.questions().items()}}
    out.write_text(text(facts), encoding="utf-8")
    print(f"{len(facts)} answers in {out}")


if __name__ == "__main__":
    main()
