"""How hard README, docs and panel are to read: `python -m tools.readability [FOLDER ...]` prints a table.

For each checkout (default: this one): words in a sentence, share of sentences longer than 25 words, share of passive
sentences (a form of "to be" followed by a participle, found by its ending), and the Automated Readability Index
(Smith and Senter 1967: 4.71 letters per word + 0.5 words per sentence - 21.43), about the years of school needed.
Tables, code and pictures are left out.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

_PASSIVE = re.compile(
    r"\b(?:is|are|was|were|be|been|being)\s+(?:\w+ly\s+|not\s+|never\s+|then\s+)?(?:\w{3,}ed|made|given|taken|kept|found|"
    r"drawn|said|left|read|written|run|shown|known|held|seen|done|chosen|begun|told|meant|cut|set|put|built|lost|sent)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Figures:
    """words: in a sentence, on average. long, passive: shares of the sentences, 0 to 1. index: the ARI."""

    sentences: int
    words: float
    long: float
    passive: float
    index: float


def sentences(text: str) -> list[str]:
    """The prose of a Markdown page, sentence by sentence."""
    text = re.sub(r"^```[\s\S]*?^```|^    .*$|^\s*\|.*$|^#.*$|^!\[.*$|^<.*$", "\n", text, flags=re.M)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:[*-]|\d+\.) )", text)
    joined = [re.sub(r"[`*]|^\s*(?:[*-]|\d+\.) ", "", " ".join(part.split())).strip() for part in paragraphs]
    return [one for part in joined for one in re.split(r"(?<=[.!?:])\s+(?=[A-Z\"(])", part) if len(one.split()) > 2]


def figures(texts: list[str]) -> Figures:
    """Of sentences."""
    counts = [re.findall(r"[^\W_]+(?:['.-][^\W_]+)*", text) for text in texts]
    words = sum(map(len, counts))
    letters = sum(len(re.sub(r"\W", "", word)) for text in counts for word in text)
    mean = words / len(texts)
    return Figures(
        len(texts), mean, sum(len(text) > 25 for text in counts) / len(texts),
        sum(bool(_PASSIVE.search(text)) for text in texts) / len(texts), 4.71 * letters / words + 0.5 * mean - 21.43,
    )  # fmt: skip


def of_checkout(root: Path) -> dict[str, Figures]:
    """README, the pages of docs/ together, and what the panel says (the keys of its German translation)."""
    parts = {"README.md": sentences((root / "README.md").read_text(encoding="utf-8"))}
    pages = [page.read_text(encoding="utf-8") for page in sorted(root.glob("docs/*.md"))]
    parts["docs/"] = [one for page in pages for one in sentences(page)]
    words = json.loads((root / "localizations" / "de_DE.json").read_text(encoding="utf-8"))
    parts["panel"] = [text for key in words for text in sentences(key)]
    return {name: figures(texts) for name, texts in parts.items() if texts}


def main(folders: list[str]) -> None:
    print("| | sentences | words in a sentence | over 25 words | passive | readability index |")
    print("|---|---|---|---|---|---|")
    for folder in folders or [str(Path(__file__).parents[1])]:
        for name, one in of_checkout(Path(folder)).items():
            cells = name, one.sentences, f"{one.words:.1f}", f"{one.long:.0%}", f"{one.passive:.0%}", f"{one.index:.1f}"
            print("" if len(folders) < 2 else Path(folder).name, "|", " | ".join(map(str, cells)), "|")


if __name__ == "__main__":
    main(sys.argv[1:])
