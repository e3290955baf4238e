"""Flags of the command line: each sets its option, and errors name what was typed."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_usdu.cli.flags import FLAGS, PAIRS, options_of, parser
from lib_usdu.cli.say import message
from lib_usdu.cli.size import Size
from lib_usdu.errors import OptionError
from lib_usdu.options import OPTION_NAMES, Choice, Flag, Number, Options, declared, rule_of

WITH_FLAG = [name for name in OPTION_NAMES if declared(name).flag]
ONE = [name for name in WITH_FLAG if name not in (*PAIRS, *PAIRS.values())]


def options(*typed: str) -> Options:
    args = parser().parse_args(["in.png", *typed])
    return Size.of(args).for_picture(options_of(args), 100, 100)[0]


def written(name: str):
    """Values of an option, and how they are typed."""
    rule = rule_of(name)
    if isinstance(rule, Number):
        if rule.step == 1:
            return st.integers(rule.low, rule.high).map(lambda n: (n, str(n)))
        low, high = round(rule.low / rule.step), round(rule.high / rule.step)
        return st.integers(low, high).map(lambda n: (round(n * rule.step, 6), f"{n * rule.step:.6f}"))
    if isinstance(rule, Choice):
        return st.sampled_from([(key, text) for key, label in rule.labels.items() for text in (key, label)])
    texts = {"redo_tiles": ("3 7-9", "3,7-9"), "upscaler": ("x4.pth", "x4.pth"), "tile_prompts": ("2: sea", "2: sea")}
    texts["try_tile"] = ("7", "7")
    return st.just(texts[name])


@settings(deadline=None)
@given(st.data(), st.sampled_from([name for name in ONE if not isinstance(rule_of(name), Flag)]))
def test_every_flag_with_a_value_sets_its_option(data, name):
    value, typed = data.draw(written(name))
    expected = {"tile_width": 8192} if name in ("padding", "seams_fix_padding") else {}
    size = ["--tile", "8192"] if expected else []
    found = options(*size, f"{FLAGS[name]}={typed}")
    assert found == Options(**{"upscaler": "SPAN x4", **expected, name: value})


@pytest.mark.parametrize("name", [name for name in ONE if isinstance(rule_of(name), Flag)])
def test_every_flag_without_a_value_turns_its_option(name):
    flag = declared(name).flag
    typed = [flag.name, *(["made.png"] if flag.form else [])]
    assert options(*typed) == Options(**{"upscaler": "SPAN x4", name: not getattr(Options, name)})


@settings(deadline=None)
@given(st.integers(64, 8192), st.integers(64, 8192))
def test_flags_of_two_options(width, height):
    padding = {"padding": 32, "seams_fix_padding": 16, "upscaler": "SPAN x4"}
    assert options("--tile", f"{width}x{height}") == Options(tile_width=width, tile_height=height, **padding)
    assert options("--tile", str(width)) == Options(tile_width=width, tile_height=width, **padding)
    sized = options("--size", f"{width}x{height}", "--resize-mode", "crop")
    assert sized == Options(target_size_type="custom", custom_width=width, custom_height=height, **padding)


def test_without_flags_there_are_the_defaults():
    assert options() == Options(upscaler="SPAN x4")
    assert options("--allow-huge").max_megapixels == 1e6


@pytest.mark.parametrize("name", [name for name in ONE if isinstance(rule_of(name), (Number, Choice))])
def test_errors_name_the_flag_and_the_text_that_was_typed(name):
    with pytest.raises(OptionError) as caught:
        options(f"{FLAGS[name]}=much")
    assert message(caught.value) == f"{FLAGS[name]}: 'much' is not allowed; allowed: {caught.value.allowed}"
    assert "(0)" not in caught.value.allowed  # nobody types an index


def test_a_seed_of_64_bits_is_read_to_the_last_digit():
    assert options("--seed", str(2**64 - 1)).seed == 2**64 - 1


def test_every_flag_stands_in_the_help_once_with_its_meaning():
    words = " ".join(parser().format_help().split())
    actions = [action for action in parser()._actions if not isinstance(action, argparse._HelpAction)]
    typed = [flag for action in actions for flag in action.option_strings]
    assert len(typed) == len(set(typed)) and set(FLAGS.values()) <= set(typed)
    for name in WITH_FLAG:
        flag = declared(name).flag
        if name not in PAIRS.values():
            told = (flag.help or declared(name).about).replace("%%", "%")
            assert " ".join(told.split()[:3]) in words, name
