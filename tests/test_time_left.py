"""How long a run still takes, said while it runs."""

import pytest

from lib_usdu.host import Progress
from lib_usdu.run.time_left import TimeLeft


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def run(steps, expected=None, tiles=None):
    """What is said after each step: (stage, done, total, seconds it took)."""
    clock = Clock()
    left = TimeLeft(expected or {}, tiles or {"redraw": 4}, clock)
    said = []
    for stage, done, total, seconds in steps:
        clock.now += seconds
        said.append(left.after(Progress(stage, done, total)))
    return said, left, clock


def test_the_first_run_says_it_after_its_first_tile():
    steps = [("upscale", 1, 1, 5), ("redraw", 1, 4, 2), ("redraw", 3, 4, 4), ("redraw", 4, 4, 2)]
    assert run(steps)[0] == pytest.approx([None, 6, 2, 0])


def test_a_later_run_says_it_from_the_start():
    expected = {"upscale": 10, "redraw": 8}
    assert TimeLeft(expected, {"redraw": 4}).at_start() == 18 and TimeLeft({}, {"redraw": 4}).at_start() is None
    said, left, clock = run([("upscale", 1, 2, 5), ("upscale", 2, 2, 5), ("redraw", 2, 4, 4)], expected)
    assert said == pytest.approx([13, 8, 4])
    clock.now += 1
    assert left.now() == pytest.approx(3)
    clock.now += 90
    assert left.now() == 0


def test_a_slower_machine_than_before_is_noticed():
    """Also for the stage that comes; one that was never done here takes as long a tile."""
    tiles = {"redraw": 4, "seams fix": 2}
    known = {"redraw": 4, "seams fix": 3}
    said, *_ = run([("redraw", 1, 6, 3), ("redraw", 4, 6, 9), ("seams fix", 5, 6, 4)], known, tiles)
    each = (4 * 1 + 3) / 5, (4 * 1 + 12) / 8
    assert said[:2] == pytest.approx([3 * each[0] + 3 * each[0], 3 * each[1]])
    assert said[2] == pytest.approx((4 * 1.5 + 4) / 5)
    assert run([("redraw", 2, 6, 4)], {}, tiles)[0] == pytest.approx([8])


def test_tiles_that_are_left_out_are_not_waited_for():
    left = TimeLeft({"upscale": 1, "redraw": 40}, {"redraw": 4}, Clock())
    left.leave_out(3)
    assert left.at_start() == 11
    left.leave_out(1)
    assert left.at_start() == 1
