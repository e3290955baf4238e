"""The settings object, with its trap: only what config.json has is in `data` (options.py:197-203)."""

import json
from dataclasses import dataclass


@dataclass
class OptionInfo:
    default: object = None
    label: str = ""
    component: object = None
    component_args: object = None
    onchange: object = None
    section: tuple = None
    refresh: object = None
    do_not_save: bool = False
    restrict_api: bool = False

    def info(self, text):
        return self

    link = html = needs_restart = needs_reload_ui = js = info


def options_section(section_identifier, options_dict):
    for option in options_dict.values():
        option.section = section_identifier[:2]
    return options_dict


class Options:
    """options.py:90-142: attribute access falls back to the default, assignment writes to `data`."""

    def __init__(self, defaults):
        vars(self).update(data={}, data_labels={k: OptionInfo(v) for k, v in defaults.items()})

    def __getattr__(self, key):
        data, labels = vars(self).get("data", {}), vars(self).get("data_labels", {})
        if key in data:
            return data[key]
        if key in labels:
            return labels[key].default
        raise AttributeError(key)

    def __setattr__(self, key, value):
        if key in self.data_labels:
            self.data[key] = value
        else:
            super().__setattr__(key, value)

    def set(self, key, value, is_api=False, run_callbacks=True):
        """options.py:144: an option that does not exist is a KeyError; the answer is whether it changed."""
        if self.data.get(key) == value:
            return False
        option = self.data_labels[key]
        if option.do_not_save or (is_api and option.restrict_api):
            return False
        self.data[key] = value
        if run_callbacks and option.onchange is not None:
            option.onchange()
        return True

    def save(self, filename):
        """options.py:174"""
        with open(filename, "w", encoding="utf8") as file:
            json.dump(self.data, file, indent=4, ensure_ascii=False)

    def get_default(self, key):
        return self.data_labels[key].default if key in self.data_labels else None

    def add_option(self, key, info):
        """options.py:256: an option of an extension is in `data` from the start."""
        self.data_labels[key] = info
        self.data.setdefault(key, info.default)
