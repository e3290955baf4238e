"""This extension's entry for the webui's extension index, `python -m tools.index_entry URL > extensions/NAME.json`.

The index (AUTOMATIC1111/stable-diffusion-webui-extensions, branch `extensions`) holds one JSON file for each extension,
with `name`, `url`, `description` and `tags`; it adds the date. It refuses a second entry with the same url, and people
tell entries apart by name: the original's is "Ultimate SD Upscale".
"""

from __future__ import annotations

import json
import re
import sys

NAME = "Ultimate SD Upscale, continued"
DESCRIPTION = (
    "Large, sharp pictures tile by tile, without seams: replaces Ultimate SD Upscale. Batches of tiles, one noise for "
    "the whole picture, interrupted runs continue. For AUTOMATIC1111, Forge and Forge Neo; SD 1, SDXL, Flux."
)
TAGS = ("script", "manipulations")


def entry(url: str) -> dict[str, object]:
    """The entry for the repository at this https address. Raises ValueError for any other address."""
    if not re.fullmatch(r"https://[^\s/]+/[^\s/]+/[^\s/]+", url):
        raise ValueError(f"url: {url!r} is not allowed; allowed: https://HOST/OWNER/REPOSITORY.git")
    return {"name": NAME, "url": url, "description": DESCRIPTION, "tags": list(TAGS)}


if __name__ == "__main__":
    print(json.dumps(entry(sys.argv[1]), indent=4))
