"""The layout that the code keeps: who may import what."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]


def imported(path: Path) -> set[str]:
    """The top-level names of the packages a file imports, in functions too; relative imports are left out."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def test_only_the_webuis_environment_and_the_script_import_the_webui():
    importers = {
        path.relative_to(ROOT).as_posix()
        for folder in ("lib_usdu", "scripts", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if {"modules", "modules_forge"} & imported(path)
    }
    assert importers == {"lib_usdu/webui/environment.py", "scripts/ultimate_upscale.py"}
