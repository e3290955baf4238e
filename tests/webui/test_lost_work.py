"""No work lost: a file that cannot be written, a client that does not wait, a run that was stopped."""

import errno
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from modules import images, processing, scripts, shared, standin
from modules.api.api import Api
from probes.harness import options
from test_extension import ask, batch, extension, folder, person, photo  # noqa: F401

from lib_usdu.resume import journal
from lib_usdu.webui import script as webui
from lib_usdu.webui.environment import journal_folder

sys.path.append(str(Path(__file__).parents[1] / "reliability"))
from counts import count  # noqa: E402

TILES = {"tile_width": 64, "padding": 16}


def pixels(done, at=0):
    return np.asarray(done.images[at])


def runs():
    return journal.kept_runs(journal_folder())


# --- the picture cannot be saved --------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), ValueError("cannot write mode")])
def test_a_picture_that_cannot_be_saved_is_shown_and_its_tiles_are_kept(
    extension, monkeypatch, tmp_path, error  # noqa: F811
):  # fmt: skip
    def fails(*args, **kwargs):
        raise error

    values = {"outpath_samples": str(tmp_path / "out"), "do_not_save_samples": False}
    with monkeypatch.context() as patch:
        patch.setattr(images, "save_image", fails)
        done = webui.run(person(**values), extension, [TILES])
    assert done.images[0].size == (192, 144) and str(tmp_path / "out") in done.comments
    assert str(getattr(error, "strerror", None) or error) in done.comments
    assert len(standin.log.calls) == 9 and len(runs()) == 1
    again = webui.run(person(**values), extension, [TILES])
    assert len(standin.log.calls) == 9 and np.array_equal(pixels(again), pixels(done))
    assert len(standin.log.saved) == 1 and runs() == []


def test_a_folder_goes_on_whichever_picture_cannot_be_saved(extension, folder, tmp_path, monkeypatch):  # noqa: F811
    original, kept = images.save_image, []
    for failing in range(1, 6):
        calls = []

        def fails(*args, failing=failing, calls=calls, **kwargs):
            calls.append(1)
            if len(calls) == failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(*args, **kwargs)

        out = tmp_path / f"out {failing}"
        with monkeypatch.context() as patch, options(save_images_add_number=False):
            patch.setattr(images, "save_image", fails)
            done = batch(extension, folder, out, tile_width=512)
        said = "No space left on device" in done.comments or failing > 1  # the tab shows the first picture's words
        kept.append(len(done.images) == 5 and len(list(out.iterdir())) == 4 and said)
    count("saving fails, at every picture of a folder in the webui", len(kept), sum(kept))
    assert all(kept)


# --- a client that does not wait --------------------------------------------------------------------------------------


@pytest.fixture
def long_runs(monkeypatch):
    """Every run is one that a client may not wait for."""
    monkeypatch.setattr(webui, "CLIENTS_WAIT", 0.0)


def test_a_short_run_is_done_again(extension):  # noqa: F811
    ask([TILES])
    assert runs() == []


def test_the_same_request_again_is_answered_from_the_tiles(extension, long_runs):  # noqa: F811
    first = ask([TILES])
    calls = len(standin.log.calls)
    again = ask([TILES])
    assert len(standin.log.calls) == calls and np.array_equal(pixels(again), pixels(first))
    ask([TILES], seed=4)
    assert len(standin.log.calls) == 2 * calls


def test_finished_runs_are_kept_for_a_time_only(extension, long_runs, monkeypatch):  # noqa: F811
    ask([TILES])
    assert len(runs()) == 1
    now = time.time()
    monkeypatch.setattr(journal.time, "time", lambda: now + journal.KEPT_FINISHED + 1)
    ask([TILES], seed=4)
    assert [run.about["seed"] for run in runs()] == [4]


def test_a_saved_picture_keeps_nothing(extension, long_runs, tmp_path):  # noqa: F811
    with options(outdir_img2img_samples=str(tmp_path / "out")):
        ask([TILES], save_images=True)
    assert runs() == []


# --- a run that was stopped, at seed -1 -------------------------------------------------------------------------------


def stopped(extension, monkeypatch, at, args=TILES, **values):  # noqa: F811
    """A run from the page that is interrupted in the n-th call (from 1)."""
    original, calls = processing.process_images, []

    def watched(p):
        calls.append(1)
        if len(calls) == at:
            shared.state.interrupted = True
        return original(p)

    shared.state.begin(job="t")
    with monkeypatch.context() as patch:
        patch.setattr(processing, "process_images", watched)
        done = webui.run(person(**values), extension, [args])
    shared.state.begin(job="t")
    standin.log.calls.clear()
    return done


def test_generate_at_seed_minus_1_goes_on_with_the_run_that_was_stopped(extension, monkeypatch):  # noqa: F811
    first = stopped(extension, monkeypatch, 6, seed=-1)
    assert "Stopped at 5 of 9 tiles: Generate with the same settings goes on." in first.comments
    done = webui.run(person(seed=-1), extension, [{**TILES, "compare": True}])
    assert len(standin.log.calls) == 4 and done.seed == first.seed
    assert f"This goes on with the run of seed {first.seed} that was stopped." in done.comments
    undisturbed = webui.run(person(seed=first.seed), extension, [TILES])
    assert np.array_equal(pixels(done), pixels(undisturbed))
    another = webui.run(person(seed=-1), extension, [TILES])  # nothing is left to go on with
    assert another.seed != first.seed


@pytest.mark.parametrize("change", [{"prompt": "b"}, {"steps": 5}, {"denoising_strength": 0.3}], ids=str)
def test_other_settings_do_not_go_on_with_it(extension, monkeypatch, change):  # noqa: F811
    first = stopped(extension, monkeypatch, 6, seed=-1)
    done = webui.run(person(seed=-1, **change), extension, [TILES])
    assert done.seed != first.seed and "goes on with" not in done.comments


class SeedControl(scripts.Script):
    """The host's own control for the seed, a script as well (processing_scripts/seed.py)."""

    args_from = args_to = None

    def title(self):
        return "Seed"


@pytest.mark.parametrize("control, goes_on", [(-1, True), ("", True), (7, False)], ids=["-1", "empty", "chosen"])
def test_a_folder_at_seed_minus_1_goes_on(extension, tmp_path, monkeypatch, control, goes_on):  # noqa: F811
    """The tab gives the script a seed of its own; the control still says -1."""
    place = tmp_path / "in"
    place.mkdir()
    photo().save(place / "a.png")
    runner, seed = scripts.scripts_img2img, SeedControl()
    original = Api.init_default_script_args
    seed.args_from = len(original(Api(), runner))
    seed.args_to = seed.args_from + 1
    monkeypatch.setattr(runner, "alwayson_scripts", [*runner.alwayson_scripts, seed])
    monkeypatch.setattr(Api, "init_default_script_args", lambda *given: [*original(*given), control])

    def run():
        standin.log.calls.clear()
        return batch(extension, place, tmp_path / "out", {"seed": control}, tile_width=64, padding=16)

    calls = []

    def stops_in_the_sixth(p, *, draw=processing.process_images):
        calls.append(1)
        shared.state.interrupted = len(calls) == 6
        return draw(p)

    with monkeypatch.context() as patch:
        patch.setattr(processing, "process_images", stops_in_the_sixth)
        first = run()
    assert "Stopped at 5 of 9 tiles" in first.comments
    done = run()
    assert ("goes on with" in done.comments) == goes_on
    assert len(standin.log.calls) == 4  # with a chosen seed too, as ever
    if goes_on:
        assert done.seed == first.seed and run().seed != first.seed


def test_the_seed_that_was_said_goes_on_too(extension, monkeypatch):  # noqa: F811
    first = stopped(extension, monkeypatch, 6, seed=-1)
    webui.run(person(seed=first.seed), extension, [TILES])
    assert len(standin.log.calls) == 4


def test_without_keeping_tiles_nothing_is_promised(extension, monkeypatch):  # noqa: F811
    first = stopped(extension, monkeypatch, 6, {**TILES, "resume": False}, seed=-1)
    assert "goes on" not in first.comments
    done = webui.run(person(seed=-1), extension, [{**TILES, "resume": False}])
    assert done.seed != first.seed and len(standin.log.calls) == 9
