"""Questions about a webui's behaviour, answered by running its own `modules` package.

`record_facts.py` puts them to a real webui and writes the answers to facts.json; `test_standin.py` puts the same
questions to the stand-in and compares. Nothing here knows which host it runs in: what a host lacks is answered with
None. Every answer is JSON.
"""

from . import api, calls, guidance, interfaces, noise, outputs, panel


def questions():
    """Every probe by name; calling one gives its answer."""
    found = (vars(m).items() for m in (interfaces, calls, guidance, noise, outputs, panel, api))
    return {
        name.removeprefix("probe_"): function
        for items in found
        for name, function in items
        if name.startswith("probe_")
    }
