import numpy as np
import pytest
from hosts import NoisyRefiner
from hypothesis import given
from hypothesis import strategies as st

from lib_usdu.batch_size import BatchLimits, BatchSize
from lib_usdu.engine import upscale
from lib_usdu.options import Options
from lib_usdu.run import memory, memory_needs
from lib_usdu.standalone.host import LocalHost


def sizes(limits, seconds_of, calls=40):
    """The sizes of successive calls on a device on which a batch of n takes seconds_of(n)."""
    size, found = BatchSize(limits), []
    for _ in range(calls):
        found.append(size.now)
        size.measured(size.now, seconds_of(size.now))
    return found


def test_it_grows_while_tiles_a_second_grow():
    # Half a second for any call and 0.1 a tile: more is always better, less and less so.
    found = sizes(BatchLimits(1, 16), lambda n: 0.5 + 0.1 * n)
    assert found[:16] == [1] * 3 + [2] * 3 + [4] * 3 + [8] * 3 + [16] * 4 and set(found[16:]) == {16}


def test_what_does_not_pay_is_taken_back_for_good():
    # Up to 4 tiles take as long as one, beyond that each takes its time.
    found = sizes(BatchLimits(2, 16), lambda n: max(1.0, n / 4))
    assert found[:9] == [2] * 3 + [4] * 3 + [8] * 3 and set(found[9:]) == {4}


def test_the_first_call_of_a_size_warms_up():
    times = iter([9.0, 1.0, 1.0, 9.0, 1.0, 1.0, 9.0, 1.0, 1.0])
    size = BatchSize(BatchLimits(1, 4))
    for seconds in times:
        size.measured(size.now, seconds)
    assert size.now == 4


def test_calls_of_other_sizes_say_nothing():
    size = BatchSize(BatchLimits(4, 8))
    for _ in range(20):
        size.measured(3, 0.0001)
    assert size.now == 4


def test_what_memory_did_not_hold_is_never_tried_again():
    size = BatchSize(BatchLimits(4, 16))
    size.ran_out(2)
    assert set(sizes_of(size, lambda n: 1.0)) == {2} and size.limits.most == 2


def sizes_of(size, seconds_of):
    found = []
    for _ in range(20):
        found.append(size.now)
        size.measured(size.now, seconds_of(size.now))
    return found


@given(
    st.integers(1, 8), st.integers(1, 32), st.lists(st.tuples(st.floats(1e-6, 10), st.integers(0, 20)), max_size=60)
)  # fmt: skip
def test_it_stays_within_its_limits_whatever_is_measured(first, most, happened):
    limits = BatchLimits(first, 32).within(most)
    size, settled_at = BatchSize(limits), limits.most
    for seconds, ran_out in happened:
        if ran_out == 1:
            settled_at = max(1, size.now // 2)
            size.ran_out(settled_at)
        size.measured(size.now, seconds)
        assert 1 <= size.now <= settled_at


class Growing(NoisyRefiner):
    """Begins with one tile, may take four."""

    def batch_limits(self, width, height):
        return BatchLimits(1, 4)


@pytest.fixture
def clock(monkeypatch):
    """Every call of the model takes a second, however many tiles it holds."""
    from lib_usdu.run import guard as guarded

    now = [0.0]

    def tick():
        now[0] += 0.5
        return now[0]

    monkeypatch.setattr(guarded.time, "perf_counter", tick)


@pytest.mark.parametrize("context", ["parallel", "linear", "chess"])
def test_a_run_grows_its_batches_and_the_picture_is_the_same(photo, context, clock):
    options = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5, redraw_mode=context)
    refiner = Growing()
    host = LocalHost(refiner)
    grown = upscale(photo, options, host)
    counts = [len(batch.tiles) for batch in refiner.batches]
    assert max(counts) >= 3 and counts[0] == 1 and sum(counts) == 64 == grown.stats.tiles_done
    assert np.array_equal(grown.image, upscale(photo, options.with_(tile_batch=1), LocalHost(NoisyRefiner())).image)
    refiner.batches.clear()
    upscale(photo, options.with_(seed=2), host)  # the next picture of a folder
    assert context != "parallel" or [len(batch.tiles) for batch in refiner.batches] == [4] * 16


def test_a_number_asked_for_is_kept(photo):
    refiner = Growing()
    upscale(photo, Options(tile_width=128, padding=16, custom_scale=1, tile_batch=3), LocalHost(refiner))
    assert [len(batch.tiles) for batch in refiner.batches] == [3, 3, 3, 3, 3, 1]


class Card:
    """Looks like a torch device."""

    def __init__(self, kind):
        self.type = kind


@pytest.mark.parametrize(
    "kind, free, half, limits",
    [
        ("cuda", 24e9, True, BatchLimits(4, 16)),
        ("cuda", 24e9, False, BatchLimits(4, 16)),
        ("cuda", 4e9, True, BatchLimits(4, 16)),
        ("cuda", 6e8, True, BatchLimits(2, 2)),
        ("cuda", 1e8, True, BatchLimits(1, 1)),
        ("cpu", 24e9, False, BatchLimits(1, 4)),
        ("cpu", 3e8, False, BatchLimits(1, 1)),
        ("mps", None, True, BatchLimits(1, 1)),
    ],
)
def test_limits_by_free_memory(monkeypatch, kind, free, half, limits):
    monkeypatch.setattr(memory, "free_bytes", lambda device: free)
    assert memory_needs.windows_that_fit(Card(kind), 576, 576, half=half) == limits


def test_an_upscaler_leaves_where_tiles_would_not_fit_beside_it(monkeypatch):
    for free, leaves in ((24e9, False), (1e9, True), (None, False)):
        monkeypatch.setattr(memory, "free_bytes", lambda device, free=free: free)
        assert memory_needs.short(Card("cuda"), 512, 512) == leaves


def test_a_call_holds_as_many_tiles_as_take_twelve_seconds():
    limits, size = BatchLimits(4, 30), BatchSize(BatchLimits(2, 2))
    assert size.in_a_call(limits) == 2  # nothing was timed
    for seconds, tiles in ((0.01, 30), (1.0, 12), (1.1, 10), (9.0, 4), (0.0, 30)):
        size.measured(2, 2 * seconds)
        assert size.in_a_call(limits) == tiles and size.in_a_call(None) == 2
    size.measured(10, 10.0, at_once=2, pace=5)  # 0.2 s for each time the model is asked
    assert (size.in_a_call(limits, 5), size.in_a_call(limits, 10)) == (12, 6)
    assert BatchSize(BatchLimits(8, 8)).in_a_call(limits) == 8


def test_calls_of_many_tiles_tell_how_many_the_model_should_see():
    size = BatchSize(BatchLimits(1, 4))
    size.measured(1, 1.0)
    for _ in range(2):
        size.measured(8, 8.0, at_once=1)
    assert size.now == 2
    for _ in range(3):
        size.measured(8, 8.0, at_once=2)  # no faster
    assert size.now == 1


class InCalls(NoisyRefiner):
    """Its memory holds `room` tiles at once, and `most` in a call."""

    def __init__(self, room, most=99):
        super().__init__()
        self.room, self.most, self.tried = room, most, []

    def batch_limits(self, width, height):
        return BatchLimits(4, 4)

    def refine(self, batch, stop):
        self.tried.append(len(batch.tiles))
        if batch.together > self.room or len(batch.tiles) > self.most:
            raise MemoryError
        return super().refine(batch, stop)


class HostOfCalls(LocalHost):
    def call_limits(self, width, height):
        return BatchLimits(9, 9)

    @property
    def batch_sizes(self):
        return self.__dict__.setdefault("sizes", {})


@pytest.mark.parametrize("room, most", [(4, 99), (1, 99), (1, 1)])
def test_a_call_that_memory_does_not_hold(photo, room, most):
    """Fewer tiles are seen at once; where a call of several is too much even so, each has its own."""
    options = Options(tile_width=64, padding=16, custom_scale=1, denoise=0.5)
    refiner = InCalls(room, most)
    host = HostOfCalls(refiner)
    expected = upscale(photo[:192, :192], options, LocalHost(NoisyRefiner())).image
    for _ in range(2):  # the second run knows what a tile takes
        result = upscale(photo[:192, :192], options, host)
        assert np.array_equal(result.image, expected) and result.finished
    assert refiner.batches[-1].together <= room and len(refiner.batches[-1].tiles) <= most
    assert sum(len(batch.tiles) for batch in refiner.batches) == 18
    if room == 4:
        assert [len(batch.tiles) for batch in refiner.batches][-2:] == [8, 1]
    if most == 1:
        assert "out of memory: one tile of 128x128 a call from here on" in result.notes
        assert len(refiner.tried) <= 18 + 8
