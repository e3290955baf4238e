"""Something like gradio where it is not installed: components that remember how they were made and who listens.

Put this folder on sys.path only where the real gradio is not installed (test_standin.py does).
"""

from types import SimpleNamespace

__version__ = "0+fake"
components = []  # every component made, in order


class Component:
    """A component, or a layout block used as a context; unknown keywords are kept in `options`."""

    value = None

    def __init__(
        self,
        value=None,
        *args,
        label=None,
        elem_id=None,
        elem_classes=None,
        visible=True,
        choices=None,
        type=None,
        interactive=None,
        minimum=None,
        maximum=None,
        step=None,
        **options,
    ):
        self.value, self.label, self.elem_id, self.visible, self.type = value, label, elem_id, visible, type
        self.elem_classes, self.interactive, self.options, self.listeners = (
            list(elem_classes or []),
            interactive,
            options,
            [],
        )
        if choices is not None:
            self.choices = list(choices)
        for name, given in (("minimum", minimum), ("maximum", maximum), ("step", step)):
            if given is not None:
                setattr(self, name, given)
        self.children = []
        for block in _open[-1:]:
            block.children.append(self)
        components.append(self)

    def __enter__(self):
        _open.append(self)
        return self

    def __exit__(self, *error):
        _open.pop()

    def _listen(self, event):
        def register(fn=None, inputs=None, outputs=None, **options):
            self.listeners.append(SimpleNamespace(event=event, fn=fn, inputs=inputs, outputs=outputs, options=options))

        return register

    def __getattr__(self, name):
        if name in ("change", "input", "release", "click", "select", "submit", "upload", "clear", "load", "then"):
            return self._listen(name)
        raise AttributeError(name)


_open = []


class ChoiceFirst(Component):
    """Radio, Dropdown and CheckboxGroup take their choices first."""

    def __init__(self, choices=None, value=None, **options):
        super().__init__(value, choices=choices or [], **options)


class Slider(Component):
    def __init__(self, minimum=0, maximum=100, value=None, **options):
        super().__init__(minimum if value is None else value, minimum=minimum, maximum=maximum, **options)


class Layout(Component):
    def __init__(self, label=None, **options):
        super().__init__(None, label=label, **options)


class Checkbox(Component):
    def __init__(self, value=False, **options):
        super().__init__(value, **options)


def _kinds(base, *names):
    return (type(name, (base,), {"__module__": __name__}) for name in names)


Blocks, Row, Column, Group, Box, Tab, Tabs, Accordion = _kinds(
    Layout, "Blocks", "Row", "Column", "Group", "Box", "Tab", "Tabs", "Accordion"
)
Radio, Dropdown, CheckboxGroup = _kinds(ChoiceFirst, "Radio", "Dropdown", "CheckboxGroup")
Button, ColorPicker, File, HTML, Image, JSON, Label, Markdown, Number, State, Textbox = _kinds(
    Component,
    "Button",
    "ColorPicker",
    "File",
    "HTML",
    "Image",
    "JSON",
    "Label",
    "Markdown",
    "Number",
    "State",
    "Textbox",
)
TabItem = Tab


def update(**changes):
    """gradio's own form of a change."""
    return {**changes, "__type__": "update"}


def Info(message):
    return message


Warning = Info
