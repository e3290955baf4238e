"""Speed with transformers: tiny random models of each kind, deep enough to have inner blocks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import tiny_flow  # noqa: E402
from torch import nn  # noqa: E402

from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.speed.denoiser import PacedDenoiser, is_flow  # noqa: E402
from lib_usdu.speed.in_place import in_place_of  # noqa: E402
from lib_usdu.speed.residuals import DeepResiduals, rows_of_blocks  # noqa: E402
from lib_usdu.speed.schedule import PACES  # noqa: E402
from lib_usdu.standalone.families.asking import BACKWARDS, BOTH_AT_ONCE, IN_TURN  # noqa: E402
from lib_usdu.standalone.families.speed import PacedNetwork, noise_at  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402

DEPTHS = {"num_layers": 5, "num_single_layers": 3, "n_layers": 5}
OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5, tone_lock=0, upscaler="None")


@pytest.fixture(scope="module", params=list(tiny_flow.ALL))
def pipeline(request, tmp_path_factory):
    made = tiny_flow.ALL[request.param](tmp_path_factory.mktemp(request.param))
    torch.manual_seed(1)
    told = {**made.transformer.config}
    made.transformer = type(made.transformer).from_config({**told, **{k: v for k, v in DEPTHS.items() if k in told}})
    made.transformer.eval()
    return made


def refined(pipeline, photo, speed, **options):
    sampling = Sampling(prompt="a cat", negative_prompt="a dog", steps=24, cfg_scale=3.0, sampler="Euler")
    host = LocalHost(DiffusersRefiner(pipeline, sampling, "tiny"))
    return upscale(photo[100:228, 150:310], OPTIONS.with_(speed=speed, **options), host).image.astype(float)


def test_less_is_asked_of_the_transformer_and_then_it_is_as_before(pipeline, photo):
    block, ran = rows_of_blocks(pipeline.transformer, 2)[0][0], []
    own = block.forward

    def counted(speed):
        ran.clear()
        with in_place_of(block, forward=lambda *args, **told: ran.append(1) or own(*args, **told)):
            picture = refined(pipeline, photo, speed, tile_batch=1, redo_tiles="1")
        return picture, len(ran)

    exact, all_of_them = counted("exact")
    fast, half = counted("fast")
    fastest, few = counted("fastest")
    again, once_more = counted("exact")
    assert all_of_them == once_more and np.array_equal(exact, again)
    assert few < half <= all_of_them / 2 + 1
    assert not np.array_equal(exact, fast) and not np.array_equal(fast, fastest)
    inside = (module for module in pipeline.transformer.modules() if module is not pipeline.transformer)
    assert not any("forward" in vars(module) for module in inside)


def test_it_is_nearer_to_the_exact_picture_than_the_source_is(pipeline, photo):
    """Random weights change much from step to step; with still ones it is the same (below)."""
    exact, fast = (refined(pipeline, photo, speed) for speed in ("exact", "fast"))
    assert np.abs(exact - fast).mean() < np.abs(exact - photo[100:228, 150:310]).mean() / 3


def test_a_batch_is_its_tiles(pipeline, photo):
    one, three = (refined(pipeline, photo, "fast", tile_batch=n) for n in (1, 3))
    assert np.abs(one - three).max() <= 1


class Block(nn.Module):
    """Of two streams, as diffusers' have them; or of one."""

    def __init__(self, streams=2):
        super().__init__()
        self.layer, self.calls, self.streams = nn.Linear(4, 4), 0, streams

    def forward(self, hidden_states, encoder_hidden_states=None):
        self.calls += 1
        if self.streams == 1:
            return hidden_states + self.layer(hidden_states)
        return encoder_hidden_states + 1, hidden_states + self.layer(hidden_states)


class Transformer(nn.Module):
    """Two rows of blocks, of which the second sees both streams as one."""

    def __init__(self, double=3, single=3):
        super().__init__()
        self.transformer_blocks = nn.ModuleList(Block() for _ in range(double))
        self.single_transformer_blocks = nn.ModuleList(Block(1) for _ in range(single))

    def forward(self, hidden, words):
        for block in self.transformer_blocks:
            words, hidden = block(hidden_states=hidden, encoder_hidden_states=words)
        both = torch.cat([words, hidden], 1)
        for block in self.single_transformer_blocks:
            both = block(hidden_states=both)
        return both

    def calls(self):
        return [block.calls for block in (*self.transformer_blocks, *self.single_transformer_blocks)]


@torch.no_grad()
def test_what_inner_blocks_add_is_kept_for_each_row():
    torch.manual_seed(0)
    network, hidden, words = Transformer(), torch.randn(2, 6, 4), torch.randn(2, 3, 4)
    whole = network(hidden, words)
    deep = DeepResiduals(rows_of_blocks(network, 1), lambda entering, others: range(len(entering)))
    with deep.put_in():
        assert torch.equal(network(hidden, words), whole)
        deep.whole = False
        assert torch.allclose(network(hidden, words), whole, atol=1e-5)
        assert not torch.allclose(network(hidden + 1, words), whole, atol=1e-2)
        longer = network(hidden, torch.zeros(2, 5, 4))  # other words: whole, whatever was kept
    assert torch.allclose(longer, network(hidden, torch.zeros(2, 5, 4)), atol=1e-5)
    assert network.calls() == [6, 4, 4, 4, 4, 6]
    assert not any("forward" in vars(module) for module in network.modules())


class InPlace(nn.Module):
    """As in the Forge family: streams by other names, added to in place (Neo)."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(4, 4), 0

    def forward(self, img, txt, vec):
        self.calls += 1
        img += self.layer(img) * vec
        txt += 1
        return img, txt


@torch.no_grad()
def test_blocks_that_add_in_place():
    torch.manual_seed(0)
    network = nn.Module()
    network.double_blocks = nn.ModuleList(InPlace() for _ in range(4))

    def asked():
        img, txt = torch.ones(2, 6, 4), torch.ones(2, 3, 4)
        for block in network.double_blocks:
            img, txt = block(img=img, txt=txt, vec=0.5)
        return torch.cat([img, txt], 1)

    whole = asked()
    deep = DeepResiduals(rows_of_blocks(network, 1), lambda entering, others: range(len(entering)))
    with deep.put_in():
        assert torch.equal(asked(), whole)
        deep.whole = False
        assert torch.allclose(asked(), whole, atol=1e-5)
    assert [block.calls for block in network.double_blocks] == [3, 2, 2, 3]


def test_small_and_other_networks_have_nothing_within():
    assert rows_of_blocks(Transformer(1, 1), 1) == ()
    assert rows_of_blocks(nn.Linear(2, 2), 1) == ()
    assert [len(row) for row in rows_of_blocks(Transformer(2, 4), 1)] == [1, 3]
    assert [len(row) for row in rows_of_blocks(Transformer(4, 0), 1)] == [2]


def test_answers_in_turn():
    network, seen = nn.Identity(), []

    def forward(hidden_states, timestep, encoder_hidden_states):
        seen.append(float(encoder_hidden_states[0, 0]))
        return (hidden_states + encoder_hidden_states,)

    network.forward = forward
    paced = PacedNetwork(network, "fast", 1, lambda time: time, guided=True, deep=True, asks=IN_TURN)
    x, cat, dog = torch.zeros(1, 1), torch.tensor([[4.0]]), torch.tensor([[1.0]])
    with paced.put_in():
        for time in (0.5, 0.4):
            at = torch.tensor([time])
            (with_it,), (without,) = (
                network.forward(hidden_states=x + time, timestep=at, encoder_hidden_states=words)
                for words in (cat, dog)
            )  # fmt: skip
            assert float(with_it - without) == 3
    assert seen == [4, 1, 4]


@pytest.mark.parametrize("asks, time", [(BOTH_AT_ONCE, 250), (IN_TURN, 0.25), (BACKWARDS, 0.75)])
def test_noise_by_the_time_that_a_network_is_told(asks, time):
    assert noise_at(None, True, asks)(time) == pytest.approx(1 / 3)


class ForgeFlux(nn.Module):
    """As a webui of the Forge family asks it: what is whose stands in the options."""

    def __init__(self):
        super().__init__()
        self.double_blocks = nn.ModuleList(InPlace() for _ in range(5))
        self.single_blocks = nn.ModuleList(Block(1) for _ in range(3))

    def forward(self, img, transformer_options=None):
        img, txt = img.clone(), torch.ones(len(img), 3, 4)
        for block in self.double_blocks:
            img, txt = block(img=img, txt=txt, vec=0.5)
        both = torch.cat([txt, img], 1)
        for block in self.single_blocks:
            both = block(both)
        return both


@torch.no_grad()
def test_the_forge_family_says_whose_rows_are_whose():
    torch.manual_seed(0)
    network, denoiser = ForgeFlux(), SimpleNamespace()
    model = SimpleNamespace(diffusion_model=network, predictor=SimpleNamespace(prediction_type="const"))
    sd_model = SimpleNamespace(forge_objects=SimpleNamespace(unet=SimpleNamespace(model=model)))
    denoiser.forward = lambda x, sigma, **told: network(x, transformer_options=told)
    sampler = SimpleNamespace(
        model_wrap_cfg=denoiser, func=lambda model, x: x, sample_img2img=None, redraws_noise=lambda: False
    )
    paced = PacedDenoiser(sampler, sd_model, PACES["fast"], {}, deep=True, guidance=False)
    x, sigmas = torch.randn(2, 6, 4), [torch.tensor([sigma]) for sigma in (0.4, 0.38, 0.36, 0.34)]
    with paced.put_in():
        first = denoiser.forward(x, sigmas[0], cond_or_uncond=[1, 0])
        again = denoiser.forward(x.flip(0), sigmas[1], cond_or_uncond=[0, 1])
        one = denoiser.forward(x[1:], sigmas[1], cond_or_uncond=[0])
        patched = {"cond_or_uncond": [0], "patches": {"double_block": [len]}}
        whole = denoiser.forward(x[1:], sigmas[2], **patched)
        denoiser.forward(x, sigmas[3], cond_or_uncond=[1, 0])
    assert torch.allclose(again.flip(0), first, atol=1e-5)
    assert torch.allclose(one, first[1:], atol=1e-5) and torch.allclose(whole, first[1:], atol=1e-5)
    assert [block.calls for block in network.double_blocks] == [5, 5, 3, 3, 3]  # the outer two ran at each step
    assert [block.calls for block in network.single_blocks] == [3, 5, 5]
    assert "forward" not in vars(network) and paced.note == ""


class Joint(nn.Module):
    """As SD 3's original code has it, in AUTOMATIC1111 and Forge: words and picture, by their places."""

    def __init__(self):
        super().__init__()
        self.context_block, self.x_block, self.calls = nn.Linear(4, 4), nn.Linear(4, 4), 0

    def forward(self, context, x, c):
        self.calls += 1
        return context + self.context_block(context) * c, x + self.x_block(x) * c


class Sd3(nn.Module):
    def __init__(self):
        super().__init__()
        self.joint_blocks = nn.ModuleList(Joint() for _ in range(6))

    def forward(self, x, transformer_options=None):
        words = torch.ones(len(x), 3, 4)
        for number, block in enumerate(self.joint_blocks):
            if number not in (transformer_options or {}).get("skip_layers", ()):
                words, x = block(words, x, c=0.5)
        return torch.cat([words, x], 1)


@pytest.mark.parametrize("forge", [False, True])
@torch.no_grad()
def test_sd3_of_the_webuis(forge):
    """Its noise is a share. Where an extension leaves out blocks, all others run."""
    torch.manual_seed(0)
    network, denoiser = Sd3(), SimpleNamespace(combine_denoised=lambda *_: None, p=None)
    if forge:
        model = SimpleNamespace(diffusion_model=network, predictor=SimpleNamespace(prediction_type="const"))
        sd_model = SimpleNamespace(forge_objects=SimpleNamespace(unet=SimpleNamespace(model=model)))
    else:
        sd_model = SimpleNamespace(model=SimpleNamespace(diffusion_model=network), add_noise_to_latent=len)
    assert is_flow(sd_model) and not is_flow(SimpleNamespace(model=None))
    denoiser.forward = lambda x, sigma, skipped=(): network(
        x, **({"transformer_options": {"cond_or_uncond": [1, 0], "skip_layers": skipped}} if forge else {})
    )
    sampler = SimpleNamespace(
        model_wrap_cfg=denoiser, func=lambda model, x: x, sample_img2img=None, redraws_noise=lambda: False
    )
    paced = PacedDenoiser(sampler, sd_model, PACES["fast"], {}, deep=True, guidance=False)
    assert paced.note == ""
    x = torch.randn(2, 6, 4)
    without = network(x, {"skip_layers": [2, 4]})
    calls = [block.calls for block in network.joint_blocks]
    with paced.put_in():
        first = denoiser.forward(x, torch.tensor([0.4]))
        again = denoiser.forward(x, torch.tensor([0.38]))
        if forge:
            assert torch.equal(denoiser.forward(x, torch.tensor([0.38]), [2, 4]), without)
    assert torch.equal(first, network(x)) and torch.allclose(again, first, atol=1e-5)
    ran = [block.calls - before for block, before in zip(network.joint_blocks, calls)]
    assert ran == ([4, 4, 2, 3, 3, 4] if forge else [3, 3, 2, 2, 3, 3])
    assert not any("forward" in vars(module) for module in network.modules())
