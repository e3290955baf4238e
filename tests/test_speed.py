"""Speed: what of the model is left out at which step, and that everything is put back."""

import numpy as np
import pytest
import torch
from torch import nn

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

from diffusers import UNet2DConditionModel  # noqa: E402
from tiny_models import sd1, sdxl  # noqa: E402

from bench.measures import psnr  # noqa: E402
from bench.paces import asked_of  # noqa: E402
from bench.sizes import of_tile  # noqa: E402
from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import Stopped  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.speed.features import DeepFeatures  # noqa: E402
from lib_usdu.speed.line import Line  # noqa: E402
from lib_usdu.speed.schedule import PACES, Levels, Pace, Step  # noqa: E402
from lib_usdu.speed.unets import inner_of  # noqa: E402
from lib_usdu.standalone.checkpoints import EMBEDDED, load_checkpoint  # noqa: E402
from lib_usdu.standalone.families.speed import NOTHING_TO_SPARE, PacedNetwork, noise_at  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402
from lib_usdu.standalone.samplers import redraws_noise, scheduler_for  # noqa: E402

OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.6, upscaler="None", tone_lock=0)


# --- the schedule -----------------------------------------------------------------------------------------------------


def steps(pace, noises):
    levels = Levels(pace)
    return [levels.at(noise) for noise in noises]


def test_the_whole_network_runs_at_every_nth_level_and_is_guided_at_the_first_of_these():
    found = steps(Pace(2, 1, 1.0, 2, True), [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert [step.whole for step in found] == [True, False] * 3
    assert [step.guided for step in found] == [True, False, True, False, False, False]
    assert steps(Pace(4, 1, 1.0, 1, True), [0.2, 0.1]) == [Step(True, True), Step(False, False)]


def test_guidance_is_computed_while_noise_prevails():
    found = steps(Pace(2, 1, 1.0, 1, True), [3.0, 2.0, 1.5, 1.2, 0.8, 0.4])
    assert [step.guided for step in found] == [True, False, True, False, False, False]


def test_where_few_steps_change_much_each_is_whole():
    """Three steps of a model of few; and a sampler that goes back up."""
    assert [step.whole for step in steps(PACES["fast"].steady, [1.0, 0.5, 0.2])] == [True, False, True]
    assert [step.whole for step in steps(PACES["fast"].steady, [4.0, 1.0, 0.2])] == [True] * 3
    assert [step.whole for step in steps(PACES["fast"].steady, [0.2, 1.0])] == [True, True]


def test_where_noise_is_new_at_each_step_guidance_is_computed_more_often_and_wide_steps_are_whole():
    """Euler a with 20 steps at 0.35 is at 47.0 dB to exact with guidance once, at 48.4 with three times; LCM's two of 8
    steps at 40.2 dB where the second is not whole (docs/speed.md)."""
    of_share = lambda *shares: [share / (1 - share) for share in shares]  # noqa: E731
    euler_a, lcm = of_share(0.47, 0.42, 0.37, 0.32, 0.26, 0.19, 0.03), of_share(0.42, 0.3)
    found = steps(PACES["fast"].redrawn, euler_a)
    assert [step.whole for step in found] == [True, False] * 3 + [True]
    assert [step.guided for step in found] == [True, False] * 3 + [False]
    assert steps(PACES["fast"].redrawn, lcm) == [Step(True, True)] * 2
    assert PACES["fast"].redrawn.goes_on and not PACES["fastest"].redrawn.goes_on


def test_a_noise_level_asked_for_twice_is_one_step():
    """Heun: at its step's end, and again where the next begins."""
    found = steps(Pace(2, 1, 1.0, 1, True), [0.9, 0.8, 0.8, 0.7, 0.7])
    assert [step.whole for step in found] == [True, False, False, True, True]


# --- the line through what was said -----------------------------------------------------------------------------------


def test_what_was_said_goes_on_as_it_went():
    line = Line()
    line.add((torch.tensor([4.0]),), 1.0)
    assert line.at(0.5)[0] == 4
    line.add((torch.tensor([6.0]),), 3 / 7)  # the shares of noise are 0.5 and 0.3
    assert line.at(0.25)[0] == pytest.approx(7)
    assert line.at(0.0)[0] == pytest.approx(8)  # no further than it went before
    assert line.at(1.0)[0] == 6


def test_the_second_answer_at_a_noise_level_counts_and_other_shapes_begin_anew():
    line = Line()
    for said, noise in ((4.0, 1.0), (5.0, 3 / 7), (6.0, 3 / 7)):
        line.add((torch.tensor([said]),), noise)
    assert line.at(0.25)[0] == pytest.approx(7)
    line.add((torch.tensor([1.0, 2.0]),), 0.25)
    assert line.at(0.0)[0].tolist() == [1, 2] == line.last[0].tolist()


def test_what_a_tile_costs():
    """Guided twice, whole three times; the autoencoder of a window that has nine times the area."""
    assert asked_of(Levels(PACES["fast"].steady), 10, 1) == [20, 1, 1, 20, 1, 1, 10, 1]
    tile = of_tile({"whole": 10, "1": 1, "2": 2}, {"as it is": 4, "quicker": 2}, 9)
    assert tile["exact"] == {"steps": 160, "autoencoder": 36} and tile["fastest"] == {"steps": 36, "autoencoder": 18}


# --- inner blocks -----------------------------------------------------------------------------------------------------


class Counted(nn.Module):
    """A block of the original UNet code: it counts its calls."""

    def __init__(self, entering, leaving):
        super().__init__()
        self.layer, self.calls = nn.Conv2d(entering, leaving, 3, padding=1), 0

    def forward(self, h, emb, context=None, *others):
        self.calls += 1
        return self.layer(h) + emb[:, :, None, None]


class Original(nn.Module):
    """The shape of `UNetModel` (openaimodel.py): as many blocks in as out, joined across."""

    def __init__(self, blocks=4):
        super().__init__()
        self.input_blocks = nn.ModuleList(Counted(4 if i == 0 else 8, 8) for i in range(blocks))
        self.middle_block = Counted(8, 8)
        self.output_blocks = nn.ModuleList(Counted(16, 8) for _ in range(blocks))
        self.out = nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x, emb):
        joined, h = [], x
        for block in self.input_blocks:
            h = block(h, emb)
            joined.append(h)
        h = self.middle_block(h, emb)
        for block in self.output_blocks:
            h = block(torch.cat([h, joined.pop()], 1), emb)
        return self.out(h)

    def calls(self):
        return [block.calls for block in (*self.input_blocks, self.middle_block, *self.output_blocks)]


def all_rows(entering, others):
    return range(len(entering))


@pytest.mark.parametrize("outer", [1, 2, 3])
@torch.no_grad()
def test_inner_blocks_rest_and_their_answer_is_the_one_before(outer):
    torch.manual_seed(0)
    unet, x, emb = Original(), torch.randn(2, 4, 8, 8), torch.randn(2, 8)
    whole = unet(x, emb)
    features = DeepFeatures(inner_of(unet, outer), all_rows)
    with features.put_in():
        assert torch.equal(unet(x, emb), whole)
        features.whole = False
        assert torch.equal(unet(x, emb), whole)  # of the same input the same is kept
        moved = unet(x + 0.1, emb)
        assert not torch.equal(moved, whole)  # the outer blocks see the step's own input
        assert torch.allclose(unet(x[:1], emb[:1]), whole[:1], atol=1e-5)  # each row has its own
    assert unet.calls() == [5] * outer + [2] * (9 - 2 * outer) + [5] * outer
    assert not any("forward" in vars(module) for module in unet.modules())


@torch.no_grad()
def test_rows_not_seen_before_run_whole():
    unet = Original()
    features = DeepFeatures(inner_of(unet, 1), all_rows)
    with features.put_in():
        unet(torch.randn(1, 4, 8, 8), torch.zeros(1, 8))
        features.whole = False
        x, emb = torch.randn(2, 4, 8, 8), torch.zeros(2, 8)
        answer = unet(x, emb)
    assert torch.allclose(answer, unet(x, emb), atol=1e-5)


def test_what_an_extension_has_put_on_a_block_is_there_again_after_an_error():
    unet = Original()
    mine = unet.middle_block.forward = unet.middle_block.forward
    with pytest.raises(ValueError, match="in a step"), DeepFeatures(inner_of(unet, 1), all_rows).put_in():
        raise ValueError("in a step")
    assert unet.middle_block.forward is mine
    assert [name for name, one in unet.named_modules() if "forward" in vars(one)] == ["middle_block"]


@pytest.mark.parametrize("outer", [1, 2, 3])
@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_a_unet_of_diffusers(outer, layers):
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16, 16), layers_per_block=layers, in_channels=4, out_channels=4, sample_size=16,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"), attention_head_dim=4,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=8,
        norm_num_groups=2,
    ).eval()  # fmt: skip
    given = {"timestep": 5, "encoder_hidden_states": torch.randn(2, 3, 8), "return_dict": False}
    x = torch.randn(2, 4, 20, 12)
    whole = unet(x, **given)[0]
    features = DeepFeatures(inner_of(unet, outer), all_rows)
    resnets = [*unet.down_blocks[0].resnets, *unet.up_blocks[-1].resnets]
    with features.put_in():
        assert torch.equal(unet(x, **given)[0], whole)
        features.whole = False
        asked = []
        for number, one in enumerate(resnets):
            one.conv1.register_forward_hook(lambda *_, number=number: asked.append(number))
        assert torch.equal(unet(x, **given)[0], whole)
        assert not torch.equal(unet(x + 0.1, **given)[0], whole)
    kept = min(outer, layers + 1)
    assert len(asked) == 2 * (kept - 1 + kept)
    assert not any("forward" in vars(module) for module in unet.modules())


def test_networks_without_inner_blocks_are_left_alone():
    assert inner_of(nn.Linear(2, 2), 1) is None
    assert inner_of(Original(2), 2) is None
    one_level = UNet2DConditionModel(
        block_out_channels=(8,), down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), norm_num_groups=2
    )
    assert inner_of(one_level, 1) is None


# --- guidance ---------------------------------------------------------------------------------------------------------


def test_the_answer_without_the_prompt_is_as_far_away_as_before():
    network, seen = nn.Identity(), []

    def forward(x, timestep, encoder_hidden_states, **others):
        seen.append((len(x), others["added"]["ids"].tolist()))
        return (x + encoder_hidden_states,)

    network.forward = forward
    paced = PacedNetwork(network, "fast", 2, lambda time: time / 1000, guided=True, deep=True)
    x, told = torch.zeros(4, 1), torch.tensor([[1.0], [2.0], [4.0], [8.0]])
    ids = {"ids": torch.arange(4)}
    with paced.put_in():
        first, = network.forward(x, 500, encoder_hidden_states=told, added=ids)
        second, = network.forward(x + 1, torch.tensor(400.0), encoder_hidden_states=told, added=ids)
    assert torch.equal(second, first + 1)
    assert seen == [(4, [0, 1, 2, 3]), (2, [2, 3])]
    assert network.forward is forward


def test_noise_over_signal():
    from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

    made = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    assert noise_at(made, flow=False)(999) == pytest.approx(14.6, abs=0.1)
    assert noise_at(FlowMatchEulerDiscreteScheduler(), flow=True)(500) == pytest.approx(1)


# --- through the whole program ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    return {"sd1": sd1(tmp_path_factory.mktemp("sd1")), "sdxl": sdxl(tmp_path_factory.mktemp("sdxl"))}


def refiner(pipeline, **sampling):
    told = {"prompt": "a cat", "steps": 8, "cfg_scale": 4.0, "sampler": "Euler", **sampling}
    return DiffusersRefiner(pipeline, Sampling(**told), "tiny")


def refined(pipeline, photo, *, sampling=(), **options) -> np.ndarray:
    host = LocalHost(refiner(pipeline, **dict(sampling)))
    return upscale(photo[:96, :128], OPTIONS.with_(**options), host).image.astype(float)


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_less_is_asked_of_the_network_and_then_it_is_as_before(pipelines, photo, kind):
    pipeline, asked = pipelines[kind], []
    hooks = [
        pipeline.unet.mid_block.register_forward_hook(
            lambda module, given, answer: asked.extend([len(answer)] * (answer.shape[1] > 0))  # not what stands for it
        ),
        pipeline.unet.conv_in.register_forward_hook(lambda module, given, answer: asked.append(-len(answer))),
    ]

    def rows(speed):
        asked.clear()
        picture = refined(pipeline, photo, speed=speed, tile_batch=1, redo_tiles="1", sampling={"steps": 20})
        return picture, [count for count in asked if count > 0], [-count for count in asked if count < 0]

    try:
        exact, inner, outer = rows("exact")
        assert inner == outer == [2] * 12
        fast, inner, outer = rows("fast")
        assert inner == [2, 2, 1, 1, 1] and outer == [2, 1, 1, 2, *[1] * 8]
        fastest, inner, outer = rows("fastest")
        assert inner == [2, 2, 1] and outer == [2, 1, 1, 1, 2, *[1] * 7]
        again, inner, _ = rows("exact")
        assert inner == [2] * 12 and np.array_equal(exact, again)
    finally:
        for hook in hooks:
            hook.remove()
    assert not np.array_equal(exact, fast) and not np.array_equal(fast, fastest)
    assert not any("forward" in vars(module) for module in pipeline.unet.modules() if module is not pipeline.unet)


def test_the_autoencoder_is_quicker_but_not_with_exact(pipelines, photo):
    vae, seen = pipelines["sd1"].vae, []
    hooks = [
        vae.decoder.conv_in.register_forward_pre_hook(
            lambda module, given: seen.append(given[0].is_contiguous(memory_format=torch.channels_last))
        )
    ]
    try:
        for speed, quick in (("fast", True), ("exact", False)):
            for mode in ("parallel", "fused"):
                seen.clear()
                refined(pipelines["sd1"], photo, speed=speed, redraw_mode=mode)
                assert seen and set(seen) == {quick}, (speed, mode)
    finally:
        for hook in hooks:
            hook.remove()


def test_where_noise_is_new_at_each_step_more_runs(pipelines, photo):
    """Two blocks at either end, every second step with fast; with fastest nothing goes on as it went."""
    asked = []
    hook = pipelines["sd1"].unet.mid_block.register_forward_hook(lambda _, given, answer: asked.append(answer.shape[1]))
    try:
        refined(pipelines["sd1"], photo, speed="fast", tile_batch=1, redo_tiles="1",
                sampling={"steps": 20, "sampler": "Euler a"})  # fmt: skip
    finally:
        hook.remove()
    assert sum(channels > 0 for channels in asked) == 7  # the last step is a wide one
    told = Line(goes_on=False)
    for said, noise in ((4.0, 1.0), (6.0, 3 / 7)):
        told.add((torch.tensor([said]),), noise)
    assert told.at(0.25)[0] == 6
    draws = {"Euler a": True, "DPM++ 2M SDE": True, "LCM": True, "DPM++ SDE": True, "DPM++ 2M": False, "DDIM": False}
    plain = pipelines["sd1"].scheduler
    assert {name: redraws_noise(scheduler_for(name, plain)) for name in draws} == draws


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M", "DPM++ SDE", "Heun", "DDIM", "UniPC", "LCM"])
def test_samplers_at_a_pace(pipelines, photo, sampler):
    """Nearer to the exact picture than the exact picture is to that without the prompt's guidance."""
    how = {"sampling": {"sampler": sampler}, "tile_batch": 2}
    exact, fast = (refined(pipelines["sd1"], photo, speed=speed, **how) for speed in ("exact", "fast"))
    plain = refined(pipelines["sd1"], photo, sampling={"sampler": sampler, "cfg_scale": 1.0})
    assert np.abs(exact - fast).mean() < np.abs(exact - plain).mean()


def test_batches_and_fused_at_a_pace(pipelines, photo):
    one, four = (refined(pipelines["sd1"], photo, speed="fast", tile_batch=n) for n in (1, 4))
    assert np.abs(one - four).max() <= 1
    fused, fast = (refined(pipelines["sd1"], photo, speed=s, redraw_mode="fused") for s in ("exact", "fast"))
    assert 0 < np.abs(fused - fast).max() < 40


def test_a_stop_in_a_step_puts_everything_back(pipelines, photo):
    pipeline = pipelines["sd1"]
    host = LocalHost(refiner(pipeline))
    calls = []

    def stops():
        calls.append(1)
        return len(calls) > 3

    host.stop_requested = stops
    done = upscale(photo[:96, :128], OPTIONS.with_(speed="fast"), host)
    assert not done.finished and len(calls) > 3
    inside = [module for module in pipeline.unet.modules() if module is not pipeline.unet]
    assert not any("forward" in vars(module) for module in inside)
    assert Stopped.__name__ == "Stopped"


def test_what_cannot_be_spared_is_said(pipelines, photo):
    paced = PacedNetwork(nn.Linear(2, 2), "fast", 1, float, guided=False, deep=True)
    assert not paced.spares and "nothing" in NOTHING_TO_SPARE
    with pytest.raises(KeyError):
        PACES["exact"]


def test_another_speed_is_another_run(pipelines, photo, tmp_path):
    host = LocalHost(refiner(pipelines["sd1"]), journal_folder=tmp_path)
    first = upscale(photo[:96, :128], OPTIONS.with_(speed="fast"), host)
    assert "speed: fast" in first.infotext and not first.stats.resumed
    assert upscale(photo[:96, :128], OPTIONS.with_(speed="exact"), host).stats.resumed == 0
    assert upscale(photo[:96, :128], OPTIONS.with_(speed="fast"), host).stats.resumed > 0


@pytest.fixture(scope="module")
def embedded():
    return load_checkpoint(EMBEDDED, torch.device("cpu"))


@pytest.mark.parametrize("sampler, number", [("Euler", 20), ("Euler a", 20), ("DPM++ SDE", 20), ("LCM", 8)])
def test_a_trained_model_stays_near_to_exact(embedded, photo, sampler, number):
    """The embedded one, which takes no prompt: what inner blocks cost."""
    pipeline, name = embedded
    exact, fast, fastest = (
        upscale(
            photo[100:196, 150:278], OPTIONS.with_(denoise=0.35, speed=speed, resume=False),
            LocalHost(DiffusersRefiner(pipeline, Sampling(sampler=sampler, steps=number), name)),
        ).image.astype(float)
        for speed in ("exact", "fast", "fastest")
    )  # fmt: skip
    assert psnr(fast, exact) > 43 and psnr(fastest, exact) > 37
    assert np.array_equal(fast, exact) == (sampler == "LCM")  # its few steps lie far apart: all whole
