"""Prompts of the command line: emphasis, any length, LoRA, as the webui has them."""

import math

import pytest
import torch

from lib_usdu.enlarge.torchvision_operators import declare_missing_operators

declare_missing_operators()  # before diffusers imports torchvision

from tiny_models import sd1, sdxl, tokenizer  # noqa: E402

from lib_usdu.options.lora_tags import lora_tags, without_loras  # noqa: E402
from lib_usdu.standalone import prompts  # noqa: E402
from lib_usdu.standalone.conditioning import Conditions  # noqa: E402
from lib_usdu.standalone.prompts import chunks, encode, weighted  # noqa: E402

CASES = {
    "a cat": [("a cat", 1.0)],
    "a (cat:1.5)": [("a ", 1.0), ("cat", 1.5)],
    "(cat)": [("cat", 1.1)],
    "((cat))": [("cat", 1.21)],
    "[cat]": [("cat", 1 / 1.1)],
    "(a (b:2) c:1.5)": [("a ", 1.5), ("b", 3.0), (" c", 1.5)],
    r"\(cat\) \\": [("(cat) \\", 1.0)],
    "(cat": [("cat", 1.1)],
    "cat)": [("cat)", 1.0)],
    "a: b, (c: d:1.2)": [("a: b, ", 1.0), ("c: d", 1.2)],
    "12:30 (x:.5)": [("12:30 ", 1.0), ("x", 0.5)],
    "a BREAK b": [("a", 1.0), ("BREAK", -1.0), ("b", 1.0)],
    "": [],
}


@pytest.mark.parametrize("prompt", CASES)
def test_emphasis(prompt):
    found = weighted(prompt)
    assert [text for text, _ in found] == [text for text, _ in CASES[prompt]]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in CASES[prompt]])


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return tokenizer(tmp_path_factory.mktemp("words") / "words")


def text_of(chunk, words):
    return "".join(words.convert_ids_to_tokens(list(chunk.tokens[1:]))).split("<|endoftext|>")[0].replace("</w>", "")


def test_long_prompts_are_cut_at_a_comma_and_nothing_is_dropped(words):
    """Every letter is a token here."""
    prompt = "x" * 60 + ", " + "y" * 30 + "z" * 80
    made = chunks(prompt, words)
    assert [text_of(chunk, words) for chunk in made] == ["x" * 60 + ",", "y" * 30 + "z" * 45, "z" * 35]
    assert all(len(chunk.tokens) == len(chunk.weights) == 77 for chunk in made)
    assert [text_of(chunk, words) for chunk in chunks("x" * 75, words)] == ["x" * 75]
    assert [text_of(chunk, words) for chunk in chunks("a BREAK b", words)] == ["a", "b"]
    assert [text_of(chunk, words) for chunk in chunks("", words)] == [""]


def test_weights_stand_at_their_tokens(words):
    (chunk,) = chunks("ab (cd:1.5)", words)
    assert chunk.weights[:7] == (1, 1, 1, 1.5, 1.5, 1, 1)


def test_lora_tags_are_no_words(words):
    prompt = "a cat <lora:detail:0.8>, <lora: more > end"
    assert lora_tags(prompt) == [("detail", "0.8"), ("more", "1")]
    assert without_loras(prompt) == "a cat ,  end"
    assert "lora" not in text_of(chunks(prompt, words)[0], words)


def begun(*given):
    """As the refiner has them once it has begun."""
    made = Conditions(*given)
    made.begin(leave=False)
    return made


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def pipeline(request, tmp_path_factory):
    return {"sd1": sd1, "sdxl": sdxl}[request.param](tmp_path_factory.mktemp("model"))


def test_a_short_plain_prompt_is_what_diffusers_makes_of_it(pipeline):
    theirs = pipeline.encode_prompt("a cat", "cpu", 1, True, negative_prompt="dog") if not hasattr(
        pipeline, "text_encoder_2"
    ) else pipeline.encode_prompt("a cat", device="cpu", do_classifier_free_guidance=True, negative_prompt="dog")
    ours = begun(pipeline, "a cat", "dog", 7.0, torch.device("cpu"))._plain
    for name, value in zip(("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds"), theirs):
        assert torch.allclose(ours[name], value, atol=1e-6), name


def test_words_past_token_77_count(pipeline):
    with torch.inference_mode():
        long, longer = (encode(pipeline, "x" * 90 + end, "cpu")[0] for end in ("cat", "dog"))
    assert long.shape[1] == longer.shape[1] == 154
    assert torch.equal(long[:, :77], longer[:, :77]) and not torch.allclose(long[:, 77:], longer[:, 77:])


def test_emphasis_changes_the_embedding_and_keeps_its_mean(pipeline):
    with torch.inference_mode():
        plain, strong = (encode(pipeline, prompt, "cpu")[0] for prompt in ("a cat", "a (cat:1.5)"))
    assert not torch.allclose(plain, strong)
    widths = [32] if plain.shape[2] == 32 else [32, 32]
    for one, other in zip(plain.split(widths, 2), strong.split(widths, 2)):
        assert math.isclose(one.mean(), other.mean(), rel_tol=1e-3, abs_tol=1e-6)
        ratio = other[0] / one[0]
        assert torch.allclose(ratio[2] / ratio[1], torch.tensor(1.5), atol=1e-3)  # the letter c beside the letter a


def test_prompts_of_different_lengths_stand_in_one_batch_and_change_nothing(pipeline):
    """Keys that all stand there equally often: attention over them is the same."""
    conditions = begun(pipeline, "a cat", "", 7.0, torch.device("cpu"))
    rows, guided = conditions.of(["", "x" * 100], 2)
    assert guided and rows["prompt_embeds"].shape[1] == rows["negative_prompt_embeds"].shape[1] == 154
    plain, _ = conditions.of(["", ""], 2)
    told = {}
    if hasattr(pipeline, "text_encoder_2"):
        told = {"added_cond_kwargs": {"text_embeds": rows["pooled_prompt_embeds"][:1], "time_ids": torch.zeros(1, 6)}}
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        drawn = [pipeline.unet(latents, 500, one["prompt_embeds"][:1], **told).sample for one in (rows, plain)]
    assert torch.allclose(*drawn, atol=1e-5)


def test_same_length():
    one, two, three = (torch.randn(1, n, 4) for n in (77, 154, 231))
    made = prompts.same_length([one, two, three])
    assert [value.shape[1] for value in made] == [462] * 3 and torch.equal(made[1][:, 154:308], two)


@pytest.fixture
def lora(tmp_path):
    """A tiny SD 1 checkpoint's folder with a LoRA beside it, as a webui lays them out."""
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    model = sd1(tmp_path / "words")
    model.save_pretrained(tmp_path / "models" / "Stable-diffusion" / "tiny")
    model.unet.add_adapter(LoraConfig(r=2, init_lora_weights="gaussian", target_modules=["to_q", "to_v"]))
    torch.manual_seed(1)
    state = convert_state_dict_to_diffusers(get_peft_model_state_dict(model.unet))
    state = {name: torch.randn_like(value) for name, value in state.items()}
    folder = tmp_path / "models" / "Lora" / "styles"
    type(model).save_lora_weights(folder, unet_lora_layers=state, weight_name="Detail.safetensors")
    return tmp_path / "models" / "Stable-diffusion" / "tiny", folder / "Detail.safetensors"


def test_a_lora_by_its_name_is_the_lora_by_its_file_and_stands_in_the_parameters(lora, tmp_path, photo, capsys):
    import numpy as np
    from PIL import Image

    from lib_usdu.cli.main import main
    from lib_usdu.pictures.imagefile import read_infotext

    Image.fromarray(photo[:64, :64]).save(tmp_path / "in.png")
    ways = {
        "none": ["-p", "cat"], "by file": ["-p", "cat", "--lora", f"{lora[1]}:0.7"],
        "by name": ["-p", "cat <lora:detail:0.7>"],
    }  # fmt: skip
    pictures = {}
    for way, flags in ways.items():
        out = tmp_path / f"{way}.png"
        command = [str(tmp_path / "in.png"), "-o", str(out), "-c", str(lora[0]), "--upscaler", "Lanczos"]
        assert main([*command, "--steps", "4", *flags, "--no-resume", "--device", "cpu"]) == 0, capsys.readouterr().err
        pictures[way] = np.asarray(Image.open(out)).astype(int)
        assert ("<lora:" in read_infotext(out)) == (way != "none")
    assert "cat <lora:Detail:0.7>\n" in read_infotext(tmp_path / "by file.png")
    assert np.array_equal(pictures["by file"], pictures["by name"])
    assert np.abs(pictures["none"] - pictures["by name"]).max() > 3


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["-p", "<lora:nothere:1>"], "--prompt: '<lora:nothere>' is not allowed; allowed: the name of a file in"),
        (["-p", "<lora:detail:much>"], "--prompt: '<lora:detail:much>'"),
        (["--tile-prompts", "1: cat <lora:detail:1>"], "--tile-prompts: '1: cat <lora:detail:1>'"),
    ],
)
def test_a_lora_that_cannot_be_is_refused_before_loading(flags, sentence, tmp_path, photo, capsys, monkeypatch):
    from PIL import Image

    from lib_usdu.cli import models
    from lib_usdu.cli.main import main

    monkeypatch.setattr(models, "host_of", None)
    Image.fromarray(photo[:64, :64]).save(tmp_path / "in.png")
    (tmp_path / "model").mkdir()
    assert main([str(tmp_path / "in.png"), "-c", str(tmp_path / "model"), *flags]) == 2
    assert f"usdu: error: {sentence}" in capsys.readouterr().err


STEPWISE = {
    "a [cat:dog:0.5]": "[cat:dog:0.5]", "[cat:10]": "[cat:10]", "x [cat::.5] y": "[cat::.5]", "[a|b]": "[a|b]",
    "(a [b|c|d]:1.2)": "[b|c|d]", "[(a:1.2) c:d: 0.3 ]": "[(a:1.2) c:d: 0.3 ]", "a cat AND a dog": "AND",
    "[a:[b|c]:5]": "[b|c]", "[(cat:1.3):7]": "[(cat:1.3):7]",
    "": "", "[cat]": "", "(cat:1.5)": "", "[cat: dog]": "", r"\[a:b:0.5\]": "", "a: b, c|d": "", "HAND, ANDROID": "",
    "[(cat:1.5)]": "", "[a (b|c)]": "", "one and two": "", "[cat:dog:now]": "", "]a:b:0.5[": "", "(a:b:0.5)": "",
}  # fmt: skip


@pytest.mark.parametrize("prompt", STEPWISE)
def test_what_the_webui_changes_from_step_to_step_is_found(prompt):
    assert prompts.not_here(prompt) == STEPWISE[prompt]


def test_a_negative_prompt_has_and_as_a_word():
    assert prompts.not_here("a AND b", negative=True) == "" and prompts.not_here("[a|b]", negative=True) == "[a|b]"


@pytest.mark.parametrize(
    "flags, said",
    [
        (["-p", "a [cat:dog:0.5]"], "--prompt: '[cat:dog:0.5]' is not allowed; allowed: one prompt for all steps"),
        (["-p", "a AND b"], "--prompt: 'AND' is not allowed"), (["-n", "[a|b]"], "--negative-prompt: '[a|b]'"),
        (["--tile-prompts", "1: [a|b]"], "--tile-prompts: '[a|b]'"),
        (["--embedding-folder", "nowhere"], "--embedding-folder: 'nowhere' is not allowed; allowed: a folder that is"),
    ],
)  # fmt: skip
def test_what_the_command_line_cannot_do_with_a_prompt_is_refused_before_loading(
    flags, said, tmp_path, photo, capsys, monkeypatch
):
    from PIL import Image

    from lib_usdu.cli import models
    from lib_usdu.cli.main import main

    monkeypatch.setattr(models, "host_of", None)
    Image.fromarray(photo[:64, :64]).save(tmp_path / "in.png")
    (tmp_path / "model").mkdir()
    assert main([str(tmp_path / "in.png"), "-c", str(tmp_path / "model"), *flags]) == 2
    assert f"usdu: error: {said}" in capsys.readouterr().err


def vectors(count, width=32, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def written(kind, path):
    """A textual inversion of two vectors as the trainers write them."""
    from safetensors.torch import save_file

    contents = {
        "webui.pt": {"string_to_token": {"*": 265}, "string_to_param": {"*": vectors(2).half()}, "name": "other"},
        "diffusers.bin": {"<cat-toy>": vectors(2)}, "plain.safetensors": {"emb_params": vectors(2)},
        "xl.safetensors": {"clip_l": vectors(2), "clip_g": vectors(2, seed=1)},
    }  # fmt: skip
    file = path / kind
    (save_file if file.suffix == ".safetensors" else torch.save)(contents[kind], file)
    return file


@pytest.mark.parametrize("model", [sd1, sdxl], ids=["sd1", "sdxl"])
@pytest.mark.parametrize("kind", ["webui.pt", "diffusers.bin", "plain.safetensors", "xl.safetensors"])
def test_a_textual_inversion_stands_for_its_vectors(kind, model, tmp_path):
    from lib_usdu.errors import ModelError
    from lib_usdu.standalone.checkpoints import add_embeddings

    pipeline, file = model(tmp_path), written(kind, tmp_path)
    if model is sdxl and kind != "xl.safetensors":
        with pytest.raises(ModelError, match="it holds vectors for 1 of 2 text encoders"):
            add_embeddings(pipeline, [file])
        return
    if model is sdxl:  # of its own, as in a real one
        pipeline.register_modules(tokenizer_2=tokenizer(tmp_path / "second"))
    (known,) = add_embeddings(pipeline, [file])
    name = file.stem
    (chunk,) = chunks(f"a ({name.upper()}:1.5), b", pipeline.tokenizer, [known])
    begun_at = len(pipeline.tokenizer) - 2
    assert chunk.tokens[2:4] == (begun_at, begun_at + 1) and chunk.weights[2:4] == (1.5, 1.5)
    weights = pipeline.text_encoder.get_input_embeddings().weight
    assert torch.allclose(weights[begun_at:], vectors(2), atol=1e-2)
    if model is sdxl:
        assert torch.allclose(pipeline.text_encoder_2.get_input_embeddings().weight[-2:], vectors(2, seed=1))
    with torch.inference_mode():
        called, letters = (encode(pipeline, f"a {name}", "cpu", of)[0] for of in ([known], []))
    assert not torch.allclose(called, letters)


def test_which_textual_inversions_a_prompt_calls(tmp_path):
    from lib_usdu.standalone.called_files import called_embeddings

    for name in ("easy-neg.pt", "cat.safetensors", "deep/style.bin", "notes.txt", "cat2.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = called_embeddings([tmp_path], "a Cat, (style:1.2)", "EASY-NEG, concatenate, notes")
    assert [path.name for path in found] == ["cat.safetensors", "style.bin", "easy-neg.pt"]


def test_a_textual_inversion_of_another_model_is_refused(tmp_path):
    from lib_usdu.errors import ModelError
    from lib_usdu.standalone.checkpoints import add_embeddings

    torch.save({"string_to_param": {"*": vectors(1, 16)}}, tmp_path / "wide.pt")
    with pytest.raises(ModelError, match="textual inversion wide: .*have 16 numbers, those of this model 32"):
        add_embeddings(sd1(tmp_path), [tmp_path / "wide.pt"])
    (tmp_path / "none.pt").write_bytes(b"none")
    with pytest.raises(ModelError, match="textual inversion none: .*cannot be used"):
        add_embeddings(sd1(tmp_path), [tmp_path / "none.pt"])


def test_a_textual_inversion_on_the_command_line(lora, tmp_path, photo, capsys):
    """As a webui has them: `embeddings` beside `models`."""
    import numpy as np
    from PIL import Image

    from lib_usdu.cli.main import main
    from lib_usdu.pictures.imagefile import read_infotext

    Image.fromarray(photo[:64, :64]).save(tmp_path / "in.png")
    (tmp_path / "embeddings").mkdir()
    pictures = []
    for seed in (None, 1, 2):
        if seed is not None:
            torch.save({"string_to_param": {"*": vectors(2, seed=seed)}}, tmp_path / "embeddings" / "toy.pt")
        out = tmp_path / f"{seed}.png"
        command = [str(tmp_path / "in.png"), "-o", str(out), "-c", str(lora[0]), "--upscaler", "Lanczos", "-p", "Toy"]
        assert main([*command, "--steps", "4", "--device", "cpu", "-q"]) == 0
        assert capsys.readouterr().err == ""
        pictures.append(np.asarray(Image.open(out)).astype(int))
        assert ('TI hashes: "toy: ' in read_infotext(out)) == (seed is not None)
    differences = [np.abs(a - b).max() for a, b in zip(pictures, pictures[1:])]
    assert min(differences) > 0
