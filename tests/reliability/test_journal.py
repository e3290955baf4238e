"""A run that was ended goes on where it was; nothing changed, damaged or foreign is ever taken for a finished tile."""

import errno
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from faulty import FaultyRefiner, Killed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lib_usdu.cli.main import main
from lib_usdu.engine import upscale
from lib_usdu.options import Options
from lib_usdu.resume import entries, journal
from lib_usdu.resume.digest import Unhashable, digest
from lib_usdu.standalone.host import LocalHost

OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5, seed=7)


@pytest.fixture(scope="module")
def picture(photo):
    return photo[100:292, 150:342]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


def killed_at(picture, folder, tile, options=OPTIONS, **changes):
    """A run that ends in this tile as a kill would; the refiner."""
    refiner = FaultyRefiner("killed", [tile], **changes)
    with pytest.raises(Killed):
        upscale(picture, options, LocalHost(refiner, journal_folder=folder))
    settle(folder)
    return refiner


def settle(folder):
    """Waits for what the ended run was still writing."""
    for _ in range(200):
        before = sorted(path.name for path in folder.rglob("*"))
        time.sleep(0.01)
        if before == sorted(path.name for path in folder.rglob("*")) and not any(".tmp" in name for name in before):
            return


def again(picture, folder, options=OPTIONS, **changes):
    refiner = FaultyRefiner(**changes)
    result = upscale(picture, options, LocalHost(refiner, journal_folder=folder))
    return result, sorted(tile for call in refiner.seen for tile in call)


@pytest.mark.parametrize("redraw, fix", [("parallel", "none"), ("linear", "band"), ("chess", "half")])
def test_a_rerun_continues_and_ends_in_the_same_picture(redraw, fix, picture, folder):
    options = OPTIONS.with_(redraw_mode=redraw, seams_fix_type=fix)
    undisturbed = upscale(picture, options, LocalHost(FaultyRefiner())).image
    first = killed_at(picture, folder, 8, options)
    done = sum(map(len, first.seen)) - 1
    for batch in (1, 3):  # batches of another size find the same tiles
        result, called = again(picture, folder, options.with_(tile_batch=batch))
        assert np.array_equal(result.image, undisturbed)
        assert len(called) == (result.stats.tiles - done if batch == 1 else 0)
    assert any("resumed: " in note for note in result.notes)


@pytest.mark.parametrize("failing, said", [(1, "1 tile was"), (2, "2 tiles were")])
def test_how_many_were_there_is_plain_english(failing, said, picture, folder):
    killed_at(picture, folder, failing)
    result, _ = again(picture, folder)
    assert f"resumed: {said} there from an earlier run" in result.notes


def test_the_job_is_removed_once_the_picture_is_safe(picture, folder):
    result, _ = again(picture, folder)
    assert len(journal.kept_runs(folder)) == 1 and journal.kept_runs(folder)[0].entries == 9
    result.forget()
    assert list(folder.iterdir()) == []


def test_a_stop_keeps_the_job(picture, folder):
    host = LocalHost(FaultyRefiner(), journal_folder=folder)
    host.on_progress = lambda progress: setattr(host, "stop", progress.done == 4)
    assert not upscale(picture, OPTIONS, host).finished
    assert len(again(picture, folder)[1]) == 5


CHANGES = [{"denoise": 0.4}, {"seed": 8}, {"padding": 40}, {"tile_width": 96}, {"noise": "tile"}]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_changed_options_never_find_an_old_tile(changes, picture, folder):
    killed_at(picture, folder, 8)
    options = OPTIONS.with_(**{**({"tile_height": 96} if "tile_width" in changes else {}), **changes})
    result, called = again(picture, folder, options)
    undisturbed, all_of_them = again(picture, folder / "empty", options)
    assert len(called) == len(all_of_them) and np.array_equal(result.image, undisturbed.image)


def test_another_model_or_picture_never_finds_an_old_tile(picture, folder):
    killed_at(picture, folder, 8)
    assert len(again(picture, folder, model="another")[1]) == 9
    touched = picture.copy()
    touched[0, 0, 0] ^= 1
    assert len(again(touched, folder)[1]) == 9


def test_what_does_not_change_a_tile_does_not_matter(picture, folder):
    killed_at(picture, folder, 8)
    assert again(picture, folder, OPTIONS.with_(tone_lock=0.2, mask_blur=3, tile_batch=2))[1] == [8]


def test_off_by_the_option_and_without_a_folder(picture, folder):
    again(picture, folder, OPTIONS.with_(resume=False))
    assert not folder.exists()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_entry_is_noticed_and_done_again(data, picture, tmp_path_factory):
    folder = tmp_path_factory.mktemp("journal")
    small = picture[:64, :128]
    expected = again(small, folder)[0].image
    entry = data.draw(st.sampled_from(sorted(folder.rglob("*.usdu"))))
    content = bytearray(entry.read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    entry.write_bytes(content)
    result, called = again(small, folder)
    assert np.array_equal(result.image, expected) and len(called) == 1
    assert again(small, folder)[1] == []  # and kept again
    shutil.rmtree(folder)


def test_an_entry_under_another_name_is_not_taken(picture, folder):
    again(picture, folder)
    first, second = sorted(folder.rglob("*.usdu"))[:2]
    first.write_bytes(second.read_bytes())
    assert len(again(picture, folder)[1]) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=arrays.arrays(
        st.sampled_from([np.uint8, np.float16, np.float32, np.float64]), arrays.array_shapes(min_dims=1, max_dims=4)
    )
)
def test_arrays_come_back_bit_for_bit(array, tmp_path):
    entries.write(tmp_path / "a", "key", array)
    found = entries.read(tmp_path / "a", "key", array.shape)
    assert found.dtype == array.dtype and found.tobytes() == array.tobytes()
    assert entries.read(tmp_path / "a", "key", (*array.shape, 1)) is None and not (tmp_path / "a").exists()


def test_a_full_disk_costs_the_journal_and_not_the_picture(picture, folder, monkeypatch):
    undisturbed = upscale(picture, OPTIONS, LocalHost(FaultyRefiner())).image
    original, written = entries.replace, []

    def full(path, data):
        written.append(path)
        if len(written) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(path, data)

    monkeypatch.setattr(entries, "replace", full)
    result, _ = again(picture, folder)
    assert np.array_equal(result.image, undisturbed) and result.finished
    assert "from here on this run cannot be resumed: No space left on device" in result.notes
    assert len(written) == 5 and not list(folder.rglob("*.tmp"))


def test_a_disk_nearly_full_is_left_alone(picture, folder, monkeypatch):
    monkeypatch.setattr(journal, "FREE_BYTES", 2**60)
    result, _ = again(picture, folder)
    assert result.finished and not list(folder.rglob("*.usdu")) and "the disk is full" in result.notes[0]


def test_a_folder_that_cannot_be_made_is_said(picture, tmp_path):
    (tmp_path / "file").write_text("")
    result, called = again(picture, tmp_path / "file")
    assert result.finished and len(called) == 9 and "this run cannot be resumed" in result.notes[0]


def test_settings_that_cannot_be_compared_switch_it_off(picture, folder):
    result, _ = again(picture, folder, model=lambda: None)
    assert result.finished and "cannot be compared" in result.notes[0] and not folder.exists()


def test_the_upscaled_canvas_is_kept(picture, folder):
    made = []

    def host(kind="raises", at=()):
        found = LocalHost(FaultyRefiner(kind, at), journal_folder=folder)
        plain = found.enlarge
        found.enlarge = lambda *args: made.append(1) or plain(*args)
        found.upscaler_identity = lambda name: "a model"
        return found

    with pytest.raises(Killed):
        upscale(picture, OPTIONS, host("killed", [8]))
    settle(folder)
    expected = upscale(picture, OPTIONS, LocalHost(FaultyRefiner())).image
    assert np.array_equal(upscale(picture, OPTIONS, host()).image, expected) and len(made) == 1
    skipped = host()
    skipped.upscaler_skipped = True  # what it returned is not the model's
    upscale(picture, OPTIONS.with_(seed=9), skipped)
    upscale(picture, OPTIONS.with_(seed=9), host())
    assert len(made) == 3


def test_old_jobs_and_too_many_bytes_go(picture, folder, monkeypatch):
    for seed in (1, 2, 3):
        again(picture, folder, OPTIONS.with_(seed=seed))
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_mtime > time.time() - 1000:
                os.utime(path, (time.time() - 4000 + 1000 * seed,) * 2)
    assert len(journal.kept_runs(folder)) == 3
    oldest = journal.kept_runs(folder)[-1]
    monkeypatch.setattr(journal, "MOST_DAYS", (time.time() - oldest.used - 500) / 86400)
    again(picture, folder, OPTIONS.with_(seed=4))
    assert len(journal.kept_runs(folder)) == 3 and not oldest.folder.exists()
    monkeypatch.setattr(journal, "MOST_BYTES", oldest.bytes)
    again(picture, folder, OPTIONS.with_(seed=5))
    assert len(journal.kept_runs(folder)) <= 2


def test_the_command_lists_and_clears_only_its_own(picture, folder, capsys):
    killed_at(picture, folder, 8)
    job = journal.kept_runs(folder)[0].folder
    (folder / "holiday.jpg").write_bytes(b"mine")
    (job / "notes.txt").write_bytes(b"mine")
    assert main(["journal", "--journal", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"{folder}: 1 run, " in said and "192x192 -> 192x192, 8 parts kept, tiles: 9, seed 7" in said
    assert main(["journal", "clear", "--journal", str(folder)]) == 0
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["holiday.jpg", "notes.txt"]


def test_the_default_folder_is_the_systems_cache(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setattr(journal.sys, "platform", "linux")
    assert journal.default_folder() == Path("/somewhere/ultimate-sd-upscale")


def test_digests_tell_values_apart():
    values = [0, False, None, "0", b"0", 0.0, [0], (0, 0), {0: 0}, {"a": 1}, {"a": "1"}, np.zeros(2), np.zeros((2, 1)),
              np.zeros(2, np.float32), ["ab", "c"], ["a", "bc"], [], [[]]]  # fmt: skip
    assert len({digest(value) for value in values}) == len(values)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    around = []
    around.append(around)
    for value in (print, object(), open(os.devnull, "rb"), around, lambda: 0):
        with pytest.raises(Unhashable):
            digest(value)
