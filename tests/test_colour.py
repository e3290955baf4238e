import numpy as np
import pytest

from lib_usdu.compose.tone import low_frequency_lock


@pytest.fixture
def texture():
    rng = np.random.default_rng(0)
    return (128 + 30 * rng.standard_normal((192, 256, 3))).clip(0, 255).astype(np.uint8)


def test_strength_nought_changes_nothing(texture):
    assert np.array_equal(low_frequency_lock(texture, texture[::-1], 0), texture)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_a_constant_drift_is_removed_by_the_strength(texture, strength):
    drifted = texture.astype(np.float32) + np.float32([6, -3, 9])
    fixed = low_frequency_lock(drifted, texture, strength)
    assert np.abs(fixed - (drifted - strength * np.float32([6, -3, 9]))).max() < 1e-3


def test_a_slow_gradient_of_tone_is_removed(texture):
    y, x = np.mgrid[0:192, 0:256]
    drift = 8 * np.sin(2 * np.pi * x / 512) + 4 * (y / 192)
    fixed = low_frequency_lock(texture + drift[..., None].astype(np.float32), texture, 1)
    assert np.abs(fixed - texture)[16:-16, 16:-16].mean() < 0.15


def test_new_detail_stays(texture):
    """What the model drew below the cut-off comes through whole."""
    rng = np.random.default_rng(1)
    detail = rng.standard_normal(texture.shape).astype(np.float32) * 10
    result = texture + detail
    fixed = low_frequency_lock(result, texture, 1)
    kept = np.fft.rfft2(fixed - texture, axes=(0, 1))
    drawn = np.fft.rfft2(detail, axes=(0, 1))
    fy, fx = np.fft.fftfreq(192)[:, None], np.fft.rfftfreq(256)[None]
    high = np.hypot(fy, fx) > 1 / 24
    assert (np.abs(kept[high]) ** 2).sum() / (np.abs(drawn[high]) ** 2).sum() == pytest.approx(1, abs=0.005)


def test_no_ringing_at_a_hard_edge():
    edge = np.zeros((128, 128, 3), np.uint8)
    edge[:, 64:] = 255
    fixed = low_frequency_lock(edge.astype(np.float32), edge, 1)
    assert np.array_equal(fixed, edge)


def test_any_window_size():
    for height, width in ((8, 8), (8, 64), (64, 8), (104, 72)):
        picture = np.full((height, width, 3), 90, np.uint8)
        assert np.abs(low_frequency_lock(picture + np.float32(5), picture, 1) - 90).max() < 1e-3


def test_the_lock_holds_whatever_the_order_in_memory(photo):
    """A model's channels often come first in memory, and only look last."""
    drifted = photo.astype(np.float32) * 0.9 + 20
    channels_first = np.ascontiguousarray(drifted.transpose(2, 0, 1)).transpose(1, 2, 0)
    locked = low_frequency_lock(channels_first, photo, 1)
    assert np.array_equal(locked, low_frequency_lock(drifted, photo, 1))
    assert abs(locked.mean() - photo.mean()) < 0.5 < abs(drifted.mean() - photo.mean())
