"""Components for forms (ui_components.py); what an extension's panel may import."""

import gradio as gr


class FormComponent:
    def get_expected_parent(self):
        return getattr(getattr(gr, "components", gr), "Form", None)


class ToolButton(FormComponent, gr.Button):
    """A small button with one sign on it (ui_components.py:12)."""

    def __init__(self, *args, elem_classes=(), **kwargs):
        super().__init__(*args, elem_classes=["tool", *elem_classes], **kwargs)

    def get_block_name(self):
        return "button"


class FormRow(FormComponent, gr.Row):
    def get_block_name(self):
        return "row"


class FormColumn(FormComponent, gr.Column):
    def get_block_name(self):
        return "column"


class FormGroup(FormComponent, gr.Group):
    def get_block_name(self):
        return "group"


class FormHTML(FormComponent, gr.HTML):
    def get_block_name(self):
        return "html"


class InputAccordion(gr.Checkbox):
    """ui_components.py:88: a checkbox whose value is whether its accordion is open."""

    count = 0

    def __init__(self, value, **kwargs):
        InputAccordion.count += 1
        name = kwargs.pop("elem_id", None) or f"input-accordion-{InputAccordion.count}"
        super().__init__(value, **{**kwargs, "elem_id": f"{name}-checkbox", "visible": False})
        self.accordion = gr.Accordion(
            kwargs.get("label", "Accordion"), open=value, elem_id=name, elem_classes=["input-accordion"]
        )

    def __enter__(self):
        self.accordion.__enter__()
        return self

    def __exit__(self, *error):
        self.accordion.__exit__(*error)

    def get_block_name(self):
        return "checkbox"
