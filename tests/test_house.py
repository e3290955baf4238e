"""The layout that the code keeps: who may import what."""

import ast
import builtins
import re
import subprocess
from collections.abc import Iterable
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


MODULES = sorted((ROOT / "lib_usdu").rglob("*.py"))


def test_what_is_installed_has_every_file_that_the_code_reads():
    """Python's own come by themselves; others are named in pyproject.toml, by package."""
    told = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.setuptools.package-data]\n")[2]
    named = dict(re.findall(r'^"([\w.]+)" = \[(.*)\]$', told.partition("\n[")[0], re.M))
    brought = {path for package, patterns in named.items() for pattern in re.findall(r'"([^"]+)"', patterns)
               for path in (ROOT / package.replace(".", "/")).glob(pattern)}  # fmt: skip
    files = {path for path in (ROOT / "lib_usdu").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in files if path.suffix != ".py"} == brought and len(brought) > 8


def test_no_module_is_long():
    long = {str(path): lines for path in MODULES if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 300}
    assert not long


def test_no_folder_is_crowded():
    folders = [path.parent for path in MODULES if path.name != "__init__.py"]
    crowded = {folder.name: folders.count(folder) for folder in set(folders)}
    assert not {name: count for name, count in crowded.items() if count > (20 if name == "webui" else 15)}


def test_every_folder_says_what_lives_there():
    for folder in {path.parent for path in MODULES}:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))), folder


def own_imports(path: Path) -> set[Path]:
    """The modules of this package that a module imports when it is imported itself."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            targets = [base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)]
            if node.module:
                targets.append(base / "__init__.py")
            found |= {target for target in targets if target.is_file()}
    return found


def test_no_module_imports_itself_by_way_of_others():
    done: set[Path] = set()

    def follow(path: Path, way: tuple[Path, ...]) -> None:
        assert path not in way, " -> ".join(step.name for step in (*way, path))
        if path not in done:
            for target in own_imports(path):
                follow(target, (*way, path))
            done.add(path)

    for path in MODULES:
        follow(path, ())


def test_the_plan_and_the_values_below_it_know_no_torch():
    reached, waiting = set(), [ROOT / "lib_usdu" / "plan.py"]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += own_imports(path)
    names = {path.stem for path in reached}
    assert {"options", "geometry", "passes", "host", "mask"} <= names
    assert not any({"torch", "diffusers", "spandrel"} & imported(path) for path in reached)


def test_the_architecture_names_every_folder_and_module_at_the_top():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = {path.name + "/" * path.is_dir() for path in (ROOT / "lib_usdu").iterdir() if not path.name.startswith("_")}
    assert {name for name in names if f"`{name}`" not in page} == set()
    for path in re.findall(r"`((?:\w+/)*\w+\.py)`", page):
        assert (ROOT / "lib_usdu" / path).is_file(), path


def defined(path: Path) -> set[str]:
    """Functions and classes of a module, and Class.method."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return names


def test_the_architecture_answers_questions_in_two_files_at_most():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [row.strip("|").split("|") for row in re.findall(r"^\|.*\?.*\|$", page, re.M)]
    assert len(rows) > 10 and all(len(row) == 3 for row in rows)
    for question, *cells in rows:
        answers = [re.findall(r"`([^`]+)`", cell) for cell in cells if cell.strip()]
        assert answers and all(len(answer) == 2 for answer in answers), question
        for path, name in answers:
            assert name in defined(ROOT / "lib_usdu" / path), f"{question} {path} {name}"


def undocumented(modules: Iterable[Path]) -> list[str]:
    """Public modules, classes, functions and methods without a docstring; a method may have that of a base class, here
    or in Python itself. What is inside functions is nobody's interface."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in modules}
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    by_name = {node.name: node for node in classes}

    def inherits(owner: ast.ClassDef, method: str) -> bool:
        for base in (ast.unparse(one).partition("[")[0] for one in owner.bases):
            if hasattr(getattr(builtins, base, None), method):
                return True
            kin = by_name.get(base)
            own = kin and [one for one in kin.body if isinstance(one, ast.FunctionDef) and one.name == method]
            if kin and ((own and ast.get_docstring(own[0])) or inherits(kin, method)):
                return True
        return False

    missing = [str(path) for path, tree in trees.items() if not ast.get_docstring(tree)]
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
                missing += [] if ast.get_docstring(node) else [f"{path}:{node.lineno} {node.name}"]
                for method in node.body if isinstance(node, ast.ClassDef) else ():
                    public = isinstance(method, ast.FunctionDef) and not method.name.startswith("_")
                    setter = public and any("setter" in ast.unparse(one) for one in method.decorator_list)
                    if public and not setter and not ast.get_docstring(method) and not inherits(node, method.name):
                        missing.append(f"{path}:{method.lineno} {node.name}.{method.name}")
    return missing


def test_what_is_public_has_a_docstring():
    assert undocumented(MODULES) == []


def test_a_missing_docstring_is_noticed(tmp_path):
    module = tmp_path / "a.py"
    module.write_text(
        '"""M."""\nclass A:\n    """A."""\n    def one(self):\n        """One."""\n    def two(self): pass\n'
        "class B(A):\n    def one(self): pass\n    def three(self): pass\n    def _four(self): pass\ndef five(): pass\n"
    )
    names = [line.split(" ")[1] for line in undocumented([module])]
    assert names == ["A.two", "B", "B.three", "five"]


def test_no_file_names_a_place_on_somebodys_machine():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    places = re.compile(rb"(?<![\w.])/(?:work|root|home/\w+)/|[A-Z]:\\\\?Users\\", re.ASCII)
    named = {}
    for name in filter(None, tracked.decode().split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in content[:8000] and name != "tests/test_house.py" and (found := places.search(content)):
            named[name] = found[0].decode()
    assert not named


def test_counts_are_said_by_plural():
    """ "1 tiles": a number in a sentence has its noun from errors.plural; a name in capitals is a constant."""
    counted = re.compile(r"\{[^{}A-Z]+\} (tiles|pictures|batches|windows|runs|steps|workers)\b")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "lib_usdu").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if counted.search(line)
    ]
    assert found == []


def test_the_tests_named_in_the_table_of_reliability_exist():
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(test_\w+)`", table))
    written = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", written))
    assert len(named) > 80 and named <= there, sorted(named - there)
    files = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(re.findall(r"\b(test_\w+)", re.sub(r"`[^`]*`", "", table))) <= files
