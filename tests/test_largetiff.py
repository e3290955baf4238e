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


@pytest.mark.parametrize("transparent, magic", [(False, b"II*\0"), (True, b"II+\0")])
def test_over_two_gigabytes_a_tiff_is_a_bigtiff(transparent, magic, tmp_path, monkeypatch):
    assert saving.largetiff.MOST_OF_CLASSIC == 2**31
    monkeypatch.setattr(saving.largetiff, "MOST_OF_CLASSIC", 600 * 600 * 3)  # the alpha channel is too much
    monkeypatch.setattr(saving, "LARGE_TIFF", 1000)
    rgb = np.full((600, 600, 3), 7, np.uint8)
    imagefile.write(tmp_path / "big.tif", rgb, alpha=rgb[:, :, 0] if transparent else None)
    assert (tmp_path / "big.tif").read_bytes()[:4] == magic
