"""A CUDA card under the rules of torch 2.1 and of torch 2.5: the stand-in is as the real one, and every place that asks
about a device works with a device that has no index, as webuis have it."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_card import GIB, NAMES, FakeCards

from lib_usdu.batch_size import BatchLimits
from lib_usdu.enlarge import prepared
from lib_usdu.enlarge.precision import multiplies_bfloat16, upscaler_dtype
from lib_usdu.enlarge.spandrel_model import SpandrelModel
from lib_usdu.enlarge.upscalers import Source, Upscalers
from lib_usdu.errors import OptionError
from lib_usdu.run import memory, memory_needs, transfer
from lib_usdu.session import Session
from lib_usdu.speed.autoencoder import quicker

DEVICES = [torch.device("cuda"), "cuda", torch.device("cuda:1"), 1, None, torch.device("cpu"), "cpu"]
HERE = tuple(int(part) for part in torch.__version__.split(".")[:2])
CUDA = torch.device("cuda")

# --- the stand-in is as the real one ----------------------------------------------------------------------------------


def refusal(function, *arguments):
    """What a function says against a device; None where it takes it, though there is no card for it then."""
    try:
        function(*arguments)
    except ValueError as error:
        return str(error)
    except (RuntimeError, AssertionError):  # no driver; a build of torch without CUDA
        pass
    return None


@pytest.mark.parametrize("device", DEVICES, ids=repr)
def test_the_installed_torch_refuses_the_same_devices(device):
    cards = FakeCards(HERE, count=2)
    assert refusal(torch.cuda.mem_get_info, device) == refusal(cards.mem_get_info, device)


def test_before_2_5_it_wants_an_index():
    said = "Expected a torch.device with a specified index or an integer, but got:cuda"
    for version, refused in (((2, 1), said), ((2, 4), said), ((2, 5), None), ((2, 13), None)):
        assert refusal(FakeCards(version).mem_get_info, CUDA) == refused
        assert refusal(FakeCards(version).set_per_process_memory_fraction, 0.5, CUDA) == said


@pytest.mark.parametrize("name", ["set_per_process_memory_fraction", "memory_stats", "reset_peak_memory_stats"])
def test_whether_the_others_need_an_index_is_so_in_the_installed_torch(name):
    """They ask the driver first, so this is read in their source."""
    source = inspect.getsource(getattr(torch.cuda, "memory_stats_as_nested_dict" if name == "memory_stats" else name))
    needs_index = name == "set_per_process_memory_fraction"
    assert ("optional=True" in source) != needs_index


@pytest.mark.parametrize("name", sorted({*NAMES} - {"Event"}))
def test_its_parameters_are_the_installed_ones(name):
    real, ours = (inspect.signature(getattr(owner, name)) for owner in (torch.cuda, FakeCards(HERE)))
    assert list(ours.parameters) == [found for found in real.parameters if found not in ("check_error",)]


def test_memory_in_reserve_is_kept_until_the_cache_is_emptied():
    cards = FakeCards((2, 1), gib=8)
    cards.allocate(3 * GIB)
    cards.release(2 * GIB)
    assert (cards.memory_allocated(), cards.memory_reserved(), cards.mem_get_info()[0]) == (GIB, 3 * GIB, 5 * GIB)
    cards.allocate(2 * GIB)
    assert cards.memory_reserved() == 3 * GIB
    with pytest.raises(torch.cuda.OutOfMemoryError, match="CUDA out of memory. Tried to allocate 6.00 GiB"):
        cards.allocate(6 * GIB)
    cards.release(3 * GIB)
    cards.empty_cache()
    assert cards.mem_get_info() == (8 * GIB, 8 * GIB) and cards.max_memory_reserved() == 3 * GIB


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", [CUDA, "cuda", torch.device("cuda:1"), "cuda:1"], ids=repr)
def test_what_torch_has_in_reserve_counts_as_free(card, device):
    card.allocate(3 * GIB, 1)
    card.release(2 * GIB, 1)
    card.allocate(6 * GIB, 0)
    assert memory.free_bytes(device) == 7 * GIB
    assert memory.free_bytes("cuda:0") == 2 * GIB


def test_nobody_says_what_other_devices_have(card):
    for name in ("mps", "xpu", "privateuseone:0", "meta"):
        assert memory.free_bytes(name if name == "privateuseone:0" else torch.device(name)) is None
        assert memory_needs.windows_that_fit(SimpleNamespace(type=name), 512, 512, half=True) == BatchLimits(1, 1)


def test_windows_and_upscaler_windows_by_what_is_free(card):
    assert memory_needs.windows_that_fit(CUDA, 576, 576, half=True) == BatchLimits(4, 16)
    assert memory_needs.upscaler_windows(CUDA, 256) == 4 and not memory_needs.short(CUDA, 1024, 1024)
    card.allocate(6 * GIB, 1)
    assert memory_needs.windows_that_fit(CUDA, 576, 576, half=True) == BatchLimits(4, 8)
    card.allocate(7 * GIB // 4, 1)
    assert memory_needs.windows_that_fit(CUDA, 576, 576, half=True) == BatchLimits(1, 1)


def test_what_another_process_has_on_the_card_counts(card):
    """A Ray worker, whose driver has the upscaler there."""
    card.memory[1].others = int(6.5 * GIB)
    before = memory_needs.windows_that_fit(CUDA, 576, 576, half=True)
    card.memory[1].others = int(7.6 * GIB)
    assert memory_needs.windows_that_fit(CUDA, 576, 576, half=True).most < before.most
    assert memory_needs.upscaler_windows(CUDA, 256) == 1 and memory_needs.short(CUDA, 1024, 1024)


def test_freed_memory_is_kept_where_the_system_can(monkeypatch):
    """glibc's mallopt; elsewhere there is none, and Windows has no such library."""
    asked = []
    glibc = SimpleNamespace(mallopt=lambda what, value: asked.append((what, value)) or 1)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: glibc)
    assert memory.keep_freed() and asked == [(-3, 2**28), (-1, 2**30)]
    glibc.mallopt = lambda what, value: 0
    assert not memory.keep_freed()
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace())
    assert not memory.keep_freed()

    def unnamed(name):
        raise TypeError("LoadLibrary() argument 1 must be str, not None")

    monkeypatch.setattr(memory.ctypes, "CDLL", unnamed)
    assert not memory.keep_freed()


def test_what_is_given_back(card, monkeypatch):
    """To CUDA's driver, to Metal and to Intel's; and where torch has none of them, nothing is asked."""
    emptied = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: emptied.append("mps"))
    xpu = SimpleNamespace(is_available=lambda: True, empty_cache=lambda: emptied.append("xpu"))
    monkeypatch.setattr(torch, "xpu", xpu, raising=False)
    card.allocate(GIB, 1)
    card.release(GIB, 1)
    memory.give_back()
    assert card.cache_emptied == 1 and card.memory_reserved() == 0 and emptied == ["mps", "xpu"]
    card.memory.clear()  # no card any more
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.delattr(torch, "xpu")
    memory.give_back()
    assert card.cache_emptied == 1 and emptied == ["mps", "xpu"]


NO_MEMORY = {
    "CUDA, torch 2.1": "CUDA out of memory. Tried to allocate 1.86 GiB. GPU 0 has a total capacty of 8.00 GiB of which "
    "0 bytes is free. Of the allocated memory 6.81 GiB is allocated by PyTorch, and 302.51 MiB is reserved by PyTorch.",
    "CUDA's driver": "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API "
    "call, so the stacktrace below might be incorrect.",
    "cuBLAS": "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN": "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "cuDNN 8": "GET was unable to find an engine to execute this computation",
    "cuDNN 8, tried out": "FIND was unable to find an engine to execute this computation",
    "cuDNN 7": "Unable to find a valid cuDNN algorithm to run convolution",
    "DirectML": "Could not allocate tensor with 234881024 bytes. There is not enough GPU video memory available!",
    "MPS": "MPS backend out of memory (MPS allocated: 6.04 GB, other allocations: 1.04 GB, max allowed: 6.77 GB). "
    "Tried to allocate 459.07 MB on private pool. Use PYTORCH_MPS_HIGH_WATERMARK_RATIO=0.0 to disable upper limit for "
    "memory allocations (may cause system failure).",
    "MPS, one tensor": "Invalid buffer size: 24.00 GB",
    "Linux": "[enforce fail at alloc_cpu.cpp:75] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
    "allocate 132426121216 bytes. Error code 12 (Cannot allocate memory)",
    "Windows": "[enforce fail at ..\\c10\\core\\impl\\alloc_cpu.cpp:72] data. DefaultCPUAllocator: not enough memory: "
    "you tried to allocate 1981808640 bytes.",
    "HIP": "HIP out of memory. Tried to allocate 432.00 MiB. GPU 0 has a total capacity of 15.92 GiB of which 7.12 GiB "
    "is free. Of the allocated memory 8.08 GiB is allocated by PyTorch, and 321.96 MiB is reserved by PyTorch.",
    "HIP's driver": "HIP error: out of memory",
    "hipBLAS": "CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasCreate(handle)`",
    "XPU": "XPU out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 16.50 GiB.",
    "XPU's driver": "Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
    "XPU's driver, resources": "UR backend failed. UR backend returns:40 (UR_RESULT_ERROR_OUT_OF_RESOURCES)",
    "XPU's driver of 2023": "Native API failed. Native API returns: -5 (PI_ERROR_OUT_OF_RESOURCES) -5 "
    "(PI_ERROR_OUT_OF_RESOURCES)",
}
OTHER_FAULTS = (
    "CUDA error: an illegal memory access was encountered", "CUDA error: device-side assert triggered",
    "CUDA error: too many resources requested for launch", "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED",
    "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED", "Found no NVIDIA driver on your system.",
    "Native API failed. Native API returns: 20 (UR_RESULT_ERROR_DEVICE_LOST)",
    "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
    "mat1 and mat2 shapes cannot be multiplied (77x768 and 1024x320)",
)  # fmt: skip


@pytest.mark.parametrize("said", NO_MEMORY.values(), ids=list(NO_MEMORY))
def test_no_memory_in_the_words_of(said):
    assert memory.out_of_memory(RuntimeError(said))
    assert not memory.out_of_memory(ValueError(said))


def test_other_faults_are_not_for_want_of_memory():
    assert [said for said in OTHER_FAULTS if memory.out_of_memory(RuntimeError(said))] == []


def test_what_torch_and_numpy_raise_here_is_known(card):
    with pytest.raises(RuntimeError) as by_torch:
        torch.empty(1 << 58)
    with pytest.raises(MemoryError) as by_numpy:
        np.empty(1 << 58)
    with pytest.raises(torch.cuda.OutOfMemoryError) as by_the_card:
        card.allocate(9 * GIB)
    assert all(memory.out_of_memory(found.value) for found in (by_torch, by_numpy, by_the_card))


# --- where networks run -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", [CUDA, "cuda"], ids=repr)
def test_an_upscaler_runs_in_half_precision_where_it_may(card, device):
    spandrel_says = {(True, True): torch.float16, (False, True): torch.bfloat16, (False, False): torch.float32}
    for (half, bfloat16), dtype in spandrel_says.items():
        descriptor = SimpleNamespace(supports_half=half, supports_bfloat16=bfloat16)
        assert upscaler_dtype(descriptor, device, convolutional=False) == dtype
        assert upscaler_dtype(descriptor, device, convolutional=False, half=False) == torch.float32
    card.capability = 7, 5  # no units for bfloat16
    descriptor = SimpleNamespace(supports_half=False, supports_bfloat16=True)
    assert upscaler_dtype(descriptor, device, convolutional=False) == torch.float32
    assert not multiplies_bfloat16(device)


def test_an_upscaler_is_laid_out_channels_last_on_the_card(card):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3))
    prepared.prepared(network, CUDA)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_an_upscaler_without_half_runs_in_bfloat16(card, photo):
    """By autocast, and its last convolution in float32: white stays white."""
    from lib_usdu.embedded import DEFAULT_UPSCALER

    plain = SpandrelModel.load(DEFAULT_UPSCALER)
    descriptor = SpandrelModel.load(DEFAULT_UPSCALER).descriptor
    descriptor.supports_half = False
    model = SpandrelModel("bfloat16", descriptor, CUDA)
    assert model.dtype == torch.bfloat16 and model._autocast
    model.device = torch.device("cpu")  # where its tensors are
    precise = [module for module in model.descriptor.model.modules() if "forward" in vars(module)]
    precise[-1].forward.keywords.update(kind="cpu")
    error = plain(photo[None, :64, :64]).astype(float) - model(photo[None, :64, :64])
    assert 0 < np.abs(error).max() < 24 and np.abs(error).mean() < 1


def test_pictures_go_to_the_card_out_of_pinned_memory(card):
    sent = transfer.to_device(np.ones((2, 3), np.float32), CUDA)
    assert sent.sum() == 6 and card.placement.asked == ["cuda"] and card.placement.pinned == 1
    assert transfer.on_host((4,), torch.float32, CUDA).shape == (4,) and card.placement.pinned == 2


def test_the_embedded_upscaler_on_the_card(card, photo):
    """The stage goes through with a device that has no index; the network stays where two windows fit beside it."""
    from lib_usdu.embedded import DEFAULT_UPSCALER

    session = Session()
    upscalers = Upscalers(lambda: ["SPAN"], lambda name: Source(DEFAULT_UPSCALER), session)
    for taken, kept in ((0, True), (7.9, False)):
        card.memory[1].others = int(taken * GIB)
        enlarged = upscalers.enlarge(photo[:64, :64], "SPAN", 128, 128, device=CUDA, tile=512)
        assert enlarged.shape == (128, 128, 3) and abs(enlarged.mean() - photo[:64, :64].mean()) < 3
        assert (session._network is not None) == kept
    assert card.placement.asked and card.cache_emptied == 1


# --- the command line's device ----------------------------------------------------------------------------------------


def test_the_command_line_takes_the_card(card, monkeypatch):
    from lib_usdu.cli.models import device_of
    from lib_usdu.standalone.checkpoints import best_device

    assert best_device() == CUDA == device_of("auto") == device_of("cuda")
    assert device_of("cuda:1") == torch.device("cuda:1")
    with pytest.raises(OptionError, match="--device: 'cuda:2'"):
        device_of("cuda:2")
    card.memory.clear()
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert best_device() == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert best_device() == torch.device("cpu")


# --- speed ------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_on_the_card_an_autoencoder_is_left_alone(card):
    """A tensor elsewhere than on the processor goes through as it is; `meta` is such a device that is always there."""
    seen = []

    class Decoder(torch.nn.Sequential):
        def forward(self, x):
            seen.append((x.device.type, x.is_contiguous()))
            return super().forward(x)

    vae = SimpleNamespace(encoder=None, decoder=Decoder(torch.nn.Conv2d(4, 4, 3)))
    with quicker(vae):
        vae.decoder(torch.rand(1, 4, 8, 8))
        vae.decoder.to("meta")(torch.rand(1, 4, 8, 8, device="meta"))
    assert seen == [("cpu", False), ("meta", True)]
