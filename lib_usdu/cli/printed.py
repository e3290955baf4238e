"""What is printed instead of a run: names for --list, and completion scripts, made from the parser."""

from __future__ import annotations

import argparse

from .flags import parser


def listing(what: str) -> str:
    """Names, one a line: of "upscalers" or "samplers"."""
    if what == "samplers":
        from ..standalone.samplers import SAMPLERS, ways_of

        return "\n".join([*SAMPLERS, *(f"{name} {way}" for name in SAMPLERS for way in ways_of(name))])
    from .models import upscaler_names

    files = "FILE  (.pth, .safetensors, .pt or .ckpt of any architecture that spandrel knows)"
    return "\n".join([*upscaler_names(), files])


SHELLS = ("bash", "zsh", "fish")


def completion(shell: str) -> str:
    """A script for the shell: bash, zsh or fish. To be read by `eval` or put into the shell's completion folder."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](parser()._actions)


def _values(action: argparse.Action) -> list[str]:
    if action.choices:
        return [str(choice) for choice in action.choices]
    form = action.metavar if isinstance(action.metavar, str) else ""
    closed = "|" in form and form == form.lower()
    return form.split("|") if closed else []


def _bash(actions: list[argparse.Action]) -> str:
    flags = " ".join(flag for action in actions for flag in action.option_strings)
    cases = "".join(
        f"    {'|'.join(action.option_strings)})\n"
        f"      COMPREPLY=($(compgen -W '{' '.join(_values(action))}' -- \"$word\")); return;;\n"
        for action in actions if action.option_strings and _values(action)
    )  # fmt: skip
    return (
        "_usdu() {\n"
        '  local word="${COMP_WORDS[COMP_CWORD]}"\n'
        '  case "${COMP_WORDS[COMP_CWORD-1]}" in\n'
        f"{cases}"
        "  esac\n"
        f"  [[ $word == -* ]] && COMPREPLY=($(compgen -W '{flags}' -- \"$word\"))\n"
        "}\n"
        "complete -o default -F _usdu usdu"
    )


def _zsh(actions: list[argparse.Action]) -> str:
    lines = ["#compdef usdu", "_arguments -s \\"]
    for action in actions:
        told = _quoted(action.help or "").replace("[", "(").replace("]", ")").replace(":", "\\:")
        values = f"({' '.join(_values(action))})" if _values(action) else "_files"
        takes = "" if action.nargs == 0 else f":value:{values}"
        lines += [f"  '{flag}[{told}]{takes}' \\" for flag in action.option_strings]
    return "\n".join([*lines, "  '*:picture:_files'"])


def _fish(actions: list[argparse.Action]) -> str:
    lines = []
    for action in actions:
        if not action.option_strings:
            continue
        names = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in action.option_strings)
        takes = "" if action.nargs == 0 else f" -x -a '{' '.join(_values(action))}'" if _values(action) else " -r"
        lines.append(f"complete -c usdu {names}{takes} -d '{_quoted(action.help or '')}'")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return text.replace("%%", "%").replace("'", "")
