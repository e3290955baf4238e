"""shared.state: the job, its progress and the wish to stop (shared_state.py)."""

import datetime
import threading
import time


class State:
    skipped = False
    interrupted = False
    stopping_generation = False
    job = ""
    job_no = 0
    job_count = 0
    processing_has_refined_job_count = False
    job_timestamp = "0"
    sampling_step = 0
    sampling_steps = 0
    current_latent = None
    current_image = None
    current_image_sampling_step = 0
    id_live_preview = 0
    textinfo = None
    time_start = None
    server_start = None

    def __init__(self):
        vars(self).clear()
        self.server_start = time.time()
        self._command, self._signal = None, threading.Event()

    @property
    def server_command(self):
        return self._command

    @server_command.setter
    def server_command(self, value):
        self._command = value
        self._signal.set()

    def wait_for_server_command(self, timeout=None):
        if not self._signal.wait(timeout):
            return None
        self._signal.clear()
        command, self._command = self._command, None
        return command

    def request_restart(self):
        self.interrupt()
        self.server_command = "restart"

    def skip(self):
        self.skipped = True

    def interrupt(self):
        self.interrupted = True

    def stop_generating(self):
        self.stopping_generation = True

    def nextjob(self):
        """:87"""
        self.job_no += 1
        self.sampling_step = self.current_image_sampling_step = 0

    def dict(self):
        names = (
            "skipped interrupted stopping_generation job job_count job_timestamp job_no sampling_step sampling_steps"
        )
        return {name: getattr(self, name) for name in names.split()}

    def begin(self, job="(unknown)"):
        """:110: forgets a pending stop and the count of jobs, which only process_images or the caller sets again."""
        self.sampling_step = self.job_no = self.current_image_sampling_step = self.id_live_preview = 0
        self.time_start, self.job_count, self.job = time.time(), -1, job
        self.job_timestamp = datetime.datetime.now().strftime("%Y%m%d%H%M%S")
        self.current_latent = self.current_image = self.textinfo = None
        self.skipped = self.interrupted = self.stopping_generation = self.processing_has_refined_job_count = False

    def end(self):
        """:129: the flags stay."""
        self.job, self.job_count = "", 0

    def set_current_image(self):
        """:137: a preview of the latents every show_progress_every_n_steps steps."""
        from . import shared

        every = shared.opts.show_progress_every_n_steps
        if (
            shared.opts.live_previews_enable
            and every != -1
            and self.sampling_step - self.current_image_sampling_step >= every
        ):
            self.do_set_current_image()

    def do_set_current_image(self):
        from . import sd_samplers_common

        if self.current_latent is not None:
            self.assign_current_image(sd_samplers_common.sample_to_image(self.current_latent))
            self.current_image_sampling_step = self.sampling_step

    def assign_current_image(self, image):
        """:164"""
        from . import shared

        jpeg = shared.opts.live_previews_image_format == "jpeg" and image.mode in ("RGBA", "P")
        self.current_image = image.convert("RGB") if jpeg else image
        self.id_live_preview += 1
