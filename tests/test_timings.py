"""How long a run will take: from what the same work took on this machine before."""

import json

import pytest
from PIL import Image

from lib_usdu.cli import batch, planning
from lib_usdu.cli.main import main
from lib_usdu.run.stats import Stats
from lib_usdu.run.timings import MOST_KEPT, Timings, Work, about

PLAIN = ["--engine", "identity", "-u", "Lanczos", "--tile", "64"]


def test_time_follows_from_what_was_measured(tmp_path):
    timings = Timings(tmp_path / "deep" / "timings.json")
    assert timings.seconds([Work("a", 2)]) is None and timings.seconds([]) == 0
    timings.learn({Work("a", 4): 8.0, Work("b", 1): 1.0})
    assert timings.seconds([Work("a", 10), Work("b", 3)]) == pytest.approx(23)
    assert timings.seconds([Work("a", 10), Work("c", 3)]) is None
    timings.learn({Work("a", 1): 4.0})  # a busy machine is half believed
    assert Timings(tmp_path / "deep" / "timings.json").seconds([Work("a", 10)]) == pytest.approx(30)
    timings.learn({Work("a", 1): 1.0})  # nothing makes a machine faster than it is
    assert timings.seconds([Work("a", 10)]) == pytest.approx(10)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'{"a": "x"}', b'{"a": -1}', b'{"a": null}', b"\xff" * 99])
def test_a_damaged_file_is_as_good_as_none(content, tmp_path):
    file = tmp_path / "timings.json"
    file.write_bytes(content)
    assert Timings(file).seconds([Work("a", 1)]) is None
    Timings(file).learn({Work("a", 1): 2.0})
    assert Timings(file).seconds([Work("a", 1)]) == 2


def test_what_cannot_be_kept_costs_nothing_and_the_file_stays_small(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    Timings(tmp_path / "file" / "timings.json").learn({Work("a", 1): 1.0})
    timings = Timings(tmp_path / "timings.json")
    timings.learn({Work(str(number), 1): 1.0 for number in range(MOST_KEPT + 9)})
    assert list(json.loads((tmp_path / "timings.json").read_bytes()))[:1] == ["9"]


def test_the_words():
    said = {None: "time unknown before the first run", 0.2: "under 1 s", 12.4: "about 12 s", 300: "about 5 min"}
    said |= {204: "about 3 min 20 s", 899: "about 15 min"}
    assert {seconds: about(seconds) for seconds in said} == said and about(7810) == "about 2 h 10 min"


def test_a_dry_run_says_what_the_same_work_took(tmp_path, photo, capsys):
    for name in ("a.png", "b.png"):
        Image.fromarray(photo[:128, :128]).save(tmp_path / name)
    one = [str(tmp_path / "a.png"), *PLAIN]

    def dry(*flags):
        assert main([*flags, "--dry-run"]) == 0
        return capsys.readouterr().out

    assert "16 tiles of 64x64 in 16 batches, time unknown before the first run ->" in dry(*one)
    assert main([*one, "-o", str(tmp_path / "made.png")]) == 0
    assert "under 1 s ->" in dry(*one)
    rates = {work.kind: rate for work, rate in slow(planning, tmp_path).items()}
    assert any(kind.startswith("parallel, identity") and "128x128" in kind for kind in rates)
    assert "about 80 s" in dry(*one) and "time unknown" in dry(*one, "--tile", "96")
    several = dry(*one, str(tmp_path / "b.png"), "-o", str(tmp_path / "out"))
    assert several.splitlines()[-1] == "2 pictures: about 2 min 40 s" and several.count("about 80 s") == 2


def slow(planning, tmp_path):
    """Makes what is known of redrawing slower: 80 s for 16 tiles of 5 steps; the rest takes no time."""
    timings = planning.timings()
    kinds = json.loads(timings._file.read_bytes())
    rates = {Work(kind, 1): (1.0 if kind.startswith("parallel") else 0.0) for kind in kinds}
    timings._file.unlink()
    timings.learn(rates)
    return rates


PARTS = [Stats(tiles_done=4, resumed=1), Stats(tiles_done=3), Stats(tiles_done=4, tiles_flat=1)]


@pytest.mark.parametrize("stats", PARTS, ids=["resumed", "stopped", "flat"])
def test_a_run_that_did_not_do_all_of_it_teaches_nothing(stats, tmp_path, photo, monkeypatch):
    Image.fromarray(photo[:64, :64]).save(tmp_path / "a.png")
    monkeypatch.setattr(batch, "upscale_file", lambda *_: ({}, stats))
    assert main([str(tmp_path / "a.png"), *PLAIN]) == 0  # four tiles
    assert planning.timings().seconds([Work("upscale, Lanczos, auto", 1)]) is None
    monkeypatch.setattr(batch, "upscale_file", lambda *_: ({}, Stats(tiles_done=4, stages={"upscale": 1.0})))
    assert main([str(tmp_path / "a.png"), *PLAIN]) == 0
    assert planning.timings().seconds([Work("upscale, Lanczos, auto", 1)]) is not None
