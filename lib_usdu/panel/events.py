"""What a component of gradio does when a person does something."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any


def listen(on: ModuleType, component: Any, event: str, run: Any, inputs: Any, outputs: Any, *, js: str = "") -> None:
    """Subscribes to an event; JavaScript goes by `_js` or `js`. Outside of a Blocks there is nothing to hear."""
    context = getattr(getattr(on, "context", None), "Context", None)
    if context is None or context.root_block is not None:
        subscribe = getattr(component, event)
        known = inspect.signature(getattr(subscribe, "replaced_event", subscribe)).parameters  # Forge wraps it
        script = {"js" if "js" in known else "_js": js} if js else {}
        subscribe(fn=run, inputs=inputs, outputs=outputs, queue=False, show_progress="hidden", **script)
