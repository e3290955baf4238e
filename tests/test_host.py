"""A host that can do nothing but enlarge and refine: what it does not say has honest defaults."""

import numpy as np
import pytest

from lib_usdu.engine import upscale
from lib_usdu.enlarge.windows import resize
from lib_usdu.errors import OptionError
from lib_usdu.host import Abilities, Host, TileModel
from lib_usdu.options import Options
from lib_usdu.standalone.host import Refiner

OPTIONS = Options(tile_width=64, padding=0, mask_blur=0, custom_scale=1, tone_lock=0)


class Plain(Host):
    """Inverts; fails in the way asked for in the first call for the tile `at`."""

    def __init__(self, fault=None, at=2):
        self.fault, self.at, self.calls = fault, at, 0

    def upscalers(self):
        return ["None"]

    def enlarge(self, rgb, name, width, height):
        return resize(rgb, width, height)

    def infotext(self, parameters):
        return ", ".join(parameters)

    def refine(self, batch):
        self.calls += 1
        images = 255 - batch.images.astype(np.float32)
        if self.fault and self.at in [tile.index for tile in batch.tiles]:
            fault, self.fault = self.fault, None
            if fault == "nan":
                images[:] = np.nan
            else:
                raise fault
        return images


@pytest.mark.parametrize("fault, calls", [(None, 4), ("nan", 5), (RuntimeError("once"), 5), (MemoryError(), 5)])
def test_it_is_enough(fault, calls, photo):
    """Also where a tile fails once: in a host that cannot save memory or calculate more precisely it is done again."""
    host = Plain(fault)
    result = upscale(photo[:128, :128], OPTIONS, host)
    assert result.finished and np.array_equal(result.image, 255 - photo[:128, :128]) and host.calls == calls
    assert "Ultimate SD upscale tile_width" in result.infotext and not result.notes


@pytest.mark.parametrize(
    "changes", [{"redraw_mode": "fused"}, {"finish": "faces"}, {"interrogator": "clip"}, {"upscaler": "Lanczos"}]
)
def test_what_it_cannot_do_is_refused(changes):
    host = Plain()
    with pytest.raises(OptionError, match=next(iter(changes))):
        upscale(np.zeros((64, 64, 3), np.uint8), OPTIONS.with_(**changes), host)
    assert host.calls == 0


def test_its_abilities_are_what_it_says_of_itself():
    class Able(Plain):
        alignment, default_tile, batch_cap = 8, 768, 1
        interrogators, finishes, upscaler_suffixes = ["none", "clip"], ["none", "faces"], [".pth"]

        def why_not_fused(self):
            return ""

    able = Able().abilities()
    assert able == Abilities(
        8, 768, ("None",), (".pth",), ("none", "clip"), ("none", "faces"), 1, able.why_not_fused, able.batch_limits
    )
    assert able.why_not_fused() == "" and able.batch_limits(64, 64).most == 1
    assert Abilities().why_not_fused() and Abilities().finishes == ("none",)


def test_defaults_of_hosts_and_refiners_exist_once():
    own = [{name for name in vars(kind) if not name.startswith("_")} for kind in (Host, Refiner)]
    assert own[0] & own[1] == {"refine", "fuse", "infotext"}  # which differ
    shared = {name for name in vars(TileModel) if not name.startswith("_")}
    assert not shared & (own[0] | own[1])
    assert issubclass(Host, TileModel) and issubclass(Refiner, TileModel)
