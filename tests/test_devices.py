"""No place asks about a device without a test in which that device is a card: every one is listed here by its test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {"cuda", "mps", "xpu", "backends", "accelerator", "mtia", "hip"}
NAMES = re.compile(r"(cuda|mps|xpu|privateuseone|hip)(:\d+)?")
CARD, WEBUI = "tests/test_card.py::", "tests/webui/test_on_a_card.py::"
PIPELINE, PLACED = "tests/test_diffusers_host.py::", "tests/test_placement.py::"

COVERED = {
    "lib_usdu/cli/models.py:device_of": CARD + "test_the_command_line_takes_the_card",
    "lib_usdu/enlarge/precision.py:multiplies_bfloat16": CARD + "test_an_upscaler_runs_in_half_precision_where_it_may",
    "lib_usdu/enlarge/precision.py:upscaler_dtype": CARD + "test_an_upscaler_runs_in_half_precision_where_it_may",
    "lib_usdu/enlarge/precision.py:end_in_float32": CARD + "test_an_upscaler_without_half_runs_in_bfloat16",
    "lib_usdu/enlarge/prepared.py:prepared": CARD + "test_the_embedded_upscaler_on_the_card",
    "lib_usdu/enlarge/spandrel_model.py:SpandrelModel.__init__": CARD + "test_the_embedded_upscaler_on_the_card",
    "lib_usdu/enlarge/spandrel_model.py:SpandrelModel._part": CARD + "test_the_embedded_upscaler_on_the_card",
    "lib_usdu/enlarge/spandrel_model.py:_Downloads.ends_with": CARD + "test_the_embedded_upscaler_on_the_card",
    "lib_usdu/enlarge/spandrel_model.py:_Downloads.start": CARD + "test_the_embedded_upscaler_on_the_card",
    "lib_usdu/run/memory.py:free_bytes": CARD + "test_what_torch_has_in_reserve_counts_as_free",
    "lib_usdu/run/memory.py:give_back": CARD + "test_what_is_given_back",
    "lib_usdu/run/memory_needs.py:call_limits": WEBUI + "test_a_call_holds_as_many_tiles_as_are_done_in_time",
    "lib_usdu/webui/host.py:WebuiHost.call_limits": WEBUI + "test_a_call_holds_as_many_tiles_as_are_done_in_time",
    "lib_usdu/run/memory_needs.py:upscaler_windows": CARD + "test_windows_and_upscaler_windows_by_what_is_free",
    "lib_usdu/run/memory_needs.py:windows_that_fit": CARD + "test_windows_and_upscaler_windows_by_what_is_free",
    "lib_usdu/run/transfer.py:on_host": CARD + "test_pictures_go_to_the_card_out_of_pinned_memory",
    "lib_usdu/run/transfer.py:to_device": CARD + "test_pictures_go_to_the_card_out_of_pinned_memory",
    "lib_usdu/speed/autoencoder.py:_quick.forward": CARD + "test_on_the_card_an_autoencoder_is_left_alone",
    "lib_usdu/standalone/checkpoints.py:best_device": CARD + "test_the_command_line_takes_the_card",
    "lib_usdu/standalone/checkpoints.py:_format": PIPELINE + "test_a_pipeline_on_the_card",
    "lib_usdu/standalone/latents.py:Autoencoder._decode_into": PIPELINE + "test_a_pipeline_on_the_card",
    "lib_usdu/standalone/placement.py:Placement.__init__": PLACED + "test_where_a_pipeline_lies_on_the_card",
    "lib_usdu/standalone/placement.py:Placement.less": PLACED + "test_where_a_pipeline_lies_on_the_card",
    "lib_usdu/standalone/refiner.py:DiffusersRefiner.__init__": PLACED + "test_where_a_pipeline_lies_on_the_card",
    "lib_usdu/standalone/refiner.py:DiffusersRefiner.save_memory": PLACED + "test_where_a_pipeline_lies_on_the_card",
    "lib_usdu/webui/environment.py:own_generators": WEBUI + "test_the_cards_generator_is_put_back",
    "lib_usdu/webui/host.py:WebuiHost.enlarge": WEBUI + "test_the_host_upscales_on_the_card",
    "lib_usdu/webui/host.py:WebuiHost.__init__": WEBUI + "test_the_host_upscales_on_the_card",
    "lib_usdu/webui/model_kind.py:_away": WEBUI + "test_what_a_host_does_with_its_memory_counts",
    "lib_usdu/webui/model_kind.py:batch_limits": WEBUI + "test_the_panels_line_counts_the_batches_of_the_card",
}
"""File and function to the test that goes there with the fixture `card`."""


def places(tree: ast.AST, where: str = "") -> Iterator[str]:
    """Functions that touch torch.cuda and its like, make a torch.device from a name, use a webui's device, compare one
    with "cpu" or name a kind of card. Help texts name several at once and are not meant."""
    for node in ast.iter_child_nodes(tree):
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if touches(node):
            yield where or "(module)"
        yield from places(node, f"{where}.{node.name}".strip(".") if named else where)


def touches(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        owner, name = node.value.id, node.attr
        return (owner == "torch" and name in MODULES) or (owner == "devices" and name.startswith("device"))
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) == "torch.device" and ast.unparse(node) != "torch.device('cpu')"
    if isinstance(node, ast.Compare):
        return any(isinstance(side, ast.Constant) and side.value == "cpu" for side in ast.walk(node))
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMES.fullmatch(node.value) is not None


def all_places() -> set[str]:
    files = [path for folder in ("lib_usdu", "scripts") for path in (ROOT / folder).rglob("*.py")]
    return {
        f"{path.relative_to(ROOT).as_posix()}:{place}"
        for path in files
        for place in places(ast.parse(path.read_text(encoding="utf-8")))
    }


def test_every_place_that_asks_about_a_device_is_covered():
    found = all_places()
    assert sorted(found - set(COVERED)) == [], "list these in COVERED by a test with the fixture `card`"
    assert sorted(set(COVERED) - found) == [], "these are gone"


@pytest.mark.parametrize("test", sorted(set(COVERED.values())))
def test_the_tests_are_there_and_have_a_card(test):
    file, name = test.split("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert "card" in [argument.arg for argument in function.args.args]


@pytest.mark.parametrize(
    "code",
    [
        "torch.cuda.empty_cache()", "torch.backends.mps.is_available()", "torch.device(name)", "x.to('cuda:1')",
        "free(devices.device)", "getattr(torch, 'xpu')", "torch.xpu.mem_get_info()", "x.type == 'mps'",
        "if x.type != 'cpu': pass",
    ],
)  # fmt: skip
def test_what_counts_as_a_place(code):
    tree = ast.parse(f"class A:\n    def inside(self):\n        {code}\n")
    assert set(places(tree)) == {"A.inside"}
    assert list(places(ast.parse("def f(x: torch.device):\n    return x.to('cpu') + torch.float16, 'cuda, mps'"))) == []
