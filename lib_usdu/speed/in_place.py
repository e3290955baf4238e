"""Something of ours in the place of a host's own, for a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
