"""The prompts of a run: resolved by the host once, the same in every tile, plus what a tile adds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from ..options.tile_prompts import joined
from .protocols import Processing


class Prompts:
    """Scripts such as dynamic prompts write the real prompts into `p.all_prompts` in their `process` hook, anew in
    every call. What the first tile's call made of them holds for the whole run.
    """

    def __init__(self) -> None:
        self.resolved: tuple[str, str] | None = None
        """Prompt and negative prompt, once a tile was drawn."""

    def settle(self, tile_p: Processing, init: Callable[..., Any], texts: Sequence[str]) -> None:
        """Makes a tile's p draw with the run's prompts. init: the p's own; texts: what each tile adds.

        `p.init` is the first thing called after the hooks and before the prompts are cut into batches and their
        extra networks parsed (processing.py:914-957).
        """
        count = tile_p.batch_size
        if self.resolved is not None:  # nothing is left to resolve for scripts that look at p.prompt
            tile_p.prompt, tile_p.negative_prompt = self.resolved
            tile_p.styles = []

        def init_with_prompts(all_prompts: Any, *args: Any, **kwargs: Any) -> Any:
            if self.resolved is None:
                self.resolved = tile_p.all_prompts[0], tile_p.all_negative_prompts[0]
            prompt, negative = self.resolved
            tile_p.all_prompts = [joined(prompt, text) if text else prompt for text in (*texts, *[""] * count)[:count]]
            tile_p.all_negative_prompts = [negative] * count
            tile_p.n_iter, tile_p.batch_size = 1, count  # a script may ask for one picture a combination
            return init(tile_p.all_prompts, *args, **kwargs)

        tile_p.init = init_with_prompts
        _encode_once(tile_p)


def _encode_once(tile_p: Processing) -> None:
    """Prompts that are all the same are encoded as one: the host encodes a batch anew when it holds another number of
    them (processing.py:461)."""
    get = getattr(type(tile_p), "get_conds_with_caching", None)
    if get is None:
        return

    def for_all(function: Any, required_prompts: Any, *args: Any, **kwargs: Any) -> Any:
        count = len(required_prompts)
        if any(text != required_prompts[0] for text in required_prompts):
            return get(tile_p, function, required_prompts, *args, **kwargs)
        one = copy.copy(required_prompts)  # a list that knows the picture's size
        del one[1:]
        found = copy.copy(get(tile_p, function, one, *args, **kwargs))
        if isinstance(found, list):
            return found * count
        found.batch, found.shape = found.batch * count, (count,)  # MulticondLearnedConditioning (prompt_parser.py:233)
        return found

    tile_p.get_conds_with_caching = for_all
