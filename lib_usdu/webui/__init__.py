"""The webui as a host (AUTOMATIC1111, Forge, Forge Neo). Only this folder and `scripts/` import `modules`.

Hosts differ: each difference is detected by the feature, never by the name of the host.
"""
