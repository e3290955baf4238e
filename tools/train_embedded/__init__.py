"""Trains what lies in lib_usdu/embedded: the small diffusion model (train.py) and the upscaler for JPEGs and noise
(upscaler.py)."""
