"""ControlNets on the command line: each tile is steered by its own picture, or by its part of a given one."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()

import diffusers  # noqa: E402
import tiny_models  # noqa: E402

from lib_usdu.cli.main import main  # noqa: E402
from lib_usdu.engine import upscale  # noqa: E402
from lib_usdu.errors import ModelError, OptionError  # noqa: E402
from lib_usdu.geometry import Canvas, plan_tiles  # noqa: E402
from lib_usdu.host import Batch  # noqa: E402
from lib_usdu.latents import Latents  # noqa: E402
from lib_usdu.noise import tile_noise  # noqa: E402
from lib_usdu.options import Options  # noqa: E402
from lib_usdu.pictures import imagefile  # noqa: E402
from lib_usdu.standalone.checkpoints import load_checkpoint  # noqa: E402
from lib_usdu.standalone.control.asked import AskedControl, asked_controls  # noqa: E402
from lib_usdu.standalone.control.controls import Control, Controls  # noqa: E402
from lib_usdu.standalone.control.loading import load_controlnet  # noqa: E402
from lib_usdu.standalone.host import LocalHost  # noqa: E402
from lib_usdu.standalone.refiner import DiffusersRefiner, Sampling  # noqa: E402

CPU = torch.device("cpu")
OPTIONS = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.6, upscaler="None", tone_lock=0)


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def folder(request, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    pipeline = getattr(tiny_models, request.param)(place)
    pipeline.save_pretrained(place / "model")
    controlnet(pipeline.unet).save_pretrained(place / "control")
    return place


@pytest.fixture(scope="module")
def sd1(tmp_path_factory):
    place = tmp_path_factory.mktemp("one")
    pipeline = tiny_models.sd1(place)
    pipeline.save_pretrained(place / "model")
    controlnet(pipeline.unet).save_pretrained(place / "control")
    return place


def controlnet(unet):
    """One that says something: a new one's last layers are zero."""
    torch.manual_seed(3)
    net = diffusers.ControlNetModel.from_unet(unet)
    for last in (*net.controlnet_down_blocks, net.controlnet_mid_block):
        torch.nn.init.normal_(last.weight, std=0.2)
    for layer in net.controlnet_cond_embedding.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    return net


def refiner(folder, *controls, sampler="Euler"):
    """controls: (source, strength, picture) each."""
    pipeline, name = load_checkpoint(str(folder / "model"), CPU)
    loaded = []
    for source, strength, picture in controls:
        net = load_controlnet(str(source), pipeline.unet, torch.float32, CPU)
        loaded.append(Control(AskedControl(str(source), strength), net, picture))
    sampling = Sampling("a cat", steps=6, cfg_scale=3, sampler=sampler)
    return DiffusersRefiner(pipeline, sampling, name, controls=Controls(loaded))


def drawn(made, rgb, options=OPTIONS):
    return upscale(rgb, options, LocalHost(made)).image.astype(int)


def small(photo):
    return photo[100:196, 150:278]


def test_one_tile_is_what_diffusers_controlnet_pipeline_makes(folder, photo):
    rgb = small(photo)
    made = refiner(folder, (folder / "control", 0.7, None))
    tiles = plan_tiles(128, 96, 512, 512, 0)
    noise = tile_noise(5, "canvas", tiles[0].window, 0, Canvas(128, 96), Latents())
    ours = made.refine(Batch(tiles, rgb[None], (noise,), 0.5, Canvas(128, 96)), lambda: False)

    plain, _ = load_checkpoint(str(folder / "model"), CPU)
    kind = "StableDiffusionXL" if hasattr(plain, "text_encoder_2") else "StableDiffusion"
    net = diffusers.ControlNetModel.from_pretrained(folder / "control")
    pipeline = getattr(diffusers, f"{kind}ControlNetImg2ImgPipeline")(**plain.components, controlnet=net)
    with tiny_models.fed(pipeline, rgb, noise):
        picture = Image.fromarray(rgb)
        theirs = pipeline(
            "a cat", negative_prompt="", image=picture, control_image=picture, strength=0.5, num_inference_steps=6,
            guidance_scale=3.0, controlnet_conditioning_scale=0.7, output_type="np",
        ).images  # fmt: skip
    assert np.abs(ours - theirs * 255).max() < 0.6
    without = refiner(folder).refine(Batch(tiles, rgb[None], (noise,), 0.5, Canvas(128, 96)), lambda: False)
    assert np.abs(ours - without).max() > 5


def test_the_whole_picture_as_its_own_hint_is_each_tile_as_its_own(folder, photo):
    rgb, net = small(photo), folder / "control"
    own, whole = refiner(folder, (net, 1, None)), refiner(folder, (net, 1, rgb))
    assert np.array_equal(drawn(own, rgb), drawn(whole, rgb))
    turned = drawn(refiner(folder, (net, 1, np.ascontiguousarray(rgb[::-1]))), rgb)
    assert np.abs(turned - drawn(own, rgb)).max() > 5
    half = np.asarray(Image.fromarray(rgb).resize((64, 48), Image.Resampling.LANCZOS))
    assert np.abs(drawn(refiner(folder, (net, 1, half)), rgb) - drawn(own, rgb)).mean() < 2


def test_batches_strengths_and_two_at_once(sd1, photo):
    rgb, net = small(photo), sd1 / "control"
    none, one = drawn(refiner(sd1), rgb), drawn(refiner(sd1, (net, 1, None)), rgb)
    assert np.array_equal(drawn(refiner(sd1, (net, 0, None)), rgb), none)
    together = drawn(refiner(sd1, (net, 1, None)), rgb, OPTIONS.with_(tile_batch=3))
    assert np.abs(together - one).max() <= 1
    halves = drawn(refiner(sd1, (net, 0.5, None), (net, 0.5, None)), rgb)
    assert np.abs(halves - one).max() <= 1 and np.abs(one - none).max() > 5


def test_fused_steers_each_window_by_its_part(sd1, photo):
    """Windows that see all of each other: one window over the canvas says what they must be."""
    rgb, net = small(photo), sd1 / "control"
    fused = OPTIONS.with_(redraw_mode="fused", tile_width=512)
    assert np.abs(drawn(refiner(sd1, (net, 1, None)), rgb, fused) - drawn(refiner(sd1, (net, 1, None)), rgb,
                  OPTIONS.with_(tile_width=512))).max() <= 1  # fmt: skip
    many = fused.with_(tile_width=64)
    steered, free = drawn(refiner(sd1, (net, 1, None)), rgb, many), drawn(refiner(sd1), rgb, many)
    turned = drawn(refiner(sd1, (net, 1, np.ascontiguousarray(rgb[::-1]))), rgb, many)
    assert np.abs(steered - free).max() > 5 and np.abs(steered - turned).max() > 5
    assert np.array_equal(steered, drawn(refiner(sd1, (net, 1, rgb)), rgb, many))


def as_its_authors_write(net):
    """The state under the names of ControlNet's own files (cldm), for a net of two blocks of one layer each."""
    layers = {"in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
              "out_layers.3": "conv2", "skip_connection": "conv_shortcut"}  # fmt: skip
    places = {"time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
              "input_blocks.0.0": "conv_in", "input_blocks.2.0.op": "down_blocks.0.downsamplers.0.conv",
              "middle_block_out.0": "controlnet_mid_block", "input_hint_block.0": "controlnet_cond_embedding.conv_in",
              "input_hint_block.14": "controlnet_cond_embedding.conv_out",
              "input_blocks.3.1": "down_blocks.1.attentions.0", "middle_block.1": "mid_block.attentions.0"}  # fmt: skip
    resnets = {"input_blocks.1.0": "down_blocks.0.resnets.0", "input_blocks.3.0": "down_blocks.1.resnets.0",
               "middle_block.0": "mid_block.resnets.0", "middle_block.2": "mid_block.resnets.1"}  # fmt: skip
    places |= {f"{theirs}.{a}": f"{ours}.{b}" for theirs, ours in resnets.items() for a, b in layers.items()}
    places |= {f"input_hint_block.{2 * at + 2}": f"controlnet_cond_embedding.blocks.{at}" for at in range(6)}
    places |= {f"zero_convs.{at}.0": f"controlnet_down_blocks.{at}" for at in range(4)}
    renamed = {}
    for name, value in net.state_dict().items():
        theirs, ours = next((pair for pair in places.items() if name.startswith(pair[1] + ".")), (None, None))
        assert theirs, name
        renamed["control_model." + theirs + name[len(ours) :]] = value.contiguous()
    return renamed


@pytest.mark.parametrize("authors", [False, True])
def test_a_file_is_its_folder(sd1, photo, tmp_path, authors):
    net = diffusers.ControlNetModel.from_pretrained(sd1 / "control")
    save_file(as_its_authors_write(net) if authors else net.state_dict(), tmp_path / "tile.safetensors")
    torch.save({"state_dict": net.state_dict()}, tmp_path / "tile.pth")
    rgb = small(photo)
    wanted = drawn(refiner(sd1, (sd1 / "control", 1, None)), rgb)
    for name in ("tile.safetensors", "tile.pth"):
        assert np.array_equal(drawn(refiner(sd1, (tmp_path / name, 1, None)), rgb), wanted)


def test_one_of_another_kind_is_refused(sd1, tmp_path):
    xl = tiny_models.sdxl(tmp_path)
    controlnet(xl.unet).save_pretrained(tmp_path / "xl")
    save_file(controlnet(xl.unet).state_dict(), tmp_path / "xl.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "none.safetensors")
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    for source in ("xl", "xl.safetensors", "none.safetensors", "broken.pth"):
        with pytest.raises(ModelError, match=f"control: .*{source}: "):
            refiner(sd1, (tmp_path / source, 1, None))


def test_what_is_asked(tmp_path):
    file, picture = tmp_path / "tile.safetensors", tmp_path / "edges.png"
    file.write_bytes(b"")
    Image.new("RGB", (8, 8)).save(picture)
    asked = asked_controls([f"{file}:0.6", "owner/name", f"{tmp_path}:2"], ["tile", str(picture)])
    assert [(one.source, one.strength, one.picture) for one in asked] == [
        (str(file), 0.6, None), ("owner/name", 1.0, picture), (str(tmp_path), 2.0, None),
    ]  # fmt: skip
    assert asked[0].text == "Module: none, Model: tile, Weight: 0.6" and "edges.png" in asked[1].text
    for bad in ("gone.safetensors", f"{file}:x", f"{file}:-1", f"{file}:2.5", f"{file}:nan", str(picture), ""):
        with pytest.raises(OptionError, match="control"):
            asked_controls([bad], [])
    for pictures in ([str(tmp_path / "gone.png")], ["tile", "tile"]):
        with pytest.raises(OptionError, match="control_picture"):
            asked_controls([str(file)], pictures)


def test_on_the_command_line(sd1, photo, tmp_path, capsys):
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(small(photo)).save(source)
    command = [str(source), "-o", str(out), "--scale", "1", "--tile", "64", "--steps", "4", "--upscaler", "None"]
    model = ["--checkpoint", str(sd1 / "model"), "--denoise", "0.5"]
    control = ["--control", f"{sd1 / 'control'}:0.8", "--control-picture", str(source)]
    assert main([*command, *model, *control]) == 0
    text = imagefile.read_infotext(out)
    assert 'ControlNet 0: "Module: none, Model: control, Weight: 0.8, Picture: in.png ' in text
    steered = np.asarray(Image.open(out)).copy()
    assert main([*command, *model, "--overwrite"]) == 0
    assert "ControlNet" not in imagefile.read_infotext(out) and not np.array_equal(steered, np.asarray(Image.open(out)))
    capsys.readouterr()
    refused = {
        "checkpoint of Stable Diffusion 1, 2 or XL, not the embedded model": control,
        "gone.pth": [*model, "--control", "gone.pth"],
        "gone.png": [*model, *control[:2], "--control-picture", "gone.png"],
        "cannot be read": [*model, *control[:2], "--control-picture", str(sd1 / "control" / "config.json")],
    }
    for words, arguments in refused.items():
        assert main([*command, *arguments, "--overwrite"]) == 2, words
        assert words in (said := capsys.readouterr().err) and "control" in said, words


def test_a_result_of_another_controlnet_is_never_taken_for_this(sd1, photo, tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    Image.fromarray(small(photo)).save(folder / "a.png")
    command = [str(folder), "-o", str(out), "--scale", "1", "--steps", "4", "--checkpoint", str(sd1 / "model")]
    assert main([*command, "--control", f"{sd1 / 'control'}:0.8"]) == 0
    assert main([*command, "--control", f"{sd1 / 'control'}:0.8"]) == 0
    capsys.readouterr()
    assert main([*command, "--control", f"{sd1 / 'control'}:0.7"]) != 0
    assert "another ControlNet" in capsys.readouterr().err
