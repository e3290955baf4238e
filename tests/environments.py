"""The two environments that tests run in: .venv with everything, and .venv-webui with a webui's own versions alone."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parent
NOT_IN_A_WEBUI = frozenset({"diffusers", "transformers", "accelerate", "peft", "ray", "selenium"})
"""What the command line and the tests of the panel's page use, and the extension never."""


def needs(file: Path) -> frozenset[str]:
    """Which of NOT_IN_A_WEBUI a test file needs as a whole: what it or a helper beside it imports, or its
    `pytestmark = pytest.mark.needs("ray")` names. A mark on one test counts for that test alone."""
    found: set[str] = set()
    seen: set[Path] = set()
    files = [file]
    while files:
        path = files.pop()
        if path in seen:
            continue
        seen.add(path)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = _imported(tree)
        found |= names & NOT_IN_A_WEBUI
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                found |= {a.value for a in ast.walk(node.value) if isinstance(a, ast.Constant)} & NOT_IN_A_WEBUI
        beside = (folder / f"{name}.py" for name in names for folder in (path.parent, TESTS))
        files += [helper for helper in beside if helper.exists()]
    return frozenset(found)


def _imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names
