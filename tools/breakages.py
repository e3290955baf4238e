"""Breaks one feature after another in a copy of the code, and says which test notices.

    python -m tools.breakages [NUMBER ...]

A breakage is a text of one file that becomes another, and the tests that touch it. Every one of them must fail; the
exit status is the number of breakages that no test noticed. The list is in docs/developing.md.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Breakage:
    """what: the feature, in the words of docs/developing.md. old: stands exactly once in `file`. tests: pytest's
    arguments."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


BREAKAGES = (
    Breakage("A skipped tile is turned to its negative", "lib_usdu/run/retry.py",
             "return batch.images, None\n        except Exception",
             "return 255 - batch.images, None\n        except Exception",
             ("tests/webui/test_extension.py", "-k", "skip_leaves")),
    Breakage("Guidance is left out although a part of the prompt has a weight", "lib_usdu/webui/guidance.py",
             "if part.weight != 1 or len", "if len", ("tests/webui/test_guided.py", "-k", "guidance_that_matters")),
    Breakage("Churn draws zeros", "lib_usdu/run/noise_draws.py",
             "return not torch.equal(*found)", "return False",
             ("tests/webui/test_guided.py", "-k", "noise_of_the_steps and parallel")),
    Breakage("Fused adds its windows up unweighed", "lib_usdu/fused/windows.py",
             "down[:, None] * across[None, :]", "0 * down[:, None] * across[None, :] + 1",
             ("tests/webui/test_guided.py", "-k", "fused_windows_are_averaged")),
    Breakage("A variation seed changes nothing", "lib_usdu/run/noise_draws.py",
             "angle = self.subseed_strength * math.pi / 2", "angle = 0.0",
             ("tests/webui/test_wrong_picture.py", "-k", "variation_seed")),
    Breakage("The tone lock is off", "lib_usdu/compose/tone.py",
             "if strength == 0:", "if strength >= 0:", ("tests/test_tone.py",)),
    Breakage("Tiles are seamless with themselves", "lib_usdu/webui/tile_call.py",
             '    "tiling": False,', '    "tiling": True,', ("tests/webui", "-k", "per_tile_extras or tiling")),
    Breakage("A damaged tile of the journal is taken", "lib_usdu/resume/entries.py",
             'hashlib.blake2b(payload, digest_size=20).hexdigest())', 'header["checksum"])',
             ("tests/reliability/test_journal.py", "-k", "damaged")),
    Breakage("Noise is each tile's own where it should be the canvas's", "lib_usdu/noise.py",
             'if mode == "canvas":', 'if mode == "none":', ("tests/test_engine.py", "-k", "share_the_canvas_noise")),
    Breakage("Tiles that depend on each other are done at once", "lib_usdu/schedule.py",
             "if context in INDEPENDENT:", "if context:", ("tests/test_schedule.py",)),
    Breakage("A checkpoint of override_settings stays loaded after the run", "lib_usdu/webui/overrides.py",
             "            if temporary:\n", "            if not temporary:\n",
             ("tests/webui/test_wrong_picture.py", "-k", "known_name")),
    Breakage("The mask is not honoured when the result is composed", "lib_usdu/compose/mask.py",
             "(weight * inside[strip] + (255 - weight) * outside[strip] + 127) // 255", "inside[strip]",
             ("tests/test_mask.py", "-k", "soft_mask")),
    Breakage("Tiles of one call get the prompts of its first ones", "lib_usdu/webui/phases.py",
             "part.batch, part.shape = batch[at]", "part.batch, part.shape = batch[: len(batch[at])]",
             ("tests/webui/test_phases.py", "-k", "own_prompt")),
)


def named_failures(folder: Path, breakage: Breakage) -> list[str]:
    """The tests that failed with the feature broken."""
    path = folder / breakage.file
    text = path.read_text(encoding="utf-8")
    if text.count(breakage.old) != 1:
        raise SystemExit(f"{breakage.file} does not hold this once, the list is out of date: {breakage.old!r}")
    path.write_text(text.replace(breakage.old, breakage.new), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=no", *breakage.tests]
    try:
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    finally:
        path.write_text(text, encoding="utf-8")
    return re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", said, re.MULTILINE)


def main(numbers: list[str]) -> int:
    unnoticed = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for part in ("lib_usdu", "tests", "scripts", "bench", "tools", "localizations"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, folder / name)
        for number, breakage in enumerate(BREAKAGES, 1):
            if numbers and str(number) not in numbers:
                continue
            failed = named_failures(folder, breakage)
            unnoticed += not failed
            print(f"{number}. {breakage.what}: {failed[0] if failed else 'NO TEST NOTICED'}", flush=True)
    return unnoticed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
