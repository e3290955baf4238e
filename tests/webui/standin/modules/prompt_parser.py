"""From prompts to what conditions the model: schedules of a prompt, parts joined by AND (prompt_parser.py).

Of the language of prompts there are [before:after:when], [after:when], [before::when], [a|b], AND and weights of its
parts; no brackets within brackets.
"""

import re
from collections import namedtuple

import torch

ScheduledPromptConditioning = namedtuple("ScheduledPromptConditioning", ["end_at_step", "cond"])
_EDIT = re.compile(r"\[(?:([^\[\]:|]*):)?([^\[\]:|]*):\s*([\d.]+)\s*\]")
_ALTERNATE = re.compile(r"\[([^\[\]:]*\|[^\[\]:]*)\]")
_WEIGHT = re.compile(r"^((?:\s|.)*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*$")


class SdConditioning(list):
    """Prompts that know the size of the picture: SDXL is told it (:120)."""

    def __init__(self, prompts, is_negative_prompt=False, width=None, height=None, copy_from=None):
        super().__init__(prompts)
        source = prompts if copy_from is None else copy_from
        self.is_negative_prompt = is_negative_prompt or getattr(source, "is_negative_prompt", False)
        self.width = width or getattr(source, "width", None)
        self.height = height or getattr(source, "height", None)


class DictWithShape(dict):
    """SDXL's conditionings of a batch (:263): the shape is that of the text."""

    def __init__(self, x, shape=None):
        super().__init__(x)

    @property
    def shape(self):
        return self["crossattn"].shape


class ComposableScheduledPromptConditioning:
    def __init__(self, schedules, weight=1.0):
        self.schedules, self.weight = schedules, weight


class MulticondLearnedConditioning:
    def __init__(self, shape, batch):
        self.shape, self.batch = shape, batch


def get_learned_conditioning_prompt_schedules(prompts, base_steps, hires_steps=None, use_old_scheduling=False):
    """:26: for each prompt its texts, each with the step it ends at."""

    def when(text):
        step = int(float(text) * base_steps) if "." in text else int(text)
        return min(base_steps, step)

    def at(step, prompt):
        prompt = _EDIT.sub(lambda m: (m[1] or "") if step <= when(m[3]) else m[2], prompt)
        return _ALTERNATE.sub(lambda m: m[1].split("|")[(step - 1) % (m[1].count("|") + 1)], prompt)

    def schedule(prompt):
        ends = {base_steps, *(when(m[3]) for m in _EDIT.finditer(prompt))}
        if _ALTERNATE.search(prompt):
            ends.update(range(1, base_steps + 1))
        return [[end, at(end, prompt)] for end in sorted(ends) if end >= 1]

    return [schedule(prompt) for prompt in prompts]


def get_learned_conditioning(model, prompts, steps, hires_steps=None, use_old_scheduling=False):
    """:137: for each prompt a list of (end_at_step, conditioning of one picture)."""
    schedules, known = get_learned_conditioning_prompt_schedules(prompts, steps, hires_steps, use_old_scheduling), {}
    for prompt, schedule in zip(prompts, schedules):
        if prompt not in known:
            conds = model.get_learned_conditioning(SdConditioning([text for _, text in schedule], copy_from=prompts))
            rows = [dict(zip(conds, of_one)) for of_one in zip(*conds.values())] if isinstance(conds, dict) else conds
            known[prompt] = [ScheduledPromptConditioning(end, row) for (end, _), row in zip(schedule, rows)]
    return [known[prompt] for prompt in prompts]


def get_multicond_prompt_list(prompts):
    """:183: parts by AND with their weights; the same text twice is one entry of the flat list."""
    flat, places, indexes = SdConditioning(prompts), {}, []
    flat.clear()
    for prompt in prompts:
        parts = []
        for part in re.split(r"\bAND\b", prompt):
            text, weight = _WEIGHT.search(part).groups()
            if text not in places:
                places[text] = len(flat)
                flat.append(text)
            parts.append((places[text], 1.0 if weight is None else float(weight)))
        indexes.append(parts)
    return indexes, flat, places


def get_multicond_learned_conditioning(model, prompts, steps, hires_steps=None, use_old_scheduling=False):
    """:240"""
    indexes, flat, _ = get_multicond_prompt_list(prompts)
    conds = get_learned_conditioning(model, flat, steps, hires_steps, use_old_scheduling)
    batch = [[ComposableScheduledPromptConditioning(conds[i], weight) for i, weight in parts] for parts in indexes]
    return MulticondLearnedConditioning(shape=(len(prompts),), batch=batch)


def _now(schedule, step):
    """The entry in force at a step; past the last, the first (:285)."""
    return next((entry.cond for entry in schedule if step <= entry.end_at_step), schedule[0].cond)


def _stacked(conds):
    """:301: shorter ones go on with their last token."""
    if isinstance(conds[0], dict):
        return DictWithShape({key: _stacked([cond[key] for cond in conds]) for key in conds[0]})
    longest = max(len(cond) for cond in conds)
    return torch.stack([torch.cat([cond, cond[-1:].expand(longest - len(cond), *cond.shape[1:])]) for cond in conds])


def reconstruct_cond_batch(c, current_step):
    """:270: one tensor for a batch at a step."""
    return _stacked([_now(schedule, current_step) for schedule in c])


def reconstruct_multicond_batch(c, current_step):
    """:315: for each picture its [(row of the tensor, weight)], and the tensor."""
    rows, conds = [], []
    for parts in c.batch:
        rows.append([(len(conds) + i, part.weight) for i, part in enumerate(parts)])
        conds += [_now(part.schedules, current_step) for part in parts]
    return rows, _stacked(conds)
