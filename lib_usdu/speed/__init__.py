"""Less work of the model a step, where the picture hardly needs it: deep features kept between steps, guidance
computed where it changes.

What is done at which step is decided in `schedule`, without torch. The rest puts it into a model for one call's
sampling and takes it out again.
"""
