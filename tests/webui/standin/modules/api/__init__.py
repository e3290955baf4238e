"""The webui's HTTP API, without HTTP."""
