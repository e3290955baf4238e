"""The webui's settings while the script runs: fixed for the run, and never mixed up with the person's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from .protocols import Processing, Settings

# Settings of the host that act on every call.
_TILE_SETTINGS = {
    "img2img_color_correction": False, "save_init_img": False, "return_mask": False, "return_mask_composite": False,
    "save_mask": False, "save_mask_composite": False,
}  # fmt: skip
_MISSING = object()


class RunSettings(dict):
    """The host's settings (`opts.data`) during a run. The dict itself holds the person's values.

    The thread of the run reads its own copy, taken when the run began. So a setting that somebody else changes
    meanwhile (settings page, another API client) changes nothing in the run, and stays as they set it. All other
    threads, and whoever saves the settings to the config file, see the person's values, never the run's temporary
    ones. What the run's thread itself writes goes to both, unless it is temporary.
    """

    def __init__(self, persons: Mapping[str, Any]):
        super().__init__(persons)
        self._thread, self._run, self._temporary = threading.get_ident(), dict(persons), set()
        self.begin()

    def of_run(self) -> dict[str, Any]:
        """A copy of what the run goes by."""
        return dict(self._run)

    def set_temporary(self, values: Mapping[str, Any]) -> None:
        """For the run alone. Values set later under these names are temporary too."""
        self._temporary |= set(values)
        self._run.update(values)

    def temporary(self) -> frozenset[str]:
        """The names that are the run's own."""
        return frozenset(self._temporary)

    def keep_temporary(self, names: Iterable[str]) -> None:
        """From here on only these are the run's own."""
        self._temporary = set(names)

    def begin(self) -> None:
        """Everything is set: from here on `changed` looks for differences."""
        self._begun, self._fixed = dict(self._run), set(self._temporary)

    def changed(self, names: Iterable[str]) -> list[str]:
        """Which of these settings something in the run's own thread has changed since; not those that the run itself
        has set for a part of it."""
        passing = self._temporary - self._fixed
        return [
            name
            for name in names
            if name not in passing and self._run.get(name, _MISSING) != self._begun.get(name, _MISSING)
        ]

    def __getitem__(self, name: str) -> Any:
        return self._run[name] if self._in_run() else super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        return self._run.get(name, default) if self._in_run() else super().get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._run if self._in_run() else super().__contains__(name)

    def __setitem__(self, name: str, value: Any) -> None:
        if self._in_run():
            self._run[name] = value
        if not self._in_run() or name not in self._temporary:
            super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def pop(self, name: str, *default: Any) -> Any:
        if not self._in_run():
            return super().pop(name, *default)
        if name not in self._temporary:
            super().pop(name, None)
        return self._run.pop(name, *default)

    def update(self, *values: Any, **named: Any) -> None:
        for name, value in dict(*values, **named).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def _in_run(self) -> bool:
        return threading.get_ident() == self._thread


@contextmanager
def in_force(
    options: Settings,
    p: Processing,
    check: Callable[[Mapping[str, Any]], None],
    apply: Callable[[Mapping[str, Any]], None],
) -> Iterator[RunSettings]:
    """The person's overrides and a tile's settings in force, once around the run; whatever happens, the person's own
    settings stand again afterwards, with what was changed in them meanwhile.

    options: the host's. check: raises OptionError for a setting or a value that the host does not know. apply: sets
    settings in the host's own way and loads the models they name.
    """
    overrides = dict(p.override_settings or {})
    check(overrides)
    persons = options.data
    settings = RunSettings(persons)
    options.data = settings
    temporary = set(overrides) if getattr(p, "override_settings_restore_afterwards", True) else set()
    try:
        settings.keep_temporary(temporary)
        settings.set_temporary({name: value for name, value in _TILE_SETTINGS.items() if hasattr(options, name)})
        apply(overrides)
        settings.begin()
        yield settings
    finally:
        try:
            if temporary:
                apply({name: dict.get(settings, name, options.get_default(name)) for name in temporary})
        finally:
            if options.data is settings:  # else somebody has loaded the config file anew
                for name in [name for name in persons if not dict.__contains__(settings, name)]:
                    del persons[name]
                persons.update(dict.items(settings))
                options.data = persons


@contextmanager
def temporarily(settings: MutableMapping[str, Any], **values: Any) -> Iterator[None]:
    """These values in force, and put back afterwards; in a run's settings without ever showing in the person's."""
    before = {name: settings[name] for name in values if name in settings}
    run = settings if isinstance(settings, RunSettings) else None
    temporary = run.temporary() if run else frozenset()
    if run:
        run.set_temporary(values)
    else:
        settings.update(values)
    try:
        yield
    finally:
        for name in values:
            settings.pop(name, None)
        settings.update(before)
        if run:
            run.keep_temporary(temporary)


def values_of_run(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the settings that the run goes by."""
    return settings.of_run() if isinstance(settings, RunSettings) else dict(settings)
