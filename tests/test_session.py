"""What outlives a run."""

import pytest
from hosts import NoisyRefiner

from lib_usdu.batch_size import BatchLimits, BatchSize
from lib_usdu.engine import upscale
from lib_usdu.options import Options
from lib_usdu.session import Session
from lib_usdu.standalone.host import LocalHost


def test_batch_sizes_belong_to_a_model():
    session = Session()
    session.batch_sizes("a")["kind"] = BatchSize(BatchLimits(2, 4))
    assert session.batch_sizes("a")["kind"].now == 2 and session.batch_sizes("b") == {}
    assert Session().batch_sizes("a") == {}


def test_one_network_is_kept_and_none_while_the_next_is_loaded():
    session, loads = Session(), []

    def load(name):
        assert session._network is None
        loads.append(name)
        return name

    for name in ("a", "a", "b", "b", "a"):
        assert session.network(name, lambda name=name: load(name)) == name
    assert loads == ["a", "b", "a"]
    session.forget_network()
    session.network("a", lambda: load("a"))
    assert loads == ["a", "b", "a", "a"]


def test_a_network_that_does_not_load_leaves_nothing():
    session = Session()
    session.network("a", lambda: "a")
    with pytest.raises(ZeroDivisionError):
        session.network("b", lambda: 1 / 0)
    assert session.network("b", lambda: "b") == "b"


def test_hosts_of_one_session_share_what_was_learned(photo):
    class Counting(NoisyRefiner):
        def batch_limits(self, width, height):
            return BatchLimits(1, 4)

    session, refiner = Session(), Counting()
    options = Options(tile_width=64, custom_scale=1, resume=False)
    for _ in range(2):
        upscale(photo[:256, :256], options, LocalHost(refiner, session=session))
    (size,) = session.batch_sizes(id(refiner)).values()
    assert size is LocalHost(refiner, session=session).batch_sizes[next(iter(session.batch_sizes(id(refiner))))]
    assert LocalHost(refiner).batch_sizes == {}
