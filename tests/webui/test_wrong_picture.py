"""No wrong picture without a word: what the webui's settings, files and other clients can do to a run."""

import json
import re
import sys
import threading
import types
import zipfile
from pathlib import Path

import numpy as np
import pydantic
import pytest
import torch
from k_diffusion import sampling
from modules import errors, processing, sd_models, shared, standin, upscaler
from PIL import Image
from probes.harness import options
from safetensors.torch import save_file
from test_extension import ask, batch, extension, folder, photo, refused  # noqa: F401

from lib_usdu.embedded import DEFAULT_UPSCALER, span

sys.path.append(str(Path(__file__).parents[1] / "reliability"))
from counts import count  # noqa: E402

TILES = {"tile_width": 64, "padding": 16}


def pixels(done, at=0):
    return np.asarray(done.images[at])


# --- an upscaler that does not load -----------------------------------------------------------------------------------


class Broken(upscaler.Upscaler):
    """As the webui's ESRGAN (esrgan_model.py:27): an error is reported, and the picture comes back unchanged."""

    name, reported = "Broken", True

    def do_upscale(self, img, selected_model):
        try:
            raise RuntimeError("PytorchStreamReader failed reading zip archive")
        except RuntimeError:
            if self.reported:
                errors.report(f"Unable to load ESRGAN model {selected_model}", exc_info=True)
            return img


class Raising(upscaler.Upscaler):
    name = "Raising"

    def do_upscale(self, img, selected_model):
        raise ConnectionError("no route to host")


def add_upscaler(monkeypatch, name, path, scaler):
    known = [*shared.sd_upscalers, upscaler.UpscalerData(name, str(path), scaler)]
    monkeypatch.setattr(shared, "sd_upscalers", known)


@pytest.mark.parametrize(
    "content, scaler, reason",
    [
        (b"not a model", Broken(), "failed reading zip archive"),
        (None, Broken(), "failed reading zip archive"),
        (None, Raising(), "no route to host"),
    ],
    ids=["a damaged file", "a download that fails", "a host that raises"],
)
def test_an_upscaler_that_nobody_can_load_is_an_error_before_any_tile(
    extension, monkeypatch, tmp_path, content, scaler, reason  # noqa: F811
):  # fmt: skip
    path = tmp_path / "4x-Foo.pth"
    if content is not None:
        path.write_bytes(content)
    add_upscaler(monkeypatch, "4x-Foo", path, scaler)
    error = refused([{**TILES, "upscaler": "4x-Foo"}])
    told = error.status_code == 500 and reason in error.detail and "4x-Foo.pth" in error.detail
    count("an upscaler that nobody can load", 1, told)
    assert told
    assert "\n" not in error.detail and standin.log.calls == []
    assert "do_upscale" not in vars(scaler)


def test_a_host_that_returns_the_picture_unchanged_and_reports_nothing(extension, monkeypatch, tmp_path):  # noqa: F811
    scaler = Broken()
    scaler.reported = False
    add_upscaler(monkeypatch, "LDSR", "", scaler)
    assert "returned the picture unchanged" in refused([{**TILES, "upscaler": "LDSR"}]).detail


def written_by_a_recent_torch(path):
    """The embedded upscaler's weights, with the record that webuis of today refuse."""
    torch.save(span.read(DEFAULT_UPSCALER), path)
    with zipfile.ZipFile(path, "a") as archive:
        if not any(name.endswith(".format_version") for name in archive.namelist()):
            archive.writestr(f"{path.stem}/.format_version", "1")


def refuses_unknown_records(filename, *args, **kwargs):
    """The function that a webui puts in the place of torch.load (safe.py:96, 131)."""
    with zipfile.ZipFile(filename) as archive:
        if any(name.endswith(".format_version") for name in archive.namelist()):
            errors.report("The file may be malicious, so the program is not going to read it.")
            return None
    return torch.serialization.load(filename, *args, **kwargs)


def test_a_sound_file_that_the_hosts_loader_refuses_is_loaded_by_us(extension, monkeypatch, tmp_path):  # noqa: F811
    path, scaler = tmp_path / "4x-new.pth", Broken()
    written_by_a_recent_torch(path)
    save_file(span.read(DEFAULT_UPSCALER), tmp_path / "same.safetensors")
    for name, file in (("4x-new", path), ("4x-same", tmp_path / "same.safetensors")):
        add_upscaler(monkeypatch, name, file, scaler)
    monkeypatch.setattr(torch, "load", refuses_unknown_records)
    done = ask([{"upscaler": "4x-new", "redraw_mode": "none"}])
    same = ask([{"upscaler": "4x-same", "redraw_mode": "none"}])
    plain = ask([{"upscaler": "Lanczos", "redraw_mode": "none"}])
    assert np.array_equal(pixels(done), pixels(same)) and not np.array_equal(pixels(done), pixels(plain))


def test_a_pickle_that_runs_code_is_not_loaded_past_the_hosts_loader(extension, monkeypatch, tmp_path):  # noqa: F811
    class Bad:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    path = tmp_path / "4x-bad.pth"
    torch.save({"weight": Bad()}, path)
    add_upscaler(monkeypatch, "4x-bad", path, Broken())
    monkeypatch.setattr(torch, "load", refuses_unknown_records)
    assert "4x-bad" in refused([{"upscaler": "4x-bad"}]).detail
    assert not (tmp_path / "ran").exists()


def test_a_name_in_another_case_takes_the_exact_one_first(extension, monkeypatch):  # noqa: F811
    class Colour(upscaler.Upscaler):
        def do_upscale(self, img, selected_model):
            large = Image.new("RGB", (img.width * 4, img.height * 4), selected_model)
            large.putpixel((9, 9), (0, 255, 0))  # of one colour it would be taken for a failure
            return large

    for name in ("Foo", "foo"):
        add_upscaler(monkeypatch, name, {"Foo": "red", "foo": "blue"}[name], Colour())
    done = ask([{"upscaler": "foo", "redraw_mode": "none"}])
    assert tuple(pixels(done)[0, 0]) == (0, 0, 255)


def test_a_black_picture_of_the_hosts_own_code_is_an_error(extension, monkeypatch):  # noqa: F811
    class Black(upscaler.Upscaler):
        def do_upscale(self, img, selected_model):
            return Image.new("RGB", (img.width * 4, img.height * 4))

    add_upscaler(monkeypatch, "Broken", "x", Black())
    assert "upscaler Broken: the enlarged picture is of one colour" in refused([{"upscaler": "Broken"}]).detail


# --- another client in the middle of a run ----------------------------------------------------------------------------


def in_another_thread(work):
    """As a second client of the webui: the settings page, POST /sdapi/v1/options."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def at_call(monkeypatch, number, work, *, inside=True):
    """Does something in the n-th call of process_images (from 0): before it samples, or when it is over."""
    original, calls = processing.process_images, []

    def watched(p):
        calls.append(1)
        if len(calls) == number + 1 and inside:
            work()
        done = original(p)
        if len(calls) == number + 1 and not inside:
            work()
        return done

    monkeypatch.setattr(processing, "process_images", watched)
    return calls


def test_a_setting_changed_by_another_client_changes_nothing_in_the_run_and_stays(extension, monkeypatch):  # noqa: F811
    seen, before = [], shared.opts.CLIP_stop_at_last_layers
    undisturbed = ask([TILES])

    def change():
        in_another_thread(lambda: shared.opts.set("CLIP_stop_at_last_layers", 4))
        seen.append(shared.opts.CLIP_stop_at_last_layers)

    at_call(monkeypatch, 3, change)
    done = ask([TILES])
    assert np.array_equal(pixels(done), pixels(undisturbed)) and done.infotexts == undisturbed.infotexts
    assert seen == [before] and shared.opts.CLIP_stop_at_last_layers == 4


def test_a_setting_changed_at_any_tile_changes_nothing_in_the_run(extension, monkeypatch):  # noqa: F811
    undisturbed, same = ask([TILES]), []
    for at in range(9):
        with monkeypatch.context() as patch:
            patch.setitem(shared.opts.data, "CLIP_stop_at_last_layers", 1)
            at_call(patch, at, lambda: in_another_thread(lambda: shared.opts.set("CLIP_stop_at_last_layers", 4)))
            done = ask([TILES])
            stays = shared.opts.CLIP_stop_at_last_layers == 4
        same.append(stays and np.array_equal(pixels(done), pixels(undisturbed)))
    count("a setting is changed by another client, at every tile", len(same), sum(same))
    assert all(same)


@pytest.mark.parametrize("change", [{"save_init_img": True}, {"save_init_img": False}, {"jpeg_quality": 33}], ids=str)
def test_saving_settings_during_a_run_writes_the_persons_own(extension, monkeypatch, tmp_path, change):  # noqa: F811
    config = tmp_path / "config.json"
    shared.opts.data.update(save_init_img=True, img2img_color_correction=True, CLIP_stop_at_last_layers=1)

    def person_saves():
        for name, value in change.items():
            shared.opts.set(name, value)
        shared.opts.save(str(config))

    before = dict(shared.opts.data)
    at_call(monkeypatch, 2, lambda: in_another_thread(person_saves))
    ask([TILES], override_settings={"CLIP_stop_at_last_layers": 4})
    assert json.loads(config.read_text()) == {**before, **change} == shared.opts.data
    assert type(shared.opts.data) is dict


def test_saving_in_the_runs_own_thread_writes_the_persons_own(extension, monkeypatch, tmp_path):  # noqa: F811
    """An extension that keeps something of its own in the settings and saves them."""
    config = tmp_path / "config.json"
    shared.opts.data.update(save_init_img=True)
    at_call(monkeypatch, 2, lambda: (shared.opts.set("jpeg_quality", 33), shared.opts.save(str(config))))
    ask([TILES])
    assert json.loads(config.read_text()) == {"save_init_img": True, "jpeg_quality": 33} == shared.opts.data


def other_checkpoint():
    return types.SimpleNamespace(name_for_extra="other", name="other", title="other.safetensors", filename="/m/other")


@pytest.mark.parametrize("inside", [False, True], ids=["between two tiles", "in a tile"])
@pytest.mark.parametrize("at", range(9))
def test_a_checkpoint_changed_during_a_run_ends_it_there(extension, monkeypatch, at, inside):  # noqa: F811
    undisturbed = pixels(ask([{**TILES, "mask_blur": 0, "tone_lock": 0}]))
    monkeypatch.setattr(shared.sd_model, "sd_checkpoint_info", shared.sd_model.sd_checkpoint_info)
    at_call(
        monkeypatch, at, lambda: setattr(shared.sd_model, "sd_checkpoint_info", other_checkpoint()), inside=inside
    )  # fmt: skip
    done = ask([{**TILES, "mask_blur": 0, "tone_lock": 0}], n_iter=2)
    said = "checkpoint was changed during the run, from sd1.safetensors to other" in done.comments
    # The tile in which it was noticed is not kept either.
    ended = f"unfinished: {at} of 9 tiles" in done.infotexts[0] and len(done.images) == 1
    count("the model is switched, at every tile", 1, said and ended)
    assert said and ended
    assert not np.array_equal(pixels(done), undisturbed)
    monkeypatch.undo()


def test_a_vae_changed_during_a_run_ends_it(extension, monkeypatch):  # noqa: F811
    vae = types.ModuleType("modules.sd_vae")
    vae.loaded_vae_file, vae.vae_dict = "/m/a.vae.pt", {}
    monkeypatch.setitem(sys.modules, "modules.sd_vae", vae)
    monkeypatch.setattr(sys.modules["modules"], "sd_vae", vae, raising=False)
    at_call(monkeypatch, 4, lambda: setattr(vae, "loaded_vae_file", "/m/b.vae.pt"))
    done = ask([TILES])
    assert "The VAE was changed during the run, from a.vae.pt to b.vae.pt" in done.comments
    assert "unfinished: 4 of 9 tiles" in done.infotexts[0]


def test_a_setting_changed_in_the_runs_own_thread_ends_it(extension, monkeypatch):  # noqa: F811
    at_call(monkeypatch, 4, lambda: shared.opts.set("CLIP_stop_at_last_layers", 2))
    done = ask([TILES])
    assert "Settings were changed during the run: CLIP_stop_at_last_layers" in done.comments
    assert "unfinished: 4 of 9 tiles" in done.infotexts[0]


@pytest.mark.parametrize("host", ["forge", "neo"], indirect=True)
def test_forges_choice_of_another_model_ends_the_run(extension, monkeypatch):  # noqa: F811
    chosen = sd_models.model_data.forge_loading_parameters
    at_call(monkeypatch, 0, lambda: chosen.update(additional_modules=["x"]))
    done = ask([TILES])
    assert "choice of models" in done.comments and "unfinished: 0 of 9 tiles" in done.infotexts[0]


# --- names that the webui does not know -------------------------------------------------------------------------------


@pytest.fixture
def lists(monkeypatch):
    """As a webui keeps them: checkpoints by every alias, VAEs by name."""
    vae = types.ModuleType("modules.sd_vae")
    vae.loaded_vae_file, vae.vae_dict, loads = None, {"good.vae.pt": "/m/good.vae.pt"}, []
    vae.reload_vae_weights = lambda: loads.append(shared.opts.sd_vae)
    monkeypatch.setitem(sys.modules, "modules.sd_vae", vae)
    monkeypatch.setattr(sys.modules["modules"], "sd_vae", vae, raising=False)
    known = {"standin": 1, "sd1.safetensors": 1, "other.safetensors": 2}
    monkeypatch.setattr(sd_models, "checkpoint_aliases", known, raising=False)
    if not standin.knobs.forge:
        monkeypatch.setattr(sd_models, "reload_model_weights", lambda *_: loads.append(shared.opts.sd_model_checkpoint))
    return loads


@pytest.mark.parametrize(
    "override",
    [
        {"sd_model_checkpoint": "nowhere.safetensors"}, {"sd_vae": "nowhere.pt"}, {"no_such_setting": 1},
        {"CLIP_stop_at_last_layers": 2, "sd_vae": "nowhere.pt"},
    ],
    ids=str,
)  # fmt: skip
def test_unknown_names_in_override_settings_are_422(extension, lists, override):  # noqa: F811
    before = dict(shared.opts.data)
    error = refused([TILES], override_settings=override)
    assert error.status_code == 422 and "override_settings" in error.detail
    assert standin.log.calls == [] and shared.opts.data == before and lists == []


@pytest.mark.parametrize("host", ["a1111"], indirect=True)
def test_known_names_are_loaded_once_around_the_run(extension, lists):  # noqa: F811
    override = {"sd_model_checkpoint": "other.safetensors", "sd_vae": "good.vae.pt"}
    assert ask([TILES], override_settings=override).images
    assert lists[:2] == ["other.safetensors", "good.vae.pt"] and lists[-2:] == [None, "Automatic"]
    assert set(lists[2:-2]) == {"other.safetensors"}  # the host asks for it in every call


@pytest.mark.parametrize("host", ["forge", "neo"], indirect=True)
def test_forge_loads_a_known_name_once_for_the_run(extension, lists):  # noqa: F811
    assert ask([TILES], override_settings={"sd_model_checkpoint": "other.safetensors"}).images
    assert standin.log.loads == ["other.safetensors"]
    assert ask([TILES]).images and standin.log.loads == ["other.safetensors", "sd1.safetensors"]


# --- pictures of every kind -------------------------------------------------------------------------------------------

DEEP = np.linspace(0, 65535, 96 * 72).reshape(72, 96)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(DEEP.astype(np.uint16)), Image.fromarray(DEEP.astype(np.int32)),
        Image.fromarray((DEEP / 65535).astype(np.float32)), Image.fromarray((DEEP / 257).astype(np.float32)),
        Image.fromarray(np.round(DEEP / 257).astype(np.uint8)),
    ],
    ids=["I;16", "I", "F to 1", "F to 255", "L"],
)  # fmt: skip
def test_16_bit_and_float_pictures_come_out_right(extension, image):  # noqa: F811
    done = pixels(ask([{"redraw_mode": "none", "custom_scale": 1}], image))
    assert np.abs(done[..., 0].astype(float) - DEEP / 257).max() <= 1
    assert (done[..., 0] == done[..., 1]).all() and (done[..., 1] == done[..., 2]).all()


def test_grey_stays_grey(extension):  # noqa: F811
    standin.knobs.noise_gain = 40  # the stand-in's model tints what it draws
    grey, colour = (pixels(ask([TILES], photo(mode="L").convert(mode))).astype(int) for mode in ("L", "RGB"))
    assert np.ptp(grey, axis=2).max() == 0 and np.ptp(colour, axis=2).max() > 5


def disc(background, mode="RGBA"):
    """A red disc on transparent pixels of some stored colour."""
    y, x = np.mgrid[0:72, 0:96]
    pixels = np.full((72, 96, 4), (*background, 0), np.uint8)
    pixels[(x - 48) ** 2 + (y - 36) ** 2 < 25**2] = 230, 40, 40, 255
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("upscaler_name", ["Lanczos", "SPAN x4"])
@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255)])
def test_a_cut_out_gets_no_rim(extension, background, upscaler_name):  # noqa: F811
    args = {"redraw_mode": "none", "custom_scale": 3, "upscaler": upscaler_name}
    done = pixels(ask([args], disc(background)))
    seen = done[done[..., 3] > 0].astype(int)
    assert done.shape == (216, 288, 4) and (done[..., 3] == 0).any()
    assert seen[:, 0].min() >= 200 and seen[:, 1:3].max() <= 80


def test_a_cut_out_saved_as_jpeg_lies_on_the_hosts_background(extension, tmp_path):  # noqa: F811
    names = {"outdir_img2img_samples": str(tmp_path / "out"), "save_to_dirs": False}
    with options(samples_format="jpg", img2img_background_color="#00ff00", **names):
        ask([{"redraw_mode": "none"}], disc((0, 0, 0)), save_images=True)
    (saved,) = standin.log.saved
    assert np.abs(np.asarray(Image.open(saved))[2, 2].astype(int) - (0, 255, 0)).max() < 8


# --- seeds and several results ----------------------------------------------------------------------------------------


def seeds_of(done):
    return [re.search(r"Seed: (\d+)", text)[1] for text in done.infotexts]


def variations_of(done):
    return [int(re.search(r"Variation seed: (\d+)", text)[1]) for text in done.infotexts]


def test_a_random_variation_seed_is_drawn_once_and_recorded(extension, monkeypatch):  # noqa: F811
    one, two = (ask([TILES], subseed=-1, subseed_strength=0.5) for _ in range(2))
    assert variations_of(one) != variations_of(two) and 0 not in variations_of(one) + variations_of(two)
    same = ask([TILES], subseed=variations_of(one)[0], subseed_strength=0.5)
    assert np.array_equal(pixels(same), pixels(one)) and not np.array_equal(pixels(one), pixels(two))
    assert same.infotexts == one.infotexts and one.subseed == variations_of(one)[0]


@pytest.mark.parametrize("strength, seeds, variations", [(0, ["3", "4", "5"], None), (0.5, ["3"] * 3, [9, 10, 11])])
def test_batch_count_counts_seeds_as_the_host_does(extension, strength, seeds, variations):  # noqa: F811
    done = ask([TILES], n_iter=3, subseed=9, subseed_strength=strength)
    assert seeds_of(done) == seeds and (variations is None or variations_of(done) == variations)
    assert done.all_subseeds == [9, 10, 11]
    assert len({pixels(done, at).tobytes() for at in range(3)}) == 3


def test_batch_size_makes_so_many_pictures(extension):  # noqa: F811
    done = ask([TILES], batch_size=2, n_iter=2)
    assert len(done.images) == 4 and seeds_of(done) == ["3", "4", "5", "6"]
    alone = ask([TILES], seed=4)
    assert np.array_equal(pixels(done, 1), pixels(alone))


def test_each_init_image_of_a_call_gets_its_own_result(extension):  # noqa: F811
    others = [photo(), photo(64, 80), photo(mode="L")]
    done = ask([TILES], init_images=others)
    assert [image.size for image in done.images] == [(192, 144), (128, 160), (192, 144)]
    assert seeds_of(done) == ["3", "4", "5"]
    alone = ask([TILES], others[1], seed=4)
    assert np.array_equal(pixels(done, 1), pixels(alone))


def test_several_results_keep_the_result_first_and_what_goes_with_it_behind(extension):  # noqa: F811
    done = ask([{**TILES, "compare": True}], n_iter=2)
    assert [image.size for image in done.images[:2]] == [(192, 144)] * 2 and len(done.images) == 4
    assert seeds_of(done) == ["3", "4", "3", "4"]


def test_generation_number_leaves_a_file_for_each_result(extension, tmp_path):  # noqa: F811
    pattern = "x-[generation_number]"
    names = {"save_images_add_number": False, "save_to_dirs": False, "samples_filename_pattern": pattern}
    with options(outdir_img2img_samples=str(tmp_path / "out"), **names):
        ask([TILES], n_iter=2, batch_size=2, save_images=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"x-{n}.png" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("values", [{"n_iter": 3}, {"batch_size": 3}], ids=str)
def test_a_folder_with_three_results_each_leaves_three_files_each(extension, folder, tmp_path, values):  # noqa: F811
    with options(save_images_add_number=False):
        batch(extension, folder, tmp_path / "out", values, tile_width=512)
    names = sorted(path.stem for path in (tmp_path / "out").iterdir())
    assert names == sorted(f"{stem}-{n}" for stem in ("a", "c", "d_alpha", "e_grey", "f_turned") for n in (1, 2, 3))


# --- values no picture can be made with -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 0}, {"steps": None}, {"batch_size": 0}, {"n_iter": 0}, {"n_iter": None}, {"prompt": None},
        {"denoising_strength": None}, {"denoising_strength": 1.5}, {"cfg_scale": None}, {"init_images": []},
    ],
    ids=str,
)  # fmt: skip
def test_a_sentence_instead_of_pythons_words(extension, values):  # noqa: F811
    error = refused([TILES], **values)
    name = next(iter(values))
    assert error.status_code == 422 and (name in error.detail or name == "init_images")
    assert "Error" not in error.detail and standin.log.calls == [] and standin.log.reports == []


@pytest.mark.parametrize("size", [(0, 64), (64, 0)])
def test_a_size_of_0_in_the_tab_is_said_in_a_sentence(extension, size):  # noqa: F811
    error = refused([{**TILES, "target_size_type": "img2img"}], width=size[0], height=size[1])
    assert error.status_code == 422 and "1 px or more" in error.detail and standin.log.calls == []


def test_a_dict_that_was_turned_into_text_twice_is_not_passed_over(extension):  # noqa: F811
    error = refused([json.dumps(TILES)])
    assert error.status_code == 422 and "script_args" in error.detail and "one dict" in error.detail
    assert len(ask(["<p>the original's panel</p>"]).images) == 1


@pytest.mark.parametrize("mode", ["parallel", "fused"])
def test_noise_that_a_sampler_would_leave_in_the_picture_is_refused(extension, monkeypatch, mode):  # noqa: F811
    """DDIM and PLMS with one step put noise on it and never ask the model (sd_samplers_timesteps_impl.py:24)."""
    steps = {"steps": 4, "denoising_strength": 0.3, "sampler_name": "Euler"}
    assert len(ask([{**TILES, "redraw_mode": mode}], **steps).images) == 1
    monkeypatch.setattr(sampling, "sample_euler", lambda model, x, sigmas, **others: x)
    error = refused([{**TILES, "redraw_mode": mode}], **steps)
    assert error.status_code == 422 and "Euler would leave its noise in the picture" in error.detail
    assert "of 4 steps at denoising strength 0.3" in error.detail


@pytest.mark.parametrize("values", [{"steps": 2.5}, {"negative_prompt": 3}], ids=str)
def test_values_of_another_type_are_the_apis_to_read(extension, values):  # noqa: F811
    """AUTOMATIC1111's pydantic 1 reads 2.5 as 2 and 3 as "3"; pydantic 2 refuses both."""
    if pydantic.VERSION.startswith("1."):
        assert len(ask([TILES], **values).images) == 1
    else:
        error = refused([TILES], **values)
        assert error.status_code == 422 and next(iter(values)) in error.detail and standin.log.calls == []


def test_plain_resampling_works_where_the_host_does_not_list_it(extension, monkeypatch, photo):  # noqa: F811
    monkeypatch.setattr(shared, "sd_upscalers", [one for one in shared.sd_upscalers if one.name == "None"])
    asked = [{"upscaler": "Lanczos", "redraw_mode": "none", "resume": False}]
    done = ask(asked, Image.fromarray(photo[:64, :64]))
    assert done.images[0].size == (128, 128)
