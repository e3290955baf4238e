"""Devices: a CPU in float32."""

import contextlib

import torch

cpu = device = device_interrogate = device_gfpgan = device_esrgan = device_codeformer = torch.device("cpu")
dtype = dtype_vae = dtype_unet = dtype_inference = torch.float32
unet_needs_upcast = fp8 = False


class NansException(Exception):
    pass


def torch_gc():
    """devices.py:77; nothing to collect on a CPU."""


def get_optimal_device():
    return device


def get_device_for(task):
    return device


def autocast(disable=False):
    return contextlib.nullcontext()


def without_autocast(disable=False):
    return contextlib.nullcontext()


def test_for_nans(x, where=""):
    """devices.py:242: all of it NaN is an error. Forge does nothing here; Neo makes zeros of them (devices.py:62)."""
    from . import standin

    if standin.knobs.neo:
        x.nan_to_num_(nan=0.0, posinf=1.0, neginf=0.0)
    elif not standin.knobs.forge and torch.isnan(x).all():
        raise NansException(f"A tensor with NaNs was produced in {where}.")
