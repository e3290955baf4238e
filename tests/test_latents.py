"""The autoencoder of a pipeline: memory, broken numbers, number formats, and what its pictures are laid out like."""

import numpy as np
import pytest
import torch

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import tiny_models  # noqa: E402

from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import ModelError  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.latents import Autoencoder  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402

CPU = torch.device("cpu")
OPTIONS = Options(tile_width=64, padding=0, custom_scale=1, denoise=0.5, upscaler="None", tone_lock=0)


@pytest.fixture
def pipeline(tmp_path):
    return tiny_models.sd1(tmp_path)


def refiner(pipeline):
    return DiffusersRefiner(pipeline, Sampling("a cat", "", "DPM++ 2M", 10, 3.0, 1), "tiny")


class Counted:
    """Stands for one of a network's methods: counts its calls and lets `fails(number, network)` say what goes wrong."""

    def __init__(self, network, method, fails):
        self.network, self.fails, self.number = network, fails, 0
        self.original = getattr(network, method)
        setattr(network, method, self)

    def __call__(self, *args, **kwargs):
        self.number += 1
        wrong = self.fails(self.number, self.network)
        if isinstance(wrong, Exception):
            raise wrong
        found = self.original(*args, **kwargs)
        return (found[0] * float("nan"),) if wrong else found


def too_large(number, vae):
    """Memory for pieces of 256 px at most."""
    if getattr(vae, "use_tiling", False) and vae.tile_sample_min_size <= 256:
        return False
    return torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.39 GiB")


def test_a_decode_that_does_not_fit_goes_on_in_pieces_without_sampling_again(pipeline, photo):
    rgb = photo[100:196, 150:278]
    good = upscale(rgb, OPTIONS.with_(tile_batch=4), LocalHost(refiner(pipeline)))
    made = refiner(pipeline)
    asked = Counted(pipeline.unet, "forward", lambda number, unet: False)
    decode = Counted(pipeline.vae, "decode", too_large)
    result = upscale(rgb, OPTIONS.with_(tile_batch=4), LocalHost(made))
    assert np.array_equal(result.image, good.image)  # windows of 96 px are one piece
    assert asked.number == 1 + 5 and decode.number == 4 + 2, "a look around, each step once, two decodes more"
    assert pipeline.vae.tile_sample_min_size == 256 and pipeline.vae.tile_latent_min_size == 32
    assert pipeline.vae.tile_overlap_factor == 32 / 256
    assert [note for note in result.notes if "pieces of 256 px" in note] and result.stats.batches == 1


def test_pieces_are_512_then_256_and_then_there_is_no_more_to_save(pipeline):
    made = refiner(pipeline)
    assert made.save_memory() and (pipeline.vae.tile_sample_min_size, pipeline.vae.tile_overlap_factor) == (512, 0.125)
    assert made.save_memory() and pipeline.vae.tile_sample_min_size == 256 and pipeline.vae.use_tiling
    assert not made.autoencoder.small_pieces()
    made.autoencoder.whole()
    assert not pipeline.vae.use_tiling and made.save_memory()


def test_an_encode_that_does_not_fit_goes_on_in_pieces_too(pipeline, photo):
    made = refiner(pipeline)
    Counted(pipeline.vae, "encode", too_large)
    assert upscale(photo[100:196, 150:278], OPTIONS, LocalHost(made)).finished
    assert pipeline.vae.tile_sample_min_size == 256


def in_half(number, vae):
    return next(vae.parameters()).dtype != torch.float32


def test_nan_of_the_decoder_costs_one_decode_more_and_the_rest_goes_in_single_precision(pipeline, photo):
    """bfloat16 stands for half precision, which not every torch can do on a CPU."""
    rgb = photo[100:196, 150:278]
    good = upscale(rgb, OPTIONS.with_(tile_batch=1), LocalHost(refiner(pipeline)))
    pipeline.vae.to(torch.bfloat16)
    made = refiner(pipeline)
    asked = Counted(pipeline.unet, "forward", lambda number, unet: False)
    decode = Counted(pipeline.vae, "decode", in_half)
    result = upscale(rgb, OPTIONS.with_(tile_batch=1), LocalHost(made))
    assert result.stats.tiles_done == 4 and asked.number == 1 + 4 * 5, "a look around; no tile was sampled twice"
    assert decode.number == 4 + 1, "only the first tile was decoded twice"
    assert any("single precision from here on" in note for note in result.notes)
    assert np.abs(result.image.astype(int) - good.image).max() <= 4  # the first tile was encoded in bfloat16


def test_nan_in_a_batch_is_decoded_again_for_its_tile_only(pipeline, photo):
    pipeline.vae.to(torch.bfloat16)
    made = refiner(pipeline)
    decode = Counted(pipeline.vae, "decode", lambda number, vae: number == 2)
    result = upscale(photo[100:196, 150:278], OPTIONS.with_(tile_batch=4), LocalHost(made))
    assert decode.number == 5 and not [note for note in result.notes if "stays" in note]


def test_where_single_precision_does_not_fit_the_tile_is_not_a_number(pipeline):
    pipeline.vae.to(torch.bfloat16)
    vae = Autoencoder(pipeline.vae, CPU, torch.float32)

    def wrong(number, vae):
        return True if in_half(number, vae) else RuntimeError("CUDA out of memory.")

    Counted(pipeline.vae, "decode", wrong)
    pictures = vae.pictures(torch.zeros(1, 4, 8, 8), 64, 64)
    assert np.isnan(pictures).all() and in_half(0, pipeline.vae)


def test_latents_that_are_nan_are_not_decoded_again(pipeline):
    pipeline.vae.to(torch.bfloat16)
    vae, latents = Autoencoder(pipeline.vae, CPU, torch.float32), torch.zeros(2, 4, 8, 8)
    latents[1, 2, 3, 4] = torch.nan
    decode = Counted(pipeline.vae, "decode", lambda number, vae: False)
    pictures = vae.pictures(latents, 64, 64)
    assert np.isfinite(pictures[0]).all() and np.isnan(pictures[1]).all()
    assert decode.number == 2 and in_half(0, pipeline.vae)


def test_sdxls_decoder_stays_in_single_precision(tmp_path):
    """It overflows in half precision; turning it there and back for each tile took longer than decoding."""
    pipeline = tiny_models.sdxl(tmp_path)
    pipeline.vae.register_to_config(force_upcast=True)
    pipeline.vae.to(torch.float16)
    refiner(pipeline)
    assert next(pipeline.vae.parameters()).dtype == torch.float32


def test_pictures_come_contiguous_for_what_works_on_them_next(pipeline, photo):
    """The tone lock takes 1.8 ms for such a window and 7.0 for one whose colours lie in planes."""
    pictures = []
    made = refiner(pipeline)
    refine = made.refine
    made.refine = lambda batch, stop: pictures.append(refine(batch, stop)) or pictures[-1]
    upscale(photo[100:196, 150:278], OPTIONS.with_(tile_batch=2), LocalHost(made))
    assert pictures and all(one.flags.c_contiguous and one.dtype == np.float32 for one in pictures)


def test_a_batch_does_not_walk_over_every_module_to_learn_a_number_format(pipeline, photo, monkeypatch):
    """diffusers' `dtype` takes 2 ms for a real network; it was asked for four times a tile."""
    made, asked = refiner(pipeline), []
    whole = type(pipeline.vae).dtype
    monkeypatch.setattr(type(pipeline.vae), "dtype", property(lambda self: asked.append(1) or whole.fget(self)))
    for tiles in (1, 4):
        asked.clear()
        upscale(photo[100:196, 150:278], OPTIONS.with_(tile_batch=tiles), LocalHost(made))
        assert not asked


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_a_model_that_breaks_in_half_precision_is_asked_in_single(kind, tmp_path, photo):
    """The prompt's numbers with it: the text encoders stay as they are."""
    pipeline = getattr(tiny_models, kind)(tmp_path).to(torch.bfloat16)
    made = refiner(pipeline)
    asked = Counted(pipeline.unet, "forward", in_half)
    result = upscale(photo[100:196, 150:278], OPTIONS.with_(tile_batch=1), LocalHost(made))
    assert result.finished and not result.notes and asked.number == 1 + 2 * 4 * 5
    assert pipeline.unet.dtype == pipeline.text_encoder.dtype == torch.bfloat16


def test_what_is_nan_in_single_precision_too_is_said(pipeline, photo):
    pipeline.to(torch.bfloat16)
    Counted(pipeline.vae, "decode", lambda number, vae: True)
    with pytest.raises(ModelError, match="the model fails: .*NaN"):
        upscale(photo[100:196, 150:278], OPTIONS.with_(tile_batch=1), LocalHost(refiner(pipeline)))
