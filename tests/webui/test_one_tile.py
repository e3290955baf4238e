"""One tile tried in the webui: by the API and at the panel; what the panel then knows of each tile."""

from modules import standin
from test_extension import ask, extension, person, photo  # noqa: F401

from lib_usdu.options import Options
from lib_usdu.pictures.infotext import TRIED_KEY
from lib_usdu.plan import make_plan
from lib_usdu.webui import script as webui
from lib_usdu.webui.panel_host import PanelHost

TILES = {"tile_width": 64, "padding": 16, "upscaler": "Lanczos", "tile_batch": 1}


def calls():
    """How many tiles the model was given."""
    return sum(len(call.prompts) for call in standin.log.calls)


def test_the_api_gives_the_pair_and_the_run_takes_the_tile(extension):  # noqa: F811
    tried = ask([{**TILES, "try_tile": 3}], seed=7)
    before = calls()
    assert before == 1 and len(tried.images) == 1 and f"{TRIED_KEY}: 3" in tried.infotexts[0]
    assert standin.log.saved == []
    result = ask([TILES], seed=7)
    assert calls() - before == 8 and result.images[0].size == (192, 144)


def test_at_the_panel_nothing_is_saved_and_a_random_seed_stays(extension, tmp_path):  # noqa: F811
    tried = webui.run(person(seed=-1, outpath_samples=str(tmp_path)), extension, [{**TILES, "try_tile": "auto"}])
    assert standin.log.saved == [] and len(tried.images) == 1 and "of 9 is kept" in tried.comments
    before, seed = calls(), tried.all_seeds[0]
    result = webui.run(person(seed=-1, outpath_samples=str(tmp_path)), extension, [TILES])
    assert result.all_seeds[0] == seed and calls() - before == 8
    assert len(standin.log.saved) == 1


def test_a_number_that_is_not_there_is_told_by_the_label(extension):  # noqa: F811
    done = webui.run(person(), extension, [{**TILES, "try_tile": "77"}])
    assert done.images == [] and "Tile to try: '77' is not allowed; allowed: auto, or a tile" in done.comments


def test_after_a_run_the_panel_knows_what_each_tile_took(extension):  # noqa: F811
    plan = make_plan(Options(**TILES, denoise=0.5), photo().size, PanelHost().abilities())
    ask([TILES], seed=7)
    assert sorted(PanelHost().tile_seconds(plan)) == list(range(9))
    other = make_plan(Options(**{**TILES, "tile_width": 96}, denoise=0.5), photo().size, PanelHost().abilities())
    assert PanelHost().tile_seconds(other) == {}
