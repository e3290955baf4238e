"""Something of ours in the place of a host's own, for a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@contextmanager
def in_place_of(owner: Any, **replaced: Any) -> Iterator[None]:
    """While inside, the object's attributes are these; afterwards it has its own, or those of its class, again."""
    own = {name: vars(owner)[name] for name in replaced if name in vars(owner)}
    vars(owner).update(replaced)
    try:
        yield
    finally:
        for name in replaced:
            del vars(owner)[name]
        vars(owner).update(own)


@contextmanager
def answering(owner: Any, **answers: Hashable) -> Iterator[None]:
    """As `in_place_of`, for properties of the object's class: while inside, each has this answer. Others of its class
    keep theirs."""
    own = type(owner)
    owner.__class__ = _with_answers(own, tuple(answers.items()))
    try:
        yield
    finally:
        owner.__class__ = own


@lru_cache(maxsize=8)
def _with_answers(own: type, answers: tuple[tuple[str, Hashable], ...]) -> type:
    """Made once: what Python has learned of a class it would learn anew with each tile."""
    return type(own.__name__, (own,), {**dict(answers), "__module__": own.__module__, "__doc__": own.__doc__})
