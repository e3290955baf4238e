import numpy as np
import pytest

from lib_usdu.pictures import imagefile, saving


@pytest.mark.parametrize("transparent", [False, True])
def test_a_large_tiff_holds_what_a_small_one_does(transparent, photo, tmp_path, monkeypatch):
    rgb = np.ascontiguousarray(np.tile(photo, (2, 3, 1))[:777, :1301])
    alpha = rgb[:, :, 0] if transparent else None
    written = {"alpha": alpha, "dpi": (300.0, 300.0), "infotext": "Steps: 20, Ünïcode: 世界"}
    small, large = tmp_path / "small.tif", tmp_path / "large.tiff"
    imagefile.write(small, rgb, **written)
    monkeypatch.setattr(saving, "LARGE_TIFF", 1000)
    imagefile.write(large, rgb, **written)
    for path in (small, large):
        picture = imagefile.read(path, max_pixels=10**7)
        assert np.array_equal(picture.rgb, rgb) and picture.dpi == (300.0, 300.0)
        assert imagefile.read_infotext(path) == written["infotext"]
        assert np.array_equal(picture.alpha, alpha) if transparent else picture.alpha is None
    assert large.stat().st_size < rgb.nbytes


def test_over_two_gigabytes_a_tiff_is_a_bigtiff(tmp_path, monkeypatch):
    rgb = np.broadcast_to(np.uint8(7), (29000, 30000, 3))  # no memory of its own
    black = np.zeros((512, 512, 3), np.uint8)
    monkeypatch.setattr(saving.largetiff, "_tiles", lambda rgb, alpha: [black] * 57 * 59)
    imagefile.write(tmp_path / "big.tif", rgb)
    assert (tmp_path / "big.tif").read_bytes()[:4] == b"II\x2b\x00"
