"""The panel in the img2img tab: its controls, its texts, the line that says what a run would do.

Nothing here imports the webui: what is asked of it goes through a small host object (`webui.panel_host`).
"""
