"""The option table and the API reference, made from what the options declare: python -m tools.option_docs

It writes docs/options.md, and in docs/api.md what stands between the two markers.
"""

from __future__ import annotations

from pathlib import Path

from lib_usdu.options import (
    LEGACY_ARGUMENTS,
    OF_PICTURE,
    OWN_ARGUMENTS,
    SCRIPT_OPTIONS,
    VERSION_MARKER,
    Choice,
    Flag,
    Options,
    declared,
    names_of_group,
    rule_of,
)
from lib_usdu.options.declaration import GROUPS

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- made by tools/option_docs.py -->", "<!-- end -->"

_INTRODUCTION = f"""# Options

{BEGIN}

Every option has a name (API, Python), a label in the webui's panel and, where it makes sense there, a flag on the
command line. Choices take their name, their label or, in the API, their index: it counts from 0 in the order below.
Sizes are pixels of the result.
Options marked † are settings of one run: they are not written into the picture's parameters and not pasted.
`python -m lib_usdu --help` lists all flags, also those that are no options of a picture.
"""


def options_page() -> str:
    """docs/options.md."""
    parts = [_INTRODUCTION]
    for group, title in GROUPS.items():
        rows = [_row(name) for name in names_of_group(group)]
        parts.append(f"## {title}\n\n| option | panel | command line | default | values |\n|---|---|---|---|---|")
        parts[-1] += "\n" + "\n".join(row for row in rows) + "\n"
        parts[-1] += "\n" + "\n".join(f"* `{name}`: {_meaning(name)}" for name in names_of_group(group)) + "\n"
    return "\n".join(parts)


def positions() -> str:
    """The positional form of `script_args`, for docs/api.md."""
    lines = ["| position | name | default | values |", "|---|---|---|---|"]
    lines.append("| 0 | | `null` | not read |")
    for number, name in enumerate(LEGACY_ARGUMENTS, 1):
        option = "upscaler" if name == "upscaler_index" else name
        values = "a name, or a position in the webui's list" if option == "upscaler" else _values(option)
        lines.append(f"| {number} | `{name}` | {_default(option)} | {values} |")
    lines.append(f'| {len(LEGACY_ARGUMENTS) + 1} | | | `"{VERSION_MARKER}"`, if more values follow |')
    for number, name in enumerate(OWN_ARGUMENTS, len(LEGACY_ARGUMENTS) + 2):
        lines.append(f"| {number} | `{name}` | {_default(name)} | {_values(name)} |")
    return "\n".join(lines) + "\n"


def api_page(text: str) -> str:
    """docs/api.md with the positions made anew."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{positions()}\n{END}{rest.partition(END)[2]}"


def _row(name: str) -> str:
    control, flag = declared(name).control, declared(name).flag
    typed = flag and " ".join([", ".join(filter(None, (flag.short, flag.name))), flag.form]).strip()
    mark = " †" if name in SCRIPT_OPTIONS and name not in OF_PICTURE else ""
    cells = [
        f"`{name}`{mark}", f"*{control.label}*" if control else "", f"`{typed}`".replace("|", "\\|") if typed else "",
        _default(name), _values(name),
    ]  # fmt: skip
    if flag and flag.default:
        cells[3] += f"; `{flag.default}` on the command line"
    return f"| {' | '.join(cells)} |"


def _default(name: str) -> str:
    value = getattr(Options, name)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value != "" else ""


def _values(name: str) -> str:
    rule = rule_of(name)
    if isinstance(rule, Choice):
        return ", ".join(f"`{key}`" for key in rule.labels)
    return "`true`, `false`" if isinstance(rule, Flag) else rule.allowed.replace("|", "\\|")


def _meaning(name: str) -> str:
    told = declared(name)
    return f"{told.about[:1].upper()}{told.about[1:]}.{' ' * bool(told.more)}{told.more}"


def main() -> None:
    (DOCS / "options.md").write_text(options_page(), encoding="utf-8")
    page = DOCS / "api.md"
    page.write_text(api_page(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
