import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_usdu.errors import OptionError, UnknownOption
from lib_usdu.options import (
    INFOTEXT_PREFIX,
    LEGACY_ARGUMENTS,
    OF_PICTURE,
    OPTION_NAMES,
    OWN_ARGUMENTS,
    SCRIPT_OPTIONS,
    VERSION_KEY,
    VERSION_MARKER,
    Options,
    rule_of,
)

UPSCALERS = ["None", "Lanczos", "Nearest", "4x-UltraSharp"]
DOCUMENTED = [None, 512, 0, 8, 32, 64, 0.275, 32, 3, False, 0, True, 8, 3, 2, 2048, 2048, 2]


def test_the_originals_documented_list():
    options = Options.from_script_args(DOCUMENTED, upscalers=UPSCALERS)
    assert options.upscaler == "4x-UltraSharp" and options.redraw_mode == "linear"
    assert (options.tile_width, options.tile_height) == (512, 512)
    assert options.seams_fix_type == "half+intersections" and options.seams_fix_denoise == 0.275
    assert options.target_size_type == "scale" and options.custom_scale == 2
    assert not options.save_upscaled_image and options.save_seams_fix_image


def test_lists_of_other_lengths():
    assert Options.from_script_args([]) == Options()
    assert Options.from_script_args([None, 768]) == Options(tile_width=768)
    own = {"tile_batch": 4, "noise": "tile", "blend": "Minimum-error cut", "tone_lock": 0.5, "seamless": True,
           "auto_padding": True}  # fmt: skip
    args = [*DOCUMENTED, VERSION_MARKER, *(own.get(name, getattr(Options(), name)) for name in OWN_ARGUMENTS)]
    options = Options.from_script_args(args, upscalers=UPSCALERS)
    assert (options.tile_batch, options.noise, options.blend, options.tone_lock) == (4, "tile", "cut", 0.5)
    assert options.seamless and options.auto_padding
    foreign = [*DOCUMENTED, "some other script's value", 3, True]
    assert Options.from_script_args(foreign, upscalers=UPSCALERS) == Options.from_script_args(
        DOCUMENTED, upscalers=UPSCALERS
    )


def test_one_dict():
    options = Options.from_script_args(
        [{"tile_width": 768, "redraw_mode": "Chess", "upscaler_index": 1}], upscalers=UPSCALERS
    )
    assert options == Options(tile_width=768, redraw_mode="chess", upscaler="Lanczos")
    with pytest.raises(OptionError, match="tile_widht"):
        Options.from_script_args([{"tile_widht": 768}])


def test_unknown_names_are_answered_with_those_they_are_like():
    with pytest.raises(UnknownOption, match="there is no 'tile_widht'; did you mean tile_width[?] allowed: tile_width"):
        Options.from_dict({"tile_widht": 768})
    with pytest.raises(UnknownOption, match="there is no 'Padding', 'qqq'; did you mean padding[?] allowed: "):
        Options.from_dict({"Padding": 8, "tile_width": 768, "qqq": 1})
    with pytest.raises(UnknownOption, match="there is no 7; allowed: "):
        Options.from_dict({7: 8})


def test_more_values_than_there_are_is_an_error():
    most = 19 + len(OWN_ARGUMENTS)
    full = [*DOCUMENTED, VERSION_MARKER, *(getattr(Options, name) for name in OWN_ARGUMENTS)]
    assert Options.from_script_args(full, upscalers=UPSCALERS)
    for args in ([*full, 1], [*full, None, None], [*DOCUMENTED, *["another script's"] * 40]):
        with pytest.raises(OptionError, match=f"script_args: 'a list of {len(args)}' .* at most {most} values"):
            Options.from_script_args(args, upscalers=UPSCALERS)


def test_the_marker_of_a_version_to_come_is_an_error():
    with pytest.raises(OptionError, match="script_args: 'usdu:99' is not allowed; allowed: usdu:.* in position 18"):
        Options.from_script_args([*DOCUMENTED, "usdu:99", 4], upscalers=UPSCALERS)


@pytest.mark.parametrize(
    "name, value, allowed",
    [
        ("tile_width", 63, "64 px"), ("tile_width", -1, "0 to 8192"), ("tile_width", 1e9, "0 to 8192"),
        ("tile_width", "wide", "whole number"), ("tile_width", 512.5, "whole number"), ("tile_width", None, "number"),
        ("padding", -1, "0 to 512"), ("padding", 300, None), ("padding", True, "whole number"),
        ("custom_scale", 0, "0.01 to 64"), ("custom_scale", -2, "0.01 to 64"), ("custom_scale", float("nan"), "number"),
        ("custom_scale", float("inf"), "number"), ("custom_scale", "9" * 400, "number"), ("denoise", 1.01, "0 to 1"),
        ("denoise", 10**400, "0 to 1"), ("redraw_mode", 9, "linear (0)"), ("redraw_mode", "spiral", "chess"),
        ("noise", [], "canvas"), ("save_upscaled_image", "maybe", "true or false"), ("upscaler", "", "name"),
        ("upscaler", "a\nb", "name"), ("upscaler", "x" * 301, "name"), ("upscaler_index", 99, "3: 4x-UltraSharp"),
        ("tile_batch", 65, "0 to 64"), ("seed", -1, "0 to"), ("custom_width", 0, "1 to 65536"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_what_is_allowed(name, value, allowed):
    base = {"tile_width": 256, "tile_height": 256} if name == "padding" else {}
    with pytest.raises(OptionError) as caught:
        if name in ("denoise", "seed"):
            Options(**{name: value})
        else:
            Options.from_dict({**base, name: value}, upscalers=UPSCALERS)
    text = str(caught.value)
    assert text.startswith(name) and "\n" not in text and len(text) < 400
    assert (allowed or "0 to the size of a tile, 256 px") in text


def test_numpy_and_json_numbers():
    assert Options(tile_width=np.int64(640), custom_scale=3) == Options(tile_width=640.0, custom_scale=3.0)


def test_tiles_that_are_automatic():
    assert Options().with_tile(1024).tile_height == 1024 and Options(tile_width=256).with_tile(1024).tile_height == 256
    with pytest.raises(OptionError, match="0 to the size of a tile, 256 px"):
        Options(padding=300).with_tile(256)


values = {
    "tile_width": st.integers(64, 2048), "tile_height": st.integers(64, 2048), "padding": st.integers(0, 64),
    "mask_blur": st.integers(0, 64), "seams_fix_width": st.integers(0, 512), "seams_fix_padding": st.integers(0, 64),
    "seams_fix_denoise": st.integers(0, 100).map(lambda n: n / 100), "upscaler": st.sampled_from([*UPSCALERS, "a, b: c"]),
    "redraw_mode": st.sampled_from(list(rule_of("redraw_mode").labels)),
    "seams_fix_type": st.sampled_from(list(rule_of("seams_fix_type").labels)),
    "target_size_type": st.sampled_from(list(rule_of("target_size_type").labels)),
    "custom_width": st.integers(1, 9000), "custom_height": st.integers(1, 9000),
    "custom_scale": st.integers(1, 6400).map(lambda n: n / 100), "tile_batch": st.integers(0, 64),
    "noise": st.sampled_from(list(rule_of("noise").labels)), "blend": st.sampled_from(list(rule_of("blend").labels)),
    "tone_lock": st.integers(0, 100).map(lambda n: n / 100), "seams_fix_mask_blur": st.integers(0, 64),
    "resemblance": st.integers(0, 20).map(lambda n: n / 20), "creativity": st.integers(0, 100).map(lambda n: n / 100),
    "speed": st.sampled_from(list(rule_of("speed").labels)),
    "strength_map": st.sampled_from(list(rule_of("strength_map").labels)),
    "seamless": st.booleans(), "auto_padding": st.booleans(), "overviews": st.booleans(),
    "skip_flat": st.integers(0, 320).map(lambda n: n / 10),
    "tile_prompts": st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=30),
    "interrogator": st.sampled_from(list(rule_of("interrogator").labels)),
    "finish": st.sampled_from(list(rule_of("finish").labels)),
}  # fmt: skip


def test_a_list_made_for_an_older_version_means_what_it_meant():
    """Its sixth own value was seams_fix_only_visible, which is gone; what follows has not moved."""
    own = [3, "tile", "cut", 0.5, True, True, True, False, "2", True, "sky", "none", "none", True, 1.5]
    options = Options.from_script_args([*DOCUMENTED, "usdu:1", *own], upscalers=UPSCALERS)
    assert options == Options.from_script_args([*DOCUMENTED, "usdu:2", *own[:5], *own[6:]], upscalers=UPSCALERS)
    assert (options.seamless, options.auto_padding, options.resume, options.redo_tiles) == (True, True, False, "2")
    assert (options.number_tiles, options.tile_prompts, options.compare, options.skip_flat) == (True, "sky", True, 1.5)
    short = Options.from_script_args([*DOCUMENTED, "usdu:1", *own[:7]], upscalers=UPSCALERS)
    assert short.auto_padding and short.resume


def test_every_option_of_the_picture_is_drawn():
    assert set(values) == set(OF_PICTURE)


def test_what_is_gone_is_named():
    with pytest.raises(OptionError, match="noise: 'same' is not allowed; allowed: canvas, tile"):
        Options(noise="same")
    with pytest.raises(OptionError, match="option: there is no 'seams_fix_only_visible'; .*allowed: tile_width"):
        Options.from_dict({"seams_fix_only_visible": True})


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=values))
def test_infotext_and_script_args_round_trip(given_values):
    if given_values.get("redraw_mode") == "fused":  # which has the canvas's noise and no other
        given_values.pop("noise", None)
    options = Options(**given_values)
    assert Options.from_infotext(options.to_infotext()) == options
    assert all(options.to_infotext().values()), "the webui cannot read a name without a value"
    names = ["upscaler" if name == "upscaler_index" else name for name in LEGACY_ARGUMENTS]
    args = [None, *(getattr(options, n) for n in names), VERSION_MARKER, *(getattr(options, n) for n in OWN_ARGUMENTS)]
    assert Options.from_script_args(args) == options


def test_infotext_keeps_the_originals_keys_first():
    assert list(Options().to_infotext())[:5] == [
        "Ultimate SD upscale " + name for name in ("upscaler", "tile_width", "tile_height", "mask_blur", "padding")
    ]


def test_infotext_leaves_defaults_out():
    assert len(Options().to_infotext()) == 6 and VERSION_KEY in Options().to_infotext()
    text = Options(redraw_mode="chess", tile_prompts="2: sea").to_infotext()
    assert set(text) - set(Options().to_infotext()) == {
        "Ultimate SD upscale redraw_mode", "Ultimate SD upscale tile_prompts",
    }  # fmt: skip


def test_an_automatic_tile_stays_automatic_in_infotext():
    assert Options().to_infotext()["Ultimate SD upscale tile_width"] == "0"


SETTINGS = {"resume": False, "compare": True, "number_tiles": True, "save_upscaled_image": False, "save_seams_fix_image": True}
SETTINGS["redo_tiles"] = "3 7-9"  # of one run: what it drew stands beside, as "tiles redone"
SETTINGS["try_tile"] = "auto"


def test_settings_of_the_panel_are_not_the_pictures():
    assert set(SETTINGS) == set(SCRIPT_OPTIONS) - set(OF_PICTURE)
    assert Options(**SETTINGS).to_infotext() == Options().to_infotext()
    written = {INFOTEXT_PREFIX + name: str(value) for name, value in SETTINGS.items()}  # as older versions did
    assert Options.from_infotext({**Options().to_infotext(), **written}) == Options()


def test_every_option_is_reachable_by_the_api():
    names = {*LEGACY_ARGUMENTS, *OWN_ARGUMENTS} - {"upscaler_index"} | {"upscaler"}
    assert names == set(SCRIPT_OPTIONS) and set(SCRIPT_OPTIONS) < set(OPTION_NAMES)


@pytest.mark.parametrize(
    "size, scale, expected",
    [((1280, 720), 2, (2560, 1440)), ((1001, 667), 1.5, (1502, 1000)), ((1001, 667), 2.5, (2502, 1668)),
     ((1001, 667), 10, (10010, 6670)), ((1, 1), 0.01, (1, 1)), ((33, 20), 1.01, (33, 20))],
)  # fmt: skip
def test_target_size_by_scale(size, scale, expected):
    assert Options(custom_scale=scale).target_size(*size) == expected


def test_other_target_sizes_and_the_limit():
    assert Options(target_size_type="custom", custom_width=77, custom_height=99).target_size(5, 5) == (77, 99)
    assert Options(target_size_type="img2img").target_size(5, 5, (640, 480)) == (640, 480)
    with pytest.raises(OptionError, match="img2img"):
        Options(target_size_type="img2img").target_size(5, 5)
    with pytest.raises(OptionError, match="40000x40000.*1000 megapixels"):
        Options(custom_scale=4).target_size(10000, 10000)
    assert Options(custom_scale=4, max_megapixels=2000).target_size(10000, 10000) == (40000, 40000)
