"""The queue of jobs (call_queue.py): one at a time, flags forgotten afterwards."""

import functools
import html
import threading

from . import errors, shared

queue_lock = threading.RLock()


def wrap_queued_call(func):
    @functools.wraps(func)
    def call(*args, **kwargs):
        with queue_lock:
            return func(*args, **kwargs)

    return call


def wrap_gradio_gpu_call(func, extra_outputs=None):
    """call_queue.py:21-83: begin and end are called here; an error becomes text in the last output; the flags are
    reset.
    """

    @functools.wraps(func)
    def call(*args, **kwargs):
        try:
            with queue_lock:
                shared.state.begin(job="task")
                result = list(func(*args, **kwargs))
                shared.state.end()
        except Exception as error:  # noqa: BLE001  any error is shown in the panel
            errors.report("Error completing request", exc_info=True)
            result = [
                *(extra_outputs or [None, ""]),
                f"<div class='error'>{html.escape(f'{type(error).__name__}: {error}')}</div>",
            ]
        finally:
            state = shared.state
            state.skipped = state.interrupted = state.stopping_generation = False
            state.job, state.job_count = "", 0
        return tuple(result)

    return call
