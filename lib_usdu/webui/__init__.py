"""The webui as a host (AUTOMATIC1111, Forge, Forge Neo).

script.py is what the webui calls: it reads the request, runs the engine on host.py and delivers the pictures.
tile_call.py and fused_call.py turn tiles into calls of `process_images`. Only environment.py (and `scripts/`) imports
`modules`. Hosts differ: each difference is detected by the feature, never by the name of the host.
"""
