"""README and docs: every command and example in them runs, every link leads somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lib_usdu
from lib_usdu.cli.flags import parser
from lib_usdu.cli.main import main
from tools import figures, index_entry, made_from, readability

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/results/*.md")])
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
COMMAND = re.compile(
    r"(?:^    |`)(?:cat \S+ \| )?(?:\.venv/bin/python -m lib_usdu|python -m lib_usdu|usdu) (?P<flags>[^`\n]*)", re.M
)


def commands() -> list[str]:
    """The flags of every command of the command line that README, recipes and command-line.md show, less comments."""
    shown = []
    for page in ("README.md", "docs/recipes.md", "docs/command-line.md"):
        for match in COMMAND.finditer(TEXTS[page]):
            flags = re.sub(r"\s+#.*", "", match["flags"]).strip()
            if not flags.startswith(("journal", "--help")) and flags not in shown:
                shown.append(flags)
    return shown


@pytest.fixture
def desk(tmp_path, photo, monkeypatch):
    """A folder with every file that the examples name; the checkpoints in it are marks that nobody reads."""
    monkeypatch.chdir(tmp_path)
    small = Image.fromarray(photo[:48, :64])
    for folder in (".", "photos", "photos/inner"):
        (tmp_path / folder).mkdir(exist_ok=True)
        small.save(tmp_path / folder / "photo.png")
    small.save("photo.jpg")
    Image.fromarray(photo).resize((1536, 1536)).save("result.png")  # nine tiles of 512
    return tmp_path


def test_the_commands_are_found():
    assert len(commands()) >= 14
    assert {"photo.png", "photos/ -o out/ --scale 4", "- -f webp > large.webp"} <= set(commands())


OF_MODELS = ("-c", "--checkpoint", "-u", "--upscaler", "-p", "-d", "--denoise", "--seed")


@pytest.mark.parametrize("flags", [flags for flags in commands() if flags[0] != "-" and "--ray" not in flags])
def test_every_command_runs(flags, desk, capsys):
    """Without the models that a person has: tiles are left as they are. The next test reads what is taken out here."""
    arguments = shlex.split(flags)
    for flag in OF_MODELS:
        if flag in arguments:
            at = arguments.index(flag)
            del arguments[at : at + 2]
    before = set(desk.rglob("*"))
    assert main([*arguments, "--engine", "identity", "--upscaler", "Lanczos"]) == 0, capsys.readouterr().err
    assert bool(set(desk.rglob("*")) - before) != ("--dry-run" in arguments)
    if "-o" in arguments:
        assert (desk / arguments[arguments.index("-o") + 1]).exists()


@pytest.mark.parametrize("flags", commands())
def test_every_flag_of_a_command_is_read(flags):
    """test_ray runs those with --ray."""
    arguments = shlex.split(flags.split(" > ")[0])
    read = vars(parser().parse_args(arguments))
    for flag, name in {"-c": "checkpoint", "-u": "upscaler", "-d": "denoise", "-p": "prompt"}.items():
        if flag in arguments:
            assert str(read[name]) == arguments[arguments.index(flag) + 1]


def test_the_pipe_runs(desk):
    (flags,) = (flags for flags in commands() if flags.startswith("- "))
    usdu = f"{shlex.quote(sys.executable)} -m lib_usdu --engine identity --upscaler Lanczos"
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(f"cat photo.png | {usdu} {flags}", shell=True, check=True, timeout=120, env=here)
    with Image.open("large.webp") as made:
        assert made.format == "WEBP" and made.size == (128, 96)


@pytest.mark.needs("diffusers")
def test_the_python_examples_run(desk, photo):
    """The real embedded models; the files of a person's own are left out."""
    first, second = re.findall(r"(?:^    .*\n|^\n(?=    ))+", TEXTS["docs/python-api.md"], re.M)
    here = {"paths": ["photo.png", "photo.jpg"]}
    for example in (first, second):
        lines = "\n".join(line[4:] for line in example.splitlines())
        code = re.sub(r", (checkpoint|upscaler)=\"[^\"]*\"", "", lines)
        exec(compile(code, "python-api.md", "exec"), here)
        assert isinstance(here["result"].image, np.ndarray) and "Size: " in here["result"].infotext
    assert here["result"].image.shape == (96, 128, 3)


# --- links ------------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page} points at {target}"
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), f"{page} points at {target}"


def test_every_page_can_be_reached_from_the_readme():
    seen, new = set(), ["README.md"]
    while new:
        page = new.pop()
        if page in TEXTS and page not in seen:
            seen.add(page)
            targets = re.findall(r"\]\(([^)#\s]+\.md)", TEXTS[page])
            new += [((ROOT / page).parent / target).resolve().relative_to(ROOT).as_posix() for target in targets]
    assert seen >= {page for page in TEXTS if page.startswith("docs/")}


def test_every_test_named_in_the_docs_exists():
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    names = {name for text in TEXTS.values() for name in re.findall(r"`[\w/.:]*\b(test_\w+)`", text)}
    missing = {name for name in names if f"def {name}(" not in tests and not list((ROOT / "tests").rglob(f"{name}*"))}
    assert len(names) > 40 and not missing


@pytest.mark.needs("selenium")  # `make docs` runs in .venv, with its Pillow and the browser
def test_no_picture_is_older_than_what_it_shows():
    """The drawing is drawn again; its captions differ a little from one version of Pillow to the next."""
    again = "run: make docs"
    assert json.loads(made_from.RECORD.read_text(encoding="utf-8")) == made_from.record(), again
    drawn = np.asarray(figures.how_it_works().convert("RGB"), int)
    with Image.open(figures.FIGURES / "how-it-works.png") as kept:
        assert np.abs(drawn - np.asarray(kept.convert("RGB"), int)).mean() < 1, again
    shown = {target for text in TEXTS.values() for target in re.findall(r"figures/([\w.-]+(?:png|jpg))", text)}
    assert shown == {path.name for path in figures.FIGURES.iterdir()} - {made_from.RECORD.name}


# --- language ---------------------------------------------------------------------------------------------------------


def test_the_words_are_plain():
    """docs/measurements.md has the figures of the day; these are the limits."""
    now = readability.of_checkout(ROOT)
    assert len(TEXTS["README.md"].splitlines()) <= 150
    assert now["README.md"].words < 13 and now["README.md"].passive < 0.1 and now["README.md"].index < 8
    assert now["docs/"].words < 16 and now["docs/"].passive < 0.25 and now["docs/"].long < 0.15
    assert now["panel"].words < 9 and now["panel"].long == 0


def test_what_counts_as_hard_to_read():
    easy, hard = readability.figures(["We draw it."]), readability.figures(["It is drawn by " + "us " * 30])
    assert (easy.passive, easy.long, hard.passive, hard.long) == (0, 0, 1, 1) and hard.index > easy.index
    page = "# Title\n\nOne two three. Four five six:\n\n    code is run\n\n| a | is made |\n\n* A [link](x.md) is here."
    assert readability.sentences(page) == ["One two three.", "Four five six:", "A link is here."]


# --- the project ------------------------------------------------------------------------------------------------------


def test_the_version_stands_in_one_place():
    version = re.escape(lib_usdu.__version__)
    kept = subprocess.run(["git", "ls-files", "*.py", "*.toml"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in kept.stdout.split()]
    holding = [path for path in files if re.search(rf"[\"']{version}[\"']", path.read_text(encoding="utf-8"))]
    assert holding == [ROOT / "lib_usdu" / "__init__.py"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", lib_usdu.__version__)


def test_the_entry_for_the_extension_index():
    """The keys and tags that the index's own check asks for; a name that is not the original's, which it holds."""
    made = json.loads(json.dumps(index_entry.entry("https://github.com/someone/ultimate-sd-upscale.git")))
    assert list(made) == ["name", "url", "description", "tags"] and all(made.values())
    assert set(made["tags"]) <= {"script", "tab", "dropdown", "manipulations", "editing", "UI related", "online", "ads"}
    assert "online" not in made["tags"]  # nothing is asked of a server: tests/test_no_network.py
    assert made["name"].casefold() != "ultimate sd upscale" and len(made["description"]) < 250
    for wrong in ("", "git@github.com:someone/x.git", "https://github.com/", "https://github.com/a b/c"):
        with pytest.raises(ValueError, match="url: .* is not allowed"):
            index_entry.entry(wrong)


def test_what_a_user_downloads_is_small():
    """Under 25 MB without history."""
    kept = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert sum((ROOT / name).stat().st_size for name in kept.split("\0") if (ROOT / name).is_file()) < 25e6


def test_everything_that_is_written_is_removed_again(desk, monkeypatch, capsys):
    """What docs/troubleshooting.md says: an unfinished run leaves its journal in the cache folder and nothing else but
    the picture so far; `usdu journal clear` removes it."""
    from lib_usdu.standalone.host import IdentityRefiner

    cache, home = desk / "cache", desk / "home"
    for folder in (cache, home):
        folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("HOME", str(home))
    before = set(desk.rglob("*"))
    calls = []

    def stops(self, batch, stop):
        calls.append(batch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return batch.windows

    monkeypatch.setattr(IdentityRefiner, "refine", stops)
    arguments = ["result.png", "--scale", "1", "--tile", "512", "--engine", "identity", "--upscaler", "Lanczos"]
    assert main(arguments) == 130
    made = [path for path in set(desk.rglob("*")) - before if path.is_file()]
    in_cache = [path for path in made if cache / "ultimate-sd-upscale" in path.parents]
    assert in_cache and len(made) - len(in_cache) <= 1  # the picture so far
    with monkeypatch.context() as locked:
        locked.setattr(Path, "unlink", lambda path, missing_ok=False: (_ for _ in ()).throw(PermissionError(path)))
        capsys.readouterr()
        assert main(["journal", "clear"]) == 1
    said = capsys.readouterr()
    assert said.out == "0 runs removed, 0.0 MB\n" and "could not be removed" in said.err
    assert main(["journal", "clear"]) == 0 and capsys.readouterr().out.startswith("1 run removed")
    assert not [path for path in cache.rglob("*") if path.is_file()] and not list(home.iterdir())
