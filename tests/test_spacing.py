"""Where the steps of samplers lie, without diffusers; tests/test_known_share.py holds them to diffusers."""

import numpy as np
import pytest

from lib_usdu.spacing import WAYS, flow_levels, shifted, trained_levels


def test_levels_that_end_in_pure_noise_keep_their_beginning():
    plain, zero = trained_levels(), trained_levels(zero=True)
    assert zero[0] == pytest.approx(plain[0], rel=1e-3) and zero[-1] > 4000
    assert all(a < b for a, b in zip(zero, zero[1:])) and (zero >= plain * 0.999).all()


@pytest.mark.parametrize("steps", [1, 4, 9, 40])
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("way", ["", *WAYS])
def test_a_flows_levels_fall(steps, even, way):
    found = flow_levels(steps, way, 3.0, {"shift": 3.0}, even=even)
    assert len(found) == steps and found[0] == pytest.approx(1)
    assert all(a > b > 0 for a, b in zip(found, found[1:]))


def test_numbers():
    assert flow_levels(4, "", 1.0, {}, even=True) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert flow_levels(2, "", 3.0, {}, even=True) == pytest.approx([1, 0.75])
    assert flow_levels(4, "", 3.0, {}, even=False)[-1] == pytest.approx(0.008929, abs=1e-6)  # Stable Diffusion 3's
    assert flow_levels(4, "", 2.0, {"shift_terminal": 0.02}, even=True)[-1] == pytest.approx(0.02)
    own = flow_levels(8, "", 1.0, {"use_beta_sigmas": True}, even=True)
    assert own == flow_levels(8, "Beta", 1.0, {}, even=True) != flow_levels(8, "", 1.0, {}, even=True)
    assert np.allclose(shifted(np.array([0.5, 1.0]), 3.0), [0.75, 1.0])
